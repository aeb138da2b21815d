package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheSamplerIsOnAndOffInMirroredBlocks(t *testing.T) {
	var order []bool
	for i := range 2 * blockWaves {
		order = append(order, sampled(i))
	}
	assert.Equal(t, []bool{true, false, false, true, false, true, true, false}, order)
}

func TestPairsOfWavesCancelADrift(t *testing.T) {
	var waves []wave
	for i := range 2 * blockWaves {
		w := wave{wall: 100 + float64(i)} // each wave takes longer than the one before
		if sampled(i) {
			w.wall *= 1.10
		}
		waves = append(waves, w)
	}
	var r ratios
	r.compare(waves, func(w wave) float64 { return w.wall })
	require.Len(t, r.slowed, 4)
	sum := 0.0
	for _, v := range r.slowed {
		sum += v
	}
	assert.InDelta(t, 0.10, sum/4, 0.001, "half of the pairs lose by the drift what the others win")
	require.Len(t, r.control, 2, "the inner pair of each block")
	for _, v := range r.control {
		assert.InDelta(t, 0.01, v, 0.001, "inner waves differ by the drift alone")
	}
}
