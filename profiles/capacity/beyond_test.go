package capacity

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/linear"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/record"
)

// service are the states of a service with a cache that fills, a warm-up outside the heap, 26 KiB on the heap and
// 10 KiB of stacks for each request in flight.
func service() *Evidence {
	e := &Evidence{}
	done, most := int64(0), int64(0)
	for _, inFlight := range []int64{0, 0, 0, 0, 8, 0, 16, 0, 16, 0, 116, 0, 416, 0, 1016, 0, 0, 0, 0, 0, 0} {
		done += max(100, inFlight)
		most = max(most, inFlight)
		e.Rows = append(e.Rows, linear.Observation{Cell: "c", Held: inFlight > 0, MostInFlight: most,
			Live:    float64(2600*min(done, 2000) + 26<<10*inFlight),
			Arenas:  float64(mib + 10<<10*inFlight),
			Outside: float64(2*mib + 1500*min(done, 900)),
			Cov: record.Covariates{InFlight: inFlight, ConnsOpen: 2 * inFlight, FilesDone: done,
				Distinct: done}})
	}
	e.Trials = []trialSize{sound(1016, 0)}
	return e
}

// ring are readings of a service that keeps the last 3,000 keys, at 849 requests and more: requests in flight and done,
// keys, and KiB of live heap, beside it in the arenas, and outside. Twice as many in flight were killed at 66 MiB.
var ring = [][6]int64{
	{0, 40, 40, 247, 1087, 2628}, {0, 240, 240, 625, 1442, 3088}, {0, 440, 440, 951, 1504, 3196},
	{0, 640, 640, 1294, 1597, 3356}, {0, 840, 840, 1628, 1383, 3444}, {0, 843, 843, 1632, 1381, 3480},
	{0, 846, 846, 1628, 1388, 3504}, {0, 849, 849, 1627, 1383, 3528}, {8, 849, 857, 1828, 1464, 3584},
	{0, 857, 857, 1644, 1373, 3576}, {16, 857, 873, 2075, 1632, 3676}, {0, 873, 873, 1681, 1415, 3612},
	{16, 873, 889, 2066, 1634, 3724}, {0, 889, 889, 1694, 1418, 3660}, {116, 889, 1005, 4731, 3314, 4480},
	{0, 1005, 1005, 2098, 1887, 3940}, {416, 1005, 1421, 13276, 9658, 6896}, {0, 1421, 1421, 3440, 2641, 4888},
	{1016, 1421, 2437, 29421, 22529, 11552}, {0, 2437, 2437, 6382, 3695, 6356}, {0, 2469, 2469, 6313, 2542, 6384},
	{0, 2565, 2565, 6497, 2030, 6396}, {0, 2665, 2565, 6647, 1947, 6404}, {0, 2825, 2625, 6895, 1980, 6408},
	{0, 2825, 2625, 6887, 1956, 6412}, {0, 2825, 2625, 6891, 1964, 6420}, {0, 3025, 2825, 7189, 2046, 6436},
	{0, 3425, 3225, 7168, 2016, 6456}, {0, 3825, 3425, 7141, 2000, 6456}, {0, 4625, 4225, 7132, 2055, 6480},
	{0, 5225, 4625, 7108, 1804, 6524},
}

func TestACacheThatFillsHidesNoRequestsInFlight(t *testing.T) {
	e := &Evidence{Trials: []trialSize{sound(1016, 0)}}
	most := int64(0)
	for _, r := range ring {
		most = max(most, r[0])
		e.Rows = append(e.Rows, linear.Observation{Held: r[0] > 0, MostInFlight: most, Live: float64(r[3] << 10),
			Arenas: float64(r[4] << 10), Outside: float64(r[5] << 10),
			Cov: record.Covariates{InFlight: r[0], ConnsOpen: 2 * r[0], FilesDone: r[1], Distinct: r[2]}})
	}
	mid, _ := e.PeakModel().Forecast(costs.Plan{Files: 1_000_000}, 2032).Needs()
	assert.InEpsilon(t, 11*mib+2*53*mib, mid, 0.1)
	_, high := e.PeakModel().Forecast(costs.Plan{Files: 1_000_000}, 900).Needs()
	assert.Less(t, high, float64(66*mib))
}

func TestConnectionsOfTheTableAreNotDroppedByTheFit(t *testing.T) {
	_, m := sized(t, 0)
	m.costs = []record.Cost{{Class: record.BufferPool, Per: "connection", Bytes: 11 << 10, Bounded: true}}
	assert.InDelta(t, 10*mib+2*2000*11<<10, m.Forecast(costs.Plan{}, 2000).Live, mib)
}

func TestGrowthThatFlattensIsExtrapolatedByWhatIsLeftOfIt(t *testing.T) {
	e := service()
	e.Trials[0].costs = []record.Cost{{Class: record.Leak, Per: "file", Bytes: 100, CI95: [2]float64{100, 100}}}
	for i := range e.Rows {
		e.Rows[i].Live += 100 * float64(e.Rows[i].Cov.FilesDone)
	}
	f := e.PeakModel().Forecast(costs.Plan{Files: 1_000_000}, 1)
	assert.Less(t, f.outside, float64(8*mib), "1,500 B of each of the first 900 requests")
	assert.InEpsilon(t, 100e6, f.Live, 0.1)
	for i := range e.Rows {
		e.Rows[i].Outside = 2*mib + 1500*float64(e.Rows[i].Cov.FilesDone)
	}
	f = e.PeakModel().Forecast(costs.Plan{Files: 1_000_000}, 1)
	assert.InEpsilon(t, 1.5e9, f.outside, 0.1, "growth without an end")
}

func TestWhatStaysOfTheMostInFlightComesWithThemNotWithTheWork(t *testing.T) {
	e := service()
	e.Trials[0].costs = []record.Cost{{Class: record.Leak, Per: "file", Bytes: 100, CI95: [2]float64{100, 100}}}
	for i := range e.Rows {
		o := &e.Rows[i]
		o.Live, o.Outside = o.Live+100*float64(o.Cov.FilesDone), float64(2*mib+5<<10*o.MostInFlight)
	}
	m := e.PeakModel()
	assert.InEpsilon(t, 2*mib, m.Forecast(costs.Plan{Files: 1_000_000}, 1).outside, 0.1)
	assert.InEpsilon(t, 2*mib+2032*5<<10, m.Forecast(costs.Plan{Files: 1_000_000}, 2032).outside, 0.1)
}

// TestMoreThanTheLeakBesideTheHeapIsAWarmUp: next to nothing leaks, and what the readings outside the heap wander by
// would be 60 MB of a million files.
func TestMoreThanTheLeakBesideTheHeapIsAWarmUp(t *testing.T) {
	e := service()
	for files := int64(6000); files <= 14000; files += 1000 {
		e.Rows = append(e.Rows, linear.Observation{Cell: "c", MostInFlight: 1016, Live: 2600 * 2000, Arenas: mib,
			Outside: 2*mib + 1500*900, Cov: record.Covariates{FilesDone: files, Distinct: files}})
	}
	outside := func(leak float64) float64 {
		e.Trials[0].costs = []record.Cost{{Class: record.Leak, Per: "file", Bytes: leak, CI95: [2]float64{leak, leak}}}
		return e.PeakModel().Forecast(costs.Plan{Files: 1_000_000}, 1).outside
	}
	for i := range e.Rows {
		e.Rows[i].Outside += 60 * float64(e.Rows[i].Cov.FilesDone)
	}
	assert.Less(t, outside(3), float64(8*mib))
	assert.Contains(t, strings.Join(e.PeakModel().warmUps(), "\n"), "60 B each", "an answer says what it leaves out")
	assert.Greater(t, outside(80), 50e6, "it may be of the leak")
}

func TestSlowGrowthBesideALeakIsExtrapolatedAsMeasuredLate(t *testing.T) {
	e := service()
	e.Trials[0].costs = []record.Cost{{Class: record.Leak, Per: "file", Bytes: 27, CI95: [2]float64{27, 27}}}
	for files := int64(6000); files <= 42000; files += 4000 {
		e.Rows = append(e.Rows, linear.Observation{Cell: "c", MostInFlight: 1016, Live: 2600 * 2000, Arenas: mib,
			Outside: 2*mib + 1500*900, Cov: record.Covariates{FilesDone: files, Distinct: files}})
	}
	for i := range e.Rows {
		o := &e.Rows[i]
		o.Live, o.Outside = o.Live+27*float64(o.Cov.FilesDone), o.Outside+10*float64(o.Cov.FilesDone)
	}
	f := e.PeakModel().Forecast(costs.Plan{Files: 10_000_000}, 1)
	assert.InEpsilon(t, 270e6, f.Live, 0.1)
	assert.InEpsilon(t, 100e6, f.outside, 0.2, "10 B are too few for a term beside 10 KiB of each request in flight")
}

// states are the states of a trial that quiesced with 10 MiB and then had so many transfers of a size that brought each
// so much.
func states(size int64, counts []int64, each int64) []seenState {
	var out []seenState
	var last seenState
	at := func(state record.State, inFlight, bytes int64) {
		n := &series.Snapshot{Live: series.Amount{Bytes: float64(bytes)}}
		n.State, n.ForcedGC, n.Profiled = state, 2, true
		n.Process, n.Runtime = &record.Process{HeapArena: bytes}, &record.Runtime{}
		n.Covariates = &record.Covariates{InFlight: inFlight, BytesInFlight: inFlight * size}
		last = seen(n, 0, work{}, 0).after(last, n)
		out = append(out, last)
	}
	for _, n := range counts {
		at(record.StateFloor, 0, 10*mib)
		at(record.StateReply, n, 10*mib+n*each)
	}
	return out
}

func TestMoreThanWereTriedNeedMoreThanWasMeasured(t *testing.T) {
	e, _ := sized(t, 0)
	small, large := states(0, []int64{16, 1000}, 50<<10), states(4*mib, []int64{16}, 8*mib)
	plan := costs.Plan{Limit: 8 << 30, LargestFile: 4 * mib}
	for name, c := range map[string]struct {
		states []seenState
		n      int
		least  float64
		most   float64
	}{
		"as many as were tried":  {small, 1000, 10*mib + 1000*50<<10, 80 * mib},
		"between those tried":    {small, 900, 10 * mib, 50 * mib},
		"twice as many":          {small, 2000, 0.95 * (10*mib + 2000*50<<10), 140 * mib},
		"twice as many are huge": {append(small, large...), 2000, 0.95 * 2000 * 8 * mib, 17 << 30},
	} {
		e.States = c.states
		mid, high := e.PeakModel().Forecast(plan, c.n).Needs()
		assert.GreaterOrEqual(t, mid, c.least, name)
		assert.LessOrEqual(t, high, c.most, name)
	}
	e.States, e.Trials = small, []trialSize{peaked(1000, 90*mib, 0)}
	plan.Files, plan.LargestFile = 1000, 48*mib
	s := e.PeakModel().Step(plan, 1500, 8<<30)
	require.GreaterOrEqual(t, s.Peak, int64(90*mib+0.95*500*50<<10), "a peak grows with the requests as well")
}

func TestATrialWithoutACountOfWorkIsNotSaidToBeIdle(t *testing.T) {
	s := &series.Series{Trial: &record.Trial{Kind: record.Passive, Outcome: record.OK}}
	s.Snaps = []*series.Snapshot{{Live: series.Amount{Bytes: mib}}}
	e := &Evidence{}
	e.Collect(s, &record.Verdict{})
	c := e.Capacity(nil, costs.Plan{Limit: 512 * mib})
	assert.Equal(t, "How many requests in flight fit in 512.0 MiB is not known: the trial was watched from outside, "+
		"where no work is counted", c.Answer[0])
}

func TestAServiceIsTriedOutByARunOfItsOwn(t *testing.T) {
	c := &record.Capacity{MaxWorkers: 40, Limit: 66 * mib, GOMEMLIMIT: 50 * mib, Words: record.Words{InFlight: true}}
	assert.Equal(t, "soak run --set concurrency=40 --set gomemlimit=50MiB --limit 66MiB --subject FILE", TryOut(c))
}
