package classes

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/record"
)

// seriesOf makes a series of snapshots with these covariates, a second apart.
func seriesOf(states []record.State, covs []record.Covariates) *series.Series {
	s := series.New(&record.Trial{Kind: record.Attribution, SampleRate: 4096, Subject: record.Subject{Module: "app"}},
		"")
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i, st := range states {
		n := &series.Snapshot{Profiled: true}
		n.Seq, n.State, n.Phase, n.Time = i+1, st, "wave-1", start.Add(time.Duration(i)*time.Second)
		if covs != nil {
			n.Covariates = &covs[i]
		}
		s.Snaps = append(s.Snaps, n)
	}
	return s
}

// TestAStateInheritsALittleOfTheOneBefore holds uploads whose large files go in seven parts of 320 KiB each; some of
// the parts of one state are still there in the next, of small files that need none.
func TestAStateInheritsALittleOfTheOneBefore(t *testing.T) {
	const parts = 7 * 320 << 10
	held := []struct{ workers, size, backlog int64 }{
		{50, 0, 90}, {50, 0, 6}, {50, 0, 30}, {22, 1600 << 10, 0}, {50, 80 << 10, 0}, {25, 80 << 10, 0}, {34, 1600 << 10, 0},
		{50, 320 << 10, 0}, {25, 320 << 10, 0},
	}
	const heir = 7 // the state after the one with the most
	terms := func(left float64, restBetween bool) []fit.Term {
		states, covs, values := []record.State{record.StateFloor}, []record.Covariates{{}}, []float64{0}
		for i, h := range held {
			c := record.Covariates{InFlight: h.workers, Backlog: h.backlog, BytesInFlight: h.workers * h.size,
				BytesSent: h.workers * h.size, WithBody: h.workers, ConnsOpen: 100}
			state, value := record.StateReply, 0.0
			if h.size == 0 {
				c.WithBody, c.AtHeader, state = 0, h.workers, record.StateHeader
			}
			if h.size > 1<<20 {
				value = float64(h.workers * parts)
			}
			if i == heir {
				if value = left; restBetween {
					states, covs, values = append(states, record.StateFloor), append(covs, record.Covariates{}), append(values, 0)
				}
			}
			states, covs, values = append(states, state), append(covs, c), append(values, value)
		}
		states, covs, values = append(states, record.StateFloor), append(covs, record.Covariates{}), append(values, 0)
		s := seriesOf(states, covs)
		q := &fit.Quantity{Values: values, Variance: make([]float64, len(values)), Objects: make([]float64, len(values)),
			Grain: 40 << 10, Least: 88 << 10}
		return perWorker(fit.HeldTerms(s, q, fit.UnitsOf(s).Held, nil))
	}
	for _, left := range []float64{0, 1 * 320 << 10, 6 * 320 << 10} { // none, what one connection holds, what six do
		found := terms(left, false)
		require.Len(t, found, 1, "%.0f bytes are left", left)
		assert.Equal(t, record.BufferWorker, found[0].Class)
		assert.InEpsilon(t, parts, found[0].Slope, 0.01)
	}
	assert.Empty(t, terms(120*320<<10, false), "half is no little")
	assert.Empty(t, terms(6*320<<10, true), "nothing is inherited over a rest")
}
