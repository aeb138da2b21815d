package accuracy

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// killed says on which tries a count is killed; counts beyond always are.
func killed(most int, odd map[int][]bool) (func(context.Context, int) (bool, error), map[int]int) {
	tries := map[int]int{}
	return func(_ context.Context, n int) (bool, error) {
		i := tries[n]
		tries[n]++
		if list := odd[n]; i < len(list) {
			return !list[i], nil
		}
		return n <= most, nil
	}, tries
}

func TestSurvivedIsTheLargestCountThatSurvivesEachTime(t *testing.T) {
	for name, c := range map[string]struct {
		most int
		odd  map[int][]bool
		want int
	}{
		"a sharp border":              {most: 14, want: 14},
		"killed the third time":       {most: 14, odd: map[int][]bool{14: {false, false, true}}, want: 13},
		"killed the first time alone": {most: 14, odd: map[int][]bool{12: {true}}, want: 11},
		"over several counts": {most: 14, odd: map[int][]bool{14: {false, true}, 13: {false, true}, 12: {false, false,
			true}}, want: 11},
		"none": {most: 0, want: 0},
		"one":  {most: 1, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			try, tries := killed(c.most, c.odd)
			var s CapacityScore
			require.NoError(t, s.search(t.Context(), try))
			assert.Equal(t, c.want, s.Survived)
			if c.want > 0 {
				assert.Equal(t, CountTried{Workers: c.want, Survived: capacityTries, Of: capacityTries}, s.at(c.want))
			}
			for _, x := range s.Tried {
				assert.Equal(t, tries[x.Workers], x.Of)
				assert.LessOrEqual(t, x.Of, capacityTries, "no count is asked for ever")
			}
		})
	}
}

func TestSearchStopsAtAnError(t *testing.T) {
	var s CapacityScore
	broken := errors.New("broken")
	err := s.search(t.Context(), func(_ context.Context, n int) (bool, error) {
		if n > 3 {
			return false, broken
		}
		return true, nil
	})
	require.ErrorIs(t, err, broken)
	assert.Zero(t, s.Survived)
}

func TestBorderNamesTheCountsAroundIt(t *testing.T) {
	s := CapacityScore{Survived: 11, Tried: []CountTried{{8, 1, 1}, {11, 3, 3}, {12, 1, 2}, {14, 0, 1}, {16, 0, 1}}}
	assert.Equal(t, "11: 3 of 3, 12: 1 of 2, 14: 0 of 1", s.border())
}

func TestSelectCases(t *testing.T) {
	all, err := SelectCases(CapacityCases, nil)
	require.NoError(t, err)
	assert.Greater(t, len(all), 4)
	some, err := SelectCases(CapacityCases, []string{"worker-*"})
	require.NoError(t, err)
	for _, c := range some {
		assert.Contains(t, c.Specimen, "worker-")
	}
	_, err = SelectCases(CapacityCases, []string{"leak-*"})
	assert.ErrorContains(t, err, "leak-*")
	_, err = SelectCases(CapacityCases, []string{"["})
	assert.Error(t, err)
}
