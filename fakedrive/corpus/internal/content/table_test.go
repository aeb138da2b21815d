package content

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func record(t testing.TB, c Checkpoint) State {
	t.Helper()
	require.LessOrEqual(t, (c.Record+1)*StateSize, int64(len(states)))
	return State(states[c.Record*StateSize:])
}

// checkStep computes a checkpoint from the one before it.
func checkStep(t testing.TB, all []Checkpoint, i int) {
	t.Helper()
	var s State
	var at int64
	if i > 0 {
		s, at = record(t, all[i-1]), all[i-1].Offset
	}
	require.Equal(t, Advance(all[i].Variant, s, at, all[i].Offset), record(t, all[i]),
		"variant %d after %d bytes", all[i].Variant, all[i].Offset)
}

func TestTableIsWhole(t *testing.T) {
	require.Len(t, states, int(Records()*StateSize))
	seen := map[int64]bool{}
	for v := range uint32(LargeVariants) {
		last := int64(0)
		for _, c := range Checkpoints(v) {
			require.False(t, seen[c.Record])
			seen[c.Record] = true
			require.Greater(t, c.Offset, last)
			last = c.Offset
			require.NotEqual(t, State{}, record(t, c), "variant %d after %d bytes", v, c.Offset)
		}
	}
	require.Len(t, seen, int(Records()))
}

// The table is a chain: if each record follows from the one before, all are right. The long test checks the other
// steps.
func TestTableFollowsFromItself(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for v := range uint32(LargeVariants) {
		all := Checkpoints(v)
		checkStep(t, all, 0)
		checkStep(t, all, 1+rnd.IntN(63)) // 1 MiB
		if v == 3 {
			checkStep(t, all, 64+rnd.IntN(63)) // 64 MiB
		}
	}
}

func TestAtEqualsHashingFromTheStart(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	offsets := []int64{64, 128, 4032, SmallSize, SmallSize + 64, mib - 128, mib - 64, mib, mib + 64, 5*mib - 64,
		9*mib + 640}
	for range 40 {
		offsets = append(offsets, rnd.Int64N(3*mib)/64*64)
	}
	for _, offset := range offsets {
		for _, v := range []uint32{0, 7, 63} {
			if v >= Variants(offset) {
				continue
			}
			want := Advance(v, State{}, 0, offset)
			require.Equal(t, want, At(v, offset), "variant %d after %d bytes", v, offset)
			require.Equal(t, want, At(v, offset), "a second time")
		}
	}
}

func TestLookupTakesTheLastCheckpoint(t *testing.T) {
	for _, v := range []uint32{0, 5} {
		all := Checkpoints(v)
		for i, c := range all {
			for _, delta := range []int64{0, 64} {
				s, at := lookup(v, c.Offset+delta)
				require.Equal(t, c.Offset, at)
				require.Equal(t, record(t, c), s)
			}
			_, at := lookup(v, c.Offset-64)
			if i == 0 {
				require.Zero(t, at)
			} else {
				require.Equal(t, all[i-1].Offset, at)
			}
		}
	}
}

func TestSavedStatesAreBounded(t *testing.T) {
	for i := range int64(maxBetween + 10) {
		At(0, (1+i%64)*mib+64*(i/64)) // at most 8 KiB behind a checkpoint
	}
	require.LessOrEqual(t, len(between.m), maxBetween)
}

func TestPrefixesNeedNoHashing(t *testing.T) {
	prefixes := Prefixes(MaxSize)
	require.IsIncreasing(t, prefixes)
	require.Equal(t, int64(MaxSize-Lag), prefixes[len(prefixes)-1])
	between.Lock()
	clear(between.m)
	between.Unlock()
	for _, p := range prefixes {
		for v := range Variants(p) {
			At(v, p)
		}
	}
	require.Empty(t, between.m, "states had to be made")
}
