package rabbit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker/brokertest"
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
		"many small":   {make([]int64, 2*bundleFiles+3), []int{bundleFiles, bundleFiles, 3}},
		"by bytes":     {[]int64{half, half, half, half, 1}, []int{2, 2, 1}},
		"large":        {[]int64{1, 5 * bundleSize, 1, 1}, []int{1, 1, 2}},
		"unknown size": {[]int64{1, -1, -1, 1, 1}, []int{1, 1, 1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			files := make([]work, len(c.sizes))
			for i := range files {
				files[i].id.N = uint32(i + 1)
			}
			var got []int
			next := uint32(1)
			for _, b := range bundles(files, c.sizes) {
				got = append(got, len(b))
				for _, w := range b {
					require.Equal(t, next, w.id.N, "each once, in their order")
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
	id := itemID{Page: 1<<40 | 7, Try: 3}
	file := func(n uint32, item string) work {
		id := id
		id.N = n
		return work{run: 1 << 47, id: id, again: true, item: []byte(item)}
	}
	for _, b := range []bundle{
		{{run: 5, id: id, level: 4, item: []byte("folder")}},
		{file(9, "given back")},
		{file(1, "a"), file(2, ""), file(700, "long as names are")},
	} {
		whole := b.encode()
		got, err := decodeBundle(whole, b[0].level)
		require.NoError(t, err)
		assert.Equal(t, b, got)
		for n := range whole {
			got, err := decodeBundle(whole[:n], 0)
			if err == nil {
				assert.Less(t, len(got), len(b), "a whole item is missing, which only the broker could have cut")
			} else {
				assert.ErrorIs(t, err, broker.ErrSchema)
			}
		}
	}
	mixed := bundle{file(1, "a"), {run: 5, id: id, item: []byte("folder")}}
	_, err := decodeBundle(mixed.encode(), 0)
	assert.ErrorIs(t, err, broker.ErrSchema)
}

// TestNeighbours: files of one message are files by themselves. When the process that has some of them dies, another
// one gets all of the message, but none that was settled; one given back comes without its neighbours.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	o := brokertest.Options(t)
	a := open(t, o)
	brokertest.Begin(t, a, "m")
	brokertest.List(t, a, brokertest.Files(bundleFiles+1)...)
	first := brokertest.Take(t, a, migrator.File)
	require.NoError(t, a.Settle(t.Context(), first, migrator.Result{Outcome: migrator.Copied, Bytes: 3}))
	back := brokertest.Take(t, a, migrator.File)
	require.NoError(t, a.Settle(t.Context(), back, migrator.Result{}))
	require.NoError(t, a.ends.Flush(t.Context()))
	die(a)

	b := open(t, o)
	seen := map[string]int{first.Item.ID: 1}
	for len(seen) < bundleFiles+1 {
		l := brokertest.Take(t, b, migrator.File)
		seen[l.Item.ID]++
		require.NoError(t, b.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Copied, Bytes: 3}))
	}
	for id, n := range seen {
		assert.Equal(t, 1, n, id)
	}
	st, err := b.Status(t.Context())
	require.NoError(t, err)
	assert.True(t, st.Done())
	assert.EqualValues(t, bundleFiles+1, st.Totals.Copied)
	assert.EqualValues(t, 3*(bundleFiles+1), st.Totals.Bytes)
	require.EventuallyWithT(t, func(c *assert.CollectT) { assert.Zero(c, ready(t, b, queueFiles)) }, time.Minute,
		20*time.Millisecond)
}
