package corpus

import (
	"bytes"
	"crypto/md5"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// written is the digest of p, written in pieces of up to so many bytes.
func written(t *testing.T, d *Digest, p []byte, piece int) [md5.Size]byte {
	d.Reset()
	for rest := p; len(rest) > 0; {
		n, err := d.Write(rest[:min(piece, len(rest))])
		require.NoError(t, err)
		rest = rest[n:]
	}
	return d.Sum()
}

// digested is content of a file of a size.
func digested(t *testing.T, size int64) []byte {
	tree, err := New(&Spec{Seed: 5, Files: 20, Size: Fixed(size)}, 1)
	require.NoError(t, err)
	for n := range tree.Len() {
		if it := tree.Item(n); it.ContentLength() == size {
			b, err := io.ReadAll(tree.Open(n, 0))
			require.NoError(t, err)
			require.Len(t, b, int(size))
			return b
		}
	}
	require.FailNow(t, "no file of the size")
	return nil
}

func TestDigestIsTheMD5OfCorpusFiles(t *testing.T) {
	var d Digest
	for _, size := range []int64{1, 63, 64, 65, 100, 4096, 4100, 65536, 70001, 1 << 20, 1<<20 + 64, 3<<20 + 4160} {
		b := digested(t, size)
		for _, piece := range []int{7, 64, 1000, 32 << 10, 4 << 20} {
			require.Equal(t, md5.Sum(b), written(t, &d, b, piece), "size %d, pieces of %d", size, piece)
		}
		half := b[:size/2]
		require.Equal(t, md5.Sum(half), written(t, &d, half, 4096), "a part from the start on")
		require.Equal(t, md5.Sum(b[size/2:]), written(t, &d, b[size/2:], 4096), "a part from the middle on")
	}
	require.Equal(t, md5.Sum(nil), (&Digest{}).Sum(), "nothing")
}

func TestDigestHasEveryFlippedByte(t *testing.T) {
	var d Digest
	flip := func(b []byte, at, piece int) {
		b[at] ^= 0x20
		require.Equal(t, md5.Sum(b), written(t, &d, b, piece), "byte %d", at)
		b[at] ^= 0x20
	}
	b := digested(t, 4096)
	for at := range b {
		flip(b, at, 1000)
	}
	b = digested(t, 3<<20+4160)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		flip(b, rnd.IntN(len(b)), 1+rnd.IntN(100_000))
	}
	for _, at := range []int{0, 31, 63, 64, 1<<20 - 1, 1 << 20, 1<<20 + 63, len(b) - 65, len(b) - 64, len(b) - 1} {
		flip(b, at, 32<<10)
	}
}

func TestDigestOfOtherContent(t *testing.T) {
	var d Digest
	b := digested(t, 4096)
	longer := append(bytes.Clone(b), bytes.Repeat([]byte("x"), 5000)...)
	require.Equal(t, md5.Sum(longer), written(t, &d, longer, 999))
	forged := bytes.Clone(b)
	copy(forged[24:], "ffffffff")
	require.Equal(t, md5.Sum(forged), written(t, &d, forged, 4096), "a variant that there is none of")
	zeros := make([]byte, 10_000)
	require.Equal(t, md5.Sum(zeros), written(t, &d, zeros, 4096))
	before := d.Sum()
	require.Equal(t, before, d.Sum(), "a sum changes nothing")
}

func BenchmarkDigest(b *testing.B) {
	tree, err := New(&Spec{Seed: 5, Files: 1, Size: Fixed(8 << 20)}, 1)
	require.NoError(b, err)
	p, err := io.ReadAll(tree.Open(tree.Len()-1, 0))
	require.NoError(b, err)
	var d Digest
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		d.Reset()
		for rest := p; len(rest) > 0; rest = rest[min(len(rest), 32<<10):] {
			d.Write(rest[:min(len(rest), 32<<10)])
		}
		d.Sum()
	}
}
