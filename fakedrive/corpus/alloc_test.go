//go:build !race

// The race detector empties sync.Pools at random, so allocations are counted without it.

package corpus

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestListingAllocatesOneNamePerItem(t *testing.T) {
	spec, err := Preset("million")
	require.NoError(t, err)
	tree, err := New(spec, 1)
	require.NoError(t, err)
	n := tree.Len() / 2
	for k := range int64(2000) {
		tree.Sums(n+k, AllHashes) // makes the states of all variants
	}
	var b [IDLen]byte
	id := tree.ID(n)
	require.LessOrEqual(t, testing.AllocsPerRun(1000, func() {
		it := tree.Item(n)
		tree.ids.append(b[:0], it.Ordinal)
		tree.Ordinal(id)
		tree.Sums(n, AllHashes)
		tree.Children(n)
		n++
	}), 1.0)
}
