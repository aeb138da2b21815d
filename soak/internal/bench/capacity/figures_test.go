package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
)

func TestScores(t *testing.T) {
	killed := func(n int64) []soak.Tried { return []soak.Tried{{Value: n}} }
	for name, c := range map[string]struct {
		score
		unsafe, right bool
	}{
		"one worker less":                   {score{Asks: workers, Answer: 9, Truth: 10}, false, true},
		"a tenth less":                      {score{Asks: workers, Answer: 36, Truth: 40}, false, true},
		"far less":                          {score{Asks: workers, Answer: 5, Truth: 10}, false, false},
		"killed once at the answer":         {score{Asks: workers, Answer: 10, Truth: 9, Tried: killed(10)}, true, false},
		"killed with less":                  {score{Asks: workers, Answer: 10, Truth: 8, Tried: killed(9)}, true, false},
		"killed in a run of its own":        {score{Asks: workers, Answer: 10, Truth: 9, Killed: 1}, true, false},
		"a lower bound that holds":          {score{Asks: workers, Answer: 16, AtLeast: true, Truth: 90}, false, true},
		"a range that has it":               {score{Asks: workers, Answer: 4, Perhaps: 9, Truth: 7}, false, true},
		"a range above it":                  {score{Asks: workers, Answer: 4, Perhaps: 9, Truth: 3, Killed: 1}, true, false},
		"a range below it":                  {score{Asks: workers, Answer: 4, Perhaps: 9, Truth: 10}, false, false},
		"not even one":                      {score{Asks: workers, Answer: -1}, false, true},
		"not even one, though some survive": {score{Asks: workers, Answer: -1, Truth: 3}, false, false},
		"files, nearly":                     {score{Asks: files, Answer: 900, Truth: 1000}, false, true},
		"files, at least":                   {score{Asks: files, Answer: 300, AtLeast: true, Truth: 1000}, false, true},
		"files, far fewer":                  {score{Asks: files, Answer: 300, Perhaps: 400, Truth: 1000}, false, false},
		"files, more than were done":        {score{Asks: files, Answer: 1100, Truth: 1000, Killed: 1}, true, false},
		"a limit, and less kills":           {score{Asks: smallestLimit, Answer: 90 * mib, KilledBelow: 1}, false, true},
		"a limit, and one just below killed": {score{Asks: smallestLimit, Answer: 106 * mib, Tried: killed(100 * mib)}, false,
			true},
		"a limit, and one far below killed": {score{Asks: smallestLimit, Answer: 112 * mib, Tried: killed(100 * mib)}, false,
			false},
		"a limit far above": {score{Asks: smallestLimit, Answer: 90 * mib}, false, false},
	} {
		assert.Equal(t, c.unsafe, c.score.unsafe(), name)
		assert.Equal(t, c.right, c.score.right(), name)
		assert.NotEmpty(t, c.score.String())
	}
}

func TestALowerBoundOfFilesIsNoNumber(t *testing.T) {
	got := map[string]figure{}
	for _, f := range figures([]score{{Asks: files, Answer: 900, Perhaps: 990, Truth: 1000}, {Asks: files, Answer: 900,
		Perhaps: 1100, Truth: 1000}, {Asks: files, Answer: 100, AtLeast: true, Truth: 1000}}) {
		got[f.what] = f
	}
	assert.Equal(t, [2]int{2, 2}, [2]int{got["files that fit within 15 %"].got, got["files that fit within 15 %"].of})
	assert.Equal(t, [2]int{1, 2}, [2]int{got["files whose interval has the death"].got,
		got["files whose interval has the death"].of})
	assert.False(t, got["files whose interval has the death"].met)
	assert.Equal(t, 1, got["ranges and lower bounds that hold"].got)
}

func TestNothingMeasuredMeetsNoFigure(t *testing.T) {
	var out bytes.Buffer
	goals := slices.DeleteFunc(figures(nil), func(f figure) bool { return f.asked == "-" })
	assert.Equal(t, len(goals), printFigures(&out, nil))
	assert.Contains(t, out.String(), "MISSED")
}

func TestQuestionsAreForTwentyFourSubjectsAtLeastAndThreeLimits(t *testing.T) {
	subjects := map[string]bool{}
	count := map[asks]int{}
	all, err := allQuestions()
	require.NoError(t, err)
	for _, q := range all {
		count[q.asks]++
		if q.asks == workers {
			subjects[q.name] = true
			assert.Len(t, q.limits, 3, q.name)
		}
		assert.Positive(t, q.size)
		assert.NotEmpty(t, q.subject)
	}
	assert.GreaterOrEqual(t, len(subjects), 24)
	assert.GreaterOrEqual(t, count[files], 6)
	assert.GreaterOrEqual(t, count[smallestLimit], 6)
	assert.Len(t, count, 3, "each asks one of the three")
	_, err = choose([]string{"no-such"})
	require.Error(t, err)
}

func TestKillsThatCameWithTheSourceAreJudgedWithoutRunningAnything(t *testing.T) {
	var out bytes.Buffer
	b := &bench{say: &out, out: t.TempDir(), bin: t.TempDir(), recorded: true}
	all, err := allQuestions()
	require.NoError(t, err)
	scores, err := b.all(t.Context(), all)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(scores), 50)
	for _, s := range scores {
		assert.False(t, s.unsafe(), "%s", &s)
		assert.NotEmpty(t, s.Tried, "%s", &s)
	}
}

func TestAMatrixOfAnotherBuildIsRecordedAgain(t *testing.T) {
	q := question{name: "none", asks: workers, subject: "none", size: mib}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for name, c := range map[string]struct {
		by    func(build string) string
		again bool
	}{
		"this build":       {by: func(build string) string { return build }},
		"another build":    {by: func(string) string { return "0123456789ab" }, again: true},
		"no build written": {by: func(string) string { return "" }, again: true},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			b := &bench{say: &out, out: t.TempDir(), bin: t.TempDir()}
			build, err := b.buildOf(q)
			require.NoError(t, err)
			dir := filepath.Join(b.out, "matrix")
			require.NoError(t, os.MkdirAll(dir, 0o755))
			require.NoError(t, record.Write(filepath.Join(dir, record.RunFile), &record.Run{Schema: record.RunSchema,
				Started: time.Unix(1, 0), Ended: time.Unix(2, 0)}))
			require.NoError(t, os.WriteFile(filepath.Join(dir, buildFile), []byte(c.by(build)), 0o644))
			err = b.matrix(stopped, q, dir, "2")
			if !c.again {
				require.NoError(t, err)
				require.Empty(t, out.String())
				return
			}
			require.Error(t, err)
			require.Contains(t, out.String(), "recorded again")
			require.NoFileExists(t, filepath.Join(dir, buildFile), "nothing of the old matrix stays")
		})
	}
}

func TestAChangedSubjectIsAnotherBuild(t *testing.T) {
	b := &bench{bin: t.TempDir()}
	q := question{program: "subject"}
	_, err := b.buildOf(q)
	require.Error(t, err, "a subject that is not there has no build")
	var builds []string
	for _, text := range []string{"one", "two"} {
		require.NoError(t, os.WriteFile(filepath.Join(b.bin, q.program), []byte(text), 0o644))
		build, err := b.buildOf(q)
		require.NoError(t, err)
		builds = append(builds, build)
	}
	assert.NotEqual(t, builds[0], builds[1])
}

func TestKillsOfOtherFilesAreNotTaken(t *testing.T) {
	var out bytes.Buffer
	b := &bench{say: &out, out: t.TempDir(), bin: t.TempDir(), recorded: true}
	chosen, err := choose([]string{"aws-v1"})
	require.NoError(t, err)
	q := chosen[0]
	s, err := b.one(t.Context(), q, 128*mib)
	require.NoError(t, err)
	require.NotNil(t, s)
	assert.True(t, s.killed())
	q.size *= 2
	s, err = b.one(t.Context(), q, 128*mib)
	require.NoError(t, err)
	assert.Nil(t, s)
	assert.Contains(t, out.String(), "of other files")
}

func TestAnAnswerOfAnotherBuildMissesTheFigure(t *testing.T) {
	row := func(s score) figure { return figures([]score{s})[1] }
	assert.True(t, row(score{Asks: workers, Answer: 2}).met)
	assert.False(t, row(score{Asks: workers, Answer: 2, other: true}).met)
}

func TestDeathsAreHeldToEachAnswer(t *testing.T) {
	s := score{Asks: files, Answer: 900, Tried: []soak.Tried{{Value: 1000}, {Value: 950}, {Value: 1100}}}
	s.settle()
	assert.EqualValues(t, 950, s.Truth)
	assert.False(t, s.unsafe())
	s.Answer = 960
	s.settle()
	assert.True(t, s.unsafe(), "one of three was dead by then")
}
