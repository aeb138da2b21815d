package capacity

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/capture"
	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/linear"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/record"
)

func TestWhatComesWithFilesBesideTheHeapFillsALimitToo(t *testing.T) {
	fit := func(outside float64) *record.Fit {
		e, _ := sized(t, 36*mib)
		e.Trials[0].costs = []record.Cost{{Class: record.Leak, Per: "file", Bytes: 4 << 10,
			CI95: [2]float64{4 << 10, 4 << 10}}}
		for i := range e.Rows {
			o := &e.Rows[i]
			o.Cov.FilesDone = int64(500 * i)
			o.Live += 4 << 10 * float64(o.Cov.FilesDone)
			o.Outside = 5*mib + outside*float64(o.Cov.FilesDone)
		}
		return e.PeakModel().fits(costs.Plan{Limit: 900 * mib, LargestFile: 48 * mib}, grounds{seen: 8})
	}
	heap, all := fit(0), fit(2<<10)
	require.InEpsilon(t, 4<<10, heap.PerFile, 0.02)
	require.InEpsilon(t, 6<<10, all.PerFile, 0.02)
	require.InEpsilon(t, heap.Files*4/6, all.Files, 0.05)
}

// TestAnArrayNeedsItsCopyBesideIt has growth in a slice, of which append leaves the old array until the new one is full
// of it.
func TestAnArrayNeedsItsCopyBesideIt(t *testing.T) {
	plan := costs.Plan{Limit: 900 * mib, LargestFile: 48 * mib, Files: 50_000}
	fit := func(copied bool) (*record.Fit, float64) {
		e, _ := sized(t, 36*mib)
		e.Trials[0].costs = []record.Cost{{Class: record.Leak, Per: "file", Bytes: 4 << 10,
			CI95: [2]float64{4 << 10, 4 << 10}, Copied: copied}}
		for i := range e.Rows {
			o := &e.Rows[i]
			o.Cov.FilesDone = int64(500 * i)
			o.Live += 4 << 10 * float64(o.Cov.FilesDone)
		}
		m := e.PeakModel()
		_, high := m.Forecast(plan, 1).Needs()
		return m.fits(plan, grounds{seen: 8}), high
	}
	list, need := fit(false)
	slice, most := fit(true)
	require.InEpsilon(t, list.Files/2, slice.Files, 0.05)
	require.InDelta(t, need+50_000*4<<10, most, 0.05*need)
}

// never are floors of a subject that keeps 8 KiB of each file, of which it writes one part in four, and readings that
// are no sign of such memory.
var never = map[string]struct {
	change func(o *linear.Observation)
	want   float64
}{
	"never written": {func(*linear.Observation) {}, 0.75},
	"free pages that go away": {func(o *linear.Observation) {
		o.Unwritten = max(0, o.Unwritten/4-float64(o.Cov.FilesDone)) // by the slope alone there would be some
	}, 0.12},
	"there from the start": {func(o *linear.Observation) { o.Unwritten = 64 * mib }, 0},
	"all has pages":        {func(o *linear.Observation) { o.Unwritten = 0 }, 0},
}

// leaking is evidence of a row of so many bytes a file, with twelve floors that are a thousand files apart.
func leaking(t *testing.T, each float64, change func(o *linear.Observation)) *Evidence {
	e, _ := sized(t, 36*mib)
	e.Trials[0].costs = []record.Cost{{Class: record.Leak, Per: "file", Bytes: each, CI95: [2]float64{each, each}}}
	at := e.Rows[0]
	for _, o := range e.Rows {
		if !o.Held {
			at = o
		}
	}
	for i := range 12 {
		o := at
		o.Cov.FilesDone = int64(1000 * i)
		o.Live += each * float64(o.Cov.FilesDone)
		change(&o)
		e.Rows = append(e.Rows, o)
	}
	return e
}

func TestWhatIsKeptAndNeverWrittenMakesALowerBound(t *testing.T) {
	for name, s := range never {
		m := leaking(t, 8<<10, func(o *linear.Observation) {
			o.Unwritten = 0.75 * 8 << 10 * float64(o.Cov.FilesDone)
			s.change(o)
		}).PeakModel()
		require.InDelta(t, s.want, m.bare, 0.1, name)
		fit := m.fits(costs.Plan{Limit: 900 * mib, LargestFile: 48 * mib}, grounds{seen: 8})
		require.Equal(t, m.bare >= threshold.BareShare, fit.AtLeast, name)
		require.Equal(t, fit.AtLeast, len(fit.Range) == 1, name)
		require.LessOrEqual(t, fit.Files*8192, 900.0*mib, "memory that may be written counts: %s", name)
	}
}

// TestLateGrowthIsWhatCounts has growth beside a leak that is half of it a warm-up, and a dip that is no growth.
func TestLateGrowthIsWhatCounts(t *testing.T) {
	const end = 11_000
	each := func(outside func(files float64) float64) float64 {
		return leaking(t, 4<<10, func(o *linear.Observation) {
			o.Outside = 5*mib + outside(float64(o.Cov.FilesDone))
		}).PeakModel().beside()
	}
	require.InDelta(t, 160, each(func(n float64) float64 { return 160 * n }), 16)
	require.InDelta(t, 100, each(func(n float64) float64 { return 160*min(n, end/3) + 100*max(0, n-end/3) }), 15,
		"what the second half adds")
	require.Less(t, each(func(n float64) float64 {
		if n < end/2 {
			return 0
		}
		return -50 * (end - n)
	}), 10.0, "what a dip gives back")
}

// fitOf is what fits in 900 MiB beside one worker.
func fitOf(e *Evidence) *record.Fit {
	return e.PeakModel().fits(costs.Plan{Limit: 900 * mib, LargestFile: 48 * mib, Workers: 1}, grounds{seen: 8})
}

// TestTooFewFilesToSeeGrowthBesideTheHeap has 1.2 MiB that a thousand files may have brought, or warm-ups.
func TestTooFewFilesToSeeGrowthBesideTheHeap(t *testing.T) {
	after := func(files float64) *record.Fit {
		e := leaking(t, 4<<10, func(o *linear.Observation) {
			o.Outside = 5*mib + 1200*float64(o.Cov.FilesDone)*files/11_000
		})
		for i := range e.Rows {
			n := &e.Rows[i]
			n.Live -= n.Growth.Live
			done := int64(float64(n.Cov.FilesDone) * files / 11_000)
			n.Live -= 4 << 10 * float64(n.Cov.FilesDone-done)
			n.Cov.FilesDone = done
		}
		return fitOf(e)
	}
	require.LessOrEqual(t, after(1100).Files*(4<<10+1200), 900.0*mib, "as much may go on growing")
	require.InEpsilon(t, 850.0*mib/(4<<10+1200), after(11_000).Files, 0.1)
}

func TestGrowthThatBecomesFasterIsTakenByItsEnd(t *testing.T) {
	const each, last = 4 << 10, 11_000
	for _, from := range []int64{5500, 8250, 9625, 10_400} {
		outside := func(o *linear.Observation) { o.Outside = 5*mib + 6000*float64(max(0, o.Cov.FilesDone-from)) }
		e := leaking(t, each, outside)
		at := e.Rows[len(e.Rows)-1]
		for done := from; done <= last; done += 250 {
			o := at
			o.Cov.FilesDone = done
			o.Live -= each * float64(last-done)
			outside(&o)
			e.Rows = append(e.Rows, o)
		}
		fit := fitOf(e)
		require.LessOrEqual(t, fit.Files*(each+6000), 1.1*(900*mib+float64(from)*6000), "from %d on", from)
	}
}

func TestAnIntervalWithoutAnUpperEndHasNone(t *testing.T) {
	e := leaking(t, 4<<10, func(*linear.Observation) {})
	e.Trials[0].costs[0].CI95 = [2]float64{0, 8 << 10}
	require.Len(t, fitOf(e).Range, 1)
}

func TestTrialsThatDifferInGrowthLeaveItOpenByAsMuch(t *testing.T) {
	one := leaking(t, 4<<10, func(*linear.Observation) {})
	two := leaking(t, 4<<10, func(*linear.Observation) {})
	for i := range 6 { // the other had few
		n := two.Rows[len(two.Rows)-12]
		n.Trial, n.Cov.FilesDone = 1, int64(200*i)
		n.Live += 8 << 10 * float64(n.Cov.FilesDone)
		two.Rows = append(two.Rows, n)
	}
	other := two.Trials[0]
	other.costs = []record.Cost{{Class: record.Leak, Per: "file", Bytes: 8 << 10, CI95: [2]float64{8 << 10, 8 << 10}}}
	two.Trials = append(two.Trials, other)
	require.LessOrEqual(t, fitOf(two).Files*(8<<10), 900.0*mib, "one of them has twice as much")
	require.Zero(t, two.PeakModel().grown, "the states of both together say nothing of either")
	require.InEpsilon(t, 850.0*mib/(4<<10), fitOf(one).Files, 0.1)
}

func TestWhatFineSamplingCostsIsRoomForFilesAlone(t *testing.T) {
	m := leaking(t, 4<<10, func(o *linear.Observation) { o.Outside = 5 * mib }).PeakModel()
	need := func(files int64) float64 {
		mid, _ := m.Forecast(costs.Plan{Files: files, LargestFile: mib}, 4).Needs()
		return mid
	}
	rest, many := need(0), need(1<<20)
	sampled := func(stacks int) series.Sampling {
		return series.Sampling{Files: 1, Stacks: slices.Repeat([]series.SampledStack{{Record: 300, Before: 4096}}, stacks)}
	}
	m.sampling = []series.Sampling{sampled(400), sampled(2000)}
	require.InDelta(t, rest, need(0), 1, "where nothing has gathered it is a margin")
	require.InDelta(t, many-m.sampling[0].Beyond(1<<20), need(1<<20), 1, "the least of the trials'")
	require.Positive(t, m.sampling[0].Beyond(1<<20))
	for last, files := rest, int64(1); files < 1000; files += 7 {
		require.GreaterOrEqual(t, need(files), last, "files never make room")
		last = need(files)
	}
	m.sampling = append(m.sampling, series.Sampling{})
	require.InDelta(t, many, need(1<<20), 1, "a trial at the subject's own rate")
}

// TestAFineTrialLeavesWhatItsSamplingCosts goes from profiles to what a plan takes for granted.
func TestAFineTrialLeavesWhatItsSamplingCosts(t *testing.T) {
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "inuse_objects"}, {Type: "inuse_space"},
		{Type: "alloc_space"}}, PeriodType: &profile.ValueType{Type: "space", Unit: "bytes"}, Period: 4096}
	for i := range 1000 {
		f := &profile.Function{ID: uint64(i + 1), Name: "main.f", Filename: "main.go"}
		l := &profile.Location{ID: f.ID, Address: f.ID, Line: []profile.Line{{Function: f, Line: int64(i)}}}
		p.Function, p.Location = append(p.Function, f), append(p.Location, l)
		p.Sample = append(p.Sample, &profile.Sample{Location: []*profile.Location{l}, Value: []int64{1, 4096, 4096}})
	}
	s := series.New(&record.Trial{SampleRate: 4096, Outcome: record.OK}, "")
	for range 2 {
		n := &series.Snapshot{Snapshot: record.Snapshot{State: record.StateFloor}}
		require.NoError(t, s.AddHeap(n, &capture.Capture{Profile: p}))
		s.Snaps = append(s.Snaps, n)
	}
	s.Finish()
	e := leaking(t, 4<<10, func(o *linear.Observation) { o.Outside = 5 * mib })
	trial := e.Trials[0]
	e.Collect(s, &record.Verdict{Outcome: record.OK})
	trial.sampling = e.Trials[len(e.Trials)-1].sampling
	require.Len(t, trial.sampling.Stacks, 1000)
	e.Trials = []trialSize{trial}
	require.Contains(t, strings.Join(e.Capacity(e.PeakModel(), costs.Plan{Limit: 900 * mib, Files: 1000}).Assumes, "\n"),
		"of the trials' fine sampling")
}

func TestKillsRefuteFilesToo(t *testing.T) {
	for name, files := range map[string]int64{"before any file": 0, "after few": 164} {
		e := leaking(t, 4<<10, func(*linear.Observation) {})
		dead := killed(4, 500*mib)
		dead.Files, dead.memlimit = files, 400*mib // which garbage explains no more
		e.Trials = append(e.Trials, dead)
		for _, limit := range []int64{500 * mib, 501 * mib, 900 * mib} {
			c := e.capacity(e.PeakModel(), costs.Plan{Limit: limit, LargestFile: 16 * mib, Files: 1_000_000})
			require.Nil(t, c.Fits, "%s, %d", name, limit)
		}
	}
}

func TestWhereTheLimitHasRoomForFilesOrWorkersBothGetSome(t *testing.T) {
	e := leaking(t, 4<<10, func(*linear.Observation) {})
	m, last := e.PeakModel(), 0.0
	for limit := int64(100 * mib); limit < 600*mib; limit += 10 * mib {
		p := costs.Plan{Limit: limit, LargestFile: 48 * mib}
		fit := m.fits(p, grounds{seen: 8})
		one := m.mostFiles(p, 1)
		require.GreaterOrEqual(t, fit.Files, 0.49*one, "%d", limit)
		require.GreaterOrEqual(t, fit.Files, last/2.1)
		require.Positive(t, fit.GOMEMLIMIT)
		last = fit.Files
		p.Workers = 2
		if asked := m.fits(p, grounds{seen: 8}); asked != nil {
			require.LessOrEqual(t, asked.Workers, 2)
		}
	}
}
