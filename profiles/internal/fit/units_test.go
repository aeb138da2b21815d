package fit

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

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

func TestLargestPerWorker(t *testing.T) {
	const mib = 1 << 20
	held := func(flight, size int64) record.Covariates {
		return record.Covariates{InFlight: flight, BytesInFlight: flight * size, Largest: 16 * mib}
	}
	s := seriesOf([]record.State{record.StateIdle, record.StateFloor, record.StateReply, record.StateReply,
		record.StateReply, record.StateHeader},
		[]record.Covariates{
			{},
			{FilesDone: 42, BytesDone: 2*2*mib + 40<<12, Largest: 2 * mib}, // two concurrent ones of 2 MiB, and small ones
			held(5, mib),
			held(5, 4*mib),
			held(2, 16*mib),
			{InFlight: 5, AtHeader: 5, Largest: 16 * mib},
		})
	for i, n := range s.Snaps {
		n.Phase = strconv.Itoa(i)
	}
	assert.Equal(t, []float64{0, 4 * mib, 7 * mib, 20 * mib, 44 * mib, 44 * mib}, largestPerWorker(s, false))
	s.Snaps[4].Phase = s.Snaps[3].Phase
	assert.Equal(t, []float64{0, 4 * mib, 7 * mib, 20 * mib, 20 * mib, 20 * mib}, largestPerWorker(s, false),
		"the same two")
	s.Snaps[4].Phase = "larger"
	s.Snaps = append(s.Snaps, &series.Snapshot{Snapshot: record.Snapshot{State: record.StateReply, Phase: "largest",
		Sample: record.Sample{Covariates: &record.Covariates{InFlight: 1, BytesInFlight: 64 * mib, Largest: 64 * mib}}}})
	assert.Equal(t, float64((44+60)*mib), largestPerWorker(s, false)[6], "a worker with 4 MiB gets the largest")
	assert.Equal(t, float64((44+48)*mib), largestPerWorker(s, true)[6], "one with 16 MiB gets it")
}
