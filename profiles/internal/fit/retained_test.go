package fit

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/profiles/trend"
)

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
