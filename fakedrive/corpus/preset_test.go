package corpus

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPresets(t *testing.T) {
	want := []string{"bench-large", "bench-small", "deep", "huge-file", "large", "list-300k", "million", "mixed", "small",
		"ten-million", "tiny", "wide"}
	require.Equal(t, want, Presets())
	stats := map[string]Stats{}
	for _, name := range Presets() {
		spec, err := Preset(name)
		require.NoError(t, err)
		tree, err := New(spec, 1)
		require.NoError(t, err)
		start := time.Now()
		stats[name] = tree.Stats()
		t.Logf("%s %v: %+v", name, time.Since(start), stats[name])
	}
	require.Equal(t, 5000, stats["deep"].Depth)
	require.EqualValues(t, 1_000_000, stats["wide"].MaxChildren)
	require.EqualValues(t, 100_000*4096, stats["small"].Bytes)
	require.EqualValues(t, 8*512<<20+20<<30, stats["large"].Bytes)
	require.EqualValues(t, 1<<40, stats["huge-file"].Largest)
	require.EqualValues(t, 1_000_000, stats["million"].Files)
	require.EqualValues(t, 10_000_000, stats["ten-million"].Files)
	mixed := stats["mixed"]
	require.Equal(t, 30, mixed.Depth)
	require.Zero(t, mixed.Smallest)
	require.EqualValues(t, 64<<20, mixed.Largest)
	require.Less(t, mixed.DownloadBytes, int64(700<<20))
	require.Greater(t, mixed.DownloadBytes, int64(400<<20))
}

// heap returns the live heap after a collection.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestTreesHoldNothingPerItem(t *testing.T) {
	for _, name := range Presets() {
		spec, err := Preset(name)
		require.NoError(t, err)
		before := heap()
		tree, err := New(spec, 1)
		require.NoError(t, err)
		require.Less(t, heap()-before, int64(1<<20), name)
		runtime.KeepAlive(tree)
	}
}

func benchTree(b *testing.B, name string) *Tree {
	spec, err := Preset(name)
	require.NoError(b, err)
	tree, err := New(spec, 1)
	require.NoError(b, err)
	return tree
}

func BenchmarkItem(b *testing.B) {
	tree := benchTree(b, "ten-million")
	n := tree.Len() / 2
	b.ReportAllocs()
	for b.Loop() {
		tree.Item(n)
		n++
	}
}

func BenchmarkID(b *testing.B) {
	tree := benchTree(b, "ten-million")
	var buf [IDLen]byte
	n := tree.Len() / 2
	b.ReportAllocs()
	for b.Loop() {
		tree.ids.append(buf[:0], n)
		n++
	}
}

func BenchmarkOrdinal(b *testing.B) {
	tree := benchTree(b, "ten-million")
	id := tree.ID(tree.Len() / 2)
	b.ReportAllocs()
	for b.Loop() {
		tree.Ordinal(id)
	}
}

func BenchmarkSums(b *testing.B) {
	tree := benchTree(b, "ten-million")
	n := tree.Len() / 2
	for k := range int64(2000) {
		tree.Sums(n+k, AllHashes)
	}
	b.ReportAllocs()
	for b.Loop() {
		tree.Sums(n, AllHashes)
		n++
	}
}

func BenchmarkNew(b *testing.B) {
	spec, err := Preset("ten-million")
	require.NoError(b, err)
	for b.Loop() {
		if _, err := New(spec, 1); err != nil {
			b.Fatal(err)
		}
	}
}

type sink struct{ n int64 }

// Write touches every cache line, as a socket would.
func (s *sink) Write(p []byte) (int, error) {
	for i := 0; i < len(p); i += 64 {
		s.n += int64(p[i])
	}
	return len(p), nil
}

func BenchmarkContent(b *testing.B) {
	tree := benchTree(b, "bench-large")
	b.Run("WriteTo", func(b *testing.B) {
		b.SetBytes(64 << 20)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := tree.OpenRange(1, 0, 64<<20).WriteTo(&sink{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Read", func(b *testing.B) {
		buf := make([]byte, 32<<10)
		b.SetBytes(64 << 20)
		b.ReportAllocs()
		for b.Loop() {
			for r := tree.OpenRange(1, 0, 64<<20); r.Len() > 0; {
				if _, err := r.Read(buf); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
