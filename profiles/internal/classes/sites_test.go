package classes

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/record"
)

// TestWhatStaysIsThereAtTheEnd has a map of connections that grew to 44 KiB, fitted as 144 KiB kept for the most bytes
// in flight.
func TestWhatStaysIsThereAtTheEnd(t *testing.T) {
	q := &fit.Quantity{Values: []float64{12 << 10, 0}}
	u := fit.Unit{Name: "byte-in-flight", Class: record.BufferFile, Running: true}
	kept := &fit.Term{Unit: u, Slope: 0.035, SE: 0.005, Amount: 144 << 10, Share: 1, From: [2]int{0, 1}}
	for last, want := range map[float64]bool{56 << 10: false, 120 << 10: true} {
		q.Values[1] = last
		assert.Equal(t, want, believeRetained((&series.Series{}), q, kept), "%v", last)
	}
}

// TestSamplesBeyondTheExactHeapAreNoMemory has a site of a few sampled objects of 512 KiB in a state whose whole live
// heap is known to be smaller.
func TestSamplesBeyondTheExactHeapAreNoMemory(t *testing.T) {
	snap := func(st record.State, live int64) *series.Snapshot {
		return &series.Snapshot{Snapshot: record.Snapshot{State: st, Exact: true, Sample: record.Sample{
			Runtime: &record.Runtime{HeapAlloc: live}}}, Profiled: true}
	}
	s := &series.Series{Snaps: []*series.Snapshot{snap(record.StateFloor, 1<<20), snap(record.StateBody, 1300<<10),
		snap(record.StateFloor, 1<<20)}}
	believed := func(slope float64) bool {
		u := fit.Unit{Name: "byte-in-flight", Class: record.BufferFile, Values: []float64{0, 13 << 20, 0}}
		return believeHeld(s, &fit.Term{Unit: u, Slope: slope, SE: slope / 20, Amount: slope * (13 << 20), Share: 1,
			From: [2]int{0, 1}})
	}
	assert.False(t, believed(0.2), "2.6 MiB of a state that has 0.3 MiB more than at rest")
	assert.True(t, believed(0.02))
	s.Snaps[1].Exact = false
	assert.True(t, believed(0.2), "a total of samples bounds nothing")
}
