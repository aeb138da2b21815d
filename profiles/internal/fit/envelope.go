package fit

// Containers that grow by doubling: slices, maps, buffers. Their capacity is between once and twice their content, so
// that most steps from floor to floor are flat and some are as large as all before.

import (
	"math"

	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
)

const (
	// EnvelopeSpread is the capacity over content of a container just grown, over that of a full one: two, and the error
	// of the readings. minEnvelope is how many times as large as at its first use the container has to be in the end: two
	// doublings, so that a single step does not make a trend.
	EnvelopeSpread = 2.15
	minEnvelope    = 3

	// flatStep is the growth of a unit, as a factor, from which a quantity that does not rise at all is flat, and
	// flatGrowth the part of itself that it may rise by.
	flatStep   = 1.15
	flatGrowth = 0.02

	// beginning is how much smaller than in the end a container is that has just begun: four doublings.
	beginning = 16
)

// StepShaped reports whether the quantity stayed level while the unit went on, before a later rise: it grows in steps.
func (q *Quantity) StepShaped(u Unit, idx []int) bool {
	last := q.Values[idx[len(idx)-1]]
	from := idx[0] // of the level that the quantity has
	for _, i := range idx[1:] {
		if math.Abs(q.Values[i]-q.Values[from]) > flatGrowth*q.Values[i] {
			from = i
		}
		if q.Values[from] > 0 && u.Values[from] > 0 && u.Values[i] >= flatStep*u.Values[from] &&
			q.Values[i] < last/flatStep {
			return true
		}
	}
	return false
}

// Climbs reports whether the quantity became larger at several of the snapshots and never smaller, from where it is
// well sampled on, and at which it last did.
func (q *Quantity) Climbs(idx []int) (last int, ok bool) {
	const wellSampled, leastClimbs = 4, 3 // samples, and steps
	n, prev := 0, 0.0
	for _, i := range idx {
		switch v := q.Values[i]; {
		case prev == 0 && v*v < wellSampled*q.Variance[i]:
			continue
		case v < (1-flatGrowth)*prev:
			return 0, false
		case prev > 0 && v >= flatStep*prev:
			last, n = i, n+1
			fallthrough
		default:
			prev = math.Max(prev, v)
		}
	}
	return last, n >= leastClimbs
}

// Doubling looks for a container that grows with a unit of work: at each floor its size is within a factor of two of
// one and the same multiple of the unit.
func Doubling(s *series.Series, q *Quantity, us []Unit) (Term, bool) {
	idx := Rest(s, q)
	if len(idx) < threshold.MinFloors || !q.ranges(idx) || q.falls(idx) {
		return Term{}, false
	}
	best, bestSpread := Term{}, EnvelopeSpread
	for _, u := range us {
		if u.Running || !q.StepShaped(u, idx) {
			continue
		}
		lo, hi, n := q.envelope(u, idx)
		if spread := hi / lo * (1 + penaltyOfSpread*u.Penalty); n >= threshold.MinFloors/2 && hi/lo <= EnvelopeSpread &&
			spread < bestSpread*(1+penaltyOfSpread*best.Penalty) {
			first, last := idx[0], idx[len(idx)-1]
			best = Term{Unit: u, Slope: math.Sqrt(lo * hi), SE: (hi - lo) / (2 * 1.96), Amount: q.Values[last] - q.Values[first],
				Share: 1,
				R2:    1, From: [2]int{first, last}, Steps: len(idx), RetainedTerm: true}
			bestSpread = hi / lo
		}
	}
	return best, best.Slope > 0
}

// penaltyOfSpread is how much tighter the envelope of a less likely unit has to be, per unit of its penalty.
const penaltyOfSpread = 0.2

// falls reports whether the quantity ever falls at rest by more than its error.
func (q *Quantity) falls(idx []int) bool {
	for k := 1; k < len(idx); k++ {
		a, b := idx[k-1], idx[k]
		if q.Values[b] < q.Values[a]-3*math.Sqrt(q.Variance[a]+q.Variance[b])-flatGrowth*q.Values[a] {
			return true
		}
	}
	return false
}

// envelope is the least and the most of the quantity per unit, over the floors at which it is large enough to be read
// well and no small beginning, of which what comes once is a large part; n is zero where it doesn't grow by minEnvelope
// over them.
func (q *Quantity) envelope(u Unit, idx []int) (lo, hi float64, n int) {
	lo = math.Inf(1)
	var least, most float64
	small := q.Values[idx[len(idx)-1]] / beginning
	for _, i := range idx {
		if v, x := q.Values[i], u.Values[i]; x > 0 && v > small && v >= 3*math.Sqrt(q.Variance[i]) {
			lo, hi, n = math.Min(lo, v/x), math.Max(hi, v/x), n+1
			if least == 0 {
				least = v
			}
			most = math.Max(most, v)
		}
	}
	if n == 0 || most < minEnvelope*least {
		return 1, math.Inf(1), 0
	}
	return lo, hi, n
}
