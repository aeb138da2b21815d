package capacity

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/record"
)

// peaked is a trial that peaked.
func peaked(workers int, peak int64, memlimit int64) trialSize {
	t := sound(workers, 48*mib)
	t.Peak, t.memlimit, t.Whole = record.Peak{Charged: peak}, memlimit, 48*mib
	return t
}

func TestWhatAPeakHadBeyondTheModelComesWithMoreWorkers(t *testing.T) {
	e, _ := sized(t, 36*mib)
	e.Trials = []trialSize{peaked(2, 400*mib, 0), peaked(4, 300*mib, 0), peaked(8, 5, 0)}
	m := e.PeakModel()
	plan := costs.Plan{Limit: 8 << 30, Files: 1000, LargestFile: 48 * mib}
	at := m.steps(plan, 16, 8<<30)
	var counts []int
	for i, s := range at {
		counts = append(counts, s.Workers)
		require.LessOrEqual(t, s.PI95[0], s.Peak)
		require.LessOrEqual(t, s.Peak, s.PI95[1])
		if i > 0 {
			require.GreaterOrEqual(t, s.Peak, at[i-1].Peak)
		}
	}
	require.Equal(t, []int{1, 2, 4, 8, 16, 17}, counts)
	require.EqualValues(t, 400*mib, at[1].Peak)
	require.EqualValues(t, 400*mib, at[1].Measured)
	model := m.Forecast(plan, 8)
	require.InDelta(t, model.Live*m.factor+model.outside+m.peaks[0].beyond, at[3].Peak, mib)
	require.LessOrEqual(t, at[3].PI95[0], int64(5), "eight workers had all of the work")
	require.Less(t, m.Step(plan, 2, 64*mib).Peak, int64(200*mib), "GOMEMLIMIT takes garbage away")
}

func TestAPeakAboveTheLimitHangsOnGOMEMLIMIT(t *testing.T) {
	e, _ := sized(t, 36*mib)
	plan := costs.Plan{Limit: 900 * mib, Files: 1000}
	for name, c := range map[string]struct {
		peak     trialSize
		without  bool
		atMost   int
		sentence string
	}{
		"none was set":         {peaked(8, 1000*mib, 0), true, 16, "without which 8 workers peaked at 1000.0 MiB"},
		"a larger one":         {peaked(8, 1000*mib, 2<<30), true, 16, "without which 8 workers peaked at 1000.0 MiB"},
		"below the limit":      {peaked(8, 800*mib, 0), false, 16, "GOMEMLIMIT=807MiB; how many more, this run"},
		"one as low was set":   {peaked(8, 1000*mib, 700*mib), false, 7, "Up to 7 workers"},
		"more than the answer": {peaked(30, 1000*mib, 0), false, 22, "Up to 22 workers"},
	} {
		e.Trials = []trialSize{c.peak}
		got := e.Capacity(e.PeakModel(), plan)
		assert.Equal(t, c.without, got.Without != nil, name)
		assert.LessOrEqual(t, got.MaxWorkers, c.atMost, name)
		assert.Positive(t, got.MaxWorkers, name)
		assert.Contains(t, got.Answer[0], c.sentence, name)
	}
}

func TestAKillThatTheModelMissesTakesLargerLimitsBack(t *testing.T) {
	e, _ := sized(t, 36*mib)
	for name, c := range map[string]struct {
		memlimit int64
		limit    int64
		workers  int
		says     string
	}{
		"though GOMEMLIMIT was low":  {400 * mib, 500 * mib, 4, "4 workers live in 195.8 MiB"},
		"GOMEMLIMIT was none":        {0, 500 * mib, 4, ""},
		"GOMEMLIMIT left no room":    {490 * mib, 500 * mib, 4, ""},
		"the model has it killed":    {100 * mib, 150 * mib, 4, ""},
		"of more than the answer is": {700 * mib, 2000 * mib, 40, ""},
	} {
		dead := killed(c.workers, c.limit)
		dead.memlimit = c.memlimit
		e.Trials = []trialSize{sound(8, 48*mib), dead}
		m := e.PeakModel()
		got := e.Capacity(m, costs.Plan{Limit: 3 << 30, Files: 2000})
		if c.says == "" {
			assert.Positive(t, got.MaxWorkers, name)
		} else {
			assert.Zero(t, got.MaxWorkers, name)
			assert.Contains(t, got.Answer[0], c.says, name)
			assert.Contains(t, got.Decides, "soak limit", name)
		}
		require.EqualValues(t, c.limit, m.peaks[slices.IndexFunc(m.peaks, func(s seenPeak) bool {
			return s.workers == c.workers
		})].charged, "a kill is a peak")
	}
}

func TestNoAnswerIsForLessThanWasSeen(t *testing.T) {
	e, m := sized(t, 36*mib)
	plan := costs.Plan{Limit: 900 * mib, Files: 1000, LargestFile: 48 * mib}
	require.Greater(t, m.largest(plan, 100), 20)
	for name, c := range map[string]struct {
		seen seenState
		most int
	}{
		"after collections":      {seenState{Workers: 6, Inside: 890 * mib, Outside: 20 * mib}, 5},
		"outside the heap":       {seenState{Workers: 6, Outside: 800 * mib}, 5},
		"with more files":        {seenState{Workers: 6, Inside: 950 * mib, work: work{Files: 2000}}, 22},
		"with a larger file":     {seenState{Workers: 6, Inside: 950 * mib, work: work{Largest: 64 * mib}}, 22},
		"by more workers":        {seenState{Workers: 40, Inside: 950 * mib}, 22},
		"less than the model is": {seenState{Workers: 6, Inside: 50 * mib, Outside: mib}, 22},
	} {
		e.States = []seenState{c.seen}
		assert.Equal(t, c.most, e.PeakModel().largest(plan, 100), name)
	}
	leak := e.PeakModel()
	leak.States = []seenState{{Workers: 6, Inside: 950 * mib, work: work{Files: 2000}}}
	leak.costs = []record.Cost{{Class: record.Leak, Per: "file", Bytes: 4 << 10, CI95: [2]float64{4 << 10, 4 << 10}}}
	require.EqualValues(t, 1999, leak.fits(plan, grounds{seen: 8}).Files)
}

func TestASettingThatBoundsNothingSaysAsMuchOfFewerWorkers(t *testing.T) {
	n := &series.Snapshot{}
	n.Process, n.Covariates = &record.Process{OtherAnon: mib}, &record.Covariates{InFlight: 1200}
	require.Equal(t, 1, seen(n, 3, work{}, 0).Workers)
	require.Equal(t, 1200, seen(n, 0, work{}, 0).Workers)
	require.Equal(t, 2000, seen(n, 2000, work{}, 0).Workers)
	require.EqualValues(t, 2*mib, seen(n, 3, work{}, mib).Outside)
}
