package ends

import (
	"fmt"
	"math"

	"github.com/memsoak/memsoak/profiles/internal/classes"
	"github.com/memsoak/memsoak/profiles/internal/finding"
	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

// outside judges the memory of the process that no heap profile has, where a good part of the resident memory at the
// end is such memory and came during the trial. Memory that the kernel can drop under pressure has killed nothing.
func (e *ending) outside(found []*finding.Judged) []*finding.Judged {
	s := e.s
	first, last := resident(s)
	if last < 0 || first == last {
		return nil
	}
	var out []*finding.Judged
	for _, a := range classes.Areas {
		if a.Class == record.PageCache && !a.Unreclaimable || foundClass(found, a.Class) {
			continue
		}
		before, now := at(a, s, first), at(a, s, last)
		grown := now - before
		if grown < a.Least || grown < endShare*float64(s.Snaps[last].Process.RSS) || grown < now/2 {
			continue
		}
		out = append(out, e.outsideFinding(a, grown, [2]int{first, last}))
	}
	return out
}

// resident are the first snapshot that has the kernel's account of the process, and that with the most resident memory;
// below zero where there is none.
func resident(s *series.Series) (first, most int) {
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
func at(a classes.Area, s *series.Series, i int) float64 {
	n := *s.Snaps[i]
	for k := i; k >= 0 && n.Runtime == nil; k-- {
		n.Runtime = s.Snaps[k].Runtime
	}
	if n.Runtime == nil {
		n.Runtime = &record.Runtime{}
	}
	return a.Of(&n)
}

func foundClass(js []*finding.Judged, c record.Class) bool {
	for _, j := range js {
		if j.Class == c {
			return true
		}
	}
	return false
}

// outsideFinding says per unit of what it came: waiting work, where that is more than finished work, else finished.
func (e *ending) outsideFinding(a classes.Area, grown float64, from [2]int) *finding.Judged {
	n := e.s.Snaps[from[1]]
	c := n.Cov()
	u, x := fit.Unit{Name: "file", Class: a.Class}, float64(c.FilesDone)
	switch {
	case float64(begun(c)) >= x:
		u.Name, x = "worker", float64(begun(c))
	case c.Backlog > c.FilesDone:
		u.Name, x = "backlog-item", float64(c.Backlog)
	}
	x = math.Max(1, x)
	t := fit.Term{Unit: u, Slope: grown / x, SE: endError * grown / x, Amount: grown, Share: 1, From: from, Steps: 1,
		RetainedTerm: true}
	j := classes.ProcessFinding(e.s, a.Class, classes.WaitingIn(e.s, n), t)
	j.Key, j.Unreclaimable = "end|"+j.Key+a.Name, a.Unreclaimable
	j.Evidence = append(j.Evidence,
		fmt.Sprintf("at the end %s of %s resident is %s, %s more than in the first sample: %s in flight, %d files "+
			"waiting, %d done",
			words.Bytes(at(a, e.s, from[1])), words.Bytes(float64(n.Process.RSS)), a.Name, words.Bytes(grown),
			words.Count(c.InFlight, "transfer"), c.Backlog,
			c.FilesDone))
	return j
}
