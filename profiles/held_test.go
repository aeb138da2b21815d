package profiles

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

// TestAStateInheritsALittleOfTheOneBefore holds uploads whose large files go in seven parts of 320 KiB each; some of
// the parts of one state are still there in the next, of small files that need none.
func TestAStateInheritsALittleOfTheOneBefore(t *testing.T) {
	const parts = 7 * 320 << 10
	held := []struct{ workers, size, backlog int64 }{
		{50, 0, 90}, {50, 0, 6}, {50, 0, 30}, {22, 1600 << 10, 0}, {50, 80 << 10, 0}, {25, 80 << 10, 0}, {34, 1600 << 10, 0},
		{50, 320 << 10, 0}, {25, 320 << 10, 0},
	}
	const heir = 7 // the state after the one with the most
	terms := func(left float64, restBetween bool) []term {
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
		s := series(states, covs)
		q := &quantity{values: values, variance: make([]float64, len(values)), objects: make([]float64, len(values)),
			grain: 40 << 10, least: 88 << 10}
		return s.perWorker(s.heldTerms(q, s.units().held, nil))
	}
	for _, left := range []float64{0, 1 * 320 << 10, 6 * 320 << 10} { // none, what one connection holds, what six do
		found := terms(left, false)
		require.Len(t, found, 1, "%.0f bytes are left", left)
		assert.Equal(t, record.BufferWorker, found[0].class)
		assert.InEpsilon(t, parts, found[0].slope, 0.01)
	}
	assert.Empty(t, terms(120*320<<10, false), "half is no little")
	assert.Empty(t, terms(6*320<<10, true), "nothing is inherited over a rest")
}
