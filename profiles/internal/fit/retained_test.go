package fit

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// TestACacheIsFullOnceItemsWentByThatItDidNotKeep has a site of many objects that is level at its last floors.
func TestACacheIsFullOnceItemsWentByThatItDidNotKeep(t *testing.T) {
	items := []float64{0, 500, 1000, 2000, 3000, 3100, 3150, 3200}
	states := make([]record.State, len(items))
	for i := range states {
		states[i] = record.StateFloor
	}
	full := func(last float64) bool {
		items[len(items)-1] = last
		s := seriesOf(states, nil)
		q := &Quantity{Grain: 96, Least: 1}
		for _, n := range items {
			q.Values, q.Variance = append(q.Values, 50*min(n, 3050)), append(q.Variance, 96*50*min(n, 3050))
		}
		_, ok := Filled(s, q, Unit{Name: "distinct-item", Values: items})
		return ok
	}
	assert.False(t, full(3200), "150 items of 50 B are two samples of 4 KiB: that none of them came is chance")
	assert.True(t, full(4500))
}

// TestSteadyWithOneLargeStep has the work of a trial whose last step is more than half of it.
func TestSteadyWithOneLargeStep(t *testing.T) {
	work := []float64{60, 60, 60, 60, 60, 60, 60, 60, 106, 406, 1506, 6}
	grows := func(slope func(k int) float64) []float64 {
		y := make([]float64, len(work))
		for k, w := range work {
			y[k] = w * slope(k)
		}
		return y
	}
	steady := func(y []float64) bool {
		cands := []trend.Candidate{{Values: work}}
		fit := &trend.Fit{Terms: []int{0}, Coef: []float64{100}}
		return new(Term).steady(fit, 0, y, cands, 1)
	}
	assert.True(t, steady(grows(func(int) float64 { return 100 })))
	assert.False(t, steady(grows(func(k int) float64 {
		if k >= 9 {
			return 10
		}
		return 100
	})), "it rose early and is flat in the larger half")
}
