package capacity

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/record"
)

// service are the states of a service with a cache that fills, a warm-up outside the heap, 26 KiB on the heap and 10 KiB
// of stacks for each request in flight.
func service() *Evidence {
	e := &Evidence{}
	done, most := int64(0), int64(0)
	for _, inFlight := range []int64{0, 0, 0, 0, 8, 0, 16, 0, 16, 0, 116, 0, 416, 0, 1016, 0, 0, 0, 0, 0, 0} {
		done += max(100, inFlight)
		most = max(most, inFlight)
		e.Rows = append(e.Rows, observation{cell: "c", held: inFlight > 0, mostInFlight: most,
			live:    float64(2600*min(done, 2000) + 26<<10*inFlight),
			arenas:  float64(mib + 10<<10*inFlight),
			outside: float64(2*mib + 1500*min(done, 900)),
			cov: record.Covariates{InFlight: inFlight, ConnsOpen: 2 * inFlight, FilesDone: done,
				Distinct: done}})
	}
	e.Trials = []trialSize{sound(1016, 0)}
	return e
}

func TestACacheThatFillsHidesNoRequestsInFlight(t *testing.T) {
	m := service().PeakModel()
	plan := costs.Plan{Files: 1_000_000}
	f := m.Forecast(plan, 2032)
	assert.InEpsilon(t, 5.2e6+2032*26<<10, f.Live, 0.1)
	assert.InEpsilon(t, mib+2032*10<<10, f.arenas, 0.1)
	assert.Less(t, f.outside, float64(8*mib), "the warm-up ends")
	assert.NotEmpty(t, m.live.dropped)
}

func TestGrowthThatFlattensIsExtrapolatedByWhatIsLeftOfIt(t *testing.T) {
	e := service()
	e.Trials[0].costs = []record.Cost{{Class: record.Leak, Per: "file", Bytes: 100, CI95: [2]float64{100, 100}}}
	for i := range e.Rows {
		e.Rows[i].live += 100 * float64(e.Rows[i].cov.FilesDone)
	}
	f := e.PeakModel().Forecast(costs.Plan{Files: 1_000_000}, 1)
	assert.Less(t, f.outside, float64(8*mib), "1,500 B of each of the first 900 requests")
	assert.InEpsilon(t, 100e6, f.Live, 0.1)
	for i := range e.Rows {
		e.Rows[i].outside = 2*mib + 1500*float64(e.Rows[i].cov.FilesDone)
	}
	f = e.PeakModel().Forecast(costs.Plan{Files: 1_000_000}, 1)
	assert.InEpsilon(t, 1.5e9, f.outside, 0.1, "growth without an end")
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
	assert.Equal(t, "How many requests in flight fit in 512.0 MiB is not known: the trial was watched from outside, where "+
		"no work is counted", c.Answer[0])
}

func TestAServiceIsTriedOutByARunOfItsOwn(t *testing.T) {
	c := &record.Capacity{MaxWorkers: 40, Limit: 66 * mib, GOMEMLIMIT: 50 * mib, Words: record.Words{InFlight: true}}
	assert.Equal(t, "soak run --subject FILE --set concurrency=40 --set gomemlimit=50MiB --limit 66MiB", TryOut(c))
}
