package profiles

// The quantities measured in every snapshot, the snapshots that a judgement uses, and the units they grow with.
// retained.go judges the memory left at floors, held.go the memory while transfers are held.

import (
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// quantity is something measured in every snapshot: a site's live bytes, a group's goroutines, a part of the process.
type quantity struct {
	values   []float64 // by snapshot, NaN: not measured
	variance []float64 // of the measurement, by snapshot
	grain    float64   // the least step it can make by itself: an object, a goroutine
	objects  []float64 // by snapshot, of sites
	least    float64   // what it has to vary by to be worth a fit
}

// term is one thing that a quantity grows with.
type term struct {
	unit
	slope  float64 // bytes, or a count, per unit
	se     float64 // the slope's standard error
	amount float64 // the most that the term came to in the trial
	share  float64 // of the quantity's range
	r2     float64 // of the fit
	bound  float64 // distinct items at which it stopped, for caches
	from   [2]int  // snapshots whose contrast decided: before and after
	steps  int     // floors or holds that were used
	// retainedTerm separates memory that stays at floors from memory in held states.
	retainedTerm bool
}

// t is the t statistic of the slope.
func (t *term) t() float64 {
	if t.se <= 0 {
		return math.Inf(1)
	}
	return t.slope / t.se
}

// ci95 is the slope's 95 % interval.
func (t *term) ci95() [2]float64 {
	d := 1.96 * t.se
	return [2]float64{math.Max(0, t.slope-d), t.slope + d}
}

// measured reports whether the quantity was measured in the snapshot.
func (q *quantity) measured(i int) bool { return !math.IsNaN(q.values[i]) }

// siteQuantity is a site's live bytes by snapshot.
func (s *Series) siteQuantity(ids ...int) *quantity {
	q := &quantity{values: make([]float64, len(s.Snaps)), variance: make([]float64, len(s.Snaps)), objects: make([]float64,
		len(s.Snaps))}
	var bytes, objects float64
	for i, n := range s.Snaps {
		if !n.Profiled {
			q.values[i] = math.NaN()
			continue
		}
		var a Amount
		for _, id := range ids {
			a.add(n.Sites[id])
		}
		q.values[i], q.variance[i], q.objects[i] = a.Bytes, a.Variance, a.Objects
		bytes, objects = bytes+a.Bytes, objects+a.Objects
	}
	q.grain = math.Max(1, s.rate)
	q.least = math.Min(minLeakSamples*q.grain, minHeldBytes)
	if objects > 0 {
		q.grain = math.Max(q.grain, bytes/objects)
	}
	return q
}

// read makes a quantity of something read beside the profile; ok is false where it could not be read.
func (s *Series) read(noise float64, f func(*Snapshot) (v float64, ok bool)) *quantity {
	q := &quantity{values: make([]float64, len(s.Snaps)), variance: make([]float64, len(s.Snaps)), grain: noise}
	for i, n := range s.Snaps {
		v, ok := f(n)
		if !ok {
			v = math.NaN()
		}
		q.values[i], q.variance[i] = v, noise*noise
	}
	return q
}

// rest are the snapshots at rest in which the quantity was measured, from the first floor on: what the first files
// make, once, is not growth.
func (s *Series) rest(q *quantity) []int {
	var idx []int
	for i, n := range s.Snaps {
		if n.atRest() && q.measured(i) && (n.State == record.StateFloor || len(idx) > 0) {
			idx = append(idx, i)
		}
	}
	return idx
}

// steps are the pairs of snapshots at rest that follow each other, but for those with a free run between them: the work
// in flight at its peak was not read, so its running maxima are not known.
func (s *Series) steps(idx []int) [][2]int {
	var out [][2]int
	for k := 1; k < len(idx); k++ {
		if s.phaseKind(s.Snaps[idx[k]].Phase) != "free" {
			out = append(out, [2]int{idx[k-1], idx[k]})
		}
	}
	return out
}

// steered are the snapshots at rest and held from the first one on.
func (s *Series) steered(q *quantity, first int) []int {
	var idx []int
	for i := first; i < len(s.Snaps); i++ {
		if n := s.Snaps[i]; q.measured(i) && (n.atRest() || n.State.Held()) {
			idx = append(idx, i)
		}
	}
	return idx
}

// rises reports whether the quantity hardly ever falls, in no state. Then nothing of it is transient, and held states
// say as much as floors about when it grows.
func (q *quantity) rises(idx []int) bool {
	lo, hi := q.bounds(idx)
	top := math.Inf(-1)
	for _, i := range idx {
		top = math.Max(top, q.values[i])
		if top-q.values[i] > 0.03*(hi-lo)+2*math.Sqrt(q.variance[i]) {
			return false
		}
	}
	return true
}

// phaseKind is the kind of a phase by its name, empty for none.
func (s *Series) phaseKind(name string) string {
	for _, p := range s.Trial.Phases {
		if p.Name == name {
			return p.Kind
		}
	}
	return ""
}

// ranges reports whether the quantity varies enough over the snapshots to be worth a fit.
func (q *quantity) ranges(idx []int) bool {
	lo, hi := q.bounds(idx)
	return hi-lo > q.least
}

func (q *quantity) bounds(idx []int) (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, i := range idx {
		lo, hi = math.Min(lo, q.values[i]), math.Max(hi, q.values[i])
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

// square is x times x.
func square(x float64) float64 { return x * x }

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
			if t := fit.T(i); t < minT && (worst < 0 || t < fit.T(worst)) {
				worst = i
			}
		}
		if worst < 0 {
			return fit, nil
		}
		allowed[fit.Terms[worst]].Values = make([]float64, len(y))
	}
}
