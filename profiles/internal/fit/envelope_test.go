package fit

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/profiles/record"
)

func TestAnArrayClimbsInStepsAndNeverFalls(t *testing.T) {
	for name, c := range map[string]struct {
		values []float64
		climbs bool
		last   int
	}{
		"append makes it larger":          {[]float64{0, 12, 28, 28, 41, 57, 98, 98}, true, 6},
		"a buffer that comes once":        {[]float64{0, 64, 64, 64, 64, 64, 64, 64}, false, 0},
		"two sizes":                       {[]float64{0, 32, 32, 64, 64, 64, 64, 64}, false, 3},
		"small at first and not sampled":  {[]float64{4, 0, 12, 28, 41, 57, 57, 57}, true, 5},
		"it is replaced by a smaller one": {[]float64{0, 12, 28, 41, 57, 30, 41, 57}, false, 0},
	} {
		q := &Quantity{Variance: make([]float64, len(c.values))}
		for i, v := range c.values {
			q.Values = append(q.Values, v*1024)
			if v > 0 && v < 8 {
				q.Variance[i] = v * v * 1024 * 1024 // one object, of which one in two is sampled
			}
		}
		last, climbs := q.Climbs([]int{0, 1, 2, 3, 4, 5, 6, 7})
		assert.Equal(t, c.climbs, climbs, name)
		assert.Equal(t, c.last, last, name)
	}
	_, climbs := (&Quantity{Values: slices.Repeat([]float64{0}, 8), Variance: make([]float64, 8)}).Climbs([]int{0, 1})
	assert.False(t, climbs)
}

// TestAContainerIsLevelOverManySmallSteps has an array of 42 bytes an item that append makes larger by a quarter, read
// after small waves: no step between two floors is large enough to say that it is level, and its beginning is large.
func TestAContainerIsLevelOverManySmallSteps(t *testing.T) {
	items, sizes := []float64{42}, []float64{5057}
	size := 7355.0
	for n := 102.0; n < 14000; n += 0.1 * n {
		for size < 42*n {
			size *= 1.25
		}
		items, sizes = append(items, n), append(sizes, size)
	}
	states := make([]record.State, len(items))
	for i := range states {
		states[i] = record.StateFloor
	}
	s := seriesOf(states, nil)
	q := &Quantity{Values: sizes, Variance: make([]float64, len(items)), Least: 1}
	u := Unit{Name: "file", Values: items}
	assert.True(t, q.StepShaped(u, Rest(s, q)))
	got, ok := Doubling(s, q, []Unit{u})
	assert.True(t, ok)
	assert.InDelta(t, 48, got.Slope, 6)
}
