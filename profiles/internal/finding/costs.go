package finding

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

// AddPart adds bytes per unit of one kind of memory to what a finding costs in all.
func (j *Judged) AddPart(part string, bytes float64) {
	if j.Parts == nil {
		j.Parts = map[string]float64{}
	}
	j.Parts[part] += bytes
}

// take adds the cost of a finding that is a part of this one, and its sites.
func (j *Judged) take(o *Judged) {
	j.Members = append(append(j.Members, o.Sites...), o.Members...)
	for part, bytes := range o.Parts {
		j.AddPart(part, bytes)
	}
	j.CostSE = math.Hypot(j.CostSE, o.CostSE)
}

// Bytes are the parts together, added in one order, on which the last digit hangs.
func (j *Judged) Bytes() float64 {
	sum := 0.0
	for _, part := range slices.Sorted(maps.Keys(j.Parts)) {
		sum += j.Parts[part]
	}
	return sum
}

// Costs are the rows of the cost table: each finding with a slope, with all memory that comes with its unit.
func Costs(s *series.Series, found []*Judged) []record.Cost {
	var out []record.Cost
	for _, j := range found {
		if j.Slope == nil || j.Passive {
			continue
		}
		c := record.Cost{Class: j.Class, Site: j.Site, Per: j.Slope.Per, Parts: j.Parts, Tried: tried(s, &j.Term),
			Bounded: costs.KindOf(j.Finding) == "", Bound: j.Term.Bound, Copied: j.Container}
		c.Bytes = j.Bytes()
		d := 1.96 * j.CostSE
		c.CI95 = [2]float64{math.Max(0, c.Bytes-d), c.Bytes + d}
		out = append(out, c)
	}
	return out
}

// overTotal is how many times as much heap findings may say that the work left behind as the exact live heap grew by:
// samples of small sites are that far off.
const overTotal = 1.25

// BoundByTotal keeps the heap that findings say finished work left behind within the exact growth of the live heap from
// the first floor to the last. A profile attributes; the same objects may go to a connection and to a site of it. A
// container that doubles is left alone: at the last floor it may be about to.
func BoundByTotal(s *series.Series, js []*Judged) {
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
	var left []*Judged
	for _, j := range js {
		if j.Slope == nil || j.Passive || !j.Term.RetainedTerm || len(j.Term.Values) == 0 || costs.KindOf(j.Finding) == "" {
			continue
		}
		if j.Container {
			return
		}
		left = append(left, j)
		said += j.Parts[record.PartLive] * (j.Term.Values[last] - j.Term.Values[first])
	}
	if grew <= 0 || said <= overTotal*grew {
		return
	}
	for _, j := range left {
		j.lower(grew / said)
	}
}

// lower makes the heap of a finding so much smaller.
func (j *Judged) lower(by float64) {
	was := j.Bytes()
	j.Parts[record.PartLive] *= by
	share := j.Bytes() / was
	j.Term.Slope, j.Term.SE, j.Term.Amount, j.CostSE = j.Term.Slope*share, j.Term.SE*share, j.Term.Amount*share,
		j.CostSE*share
	j.Slope.Bytes, j.Slope.CI95 = j.Term.Slope, j.Term.CI95()
	j.Evidence = append(j.Evidence, fmt.Sprintf("bounded by the exact live heap: that grew by %s of what profiles say",
		words.Share(by)))
}

// tried is the range of a term's unit over the states that decided it.
func tried(s *series.Series, t *fit.Term) [2]float64 {
	if len(t.Values) == 0 {
		return [2]float64{}
	}
	lo, hi := math.Inf(1), 0.0
	for i, n := range s.Snaps {
		if v := t.Values[i]; t.RetainedTerm && n.AtRest() || !t.RetainedTerm && n.State.Held() && v > 0 {
			lo, hi = math.Min(lo, v), math.Max(hi, v)
		}
	}
	if hi == 0 {
		return [2]float64{}
	}
	return [2]float64{lo, hi}
}

// DescriptorPerRoutine is what the runtime itself keeps on the heap for one more goroutine, by its own sites between
// two snapshots.
func DescriptorPerRoutine(s *series.Series, from [2]int) float64 {
	a, b := s.Snaps[from[0]], s.Snaps[from[1]]
	more, grew := 0, 0.0
	for g := range s.Routines {
		more += b.Routines[g] - a.Routines[g]
	}
	for id, site := range s.Sites {
		if site.OfRuntime() {
			grew += b.Sites[id].Bytes - a.Sites[id].Bytes
		}
	}
	if more < threshold.MinRoutines || grew <= 0 {
		return 0
	}
	return grew / float64(more)
}

// MainPart is the kind of memory that a class is made of.
func MainPart(c record.Class) string {
	switch c {
	case record.OffHeap:
		return record.PartOffHeap
	case record.PageCache:
		return record.PartFile
	case record.Stacks:
		return record.PartStacks
	}
	return record.PartLive
}
