package profiles

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"memsoak/profiles/record"
)

// sized is a run with a model of so many bytes per worker.
func sized(perWorker float64) (*evidenceOfRun, *record.Model) {
	m := &record.Model{Sigma: 1 << 20, Terms: []record.Term{
		{Name: "constant", Bytes: 10 << 20, CI95: [2]float64{9 << 20, 11 << 20}},
		{Name: "workers", Bytes: perWorker, CI95: [2]float64{0.9 * perWorker, 1.1 * perWorker}},
	}}
	return &evidenceOfRun{rows: []observation{{cell: "workers=8", workers: 8}}}, m
}

// TestASizingIsTheInverseOfACapacity: at the safe limit so many workers are safe, and a little below it they are not.
func TestASizingIsTheInverseOfACapacity(t *testing.T) {
	e, m := sized(36 << 20)
	p := Plan{LargestFile: 48 << 20, Files: 100}
	for _, workers := range []int{1, 3, 8} {
		s, err := e.sizing(m, p, workers)
		require.NoError(t, err)
		assert.Less(t, s.Limit, s.Safe, "the interval is on the safe side")
		for limit, want := range map[int64]bool{s.Safe: true, s.Safe - sizingStep: false} {
			p.Limit = limit
			c := e.capacity(m, p)
			assert.Equal(t, want, c.MaxWorkers >= workers, "%d workers below %d", workers, limit)
			assert.Equal(t, c.GOMEMLIMIT, s.GOMEMLIMIT(limit))
		}
		live := int64(10<<20 + workers*36<<20)
		assert.Greater(t, s.Limit, live)
		assert.Less(t, s.Limit, live*11/10+defaultOutside+2*sizingStep, "what GOMEMLIMIT takes away needs no room")
	}
}

func TestASizingWithoutEndIsAnError(t *testing.T) {
	e, m := sized(1 << 45)
	_, err := e.sizing(m, Plan{Files: 1}, 8)
	assert.ErrorIs(t, err, ErrNoModel)
}
