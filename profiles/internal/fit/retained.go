package fit

// What stays behind: growth from floor to floor with the work done, and growth with distinct items that stopped, a
// cache.

import (
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// Retained fits what stays at floors: the steps from floor to floor against the steps of the units. Sampled objects
// that stay are sampled in every later floor too, so levels are a random walk and only the steps are independent.
func Retained(s *series.Series, q *Quantity, us []Unit) []Term {
	idx := Rest(s, q)
	if len(idx) < threshold.MinFloors || !q.ranges(idx) {
		return nil
	}
	all := Steered(s, q, idx[0])
	if !q.rises(all) {
		return retainedOver(s, idx, q, us)
	}
	out := retainedOver(s, all, q, us)
	if explained(out, true) > threshold.WellExplained {
		return out
	}
	// In held states growth may come later than its unit, so that it fits the floors alone. A running maximum doesn't need
	// them: what it explains, it explains in all states.
	floors := slices.DeleteFunc(retainedOver(s, idx, q, us), func(t Term) bool { return t.Running })
	if explained(out, false) > explained(floors, false) {
		return out
	}
	return floors
}

// explained is the largest share that a believed term has, with steady of those that are no running maximum.
func explained(ts []Term, steady bool) float64 {
	most := 0.0
	for _, t := range ts {
		if t.T() >= threshold.MinT && !(steady && t.Running) {
			most = math.Max(most, t.Share)
		}
	}
	return most
}

// retainedOver fits what stays from state to state of idx.
func retainedOver(s *series.Series, idx []int, q *Quantity, us []Unit) []Term {
	steps := Steps(s, idx)
	n := len(steps)
	if n < threshold.MinFloors-1 {
		return nil
	}
	y := make([]float64, n)
	for k, p := range steps {
		y[k] = q.Values[p[1]] - q.Values[p[0]]
	}
	cands := stepCandidates(us, steps)
	fit := q.fitSteps(cands, y, steps)
	if fit == nil {
		return nil
	}
	first, last := idx[0], idx[len(idx)-1]
	lo, hi := q.bounds(idx)
	var out []Term
	for i, j := range fit.Terms {
		t := Term{Unit: us[j], Slope: fit.Coef[i], SE: fit.SE[i], R2: fit.R2, From: [2]int{first, last}, Steps: len(idx),
			RetainedTerm: true}
		total := us[j].Values[last] - us[j].Values[first]
		// The walk's own error: the variance that came with the growth, over the whole way.
		t.SE = math.Max(t.SE, math.Sqrt(math.Max(0, q.Variance[last]-q.Variance[first]))/total)
		t.Amount = t.Slope * total
		t.Share = t.Amount / math.Max(hi-lo, 1e-9)
		if t.steady(fit, i, y, cands, q.Grain) {
			out = append(out, t)
		}
	}
	return out
}

// stepCandidates are the steps of the units.
func stepCandidates(us []Unit, steps [][2]int) []trend.Candidate {
	cands := make([]trend.Candidate, len(us))
	for j, u := range us {
		d := make([]float64, len(steps))
		for k, p := range steps {
			d[k] = u.Values[p[1]] - u.Values[p[0]]
		}
		cands[j] = trend.Candidate{Values: d, Penalty: u.Penalty}
	}
	return cands
}

// turnovers are the shares of a site's objects at a floor that may be others than at the floor before: how much they
// are is not known, so the likeliest is taken.
var turnovers = []float64{0.002, 0.02, 0.2, 1}

// fitSteps fits the steps between floors, for each turnover, and returns the likeliest fit, or nil.
func (q *Quantity) fitSteps(cands []trend.Candidate, y []float64, steps [][2]int) *trend.Fit {
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
func (q *Quantity) fitTurnover(cands []trend.Candidate, y []float64, steps [][2]int, turnover float64) (*trend.Fit,
	[]float64) {
	n := len(y)
	grown := math.Max(0, q.Variance[steps[n-1][1]]-q.Variance[steps[0][0]])
	v := make([]float64, n)
	spread := func(share func(k int) float64) {
		for k := range v {
			v[k] = turnover*(q.Variance[steps[k][0]]+q.Variance[steps[k][1]])/2 + q.Grain*q.Grain/4 + grown*share(k)
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

// steady reports whether growth continues: its second half, in units of work, is not much flatter than the whole, and
// most steps go up that should by more than the grain of sampling. A running maximum steps by nature; nothing rises
// without it.
func (t *Term) steady(fit *trend.Fit, i int, y []float64, cands []trend.Candidate, grain float64) bool {
	x := cands[fit.Terms[i]].Values
	if t.Running {
		return !beyond(x, y, t.Amount, grain)
	}
	total := 0.0
	for _, d := range x {
		total += d
	}
	var seen, lateX, lateY float64
	one := rising{least: threshold.MinStep * total, bytes: threshold.MinStepGrains * grain}
	joined := one // with small steps together, for growth that comes in no others and that one unit explains
	own := slices.Clone(y)
	for k := range y {
		for m, j := range fit.Terms {
			if m != i {
				own[k] -= fit.Coef[m] * cands[j].Values[k]
			}
		}
		if seen+x[k]/2 >= total/2 { // a step over the middle belongs where the larger part of it lies
			lateX, lateY = lateX+x[k], lateY+own[k]
		}
		seen += x[k]
		one.x, one.y = 0, 0
		one.add(x[k], own[k], fit.Coef[i])
		joined.add(x[k], own[k], fit.Coef[i])
	}
	flat := lateX >= threshold.MinLate*total && lateY/lateX < threshold.LateShare*fit.Coef[i]
	if flat || ended(x, own, fit.Coef[i], grain) {
		return false
	}
	return one.most() || one.steps < 2 && len(fit.Terms) == 1 && joined.most()
}

// ended reports whether the last steps, of which growth that continues would have shown, show none.
func ended(x, y []float64, slope, grain float64) bool {
	var lastX, lastY float64
	for k := len(x) - 1; k >= 0 && slope*lastX < threshold.MinEnd*grain; k-- {
		lastX, lastY = lastX+x[k], lastY+y[k]
	}
	return slope*lastX >= threshold.MinEnd*grain && lastY < threshold.FlatShare*slope*lastX
}

// rising counts the steps that go up, of those that should by enough to have a direction.
type rising struct {
	least, bytes float64 // what a step has to have of the unit, and to grow by, to have one
	x, y         float64 // of the steps since the last that had one
	up, steps    int
}

// add adds a step, or joins it to those before that had no direction yet.
func (c *rising) add(x, y, slope float64) {
	if c.x, c.y = c.x+x, c.y+y; c.x < c.least || slope*c.x < c.bytes {
		return
	}
	if c.steps++; c.y > 0.1*slope*c.x {
		c.up++
	}
	c.x, c.y = 0, 0
}

func (c *rising) most() bool {
	return c.steps >= 2 && float64(c.up) >= threshold.RisingShare*float64(c.steps)
}

// beyond reports whether a quantity rises by a good part of what a running maximum explains while that doesn't rise.
func beyond(x, y []float64, amount, grain float64) bool {
	sum := 0.0
	for k := range y {
		if x[k] == 0 {
			sum += y[k]
		}
	}
	return sum > threshold.MinLeakSamples*grain && sum > threshold.BeyondShare*amount
}

// Filled looks for a cache: growth with distinct items over several floors that has stopped though distinct items went
// on. The bound is where the rising line meets the level.
func Filled(s *series.Series, q *Quantity, distinct Unit) (Term, bool) {
	idx := Rest(s, q)
	for i := range s.Snaps {
		if s.Snaps[i].State == record.StateIdle && q.Measured(i) && (len(idx) == 0 || i < idx[0]) {
			idx = append([]int{i}, idx...)
			break
		}
	}
	if len(idx) < threshold.MinFloors || !q.ranges(idx) {
		return Term{}, false
	}
	var best *trend.Fit
	var bestC float64
	y, v := make([]float64, len(idx)), make([]float64, len(idx))
	one := make([]float64, len(idx))
	for k, i := range idx {
		y[k], one[k] = q.Values[i], 1
		m := threshold.ModelError * y[k]
		v[k] = q.Variance[i] + q.Grain*q.Grain/4 + m*m
	}
	for _, c := range breaks(distinct.Values, idx) {
		x := make([]float64, len(idx))
		for k, i := range idx {
			x[k] = math.Min(distinct.Values[i], c)
		}
		if f, err := trend.NNLS([][]float64{x, one}, y, v); err == nil && (best == nil || f.Chi2 < best.Chi2) &&
			len(f.Terms) > 0 && f.Terms[0] == 0 {
			best, bestC = f, c
		}
	}
	if best == nil || best.T(0) < threshold.MinT {
		return Term{}, false
	}
	return cacheTerm(s, q, distinct, idx, best, bestC)
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
func cacheTerm(s *series.Series, q *Quantity, distinct Unit, idx []int, f *trend.Fit, c float64) (Term, bool) {
	rising, level := 0, 0
	var x, y []float64
	for _, i := range idx {
		if distinct.Values[i] < c {
			rising++
			continue
		}
		level++
		x, y = append(x, distinct.Values[i]), append(y, q.Values[i])
	}
	t := Term{Unit: distinct, Slope: f.Coef[0], SE: f.SE[0], Amount: f.Coef[0] * c, Bound: c, R2: f.R2, Steps: len(idx),
		Share: 1,
		From:  [2]int{idx[0], idx[len(idx)-1]}}
	t.Class, t.RetainedTerm = record.Cache, true
	// The level's sampling error, and half a step of the search for the bound.
	t.SE = math.Sqrt(t.SE*t.SE + q.Variance[idx[len(idx)-1]]/(c*c) + math.Pow(0.05*t.Slope, 2))
	beyond := distinct.Values[idx[len(idx)-1]] - c
	if rising < 3 || level < 3 || t.Slope*beyond < threshold.MinBeyond*math.Max(1, s.Rate) {
		return Term{}, false
	}
	l := trend.TheilSen(x, y)
	return t, l.OK && math.Abs(l.Slope) <= threshold.FlatShare*t.Slope
}
