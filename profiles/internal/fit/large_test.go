package fit

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/record"
)

// TestLargeFilesAreCountedAmongSmallOnes has a wave of small files, a hold of eight large ones among small ones, and a
// wave of four large files.
func TestLargeFilesAreCountedAmongSmallOnes(t *testing.T) {
	at := func(state record.State, files, bytes, flight, flying int64) *series.Snapshot {
		n := &series.Snapshot{}
		n.State = state
		n.Covariates = &record.Covariates{FilesDone: files, BytesDone: bytes, InFlight: flight, BytesInFlight: flying}
		return n
	}
	s := &series.Series{Trial: &record.Trial{}, Snaps: []*series.Snapshot{
		at(record.StateFloor, 60, 60<<12, 0, 0),
		at(record.StateBody, 60, 60<<12, 8, 8<<20),
		at(record.StateFloor, 568, 60<<12+8<<20+500<<10, 0, 0),
		at(record.StateReply, 568, 60<<12+8<<20+500<<10, 4, 16<<20),
		at(record.StateFloor, 572, 60<<12+24<<20+500<<10, 0, 0),
	}}
	assert.Equal(t, []float64{0, 8, 8, 12, 12}, largeFiles(s))
}
