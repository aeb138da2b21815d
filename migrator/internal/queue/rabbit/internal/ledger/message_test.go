package ledger

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
)

// TestBundles: small files share messages, up to a number and to so many bytes; large ones and those of unknown size go
// by itself.
func TestBundles(t *testing.T) {
	const half = bundleSize / 2
	for name, c := range map[string]struct {
		sizes []int64
		want  []int
	}{
		"none":         {},
		"one":          {[]int64{5}, []int{1}},
		"many small":   {make([]int64, 2*BundleFiles+3), []int{BundleFiles, BundleFiles, 3}},
		"by bytes":     {[]int64{half, half, half, half, 1}, []int{2, 2, 1}},
		"large":        {[]int64{1, 5 * bundleSize, 1, 1}, []int{1, 1, 2}},
		"unknown size": {[]int64{1, -1, -1, 1, 1}, []int{1, 1, 1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			files := make([]Work, len(c.sizes))
			for i := range files {
				files[i].ID.N = uint32(i + 1)
			}
			var got []int
			next := uint32(1)
			for _, b := range Pack(files, c.sizes) {
				got = append(got, len(b))
				for _, w := range b {
					require.Equal(t, next, w.ID.N, "each once, in their order")
					next++
				}
			}
			assert.Equal(t, c.want, got)
			assert.EqualValues(t, len(files)+1, next)
		})
	}
}

// TestBundleEncoding: a message has all of its items as they were put in, and a cut one is refused.
func TestBundleEncoding(t *testing.T) {
	id := ItemID{Page: 1<<40 | 7, Try: 3}
	file := func(n uint32, item string) Work {
		id := id
		id.N = n
		return Work{Run: 1 << 47, ID: id, Again: true, Item: []byte(item)}
	}
	for _, b := range []Bundle{
		{{Run: 5, ID: id, Level: 4, Item: []byte("folder")}},
		{file(9, "given back")},
		{file(1, "a"), file(2, ""), file(700, "long as names are")},
	} {
		whole := b.Encode()
		got, err := DecodeBundle(whole, b[0].Level)
		require.NoError(t, err)
		assert.Equal(t, b, got)
		for n := range whole {
			got, err := DecodeBundle(whole[:n], 0)
			if err == nil {
				assert.Less(t, len(got), len(b), "a whole item is missing, which only the broker could have cut")
			} else {
				assert.ErrorIs(t, err, broker.ErrSchema)
			}
		}
	}
	mixed := Bundle{file(1, "a"), {Run: 5, ID: id, Item: []byte("folder")}}
	_, err := DecodeBundle(mixed.Encode(), 0)
	assert.ErrorIs(t, err, broker.ErrSchema)
}
