package profiles

// Containers that grow by doubling: slices, maps, buffers. Their capacity is between once and twice their content, so
// that most steps from floor to floor are flat and some are as large as all before.

import (
	"fmt"
	"math"

	"github.com/memsoak/memsoak/profiles/record"
)

const (
	// envelopeSpread is the capacity over content of a container just grown, over that of a full one: two, and the error
	// of the readings. minEnvelope is how many times as large as at its first use the container has to be in the end: two
	// doublings, so that a single step does not make a trend.
	envelopeSpread = 2.15
	minEnvelope    = 3

	// flatStep is the growth of a unit from one floor to the next, as a factor, from which a quantity that does not rise
	// at all is flat, and flatGrowth the part of itself that it may rise by.
	flatStep   = 1.15
	flatGrowth = 0.02
)

// stepShaped reports whether the quantity stayed level while the unit went on, before a later rise: it grows in steps.
func (q *quantity) stepShaped(u unit, idx []int) bool {
	last := q.values[idx[len(idx)-1]]
	for k := 1; k < len(idx); k++ {
		a, b := idx[k-1], idx[k]
		level := math.Abs(q.values[b]-q.values[a]) <= flatGrowth*q.values[b]
		if level && q.values[a] > 0 && u.values[a] > 0 && u.values[b] >= flatStep*u.values[a] && q.values[b] < last/flatStep {
			return true
		}
	}
	return false
}

// doubling looks for a container that grows with a unit of work: at each floor its size is within a factor of two of
// one and the same multiple of the unit.
func (s *Series) doubling(q *quantity, us []unit) (term, bool) {
	idx := s.rest(q)
	if len(idx) < minFloors || !q.ranges(idx) || q.falls(idx) {
		return term{}, false
	}
	best, bestSpread := term{}, envelopeSpread
	for _, u := range us {
		if u.running || !q.stepShaped(u, idx) {
			continue
		}
		lo, hi, n := q.envelope(u, idx)
		if spread := hi / lo * (1 + penaltyOfSpread*u.penalty); n >= minFloors/2 && hi/lo <= envelopeSpread &&
			spread < bestSpread*(1+penaltyOfSpread*best.penalty) {
			first, last := idx[0], idx[len(idx)-1]
			best = term{unit: u, slope: math.Sqrt(lo * hi), se: (hi - lo) / (2 * 1.96), amount: q.values[last] - q.values[first],
				share: 1,
				r2:    1, from: [2]int{first, last}, steps: len(idx), retainedTerm: true}
			bestSpread = hi / lo
		}
	}
	return best, best.slope > 0
}

// penaltyOfSpread is how much tighter the envelope of a less likely unit has to be, per unit of its penalty.
const penaltyOfSpread = 0.2

// falls reports whether the quantity ever falls at rest by more than its error.
func (q *quantity) falls(idx []int) bool {
	for k := 1; k < len(idx); k++ {
		a, b := idx[k-1], idx[k]
		if q.values[b] < q.values[a]-3*math.Sqrt(q.variance[a]+q.variance[b])-flatGrowth*q.values[a] {
			return true
		}
	}
	return false
}

// envelope is the least and the most of the quantity per unit, over the floors at which it is large enough to be read
// well; n is zero where it doesn't grow by minEnvelope over them.
func (q *quantity) envelope(u unit, idx []int) (lo, hi float64, n int) {
	lo = math.Inf(1)
	var least, most float64
	for _, i := range idx {
		if v, x := q.values[i], u.values[i]; x > 0 && v > 0 && v >= 3*math.Sqrt(q.variance[i]) {
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

// stepsOfContainer adds findings of containers: growth by doubling, or a cache that has stopped growing.
func (s *Series) stepsOfContainer(id int, q *quantity, u *units, distinct unit) *judged {
	if t, ok := s.doubling(q, s.possible(q, u.retained)); ok && s.believeRetained(q, &t) {
		j := s.siteFinding(id, t)
		j.container = true
		j.Evidence = append(j.Evidence,
			fmt.Sprintf("a container that grows in steps: its size was between %s and %s per %s at every floor",
				bytesText(j.Slope.CI95[0]), bytesText(j.Slope.CI95[1]), itemText(t.name)))
		return j
	}
	t, ok := s.filled(q, distinct)
	if !ok || t.amount < minHeldBytes {
		return nil
	}
	idx := s.rest(q)
	if q.stepShaped(distinct, idx) && distinct.values[idx[len(idx)-1]] < envelopeSpread*t.bound {
		return nil // a container that doubles is as flat for as long
	}
	return s.siteFinding(id, t)
}

// fullCaches drops containers that seem to grow from functions in which a cache was found full: they are its table.
func fullCaches(js []*judged) []*judged {
	full := map[string]bool{}
	for _, j := range js {
		full[j.Site.Function] = full[j.Site.Function] || j.Class == record.Cache
	}
	out := js[:0]
	for _, j := range js {
		if j.container && full[j.Site.Function] {
			continue
		}
		out = append(out, j)
	}
	return out
}
