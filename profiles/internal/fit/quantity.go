package fit

// The quantities measured in every snapshot, the snapshots that a judgement uses, and the units they grow with.
// retained.go judges the memory left at floors, held.go the memory while transfers are held.

import (
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// Quantity is something measured in every snapshot: a site's live bytes, a group's goroutines, a part of the process.
type Quantity struct {
	Values   []float64 // by snapshot, NaN: not measured
	Variance []float64 // of the measurement, by snapshot
	Grain    float64   // the least step it can make by itself: an object, a goroutine
	Objects  []float64 // by snapshot, of sites
	Least    float64   // what it has to vary by to be worth a fit
}

// Term is one thing that a quantity grows with.
type Term struct {
	Unit
	Slope  float64 // bytes, or a count, per unit
	SE     float64 // the slope's standard error
	Amount float64 // the most that the term came to in the trial
	Share  float64 // of the quantity's range
	R2     float64 // of the fit
	Bound  float64 // distinct items at which it stopped, for caches
	From   [2]int  // snapshots whose contrast decided: before and after
	Steps  int     // floors or holds that were used
	// RetainedTerm separates memory that stays at floors from memory in held states.
	RetainedTerm bool
}

// T is the t statistic of the slope.
func (t *Term) T() float64 {
	if t.SE <= 0 {
		return math.Inf(1)
	}
	return t.Slope / t.SE
}

// CI95 is the slope's 95 % interval.
func (t *Term) CI95() [2]float64 {
	d := 1.96 * t.SE
	return [2]float64{math.Max(0, t.Slope-d), t.Slope + d}
}

// Measured reports whether the quantity was measured in the snapshot.
func (q *Quantity) Measured(i int) bool { return !math.IsNaN(q.Values[i]) }

// OfSites is a site's live bytes by snapshot.
func OfSites(s *series.Series, ids ...int) *Quantity {
	q := &Quantity{Values: make([]float64, len(s.Snaps)), Variance: make([]float64, len(s.Snaps)), Objects: make([]float64,
		len(s.Snaps))}
	var bytes, objects float64
	for i, n := range s.Snaps {
		if !n.Profiled {
			q.Values[i] = math.NaN()
			continue
		}
		var a series.Amount
		for _, id := range ids {
			a.Add(n.Sites[id])
		}
		q.Values[i], q.Variance[i], q.Objects[i] = a.Bytes, a.Variance, a.Objects
		bytes, objects = bytes+a.Bytes, objects+a.Objects
	}
	q.Grain = math.Max(1, s.Rate)
	q.Least = math.Min(threshold.MinLeakSamples*q.Grain, threshold.MinHeldBytes)
	if objects > 0 {
		q.Grain = math.Max(q.Grain, bytes/objects)
	}
	return q
}

// Read makes a quantity of something read beside the profile; ok is false where it could not be read.
func Read(s *series.Series, noise float64, f func(*series.Snapshot) (v float64, ok bool)) *Quantity {
	q := &Quantity{Values: make([]float64, len(s.Snaps)), Variance: make([]float64, len(s.Snaps)), Grain: noise}
	for i, n := range s.Snaps {
		v, ok := f(n)
		if !ok {
			v = math.NaN()
		}
		q.Values[i], q.Variance[i] = v, noise*noise
	}
	return q
}

// Rest are the snapshots at rest in which the quantity was measured, from the first floor on: what the first files
// make, once, is not growth.
func Rest(s *series.Series, q *Quantity) []int {
	var idx []int
	for i, n := range s.Snaps {
		if n.AtRest() && q.Measured(i) && (n.State == record.StateFloor || len(idx) > 0) {
			idx = append(idx, i)
		}
	}
	return idx
}

// Steps are the pairs of snapshots at rest that follow each other, but for those with a free run between them: the work
// in flight at its peak was not read, so its running maxima are not known.
func Steps(s *series.Series, idx []int) [][2]int {
	var out [][2]int
	for k := 1; k < len(idx); k++ {
		if s.PhaseKind(s.Snaps[idx[k]].Phase) != "free" {
			out = append(out, [2]int{idx[k-1], idx[k]})
		}
	}
	return out
}

// Steered are the snapshots at rest and held from the first one on.
func Steered(s *series.Series, q *Quantity, first int) []int {
	var idx []int
	for i := first; i < len(s.Snaps); i++ {
		if n := s.Snaps[i]; q.Measured(i) && (n.AtRest() || n.State.Held()) {
			idx = append(idx, i)
		}
	}
	return idx
}

// rises reports whether the quantity hardly ever falls, in no state. Then nothing of it is transient, and held states
// say as much as floors about when it grows.
func (q *Quantity) rises(idx []int) bool {
	lo, hi := q.bounds(idx)
	top := math.Inf(-1)
	for _, i := range idx {
		top = math.Max(top, q.Values[i])
		if top-q.Values[i] > 0.03*(hi-lo)+2*math.Sqrt(q.Variance[i]) {
			return false
		}
	}
	return true
}

// ranges reports whether the quantity varies enough over the snapshots to be worth a fit.
func (q *Quantity) ranges(idx []int) bool {
	lo, hi := q.bounds(idx)
	return hi-lo > q.Least
}

func (q *Quantity) bounds(idx []int) (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, i := range idx {
		lo, hi = math.Min(lo, q.Values[i]), math.Max(hi, q.Values[i])
	}
	return lo, hi
}

// fitted is a fit's value at its k-th point.
func fitted(f *trend.Fit, cands []trend.Candidate, k int) float64 {
	sum := 0.0
	for i, j := range f.Terms {
		sum += f.Coef[i] * cands[j].Values[k]
	}
	return sum
}

// selectBelieved is trend.Select without the terms that are not believed in the end, but for as many as keep says: the
// least certain is forbidden and selection starts again, so that another explanation can take its place.
func selectBelieved(cands []trend.Candidate, y, v []float64, terms, keep int) (*trend.Fit, error) {
	allowed := slices.Clone(cands)
	for {
		fit, err := trend.Select(allowed, y, v, terms)
		if err != nil || len(fit.Terms) <= keep {
			return fit, err
		}
		worst := -1
		for i := range fit.Terms {
			if t := fit.T(i); t < threshold.MinT && (worst < 0 || t < fit.T(worst)) {
				worst = i
			}
		}
		if worst < 0 {
			return fit, nil
		}
		allowed[fit.Terms[worst]].Values = make([]float64, len(y))
	}
}

// ExactNoise is how far the exact live heap of equal states differs by what the reading itself keeps: buffers of its
// connection, its own page.
const ExactNoise = 1 << 10

// Total is the live heap of each profiled snapshot: exact where the runner read it after the collection, else the sum
// of the sampled sites.
func Total(s *series.Series) (q *Quantity, exact bool) {
	exact = true
	for _, n := range s.Snaps {
		if n.Profiled && (n.AtRest() || n.State.Held()) && (!n.Exact || n.Runtime == nil) {
			exact = false
		}
	}
	q = &Quantity{Values: make([]float64, len(s.Snaps)), Variance: make([]float64, len(s.Snaps)), Grain: math.Max(1,
		s.Rate)}
	if exact {
		q.Grain = ExactNoise
	}
	for i, n := range s.Snaps {
		switch {
		case !n.Profiled || !n.AtRest() && !n.State.Held():
			q.Values[i] = math.NaN()
		case exact:
			q.Values[i], q.Variance[i] = float64(n.Runtime.HeapAlloc), trend.Square(ExactNoise)
		default:
			q.Values[i], q.Variance[i] = n.Live.Bytes, n.Live.Variance
		}
	}
	return q, exact
}

// PageStep is the largest step of a quantity of memory between neighbouring ones of the snapshots idx, where it may be
// a huge page, and the index in idx at which it ends; 0 where it is none. The kernel makes one page of 2 MiB of small
// ones where the runtime or an allocator allows it, and charges those that nothing has used with them (khugepaged,
// https://docs.kernel.org/admin-guide/mm/transhuge.html).
func PageStep(q *Quantity, idx []int) (at int, bytes float64) {
	for k := 1; k < len(idx); k++ {
		if step := q.Values[idx[k]] - q.Values[idx[k-1]]; step > bytes {
			at, bytes = k, step
		}
	}
	if bytes < threshold.HugePage/2 || bytes > threshold.HugePage+threshold.OffHeapLateNoise {
		return 0, 0
	}
	return at, bytes
}
