package series

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/record"
)

const mib = 1 << 20

// heldSeries is a floor, and after it the reply held with what one site's stacks keep and have allocated since.
func heldSeries(keptAndMade ...[2]float64) *Series {
	s := &Series{intern: newInterner(blame.Blamer{})}
	s.Sites = []*blame.Site{{}}
	floor := &Snapshot{Snapshot: record.Snapshot{State: record.StateFloor}, Profiled: true,
		Sites: []Amount{{Alloc: 900 * mib}}}
	held := &Snapshot{Snapshot: record.Snapshot{State: record.StateReply}, Profiled: true, Sites: []Amount{{}}}
	for i, km := range keptAndMade {
		s.intern.blamed = append(s.intern.blamed, 0)
		before := 100 * mib * float64(i+1)
		floor.Stacks = append(floor.Stacks, StackBytes{Stack: int32(i), Alloc: before})
		held.Stacks = append(held.Stacks, StackBytes{Stack: int32(i), Live: km[0] * mib, Alloc: before + km[1]*mib})
		held.Sites[0].Add(Amount{Bytes: km[0] * mib})
		held.Live.Add(Amount{Bytes: km[0] * mib})
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
		got := heldSeries(c.stacks...).Copies()
		assert.InDelta(t, c.share, got.Share, 1e-9, name)
		assert.InDelta(t, c.beside, got.Beside, 1e-9, name)
	}
}

func TestCopiesAreSeenPastSnapshotsOfTheirGrowth(t *testing.T) {
	want := heldSeries([2]float64{64, 128}).Copies()
	assert.Positive(t, want.Beside)
	for _, state := range []record.State{record.StateHigh, record.StatePress} {
		s := heldSeries([2]float64{64, 128})
		during := *s.Snaps[1]
		during.State = state
		s.Snaps = []*Snapshot{s.Snaps[0], &during, s.Snaps[1]}
		assert.Equal(t, want, s.Copies(), state)
	}
}

func TestCopiesNeedAFloorAndAHeldReply(t *testing.T) {
	s := heldSeries([2]float64{64, 128})
	s.Snaps[0].State = record.StateIdle
	assert.Zero(t, s.Copies())
	s = heldSeries([2]float64{64, 128})
	s.Snaps[1].State = record.StateHeader
	assert.Zero(t, s.Copies())
	assert.Zero(t, (&Series{intern: newInterner(blame.Blamer{})}).Copies())
}

func TestWorkersThatCopyAtOnce(t *testing.T) {
	whole, half := Copies{Share: 1, Beside: 1.2}, Copies{Share: 1, Beside: 0.5}
	assert.Zero(t, whole.Copying(0, 2))
	assert.Equal(t, 1.0, whole.Copying(1, 9), "no more than there are")
	assert.InDelta(t, 100*threshold.CopyTime, whole.Copying(100, 0), 1e-9)
	assert.Equal(t, 10.0, whole.Copying(10, 0), "as much again beside each: all are copied together")
	assert.Greater(t, half.Copying(10, 2)/10, half.Copying(1000, 2)/1000, "chance evens out over many")
	assert.Less(t, half.Copying(10, 2), whole.Copying(10, 2), "a smaller copy takes less time")
	assert.False(t, math.IsNaN(Copies{}.Copying(5, 2)))
}
