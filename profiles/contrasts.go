package profiles

// Closure outside the live heap: stacks, anonymous memory and shared memory that stay from floor to floor.

import (
	"fmt"
	"math"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// stackGrowth is the least growth of stacks between floors that counts: below it are spans that the runtime keeps from
// the most goroutines so far.
const stackGrowth = 1 << 20

// contrast is growth from the first floor to the last of one kind of memory, beyond what findings explain.
type contrast struct {
	kind  string // that of record.Closure
	from  [2]int
	grown float64
}

// outsideKinds are the kinds of memory beside the live heap, with the hypotheses that their growth leaves open and the
// part of a finding's cost that explains it.
var outsideKinds = []struct {
	kind  string
	leans evidenceKind
	part  string
	least float64
	read  func(n *Snapshot) (float64, bool)
}{
	{"stacks", byRoutines, partStacks, stackGrowth, func(n *Snapshot) (float64, bool) {
		if n.Runtime == nil {
			return 0, false
		}
		return float64(n.Runtime.StackInuse), true
	}},
	{"off-heap", byOffHeap, mainPart(record.OffHeap), offHeapMin, areas[0].reading},
	{"file", byShared, mainPart(record.PageCache), fileMin, areas[1].reading},
}

// outside are the contrasts that findings leave, by the hypotheses that they leave open.
func (s *Series) outside(found []*judged) map[evidenceKind]contrast {
	out := map[evidenceKind]contrast{}
	for _, k := range outsideKinds {
		q := s.read(1, k.read)
		idx := s.rest(q)
		if len(idx) < minFloors {
			continue
		}
		c := contrast{kind: k.kind, from: [2]int{idx[0], idx[len(idx)-1]}}
		c.grown = q.values[c.from[1]] - q.values[c.from[0]] - explainedPart(found, k.part)
		if c.grown > math.Max(k.least, minT*q.wander(idx)) {
			out[k.leans] = c
		}
	}
	return out
}

// explainedPart is how much of a kind of memory findings say stays behind. An amount is that of a finding's term, whose
// parts share it as they share its cost.
func explainedPart(found []*judged, part string) float64 {
	sum := 0.0
	for _, j := range found {
		if j.passive || !j.term.retainedTerm || j.Class == record.PageCache && !j.Unreclaimable {
			continue // pages of files that the kernel can drop say nothing of shared memory
		}
		if whole := j.term.slope; whole > 0 {
			sum += j.term.amount * j.parts[part] / whole
		}
	}
	return sum
}

// wander is how far a quantity that doesn't grow is from its first value in the end: the steps between floors about
// their median, by the root of their number.
func (q *quantity) wander(idx []int) float64 {
	var steps []float64
	for k := 1; k < len(idx); k++ {
		steps = append(steps, q.values[idx[k]]-q.values[idx[k-1]])
	}
	mid := trend.Median(steps)
	for k := range steps {
		steps[k] = math.Abs(steps[k] - mid)
	}
	return 1.4826 * trend.Median(steps) * math.Sqrt(float64(len(steps)))
}

// needs says what decides about growth that no finding explains.
func (c contrast) needs() string {
	name := map[string]string{
		"stacks": "stacks", "off-heap": "memory outside the Go heap", "file": "shared memory (tmpfs)",
	}[c.kind]
	return fmt.Sprintf("%s of %s more at the last floor than at the first, which no finding explains: "+
		"a longer trial tells whether it goes on", bytesText(c.grown), name)
}

// closure is what the findings leave of the kind of memory with the largest unexplained part.
func (s *Series) closure(e *explained) *record.Closure {
	c := e.left.closure(s)
	for _, k := range outsideKinds {
		x, ok := e.outside[k.leans]
		if !ok || int64(x.grown) <= c.Unexplained {
			continue
		}
		c.Unexplained, c.Kind, c.Sites = int64(x.grown), x.kind, nil
		c.Contrast = fmt.Sprintf("floor %d to floor %d", s.Snaps[x.from[0]].Seq, s.Snaps[x.from[1]].Seq)
	}
	return c
}
