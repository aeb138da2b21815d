package classes

// Memory of the process that the Go runtime does not manage, and no heap profile has.

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/internal/finding"
	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

// Area is a part of the process's memory that the Go runtime does not manage.
type Area struct {
	Class         record.Class
	Name          string
	Least, Noise  float64 // worth a finding, and between equal states; bytes
	AtErrors      float64 // worth a finding where it comes with failures, bytes
	ErrorNoise    float64 // between equal states once work has warmed up, bytes
	Unreclaimable bool    // the kernel can't drop it under pressure
	read          func(p *record.Process, r *record.Runtime, c *record.Cgroup) float64
	runtime       bool // it needs the runtime's account
}

// Areas are those parts.
var Areas = []Area{
	{Class: record.OffHeap, Name: "anonymous memory outside the Go heap", Least: threshold.OffHeapMin,
		Noise: threshold.OffHeapNoise, AtErrors: threshold.OffHeapAtErrors, ErrorNoise: threshold.OffHeapLateNoise,
		runtime: true,
		read: func(p *record.Process, r *record.Runtime, _ *record.Cgroup) float64 {
			return float64(p.OtherAnon - r.Metadata)
		}},
	{Class: record.PageCache, Name: "shared memory (tmpfs)", Least: threshold.SharedMin, Noise: threshold.SharedNoise,
		AtErrors: threshold.SharedMin, ErrorNoise: threshold.SharedNoise, Unreclaimable: true,
		read: func(p *record.Process, _ *record.Runtime, c *record.Cgroup) float64 {
			return float64(max(c.Shmem, p.Shmem))
		}},
	{Class: record.PageCache, Name: "pages of files", Least: threshold.FileMin, Noise: threshold.FileNoise,
		AtErrors: threshold.FileMin, ErrorNoise: threshold.FileNoise,
		read: func(p *record.Process, _ *record.Runtime, c *record.Cgroup) float64 {
			return float64(max(c.File-c.Shmem, p.File))
		}},
}

// Of is the area's size in a snapshot that has the process's account, bytes.
func (a Area) Of(n *series.Snapshot) float64 {
	c := n.Cgroup
	if c == nil {
		c = &record.Cgroup{}
	}
	return a.read(n.Process, n.Runtime, c)
}

// Reading is the area's size in a snapshot, where it was measured.
func (a Area) Reading(n *series.Snapshot) (float64, bool) {
	if n.Process == nil || a.runtime && n.Runtime == nil {
		return 0, false
	}
	return a.Of(n), true
}

// judgeOutside judges memory that the Go runtime does not manage.
func judgeOutside(s *series.Series, u *fit.Units) []*finding.Judged {
	var out []*finding.Judged
	for _, a := range Areas {
		q := fit.Read(s, a.Noise, a.Reading)
		out = append(out, judgeArea(s, u, a, q)...)
	}
	return out
}

// judgeArea judges one part of the process's memory by floors and by holds.
func judgeArea(s *series.Series, u *fit.Units, of Area, q *fit.Quantity) []*finding.Judged {
	var out []*finding.Judged
	kept := fit.Retained(s, q, u.Retained)
	terms := append(kept, fit.HeldTerms(s, q, u.Held, kept)...)
	page, rise := 0.0, math.Inf(1)
	if rest := fit.Rest(s, q); of.Class == record.OffHeap && len(rest) > 0 {
		if _, page = fit.PageStep(q, rest); page > 0 { // by a step a line rises more than what it is fitted to
			rise = q.Values[rest[len(rest)-1]] - q.Values[rest[0]]
		}
	}
	terms = slices.DeleteFunc(terms, func(t fit.Term) bool {
		return t.T() < threshold.MinT || t.Share < threshold.MinShare || t.Name == "wave" || t.Amount < of.Least ||
			t.RetainedTerm && !t.Running && min(t.Amount, rise)-page < of.Least // one step is no growth
	})
	for _, t := range append(terms, of.withErrors(s, u, terms, page)...) {
		a, b := t.From[0], t.From[1]
		j := ProcessFinding(s, of.Class, WaitingIn(s, s.Snaps[b]), t)
		j.Key += of.Name
		j.Evidence = append(j.Evidence, fmt.Sprintf("%s: %s (%s) against %s (%s)", of.Name, words.Bytes(q.Values[b]),
			finding.Describe(s, b), words.Bytes(q.Values[a]), finding.Describe(s, a)))
		if j.Unreclaimable = of.Unreclaimable; j.Unreclaimable {
			j.Evidence = append(j.Evidence, "shared memory cannot be reclaimed without swap")
		}
		out = append(out, j)
	}
	return out
}

// withErrors is growth with failures, where terms have none that continues: failures come late, in phases of their own,
// where the area has come to rest, so that less of it stands out. page is a step of it that may be a huge page.
func (a Area) withErrors(s *series.Series, u *fit.Units, terms []fit.Term, page float64) []fit.Term {
	if slices.ContainsFunc(terms, func(t fit.Term) bool { return t.RetainedTerm && !t.Running }) {
		return nil
	}
	late := fit.Retained(s, fit.Read(s, a.ErrorNoise, a.Reading), u.Retained)
	return slices.DeleteFunc(late, func(t fit.Term) bool {
		return t.Name != "error" || t.T() < threshold.MinT || t.Amount-page < a.AtErrors
	})
}

// WaitingIn is where the transfers in flight wait: the largest group of goroutines in the user's code that are about as
// many.
func WaitingIn(s *series.Series, n *series.Snapshot) blame.Site {
	flight := n.Cov().InFlight
	var ids []int
	for g, c := range n.Routines {
		if s.Routines[g].Owner == blame.OwnerUser && flight > 0 && int64(c)*2 >= flight {
			ids = append(ids, g)
		}
	}
	if len(ids) == 0 {
		return blame.Site{}
	}
	slices.SortFunc(ids, func(a, b int) int {
		return cmp.Or(cmp.Compare(n.Routines[b], n.Routines[a]), cmp.Compare(s.Routines[b].Depth, s.Routines[a].Depth),
			cmp.Compare(a, b))
	})
	return s.Routines[ids[0]].Site
}
