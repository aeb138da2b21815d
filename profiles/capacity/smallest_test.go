package capacity

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/linear"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

// sized is a run with so many bytes per worker, in which nothing outside the live heap was read.
func sized(t *testing.T, perWorker float64) (*Evidence, *peakModel) {
	e := &Evidence{}
	for _, n := range []int64{0, 1, 2, 3, 4, 8} {
		for _, cell := range []string{"a", "b"} {
			e.Rows = append(e.Rows, linear.Observation{Cell: cell, Workers: int(n), Held: n > 0,
				Live: 10<<20 + float64(n)*perWorker, Arenas: math.NaN(), Outside: math.NaN(),
				Cov: record.Covariates{InFlight: n, AtHeader: n}})
		}
	}
	e.Trials = []trialSize{sound(8, 48<<20)}
	m := e.PeakModel()
	require.NotNil(t, m)
	return e, m
}

// TestTheSmallestLimitIsTheInverseOfACapacity: below it so many workers are safe, and a little below it they are not.
func TestTheSmallestLimitIsTheInverseOfACapacity(t *testing.T) {
	e, m := sized(t, 36*mib)
	p := costs.Plan{LargestFile: 48 * mib, Files: 100}
	for _, workers := range []int{1, 3, 8, 16} {
		p.Limit, p.Workers = 0, workers
		c := e.Capacity(m, p)
		require.NotNil(t, c.Smallest, "%v", c.Answer)
		assert.Zero(t, c.Limit%mib)
		assert.Less(t, c.Smallest.Need, c.Limit, "the interval is on the safe side")
		assert.Less(t, c.Smallest.PI95[0], c.Smallest.Need)
		assert.LessOrEqual(t, c.Smallest.PI95[1], c.Limit)
		assert.Equal(t, c.GOMEMLIMIT, GOMEMLIMIT(c.Limit, c.Smallest.Outside))
		assert.Contains(t, c.Answer[0], "The smallest limit that is safe for "+words.Count(workers, "worker"))
		for limit, want := range map[int64]bool{c.Limit: true, c.Limit - mib: false} {
			p.Limit = limit
			got := e.Capacity(m, p)
			assert.Equal(t, want, got.MaxWorkers >= workers, "%d workers below %d", workers, limit)
		}
		live := int64(10+36*workers) * mib
		assert.Greater(t, c.Smallest.Need, live)
		assert.Less(t, c.Smallest.Need, live*11/10+threshold.DefaultOutside+2*mib,
			"what GOMEMLIMIT takes away needs no room")
	}
}

// noSmallest is what keeps the smallest limit for workers that need some 300 MiB from being known.
var noSmallest = map[string]struct {
	trials  []trialSize
	each    float64
	workers int
	unknown string
	decides string
}{
	"no trial": {nil, 36 * mib, 8, "no trial was recorded", "soak run --axis workers=2,4,8 --subject s"},
	"more than were tried": {[]trialSize{sound(8, 48*mib)}, 36 * mib, 17, "8 workers were the most",
		"soak run --axis workers=4,8,17"},
	"more than a limit": {[]trialSize{sound(8, 48*mib)}, 1 << 45, 8, "need more than 1.0 TiB", byKills},
	"a kill of as many": {[]trialSize{sound(8, 48*mib), killed(8, 900*mib)}, 36 * mib, 8, "8 were killed", byKills},
	"a kill of fewer":   {[]trialSize{sound(8, 48*mib), killed(4, 900*mib)}, 36 * mib, 8, "4 were killed", byKills},
	"a kill of one": {[]trialSize{sound(8, 48*mib), killed(1, 900*mib)}, 36 * mib, 8, "one worker was killed",
		byKills},
	"an inconclusive trial":  {[]trialSize{sound(4, 48*mib), doubtful(6)}, 36 * mib, 8, "is inconclusive", byKills},
	"only inconclusive ones": {[]trialSize{doubtful(8)}, 36 * mib, 8, "is inconclusive", "soak run --axis"},
}

const byKills = "soak limit --set workers=8 --subject s"

func doubtful(workers int) trialSize {
	t := sound(workers, 48*mib)
	t.headline = record.Inconclusive
	return t
}

func TestWhatVetoesAnAnswerVetoesTheSmallestLimit(t *testing.T) {
	for name, c := range noSmallest {
		e, m := sized(t, c.each)
		e.Trials, e.Again = c.trials, " --subject s"
		got := e.Capacity(m, costs.Plan{Workers: c.workers})
		assert.Zero(t, got.MaxWorkers, name)
		assert.Zero(t, got.Limit, name)
		assert.Equal(t, &record.Smallest{Workers: c.workers}, got.Smallest, name)
		assert.Contains(t, got.Answer[0], "The smallest limit for "+words.Count(c.workers, "worker")+" is not known: ", name)
		assert.Contains(t, got.Answer[0], c.unknown, name)
		assert.Contains(t, got.Decides, c.decides, name)
	}
	e, m := sized(t, 36*mib)
	e.Trials = []trialSize{sound(8, 48*mib), killed(8, 200*mib)}
	assert.Positive(t, e.Capacity(m, costs.Plan{Workers: 8}).Limit, "a kill by less says nothing of more")
	e.Trials = []trialSize{sound(8, 48*mib)}
	assert.Zero(t, e.Capacity(nil, costs.Plan{Workers: 8}).MaxWorkers, "no model")
}

// TestAPeakBelowALowerGOMEMLIMITCountsAtALargerLimit: the limit by the model alone has a GOMEMLIMIT that is lower than
// the trial's, and the next a larger one.
func TestAPeakBelowALowerGOMEMLIMITCountsAtALargerLimit(t *testing.T) {
	e, m := sized(t, 36*mib)
	p := costs.Plan{LargestFile: 48 * mib, Files: 2000, Workers: 8}
	alone := e.Capacity(m, p)
	e.Trials = append(e.Trials, peaked(8, alone.Limit+100*mib, alone.GOMEMLIMIT))
	got := e.Capacity(e.PeakModel(), p)
	assert.Equal(t, alone.Limit+100*mib, got.Limit)
	p.Limit = got.Limit
	assert.GreaterOrEqual(t, e.Capacity(e.PeakModel(), p).MaxWorkers, 8)
}

func TestAKillTakesTheSmallestLimitBack(t *testing.T) {
	e, m := sized(t, 36*mib)
	c := e.Capacity(m, costs.Plan{Workers: 8})
	Verify(c, record.HeldTrial{Workers: 8, Outcome: record.OOMKilled})
	assert.Equal(t, &record.Smallest{Workers: 8}, c.Smallest)
	assert.Contains(t, c.Answer[0], "The smallest limit for 8 workers is not known")
}
