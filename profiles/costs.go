package profiles

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/record"
)

// addPart adds bytes per unit of one kind of memory to what a finding costs in all.
func (j *judged) addPart(part string, bytes float64) {
	if j.parts == nil {
		j.parts = map[string]float64{}
	}
	j.parts[part] += bytes
}

// take adds the cost of a finding that is a part of this one, and its sites.
func (j *judged) take(o *judged) {
	j.members = append(append(j.members, o.sites...), o.members...)
	for part, bytes := range o.parts {
		j.addPart(part, bytes)
	}
	j.costSE = math.Hypot(j.costSE, o.costSE)
}

// bytes are the parts together, added in one order, on which the last digit hangs.
func (j *judged) bytes() float64 {
	sum := 0.0
	for _, part := range slices.Sorted(maps.Keys(j.parts)) {
		sum += j.parts[part]
	}
	return sum
}

// costs are the rows of the cost table: each finding with a slope, with all memory that comes with its unit.
func (s *Series) costs(found []*judged) []record.Cost {
	var out []record.Cost
	for _, j := range found {
		if j.Slope == nil || j.passive {
			continue
		}
		c := record.Cost{Class: j.Class, Site: j.Site, Per: j.Slope.Per, Parts: j.parts, Tried: s.tried(&j.term),
			Bounded: byNature(j.Finding) == 1, Bound: j.term.bound}
		c.Bytes = j.bytes()
		d := 1.96 * j.costSE
		c.CI95 = [2]float64{math.Max(0, c.Bytes-d), c.Bytes + d}
		out = append(out, c)
	}
	return out
}

// overTotal is how many times as much heap findings may say that the work left behind as the exact live heap grew by:
// samples of small sites are that far off.
const overTotal = 1.25

// boundByTotal keeps the heap that findings say finished work left behind within the exact growth of the live heap from
// the first floor to the last. A profile attributes; the same objects may go to a connection and to a site of it. A
// container that doubles is left alone: at the last floor it may be about to.
func (s *Series) boundByTotal(js []*judged) {
	first, last := -1, -1
	for i, n := range s.Snaps {
		if n.State == record.StateFloor && n.Runtime != nil {
			if last = i; first < 0 {
				first = i
			}
		}
	}
	if first == last {
		return
	}
	grew, said := float64(s.Snaps[last].Runtime.HeapAlloc-s.Snaps[first].Runtime.HeapAlloc), 0.0
	var left []*judged
	for _, j := range js {
		if j.Slope == nil || j.passive || !j.term.retainedTerm || len(j.term.values) == 0 || byNature(j.Finding) == 1 {
			continue
		}
		if j.container {
			return
		}
		left = append(left, j)
		said += j.parts[partLive] * (j.term.values[last] - j.term.values[first])
	}
	if grew <= 0 || said <= overTotal*grew {
		return
	}
	for _, j := range left {
		j.lower(grew / said)
	}
}

// lower makes the heap of a finding so much smaller.
func (j *judged) lower(by float64) {
	was := j.bytes()
	j.parts[partLive] *= by
	share := j.bytes() / was
	j.term.slope, j.term.se, j.term.amount, j.costSE = j.term.slope*share, j.term.se*share, j.term.amount*share,
		j.costSE*share
	j.Slope.Bytes, j.Slope.CI95 = j.term.slope, j.term.ci95()
	j.Evidence = append(j.Evidence, fmt.Sprintf("bounded by the exact live heap: that grew by %s of what profiles say",
		shareText(by)))
}

// tried is the range of a term's unit over the states that decided it.
func (s *Series) tried(t *term) [2]float64 {
	if len(t.values) == 0 {
		return [2]float64{}
	}
	lo, hi := math.Inf(1), 0.0
	for i, n := range s.Snaps {
		if v := t.values[i]; t.retainedTerm && n.atRest() || !t.retainedTerm && n.State.Held() && v > 0 {
			lo, hi = math.Min(lo, v), math.Max(hi, v)
		}
	}
	if hi == 0 {
		return [2]float64{}
	}
	return [2]float64{lo, hi}
}

// descriptorPerRoutine is what the runtime itself keeps on the heap for one more goroutine, by its own sites between
// two snapshots.
func (s *Series) descriptorPerRoutine(from [2]int) float64 {
	a, b := s.Snaps[from[0]], s.Snaps[from[1]]
	more, grew := 0, 0.0
	for g := range s.Routines {
		more += b.Routines[g] - a.Routines[g]
	}
	for id, site := range s.Sites {
		if site.ofRuntime() {
			grew += b.Sites[id].Bytes - a.Sites[id].Bytes
		}
	}
	if more < minRoutines || grew <= 0 {
		return 0
	}
	return grew / float64(more)
}

// mainPart is the kind of memory that a class is made of.
func mainPart(c record.Class) string {
	switch c {
	case record.OffHeap:
		return partOffHeap
	case record.PageCache:
		return partFile
	case record.Stacks:
		return partStacks
	}
	return partLive
}

// wholeRoutines folds into findings of goroutines that wait once per item what those goroutines hold: heap of the same
// unit that the same package allocated, or that no package of the user's allocated.
func wholeRoutines(js []*judged) []*judged {
	for _, head := range js {
		if !head.routines || head.Class != record.Metadata {
			continue
		}
		js = slices.DeleteFunc(js, func(j *judged) bool {
			same := j != head && j.Class == head.Class && j.Slope.Per == head.Slope.Per &&
				(j.owner != OwnerUser || packagePath(j.Site.Function) == packagePath(head.Site.Function))
			if same {
				head.absorb(j)
			}
			return same
		})
		break
	}
	return js
}
