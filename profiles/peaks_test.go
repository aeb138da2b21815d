package profiles

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

// keepsToMeasurements checks that no prediction of a trial's own settings and work is below its memory.
func keepsToMeasurements(t *testing.T, s *Series, v *record.Verdict) {
	e := &evidenceOfRun{}
	e.collect(s, v)
	m := e.peakModel()
	if m == nil {
		return
	}
	for _, x := range m.states {
		f := m.forecast(Plan{Files: x.files, LargestFile: x.largest}, max(1, x.workers))
		_, high := f.needs()
		assert.GreaterOrEqual(t, high, x.inside+x.outside, "%d files, the largest of %d B", x.files, x.largest)
		assert.GreaterOrEqual(t, high, f.live+x.outside, "%d files, the largest of %d B", x.files, x.largest)
	}
	x, n := e.trials[0], max(1, e.trials[0].workers)
	peak := x.peak.Bytes()
	for more, own := range []record.CapacityStep{
		m.step(Plan{Limit: tib, Files: x.files, LargestFile: x.held}, n, tib),
		m.step(Plan{Limit: tib, Files: 2 * x.files, LargestFile: x.held}, 3*n, tib),
	} {
		assert.GreaterOrEqual(t, own.Peak, peak)
		assert.GreaterOrEqual(t, own.PI95[1], own.Peak)
		assert.GreaterOrEqual(t, own.Peak, own.PI95[0])
		assert.Equal(t, more == 0, own.Measured == peak)
	}
	whole := m.step(Plan{Limit: tib, Files: x.files, LargestFile: x.whole}, n, tib)
	assert.LessOrEqual(t, whole.PI95[0], peak)
}

const tib = 1 << 40

// peaked is a trial that peaked.
func peaked(workers int, peak int64, memlimit int64) trialSize {
	t := sound(workers, 48*mib)
	t.peak, t.memlimit, t.whole = record.Peak{Charged: peak}, memlimit, 48*mib
	return t
}

func TestWhatAPeakHadBeyondTheModelComesWithMoreWorkers(t *testing.T) {
	e, _ := sized(t, 36*mib)
	e.trials = []trialSize{peaked(2, 400*mib, 0), peaked(4, 300*mib, 0), peaked(8, 5, 0)}
	m := e.peakModel()
	plan := Plan{Limit: 8 << 30, Files: 1000, LargestFile: 48 * mib}
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
	model := m.forecast(plan, 8)
	require.InDelta(t, model.live*m.factor+model.outside+m.peaks[0].beyond, at[3].Peak, mib)
	require.LessOrEqual(t, at[3].PI95[0], int64(5), "eight workers had all of the work")
	require.Less(t, m.step(plan, 2, 64*mib).Peak, int64(200*mib), "GOMEMLIMIT takes garbage away")
}

func TestAPeakAboveTheLimitHangsOnGOMEMLIMIT(t *testing.T) {
	e, _ := sized(t, 36*mib)
	plan := Plan{Limit: 900 * mib, Files: 1000}
	for name, c := range map[string]struct {
		peak     trialSize
		without  bool
		atMost   int
		sentence string
	}{
		"none was set":         {peaked(8, 1000*mib, 0), true, 16, "without which 8 workers peaked at 1000.0 MiB"},
		"a larger one":         {peaked(8, 1000*mib, 2<<30), true, 16, "without which 8 workers peaked at 1000.0 MiB"},
		"below the limit":      {peaked(8, 800*mib, 0), false, 16, "GOMEMLIMIT=807MiB; more were not tried"},
		"one as low was set":   {peaked(8, 1000*mib, 700*mib), false, 7, "Up to 7 workers"},
		"more than the answer": {peaked(30, 1000*mib, 0), false, 22, "Up to 22 workers"},
	} {
		e.trials = []trialSize{c.peak}
		got := e.capacity(e.peakModel(), plan)
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
		e.trials = []trialSize{sound(8, 48*mib), dead}
		m := e.peakModel()
		got := e.capacity(m, Plan{Limit: 3 << 30, Files: 2000})
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
	plan := Plan{Limit: 900 * mib, Files: 1000, LargestFile: 48 * mib}
	require.Greater(t, m.largest(plan, 100), 20)
	for name, c := range map[string]struct {
		seen seenState
		most int
	}{
		"after collections":      {seenState{workers: 6, inside: 890 * mib, outside: 20 * mib}, 5},
		"outside the heap":       {seenState{workers: 6, outside: 800 * mib}, 5},
		"with more files":        {seenState{workers: 6, inside: 950 * mib, work: work{files: 2000}}, 22},
		"with a larger file":     {seenState{workers: 6, inside: 950 * mib, work: work{largest: 64 * mib}}, 22},
		"by more workers":        {seenState{workers: 40, inside: 950 * mib}, 22},
		"less than the model is": {seenState{workers: 6, inside: 50 * mib, outside: mib}, 22},
	} {
		e.states = []seenState{c.seen}
		assert.Equal(t, c.most, e.peakModel().largest(plan, 100), name)
	}
	leak := e.peakModel()
	leak.states = []seenState{{workers: 6, inside: 950 * mib, work: work{files: 2000}}}
	leak.costs = []record.Cost{{Class: record.Leak, Per: "file", Bytes: 4 << 10, CI95: [2]float64{4 << 10, 4 << 10}}}
	require.EqualValues(t, 1999, leak.fits(plan, grounds{seen: 8}).Files)
}

func TestASettingThatBoundsNothingSaysAsMuchOfFewerWorkers(t *testing.T) {
	n := &Snapshot{}
	n.Process, n.Covariates = &record.Process{OtherAnon: mib}, &record.Covariates{InFlight: 1200}
	require.Equal(t, 1, n.seen(3, work{}, 0).workers)
	require.Equal(t, 1200, n.seen(0, work{}, 0).workers)
	require.Equal(t, 2000, n.seen(2000, work{}, 0).workers)
	require.EqualValues(t, 2*mib, n.seen(3, work{}, mib).outside)
}
