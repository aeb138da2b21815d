package fit

// Memory that is there while transfers are held, and gone at rest.

import (
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// HeldTerms fits the memory in held states that is gone at rest: each hold's value less the value at rest around it,
// memory retained by kept terms included. Where no terms explain all states well, those in mid-body are left out: how
// much of a half-sent body is in memory depends on who has read how far, which no reading shows, and on how far a
// buffer has grown that doubles. Where that doesn't help, a state may have inherited a little of the one that it
// followed without a rest between: a connection that idles can hold the last buffer that went over it.
func HeldTerms(s *series.Series, q *Quantity, us []Unit, kept []Term) []Term {
	all := func(record.State) bool { return true }
	whole := heldFit(s, q, us, kept, all, 0)
	if whole.close {
		return whole.terms
	}
	part := heldFit(s, q, us, kept, func(st record.State) bool { return st != record.StateBody }, 0)
	switch {
	case part.fits && len(part.terms) > 0 && (!whole.fits || part.misfit < whole.misfit):
		return part.terms
	case whole.fits:
		return whole.terms
	case part.fits:
		return part.terms
	}
	return heldFit(s, q, us, kept, all, threshold.InheritedShare).terms
}

// heldFitted is a fit of held states: fits is false when the terms leave too much unexplained, and close says that they
// leave no more than the error of the readings.
type heldFitted struct {
	terms       []Term
	fits, close bool
	misfit      float64 // weighted sum of squared residuals per degree of freedom
}

// heldFit fits the held states of the given kinds, each of which may have inherited a share of the one before.
func heldFit(s *series.Series, q *Quantity, us []Unit, kept []Term, kinds func(record.State) bool,
	inherits float64) heldFitted {
	var idx []int
	var y, base []float64
	highest, bytes, variance := math.Inf(-1), 0.0, 0.0
	for i, n := range s.Snaps {
		if !n.State.Held() || !kinds(n.State) || !q.Measured(i) {
			continue
		}
		rest, spread, ok := RestAround(s, q, i, kept)
		if !ok {
			continue
		}
		r := q.Values[i] - rest
		idx, y, base = append(idx, i), append(y, r), append(base, spread*spread/12+q.Grain*q.Grain/4+
			trend.Square(inherits*heldBefore(s, q, i)))
		highest = math.Max(highest, r)
		bytes, variance = bytes+math.Max(q.Values[i], q.Grain), variance+q.Variance[i]
	}
	if len(idx) < threshold.MinHolds || highest <= q.Least {
		return heldFitted{fits: true, close: true}
	}
	cands := make([]trend.Candidate, len(us))
	for j, u := range us {
		d := make([]float64, len(idx))
		for k, i := range idx {
			d[k] = math.Max(0, u.Values[i])
		}
		cands[j] = trend.Candidate{Values: d, Penalty: u.Penalty}
	}
	v := make([]float64, len(idx))
	for k, i := range idx {
		v[k] = base[k] + q.Variance[i] + trend.Square(ModelError(s, i)*y[k])
	}
	fit, err := selectBelieved(cands, y, v, 3, 0)
	// A state with few sampled objects by chance seems exact. What the fit expects there tells its variance better.
	for turn := 0; turn < maxTurns && err == nil; turn++ {
		for k, i := range idx {
			expected := fitted(fit, cands, k)
			sampling := variance / bytes * math.Max(q.Grain, q.Values[i]-y[k]+expected)
			v[k] = base[k] + sampling + trend.Square(ModelError(s, i)*math.Max(math.Abs(y[k]), expected))
		}
		before := fit
		if fit, err = selectBelieved(cands, y, v, 3, 0); err == nil && turn > 0 && slices.Equal(fit.Terms, before.Terms) {
			break
		}
	}
	close := err == nil && fit.Chi2 <= threshold.MaxChi2*float64(fit.DF)
	if err != nil || fit.R2 < threshold.MinFit && !close {
		return heldFitted{}
	}
	out := heldFitted{fits: true, close: close, misfit: fit.Chi2 / float64(max(1, fit.DF))}
	for i, j := range fit.Terms {
		out.terms = append(out.terms, heldTerm(us[j], fit, i, cands[j].Values, idx, highest))
	}
	return out
}

// ModelError is the relative error of what a linear model says of a held state. Where nothing holds the requests, some
// come and go while the heap is collected, and what they left counts as live.
func ModelError(s *series.Series, i int) float64 {
	if h := s.Snaps[i].Hold; h != nil && h.Point == record.PointRunning {
		return threshold.RunningError
	}
	return threshold.ModelError
}

// heldBefore is what the quantity was in the held state that the i-th snapshot followed, nothing after a rest.
func heldBefore(s *series.Series, q *Quantity, i int) float64 {
	for k := i - 1; k >= 0 && s.Snaps[k].State.Held(); k-- {
		if q.Measured(k) {
			return q.Values[k]
		}
	}
	return 0
}

// heldTerm is the i-th term of a fit over the held snapshots idx, of which values are the unit's.
func heldTerm(u Unit, fit *trend.Fit, i int, values []float64, idx []int, highest float64) Term {
	t := Term{Unit: u, Slope: fit.Coef[i], SE: math.Hypot(fit.SE[i], threshold.FillError*fit.Coef[i]), R2: fit.R2,
		Steps: len(idx),
		Bound: u.most}
	least := math.Inf(1)
	for k, x := range values {
		if a := t.Slope * x; a > t.Amount {
			t.Amount, t.From[1] = a, idx[k]
		}
		if x < least {
			least, t.From[0] = x, idx[k]
		}
	}
	t.Share = t.Amount / highest
	return t
}

// RestAround is what the quantity would be at rest at the moment of a held snapshot: what the retained terms say from
// the floor before, or from the one after if that is more, or else the mean of these floors; and how far the two are
// apart.
func RestAround(s *series.Series, q *Quantity, i int, kept []Term) (base, spread float64, ok bool) {
	before, after := -1, -1
	for k := i - 1; k >= 0 && before < 0; k-- {
		if s.Snaps[k].AtRest() && q.Measured(k) {
			before = k
		}
	}
	for k := i + 1; k < len(s.Snaps) && after < 0; k++ {
		if s.Snaps[k].AtRest() && q.Measured(k) {
			after = k
		}
	}
	switch {
	case before < 0 && after < 0:
		return 0, 0, false
	case before < 0:
		return q.Values[after], 0, true
	case len(kept) > 0:
		grown := func(a, b int) (sum float64) {
			for _, t := range kept {
				sum += t.Slope * (t.Values[b] - t.Values[a])
			}
			return sum
		}
		base = q.Values[before] + grown(before, i)
		if after >= 0 { // a container may have doubled meanwhile: what the next floor still has is not gone at rest
			spread = math.Max(0, q.Values[after]-grown(i, after)-base)
		}
		return base + spread, spread, true
	case after < 0:
		return q.Values[before], 0, true
	}
	return (q.Values[before] + q.Values[after]) / 2, q.Values[after] - q.Values[before], true
}
