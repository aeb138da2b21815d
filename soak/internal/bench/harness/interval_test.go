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

func TestAFigureIsJudgedByItsInterval(t *testing.T) {
	assert.Equal(t, met, interval{median: 0.01, lo: -0.01, hi: 0.02}.atMost(0.02))
	assert.Equal(t, untold, interval{median: 0.01, lo: -0.01, hi: 0.03}.atMost(0.02), "the limit is within it")
	assert.Equal(t, missed, interval{median: 0.04, lo: 0.021, hi: 0.06}.atMost(0.02))
	var none verdict
	assert.Equal(t, untold, none, "no data passes nothing")
}

func TestAnIntervalNeedsEnoughValues(t *testing.T) {
	v := []float64{0.03, 0.01, 0.02}
	few := summarize(v)
	assert.Equal(t, untold, few.atMost(0.10), "three values say next to nothing of a median")
	assert.Equal(t, []float64{0.03, 0.01, 0.02}, v, "the values are the caller's")

	var many []float64
	for i := range 41 {
		many = append(many, float64(i)/1000)
	}
	got := summarize(many)
	assert.InDelta(t, 0.020, got.median, 1e-9)
	assert.InDelta(t, 0.013, got.lo, 0.0015)
	assert.InDelta(t, 0.027, got.hi, 0.0015)
}
