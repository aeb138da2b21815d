package profiles

import (
	"fmt"
	"math"

	"github.com/memsoak/memsoak/profiles/record"
)

// outside judges the memory of the process that no heap profile has, where a good part of the resident memory at the
// end is such memory and came during the trial. Memory that the kernel can drop under pressure has killed nothing.
func (e *ending) outside(found []*judged) []*judged {
	s := e.s
	first, last := s.resident()
	if last < 0 || first == last {
		return nil
	}
	var out []*judged
	for _, a := range areas {
		if a.class == record.PageCache && !a.unreclaimable || foundClass(found, a.class) {
			continue
		}
		before, now := a.at(s, first), a.at(s, last)
		grown := now - before
		if grown < a.least || grown < endShare*float64(s.Snaps[last].Process.RSS) || grown < now/2 {
			continue
		}
		out = append(out, e.outsideFinding(a, grown, [2]int{first, last}))
	}
	return out
}

// resident are the first snapshot that has the kernel's account of the process, and that with the most resident memory;
// below zero where there is none.
func (s *Series) resident() (first, most int) {
	first, most = -1, -1
	for i, n := range s.Snaps {
		if n.Process == nil {
			continue
		}
		if first < 0 {
			first = i
		}
		if most < 0 || n.Process.RSS > s.Snaps[most].Process.RSS {
			most = i
		}
	}
	return first, most
}

// at is the area's size in a snapshot, with the runtime's account of it, or else the last one before: its tables, of
// which alone an area has need, grow slowly.
func (a area) at(s *Series, i int) float64 {
	n := *s.Snaps[i]
	for k := i; k >= 0 && n.Runtime == nil; k-- {
		n.Runtime = s.Snaps[k].Runtime
	}
	if n.Runtime == nil {
		n.Runtime = &record.Runtime{}
	}
	return a.of(&n)
}

func foundClass(js []*judged, c record.Class) bool {
	for _, j := range js {
		if j.Class == c {
			return true
		}
	}
	return false
}

// outsideFinding says per unit of what it came: waiting work, where that is more than finished work, else finished.
func (e *ending) outsideFinding(a area, grown float64, from [2]int) *judged {
	n := e.s.Snaps[from[1]]
	c := n.cov()
	u, x := unit{name: "file", class: a.class}, float64(c.FilesDone)
	switch {
	case float64(begun(c)) >= x:
		u.name, x = "worker", float64(begun(c))
	case c.Backlog > c.FilesDone:
		u.name, x = "backlog-item", float64(c.Backlog)
	}
	x = math.Max(1, x)
	t := term{unit: u, slope: grown / x, se: endError * grown / x, amount: grown, share: 1, from: from, steps: 1,
		retainedTerm: true}
	j := e.s.processFinding(a.class, e.s.waitingIn(n), t)
	j.key, j.Unreclaimable = "end|"+j.key+a.name, a.unreclaimable
	j.Evidence = append(j.Evidence,
		fmt.Sprintf("at the end %s of %s resident is %s, %s more than in the first sample: %s in flight, %d files "+
			"waiting, %d done",
			bytesText(a.at(e.s, from[1])), bytesText(float64(n.Process.RSS)), a.name, bytesText(grown),
			count(c.InFlight, "transfer"), c.Backlog,
			c.FilesDone))
	return j
}
