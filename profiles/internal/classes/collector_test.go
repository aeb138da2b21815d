package classes

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/record"
)

// TestHeadroomFromWaves judges garbage without a free run: the memory when each wave's floor began.
func TestHeadroomFromWaves(t *testing.T) {
	make := func(garbage int64, kind string) *series.Series {
		s := &series.Series{Trial: &record.Trial{Phases: []record.Phase{{Name: "wave-1", Kind: kind}}}}
		for range 4 {
			n := &series.Snapshot{Profiled: true, Live: series.Amount{Bytes: 4 << 20}}
			n.State, n.Phase, n.HeapBefore = record.StateFloor, "wave-1", 4<<20+garbage
			s.Snaps = append(s.Snaps, n)
		}
		return s
	}
	j := headroom(make(40<<20, "wave"))
	require.NotNil(t, j)
	assert.Equal(t, record.GCHeadroom, j.Class)
	assert.InDelta(t, 40<<20, j.Term.Amount, 1)
	assert.Nil(t, headroom(make(3<<20, "wave")), "as much garbage as GOGC=100 allows")
	assert.Nil(t, headroom(make(40<<20, "repeat")), "a heap that had just been large by a hold")
}
