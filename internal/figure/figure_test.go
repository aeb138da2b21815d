package figure

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAFigureIsJudgedByItsInterval(t *testing.T) {
	assert.Equal(t, Met, Interval{Median: 0.01, Lo: -0.01, Hi: 0.02}.AtMost(0.02))
	assert.Equal(t, Untold, Interval{Median: 0.01, Lo: -0.01, Hi: 0.03}.AtMost(0.02), "the limit is within it")
	assert.Equal(t, Missed, Interval{Median: 0.04, Lo: 0.021, Hi: 0.06}.AtMost(0.02))
	assert.Equal(t, Met, Interval{Median: 1, Lo: 0.9, Hi: 1.1}.AtLeast(0.9))
	assert.Equal(t, Untold, Interval{Median: 1, Lo: 0.8, Hi: 1.1}.AtLeast(0.9))
	assert.Equal(t, Missed, Interval{Median: 0.7, Lo: 0.6, Hi: 0.89}.AtLeast(0.9))
	var none Verdict
	assert.Equal(t, Untold, none, "no data passes nothing")
}

func TestAnIntervalNeedsEnoughValues(t *testing.T) {
	v := []float64{0.03, 0.01, 0.02}
	few := Summarize(v)
	assert.Equal(t, Untold, few.AtMost(0.10), "three values say next to nothing of a median")
	assert.Equal(t, Untold, few.AtLeast(0.01))
	assert.Equal(t, []float64{0.03, 0.01, 0.02}, v, "the values are the caller's")
	six := Summarize([]float64{0.05, 0.03, 0.01, 0.02, 0.04, 0.06})
	assert.InDeltaSlice(t, []float64{0.035, 0.01, 0.06}, []float64{six.Median, six.Lo, six.Hi}, 1e-9)

	var many []float64
	for i := range 41 {
		many = append(many, float64(i)/1000)
	}
	got := Summarize(many)
	assert.InDelta(t, 0.020, got.Median, 1e-9)
	assert.InDelta(t, 0.013, got.Lo, 0.0015)
	assert.InDelta(t, 0.027, got.Hi, 0.0015)
}

func TestHistoryShowsWhatBecameWorse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.json")
	h, err := ReadHistory(path)
	require.NoError(t, err, "there is none yet")
	old := []float64{1.00, 1.02, 1.01, 1.03, 0.99, 1.04}
	entry := func(bench string, processors int, v []float64) Entry {
		return Entry{Benchmark: bench, Processors: processors, Revision: "r", Figures: []Ratio{{"cpu", v}}}
	}
	require.NoError(t, h.Add(path, entry("m", 2, old)))
	require.NoError(t, h.Add(path, entry("m", 8, []float64{9, 9, 9, 9, 9, 9})))
	h, err = ReadHistory(path)
	require.NoError(t, err)
	require.Len(t, h.Entries, 2)
	compare := func(e Entry) Change { return h.Compare(e)[0] }

	worse := compare(entry("m", 2, []float64{1.20, 1.22, 1.21, 1.23, 1.19, 1.24}))
	assert.True(t, worse.Worse(), worse)
	assert.Contains(t, worse.String(), "+19.7 % (p=0.002")
	assert.Contains(t, worse.String(), "WORSE")
	assert.False(t, compare(entry("m", 2, []float64{0.8, 0.82, 0.81, 0.83, 0.79, 0.84})).Worse(), "better")
	assert.True(t, compare(entry("m", 2, []float64{0.8, 0.82, 0.81, 0.83, 0.79, 0.84})).Differs())
	same := compare(entry("m", 2, []float64{1.01, 1.03, 1.00, 1.05, 0.98, 1.02}))
	assert.False(t, same.Differs(), same)
	assert.Contains(t, same.String(), "~")
	assert.False(t, compare(entry("m", 4, []float64{5, 5, 5, 5, 5, 5})).Worse(), "of so many processors there is none")
	assert.Equal(t, "cpu: new", compare(entry("x", 2, old)).String())

	require.NoError(t, os.WriteFile(path, []byte("{"), 0o644))
	_, err = ReadHistory(path)
	require.ErrorContains(t, err, path)
}
