package closure

// Closure outside the live heap: stacks, anonymous memory and shared memory that stay from floor to floor.

import (
	"fmt"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/internal/classes"
	"github.com/memsoak/memsoak/profiles/internal/finding"
	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/internal/words"
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
	read  func(n *series.Snapshot) (float64, bool)
}{
	{"stacks", byRoutines, record.PartStacks, stackGrowth, func(n *series.Snapshot) (float64, bool) {
		if n.Runtime == nil {
			return 0, false
		}
		return float64(n.Runtime.StackInuse), true
	}},
	{"off-heap", byOffHeap, finding.MainPart(record.OffHeap), threshold.OffHeapMin, classes.Areas[0].Reading},
	{"file", byShared, finding.MainPart(record.PageCache), threshold.SharedMin, classes.Areas[1].Reading},
}

// outside are the contrasts that findings leave, by the hypotheses that they leave open.
func outside(s *series.Series, found []*finding.Judged, u *fit.Units) map[evidenceKind]contrast {
	out := map[evidenceKind]contrast{}
	for _, k := range outsideKinds {
		q := fit.Read(s, 1, k.read)
		idx := fit.Rest(s, q)
		if len(idx) < threshold.MinFloors {
			continue
		}
		c := contrast{kind: k.kind, from: [2]int{idx[0], idx[len(idx)-1]}}
		c.grown = q.Values[c.from[1]] - q.Values[c.from[0]] - explainedPart(found, k.part)
		if k.leans == byOffHeap {
			c.grown -= hugePage(q, idx, u)
		}
		if c.grown > math.Max(k.least, threshold.MinT*wander(q, idx)) {
			out[k.leans] = c
		}
	}
	return out
}

// hugePage is the step between two floors that may be a huge page, where threshold.PageWork times as much of all work
// came after it as with it, and no other: a leak would have come again. Bytes, else 0.
func hugePage(q *fit.Quantity, idx []int, u *fit.Units) float64 {
	at, step := fit.PageStep(q, idx)
	if step == 0 {
		return 0
	}
	before, then, last := idx[at-1], idx[at], idx[len(idx)-1]
	if slices.ContainsFunc(u.Retained, func(x fit.Unit) bool {
		return !x.Running && x.Values[last]-x.Values[then] < threshold.PageWork*(x.Values[then]-x.Values[before])
	}) {
		return 0
	}
	return step
}

// descriptors is by how much more descriptors are open at the last floor than at the first, beside connections, where
// that matters and no finding stays that may hold them.
func descriptors(s *series.Series, found []*finding.Judged) float64 {
	q := fit.Read(s, 1, func(n *series.Snapshot) (float64, bool) {
		if n.Process == nil || n.Process.FDs == 0 || n.Covariates == nil {
			return 0, false
		}
		return float64(n.Process.FDs) - float64(n.Covariates.ConnsOpen+n.Covariates.ConnsIn), true
	})
	idx := fit.Rest(s, q)
	if len(idx) < threshold.MinFloors || faulty(found) {
		return 0
	}
	grown := q.Values[idx[len(idx)-1]] - q.Values[idx[0]]
	if grown < math.Max(threshold.DescriptorsMin, threshold.MinT*wander(q, idx)) {
		return 0
	}
	return grown
}

// explainedPart is how much of a kind of memory findings say stays behind. An amount is that of a finding's term, whose
// parts share it as they share its cost.
func explainedPart(found []*finding.Judged, part string) float64 {
	sum := 0.0
	for _, j := range found {
		if j.Passive || !j.Term.RetainedTerm || j.Class == record.PageCache && !j.Unreclaimable {
			continue // pages of files that the kernel can drop say nothing of shared memory
		}
		if whole := j.Term.Slope; whole > 0 {
			sum += j.Term.Amount * j.Parts[part] / whole
		}
	}
	return sum
}

// wander is how far a quantity that doesn't grow is from its first value in the end: the steps between floors about
// their median, by the root of their number.
func wander(q *fit.Quantity, idx []int) float64 {
	var steps []float64
	for k := 1; k < len(idx); k++ {
		steps = append(steps, q.Values[idx[k]]-q.Values[idx[k-1]])
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
		"a longer trial tells whether it goes on", words.Bytes(c.grown), name)
}

// Closure is what the findings leave of the kind of memory with the largest unexplained part.
func Closure(s *series.Series, e *Explained) *record.Closure {
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
