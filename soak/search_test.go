package soak_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak"
)

func TestSearchesFindTheBorder(t *testing.T) {
	for border := int64(1); border <= 70; border++ {
		small := &soak.Search{Step: 1, Try: func(_ context.Context, n int64) (bool, error) { return n >= border, nil }}
		got, err := small.Smallest(t.Context(), 1, 64)
		require.NoError(t, err)
		large := &soak.Search{Step: 1, Try: func(_ context.Context, n int64) (bool, error) { return n <= border, nil }}
		most, err := large.Largest(t.Context(), 1, 64)
		require.NoError(t, err)
		if border <= 64 {
			assert.Equal(t, border, got)
			assert.Equal(t, border, most)
		} else {
			assert.Zero(t, got, "nothing survives")
			assert.EqualValues(t, 64, most, "all survive")
		}
		assert.LessOrEqual(t, len(small.Tried), 8)
		for _, tried := range large.Tried {
			assert.LessOrEqual(t, tried.Value, 2*border, "values far beyond the border are not tried")
		}
	}
}

func TestSearchesKeepToTheirStep(t *testing.T) {
	s := &soak.Search{Step: 4, Try: func(_ context.Context, n int64) (bool, error) { return n >= 37, nil }}
	got, err := s.Smallest(t.Context(), 4, 100)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, got, int64(37))
	assert.Less(t, got, int64(37+4))
}

func TestASearchEndsWithTheFirstError(t *testing.T) {
	broken := errors.New("no cgroup")
	s := &soak.Search{Step: 1, Try: func(context.Context, int64) (bool, error) { return false, broken }}
	_, err := s.Smallest(t.Context(), 1, 9)
	require.ErrorIs(t, err, broken)
	_, err = (&soak.Search{}).Largest(t.Context(), 1, 9)
	require.ErrorIs(t, err, soak.ErrConfig)
}

func TestAnAnswerHasToSurviveMoreThanOnce(t *testing.T) {
	tries := map[int64]int{}
	s := &soak.Search{Step: 4, Try: func(_ context.Context, n int64) (bool, error) {
		tries[n]++
		return n >= 48 || n >= 40 && tries[n] < 3, nil // survives twice by luck
	}}
	got, err := s.Smallest(t.Context(), 4, 100)
	require.NoError(t, err)
	assert.Less(t, got, int64(48))
	got, err = s.Settle(t.Context(), got, 1, 100, 3)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, got, int64(48))
	assert.Equal(t, 3, tries[got])
	assert.Equal(t, got-4, s.Border(got), "the next below was killed")
}

func TestASettledAnswerIsClearOfEveryKill(t *testing.T) {
	tries := map[int64]int{}
	s := &soak.Search{Step: 1, Clear: 0.04, Try: func(_ context.Context, n int64) (bool, error) {
		tries[n]++
		return n > 105 || n > 100 && tries[n] < 4, nil // from 101 to 105 it survives three times by luck
	}}
	got, err := s.Smallest(t.Context(), 1, 512)
	require.NoError(t, err)
	assert.EqualValues(t, 101, got)
	got, err = s.Settle(t.Context(), got, 1, 512, 3)
	require.NoError(t, err)
	assert.EqualValues(t, 104, got, "100 was killed")
	s.Tried = append(s.Tried, soak.Tried{Value: 104})
	got, err = s.Settle(t.Context(), got, 1, 512, 3)
	require.NoError(t, err)
	assert.EqualValues(t, 109, got)
	got, err = s.Settle(t.Context(), 106, 1, 107, 3)
	require.NoError(t, err)
	assert.Zero(t, got, "107 survives, but what is clear of 104 may not be tried")
	assert.EqualValues(t, 107, s.Tried[len(s.Tried)-1].Value, "no further than what may be tried")

	many := &soak.Search{Step: 1, Clear: 0.04, Try: func(_ context.Context, n int64) (bool, error) { return n < 100, nil }}
	got, err = many.Largest(t.Context(), 1, 512)
	require.NoError(t, err)
	got, err = many.Settle(t.Context(), got, -1, 1, 3)
	require.NoError(t, err)
	assert.EqualValues(t, 96, got)
}

func TestNoSettledAnswerIsBelowAPeakThatWasSeen(t *testing.T) {
	peak := int64(0)
	s := &soak.Search{Step: 4, Least: func() int64 { return peak }, Try: func(_ context.Context, n int64) (bool, error) {
		if n >= 40 {
			peak = max(peak, 45)
		}
		return n >= 40, nil
	}}
	got, err := s.Settle(t.Context(), 40, 1, 100, 3)
	require.NoError(t, err)
	assert.EqualValues(t, 48, got)
	survived := 0
	for _, tried := range s.Tried {
		if tried.Value == 48 && tried.Survived {
			survived++
		}
	}
	assert.Equal(t, 3, survived)
}

func TestNoBorderWithoutAKill(t *testing.T) {
	s := &soak.Search{Step: 4, Try: func(context.Context, int64) (bool, error) { return true, nil }}
	got, err := s.Smallest(t.Context(), 4, 100)
	require.NoError(t, err)
	assert.EqualValues(t, 4, got)
	assert.Zero(t, s.Border(got), "nothing was killed, so nothing is said of less")
}
