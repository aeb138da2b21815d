package profiles

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/profiles/record"
)

// heldSeries is a floor, and after it the reply held with what one site's stacks keep and have allocated since.
func heldSeries(keptAndMade ...[2]float64) *Series {
	s := &Series{intern: newInterner(Blamer{})}
	s.Sites = []*Site{{}}
	floor := &Snapshot{Snapshot: record.Snapshot{State: record.StateFloor}, Profiled: true,
		Sites: []Amount{{Alloc: 900 * mib}}}
	held := &Snapshot{Snapshot: record.Snapshot{State: record.StateReply}, Profiled: true, Sites: []Amount{{}}}
	for i, km := range keptAndMade {
		s.intern.blamed = append(s.intern.blamed, 0)
		before := 100 * mib * float64(i+1)
		floor.stacks = append(floor.stacks, stackBytes{stack: int32(i), alloc: before})
		held.stacks = append(held.stacks, stackBytes{stack: int32(i), live: km[0] * mib, alloc: before + km[1]*mib})
		held.Sites[0].add(Amount{Bytes: km[0] * mib})
		held.Live.add(Amount{Bytes: km[0] * mib})
	}
	s.Snaps = []*Snapshot{floor, held}
	return s
}

func TestCopiesAreKnownByWhatWasAllocatedForWhatIsKept(t *testing.T) {
	for name, c := range map[string]struct {
		stacks        [][2]float64
		share, beside float64
	}{
		"a buffer of its size":               {[][2]float64{{64, 64}}, 0, 0},
		"doubled each time":                  {[][2]float64{{64, 128}}, 1, 1},
		"append, a quarter each time":        {[][2]float64{{64, 320}}, 1, 1},
		"pieces put together at the end":     {[][2]float64{{64, 64}, {0, 74}}, 1, 74.0 / 64},
		"pieces can't be more than this":     {[][2]float64{{64, 64}, {0, 900}}, 1, 1.5},
		"some other garbage of the line":     {[][2]float64{{64, 66}, {0, 9}}, 0, 0},
		"garbage where next to nothing stay": {[][2]float64{{0.01, 500}}, 0, 0},
	} {
		got := heldSeries(c.stacks...).copies()
		assert.InDelta(t, c.share, got.share, 1e-9, name)
		assert.InDelta(t, c.beside, got.beside, 1e-9, name)
	}
}

func TestCopiesAreSeenPastSnapshotsOfTheirGrowth(t *testing.T) {
	want := heldSeries([2]float64{64, 128}).copies()
	assert.Positive(t, want.beside)
	for _, state := range []record.State{record.StateHigh, record.StatePress} {
		s := heldSeries([2]float64{64, 128})
		during := *s.Snaps[1]
		during.State = state
		s.Snaps = []*Snapshot{s.Snaps[0], &during, s.Snaps[1]}
		assert.Equal(t, want, s.copies(), state)
	}
}

func TestCopiesNeedAFloorAndAHeldReply(t *testing.T) {
	s := heldSeries([2]float64{64, 128})
	s.Snaps[0].State = record.StateIdle
	assert.Zero(t, s.copies())
	s = heldSeries([2]float64{64, 128})
	s.Snaps[1].State = record.StateHeader
	assert.Zero(t, s.copies())
	assert.Zero(t, (&Series{intern: newInterner(Blamer{})}).copies())
}

func TestWorkersThatCopyAtOnce(t *testing.T) {
	whole, half := copies{share: 1, beside: 1.2}, copies{share: 1, beside: 0.5}
	assert.Zero(t, whole.copying(0, 2))
	assert.Equal(t, 1.0, whole.copying(1, 9), "no more than there are")
	assert.InDelta(t, 100*copyTime, whole.copying(100, 0), 1e-9)
	assert.Equal(t, 10.0, whole.copying(10, 0), "as much again beside each: all are copied together")
	assert.Greater(t, half.copying(10, 2)/10, half.copying(1000, 2)/1000, "chance evens out over many")
	assert.Less(t, half.copying(10, 2), whole.copying(10, 2), "a smaller copy takes less time")
	assert.False(t, math.IsNaN(copies{}.copying(5, 2)))
}
