package profiles

import (
	"math"
	"slices"

	"memsoak/profiles/record"
	"memsoak/profiles/trend"
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
	slope  float64
	se     float64
	amount float64 // the most that the term came to in the trial
	share  float64 // of the quantity's range
	r2     float64
	bound  float64 // distinct items at which it stopped, for caches
	from   [2]int  // snapshots whose contrast decided: before and after
	steps  int     // floors or holds that were used
	// retainedTerm tells what stays at floors from what is there in held states.
	retainedTerm bool
}

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
	q := &quantity{values: make([]float64, len(s.Snaps)), variance: make([]float64, len(s.Snaps)), objects: make([]float64, len(s.Snaps))}
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

// steps are the pairs of snapshots at rest that follow each other, but for those with a free run between them: what was
// in flight at its peak nobody has seen, so its running maxima are not known.
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

func (s *Series) phaseKind(name string) string {
	for _, p := range s.Trial.Phases {
		if p.Name == name {
			return p.Kind
		}
	}
	return ""
}

// retained fits what stays at floors: the steps from floor to floor against the steps of the units. Sampled objects
// that stay are sampled in every later floor too, so levels are a random walk and only the steps are independent.
func (s *Series) retained(q *quantity, us []unit) []term {
	idx := s.rest(q)
	if len(idx) < minFloors || !q.ranges(idx) {
		return nil
	}
	if all := s.steered(q, idx[0]); q.rises(all) {
		idx = all
	}
	steps := s.steps(idx)
	n := len(steps)
	if n < minFloors-1 {
		return nil
	}
	y := make([]float64, n)
	for k, p := range steps {
		y[k] = q.values[p[1]] - q.values[p[0]]
	}
	cands := stepCandidates(us, steps)
	fit := q.fitSteps(cands, y, steps)
	if fit == nil {
		return nil
	}
	first, last := idx[0], idx[len(idx)-1]
	lo, hi := q.bounds(idx)
	var out []term
	for i, j := range fit.Terms {
		t := term{unit: us[j], slope: fit.Coef[i], se: fit.SE[i], r2: fit.R2, from: [2]int{first, last}, steps: len(idx), retainedTerm: true}
		total := us[j].values[last] - us[j].values[first]
		// The walk's own error: the variance that came with the growth, over the whole way.
		t.se = math.Max(t.se, math.Sqrt(math.Max(0, q.variance[last]-q.variance[first]))/total)
		t.amount = t.slope * total
		t.share = t.amount / math.Max(hi-lo, 1e-9)
		if t.steady(fit, i, y, cands, q.grain) {
			out = append(out, t)
		}
	}
	return out
}

// stepCandidates are the steps of the units.
func stepCandidates(us []unit, steps [][2]int) []trend.Candidate {
	cands := make([]trend.Candidate, len(us))
	for j, u := range us {
		d := make([]float64, len(steps))
		for k, p := range steps {
			d[k] = u.values[p[1]] - u.values[p[0]]
		}
		cands[j] = trend.Candidate{Values: d, Penalty: u.penalty}
	}
	return cands
}

// turnovers are the shares of a site's objects at a floor that may be others than at the floor before: how much they
// are is not known, so the likeliest is taken.
var turnovers = []float64{0.002, 0.02, 0.2, 1}

// fitSteps fits the steps between floors, for each turnover, and returns the likeliest fit, or nil.
func (q *quantity) fitSteps(cands []trend.Candidate, y []float64, steps [][2]int) *trend.Fit {
	var best *trend.Fit
	lowest := math.Inf(1)
	n := len(y)
	for _, turnover := range turnovers {
		fit, v := q.fitTurnover(cands, y, steps, turnover)
		if fit == nil {
			return nil
		}
		likelihood := float64(n) * math.Log1p(fit.Chi2/float64(n))
		for k := range v {
			likelihood += math.Log(v[k])
		}
		if likelihood < lowest {
			best, lowest = fit, likelihood
		}
	}
	return best
}

// fitTurnover fits the steps for one turnover. The variance that came with the growth is where the fit puts the growth,
// since the data's own would favour steps that are small by chance: so fit and variances are found in turns, and the
// last fit is of the terms that its variances are of.
func (q *quantity) fitTurnover(cands []trend.Candidate, y []float64, steps [][2]int, turnover float64) (*trend.Fit, []float64) {
	n := len(y)
	grown := math.Max(0, q.variance[steps[n-1][1]]-q.variance[steps[0][0]])
	v := make([]float64, n)
	spread := func(share func(k int) float64) {
		for k := range v {
			v[k] = turnover*(q.variance[steps[k][0]]+q.variance[steps[k][1]])/2 + q.grain*q.grain/4 + grown*share(k)
		}
	}
	spread(func(int) float64 { return 1 / float64(n) })
	fit, err := trend.Select(cands, y, v, 2)
	if err != nil {
		return nil, nil
	}
	for range maxTurns {
		part := shares(fit, cands, n)
		spread(func(k int) float64 { return part[k] })
		next, err := selectBelieved(cands, y, v, 2, 1)
		if err != nil {
			return nil, nil
		}
		settled := slices.Equal(next.Terms, fit.Terms)
		if fit = next; settled {
			return fit, v
		}
	}
	only := make([]trend.Candidate, len(cands))
	for j, c := range cands {
		only[j] = c
		if !slices.Contains(fit.Terms, j) {
			only[j].Values = make([]float64, n)
		}
	}
	part := shares(fit, cands, n)
	spread(func(k int) float64 { return part[k] })
	if fit, err = trend.Select(only, y, v, 2); err != nil {
		return nil, nil
	}
	return fit, v
}

// maxTurns bounds how often a fit and the variances that follow from it are found in turns.
const maxTurns = 4

// shares are the parts of the fitted growth that fall into each step.
func shares(fit *trend.Fit, cands []trend.Candidate, n int) []float64 {
	out := make([]float64, n)
	total := 0.0
	for k := range out {
		for i, j := range fit.Terms {
			out[k] += fit.Coef[i] * math.Max(0, cands[j].Values[k])
		}
		total += out[k]
	}
	for k := range out {
		if total > 0 {
			out[k] /= total
		} else {
			out[k] = 1 / float64(n)
		}
	}
	return out
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

// steady reports whether growth goes on: its second half, in units of work, is not much flatter than the whole, and
// most steps go up that should by more than the grain of sampling. A running maximum steps by nature and is not asked.
func (t *term) steady(fit *trend.Fit, i int, y []float64, cands []trend.Candidate, grain float64) bool {
	if t.running {
		return true
	}
	x := cands[fit.Terms[i]].Values
	total := 0.0
	for _, d := range x {
		total += d
	}
	var seen, lateX, lateY float64
	up, steps := 0, 0
	for k := range y {
		r := y[k]
		for m, j := range fit.Terms {
			if m != i {
				r -= fit.Coef[m] * cands[j].Values[k]
			}
		}
		if seen+x[k]/2 >= total/2 { // a step over the middle belongs where the larger part of it lies
			lateX, lateY = lateX+x[k], lateY+r
		}
		seen += x[k]
		if x[k] >= minStep*total && fit.Coef[i]*x[k] >= minStepGrains*grain {
			steps++
			if r > 0.1*fit.Coef[i]*x[k] {
				up++
			}
		}
	}
	if lateX >= minLate*total && lateY/lateX < lateShare*fit.Coef[i] {
		return false
	}
	return steps >= 2 && float64(up) >= risingShare*float64(steps)
}

// heldTerms fits what is there in held states and gone at rest: each hold's value less what was at rest around it,
// what is retained by kept terms included. Where no terms explain all states, those in mid-body are left out: how much
// of a half-sent body is in memory depends on who has read how far, which nobody outside can see.
func (s *Series) heldTerms(q *quantity, us []unit, kept []term) []term {
	out, fits := s.heldFit(q, us, kept, func(record.State) bool { return true })
	if !fits {
		out, _ = s.heldFit(q, us, kept, func(st record.State) bool { return st != record.StateBody })
	}
	return out
}

// heldFit fits the held states of the given kinds; fits is false when the terms leave too much unexplained.
func (s *Series) heldFit(q *quantity, us []unit, kept []term, kinds func(record.State) bool) (out []term, fits bool) {
	var idx []int
	var y, base []float64
	highest, bytes, variance := math.Inf(-1), 0.0, 0.0
	for i, n := range s.Snaps {
		if !n.State.Held() || !kinds(n.State) || !q.measured(i) {
			continue
		}
		rest, spread, ok := s.restAround(q, i, kept)
		if !ok {
			continue
		}
		r := q.values[i] - rest
		idx, y, base = append(idx, i), append(y, r), append(base, spread*spread/12+q.grain*q.grain/4)
		highest = math.Max(highest, r)
		bytes, variance = bytes+math.Max(q.values[i], q.grain), variance+q.variance[i]
	}
	if len(idx) < minHolds || highest <= q.least {
		return nil, true
	}
	cands := make([]trend.Candidate, len(us))
	for j, u := range us {
		d := make([]float64, len(idx))
		for k, i := range idx {
			d[k] = math.Max(0, u.values[i])
		}
		cands[j] = trend.Candidate{Values: d, Penalty: u.penalty}
	}
	v := make([]float64, len(idx))
	for k, i := range idx {
		v[k] = base[k] + q.variance[i] + square(modelError*y[k])
	}
	fit, err := selectBelieved(cands, y, v, 3, 0)
	// A state with few sampled objects by chance seems exact. What the fit expects there tells its variance better.
	for turn := 0; turn < maxTurns && err == nil; turn++ {
		for k, i := range idx {
			expected := fitted(fit, cands, k)
			sampling := variance / bytes * math.Max(q.grain, q.values[i]-y[k]+expected)
			v[k] = base[k] + sampling + square(modelError*math.Max(math.Abs(y[k]), expected))
		}
		before := fit
		if fit, err = selectBelieved(cands, y, v, 3, 0); err == nil && turn > 0 && slices.Equal(fit.Terms, before.Terms) {
			break
		}
	}
	if err != nil || fit.R2 < minFit && fit.Chi2 > maxChi2*float64(fit.DF) {
		return nil, false
	}
	for i, j := range fit.Terms {
		out = append(out, heldTerm(us[j], fit, i, cands[j].Values, idx, highest))
	}
	return out, true
}

// fitted is a fit's value at its k-th point.
func fitted(f *trend.Fit, cands []trend.Candidate, k int) float64 {
	sum := 0.0
	for i, j := range f.Terms {
		sum += f.Coef[i] * cands[j].Values[k]
	}
	return sum
}

func square(x float64) float64 { return x * x }

// heldTerm is the i-th term of a fit over the held snapshots idx, of which values are the unit's.
func heldTerm(u unit, fit *trend.Fit, i int, values []float64, idx []int, highest float64) term {
	t := term{unit: u, slope: fit.Coef[i], se: math.Hypot(fit.SE[i], fillError*fit.Coef[i]), r2: fit.R2, steps: len(idx)}
	least := math.Inf(1)
	for k, x := range values {
		if a := t.slope * x; a > t.amount {
			t.amount, t.from[1] = a, idx[k]
		}
		if x < least {
			least, t.from[0] = x, idx[k]
		}
	}
	t.share = t.amount / highest
	return t
}

// selectBelieved is trend.Select without the terms that are not believed in the end, but for as many as keep says: the
// least certain is forbidden and selection begins anew, so that another explanation can take its place.
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

// restAround is what the quantity would be at rest at the moment of a held snapshot: what the retained terms say from
// the floor before, or else the mean of the floors before and after, and how far those are apart.
func (s *Series) restAround(q *quantity, i int, kept []term) (base, spread float64, ok bool) {
	before, after := -1, -1
	for k := i - 1; k >= 0 && before < 0; k-- {
		if s.Snaps[k].atRest() && q.measured(k) {
			before = k
		}
	}
	for k := i + 1; k < len(s.Snaps) && after < 0; k++ {
		if s.Snaps[k].atRest() && q.measured(k) {
			after = k
		}
	}
	switch {
	case before < 0 && after < 0:
		return 0, 0, false
	case before < 0:
		return q.values[after], 0, true
	case len(kept) > 0:
		base = q.values[before]
		for _, t := range kept {
			base += t.slope * (t.values[i] - t.values[before])
		}
		return base, 0, true
	case after < 0:
		return q.values[before], 0, true
	}
	return (q.values[before] + q.values[after]) / 2, q.values[after] - q.values[before], true
}

// filled looks for a cache: growth with distinct items over several floors that has stopped though distinct items went
// on. The bound is where the rising line meets the level.
func (s *Series) filled(q *quantity, distinct unit) (term, bool) {
	idx := s.rest(q)
	for i := range s.Snaps {
		if s.Snaps[i].State == record.StateIdle && q.measured(i) && (len(idx) == 0 || i < idx[0]) {
			idx = append([]int{i}, idx...)
			break
		}
	}
	if len(idx) < minFloors || !q.ranges(idx) {
		return term{}, false
	}
	var best *trend.Fit
	var bestC float64
	y, v := make([]float64, len(idx)), make([]float64, len(idx))
	one := make([]float64, len(idx))
	for k, i := range idx {
		y[k], one[k] = q.values[i], 1
		m := modelError * y[k]
		v[k] = q.variance[i] + q.grain*q.grain/4 + m*m
	}
	for _, c := range breaks(distinct.values, idx) {
		x := make([]float64, len(idx))
		for k, i := range idx {
			x[k] = math.Min(distinct.values[i], c)
		}
		if f, err := trend.NNLS([][]float64{x, one}, y, v); err == nil && (best == nil || f.Chi2 < best.Chi2) && len(f.Terms) > 0 && f.Terms[0] == 0 {
			best, bestC = f, c
		}
	}
	if best == nil || best.T(0) < minT {
		return term{}, false
	}
	return s.cacheTerm(q, distinct, idx, best, bestC)
}

// breaks are the numbers of items at which a cache may have stopped: ten between any two floors.
func breaks(items []float64, idx []int) []float64 {
	var out []float64
	for k := 1; k < len(idx); k++ {
		a, b := items[idx[k-1]], items[idx[k]]
		for i := 1; i <= 10 && b > a; i++ {
			out = append(out, a+(b-a)*float64(i)/10)
		}
	}
	return out
}

// cacheTerm checks the shape that filled found: several floors on the way up, at least three on the level, and the
// level flat.
func (s *Series) cacheTerm(q *quantity, distinct unit, idx []int, f *trend.Fit, c float64) (term, bool) {
	rising, level := 0, 0
	var x, y []float64
	for _, i := range idx {
		if distinct.values[i] < c {
			rising++
			continue
		}
		level++
		x, y = append(x, distinct.values[i]), append(y, q.values[i])
	}
	t := term{unit: distinct, slope: f.Coef[0], se: f.SE[0], amount: f.Coef[0] * c, bound: c, r2: f.R2, steps: len(idx), share: 1,
		from: [2]int{idx[0], idx[len(idx)-1]}}
	t.class, t.retainedTerm = record.Cache, true
	// The level's sampling error, and half a step of the search for the bound.
	t.se = math.Sqrt(t.se*t.se + q.variance[idx[len(idx)-1]]/(c*c) + math.Pow(0.05*t.slope, 2))
	if rising < 3 || level < 3 {
		return term{}, false
	}
	l := trend.TheilSen(x, y)
	return t, l.OK && math.Abs(l.Slope) <= flatShare*t.slope
}
