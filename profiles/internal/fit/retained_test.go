package fit

import (
	"slices"
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

// TestGrowthInManySmallStepsIsSteady has growth with time, which comes in steps of a sample each.
func TestGrowthInManySmallStepsIsSteady(t *testing.T) {
	work := make([]float64, 40)
	steady := func(until int, terms ...int) bool {
		y := make([]float64, len(work))
		for k := range work {
			if work[k] = 1; k < until {
				y[k] = 10
			}
		}
		fit := &trend.Fit{Terms: terms, Coef: []float64{10, 0}}
		return new(Term).steady(fit, 0, y, []trend.Candidate{{Values: work}, {Values: make([]float64, len(work))}}, 10)
	}
	assert.True(t, steady(len(work), 0))
	assert.False(t, steady(12, 0), "it ended early")
	assert.False(t, steady(len(work), 0, 1), "steps without a direction say nothing of two units")
}

// TestARunningMaximumThatIsLeftBehindExplainsNothing has growth with the most in flight that continues with fewer.
func TestARunningMaximumThatIsLeftBehindExplainsNothing(t *testing.T) {
	most := []float64{100, 0, 300, 0, 600, 0, 0}
	steady := func(last float64) bool {
		y := []float64{200 << 10, 0, 600 << 10, 0, 1200 << 10, 0, last}
		fit := &trend.Fit{Terms: []int{0}, Coef: []float64{2 << 10}}
		cands := []trend.Candidate{{Values: most}}
		return (&Term{Unit: Unit{Running: true}, Amount: 2000 << 10}).steady(fit, 0, y, cands, 4<<10)
	}
	assert.True(t, steady(0))
	assert.True(t, steady(100<<10), "pools fill a little")
	assert.False(t, steady(800<<10))
}

// TestGrowthThatEndedIsNotSteady has growth in most steps and none in the last, of which few may be without by chance.
func TestGrowthThatEndedIsNotSteady(t *testing.T) {
	work := slices.Repeat([]float64{100}, 20)
	steady := func(until int) bool {
		y := make([]float64, len(work))
		for k := range y {
			if k < until {
				y[k] = 50 << 10
			}
		}
		fit := &trend.Fit{Terms: []int{0}, Coef: []float64{512}}
		return new(Term).steady(fit, 0, y, []trend.Candidate{{Values: work}}, 4<<10)
	}
	assert.True(t, steady(20))
	assert.True(t, steady(19), "a step of twelve samples")
	assert.False(t, steady(16))
}
