package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak"
)

func TestScores(t *testing.T) {
	killed := func(n int64) []soak.Tried { return []soak.Tried{{Value: n}} }
	for name, c := range map[string]struct {
		score
		unsafe, right bool
	}{
		"one worker less":                   {score{Answer: 9, Truth: 10}, false, true},
		"a tenth less":                      {score{Answer: 36, Truth: 40}, false, true},
		"far less":                          {score{Answer: 5, Truth: 10}, false, false},
		"killed once at the answer":         {score{Answer: 10, Truth: 9, Tried: killed(10)}, true, false},
		"killed with less":                  {score{Answer: 10, Truth: 8, Tried: killed(9)}, true, false},
		"killed in a run of its own":        {score{Answer: 10, Truth: 9, Killed: 1}, true, false},
		"a lower bound that holds":          {score{Answer: 16, AtLeast: true, Truth: 90}, false, true},
		"not even one":                      {score{Answer: -1}, false, true},
		"not even one, though some survive": {score{Answer: -1, Truth: 3}, false, false},
		"files, nearly":                     {score{Asks: files, Answer: 900, Truth: 1000}, false, true},
		"files, more than were done":        {score{Asks: files, Answer: 1100, Truth: 1000, Killed: 1}, true, false},
		"a limit, and less kills":           {score{Asks: smallestLimit, Answer: 90 * mib, KilledBelow: 1}, false, true},
		"a limit far above":                 {score{Asks: smallestLimit, Answer: 90 * mib}, false, false},
	} {
		assert.Equal(t, c.unsafe, c.score.unsafe(), name)
		assert.Equal(t, c.right, c.score.right(), name)
		assert.NotEmpty(t, c.score.String())
	}
}

func TestNothingMeasuredMeetsNoFigure(t *testing.T) {
	var out bytes.Buffer
	assert.Equal(t, len(figures(nil)), printFigures(&out, nil))
	assert.Contains(t, out.String(), "MISSED")
}

func TestQuestionsAreForTwentyFourSubjectsAtLeastAndThreeLimits(t *testing.T) {
	subjects := map[string]bool{}
	for _, q := range questions {
		if q.asks == workers {
			subjects[q.name] = true
			assert.Len(t, q.limits, 3, q.name)
		}
	}
	assert.GreaterOrEqual(t, len(subjects), 24)
	_, err := choose([]string{"no-such"})
	require.Error(t, err)
}

func TestKillsThatCameWithTheSourceAreJudgedWithoutRunningAnything(t *testing.T) {
	var out bytes.Buffer
	b := &bench{say: &out, out: t.TempDir(), bin: t.TempDir(), recorded: true}
	scores, err := b.all(t.Context(), questions)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(scores), 50)
	for _, s := range scores {
		assert.False(t, s.unsafe(), "%s", &s)
		assert.NotEmpty(t, s.Tried, "%s", &s)
	}
}
