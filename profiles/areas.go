package profiles

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/memsoak/memsoak/profiles/record"
)

// Memory of the process that the Go runtime does not manage, and no heap profile has.

// area is a part of the process's memory that the Go runtime does not manage.
type area struct {
	class         record.Class
	name          string
	least, noise  float64 // worth a finding, and between equal states; bytes
	unreclaimable bool    // the kernel can't drop it under pressure
	read          func(p *record.Process, r *record.Runtime, c *record.Cgroup) float64
	runtime       bool // it needs the runtime's account
}

// areas are those parts.
var areas = []area{
	{class: record.OffHeap, name: "anonymous memory outside the Go heap", least: offHeapMin, noise: offHeapNoise,
		runtime: true,
		read: func(p *record.Process, r *record.Runtime, _ *record.Cgroup) float64 {
			return float64(p.OtherAnon - r.Metadata)
		}},
	{class: record.PageCache, name: "shared memory (tmpfs)", least: fileMin, noise: fileNoise, unreclaimable: true,
		read: func(p *record.Process, _ *record.Runtime, c *record.Cgroup) float64 {
			return float64(max(c.Shmem, p.Shmem))
		}},
	{class: record.PageCache, name: "pages of files", least: fileMin, noise: fileNoise,
		read: func(p *record.Process, _ *record.Runtime, c *record.Cgroup) float64 {
			return float64(max(c.File-c.Shmem, p.File))
		}},
}

// of is the area's size in a snapshot that has the process's account, bytes.
func (a area) of(n *Snapshot) float64 {
	c := n.Cgroup
	if c == nil {
		c = &record.Cgroup{}
	}
	return a.read(n.Process, n.Runtime, c)
}

// reading is the area's size in a snapshot, where it was measured.
func (a area) reading(n *Snapshot) (float64, bool) {
	if n.Process == nil || a.runtime && n.Runtime == nil {
		return 0, false
	}
	return a.of(n), true
}

// judgeOutside judges memory that the Go runtime does not manage.
func (s *Series) judgeOutside(u *units) []*judged {
	var out []*judged
	for _, a := range areas {
		q := s.read(a.noise, a.reading)
		out = append(out, s.judgeArea(u, a, q)...)
	}
	return out
}

// judgeArea judges one part of the process's memory by floors and by holds.
func (s *Series) judgeArea(u *units, of area, q *quantity) []*judged {
	var out []*judged
	kept := s.retained(q, u.retained)
	for _, t := range append(kept, s.heldTerms(q, u.held, kept)...) {
		if t.t() < minT || t.share < minShare || t.amount < of.least || t.name == "wave" {
			continue
		}
		a, b := t.from[0], t.from[1]
		j := s.processFinding(of.class, s.waitingIn(s.Snaps[b]), t)
		j.key += of.name
		j.Evidence = append(j.Evidence, fmt.Sprintf("%s: %s (%s) against %s (%s)", of.name, bytesText(q.values[b]),
			s.describe(b), bytesText(q.values[a]), s.describe(a)))
		if j.Unreclaimable = of.unreclaimable; j.Unreclaimable {
			j.Evidence = append(j.Evidence, "shared memory cannot be reclaimed without swap")
		}
		out = append(out, j)
	}
	return out
}

// waitingIn is where the transfers in flight wait: the largest group of goroutines in the user's code that are about as
// many.
func (s *Series) waitingIn(n *Snapshot) Site {
	flight := n.cov().InFlight
	var ids []int
	for g, c := range n.Routines {
		if s.Routines[g].Owner == OwnerUser && flight > 0 && int64(c)*2 >= flight {
			ids = append(ids, g)
		}
	}
	if len(ids) == 0 {
		return Site{}
	}
	slices.SortFunc(ids, func(a, b int) int {
		return cmp.Or(cmp.Compare(n.Routines[b], n.Routines[a]), cmp.Compare(s.Routines[b].Depth, s.Routines[a].Depth),
			cmp.Compare(a, b))
	})
	return s.Routines[ids[0]].Site
}
