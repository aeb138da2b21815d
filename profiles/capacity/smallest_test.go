package capacity

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/linear"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
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

// TestASizingIsTheInverseOfACapacity: at the safe limit so many workers are safe, and a little below it they are not.
func TestASizingIsTheInverseOfACapacity(t *testing.T) {
	e, m := sized(t, 36<<20)
	p := costs.Plan{LargestFile: 48 << 20, Files: 100}
	for _, workers := range []int{1, 3, 8} {
		s, err := m.sizing(p, workers)
		require.NoError(t, err)
		assert.Less(t, s.Limit, s.Safe, "the interval is on the safe side")
		for limit, want := range map[int64]bool{s.Safe: true, s.Safe - sizingStep: false} {
			p.Limit = limit
			c := e.Capacity(m, p)
			assert.Equal(t, want, c.MaxWorkers >= workers, "%d workers below %d", workers, limit)
			assert.Equal(t, c.GOMEMLIMIT, s.GOMEMLIMIT(limit))
		}
		live := int64(10<<20 + workers*36<<20)
		assert.Greater(t, s.Limit, live)
		assert.Less(t, s.Limit, live*11/10+threshold.DefaultOutside+2*sizingStep, "what GOMEMLIMIT takes away needs no room")
	}
}

func TestASizingWithoutEndIsAnError(t *testing.T) {
	_, m := sized(t, 1<<45)
	_, err := m.sizing(costs.Plan{Files: 1}, 8)
	assert.ErrorIs(t, err, ErrNoModel)
}
