package content

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAdvanceInStepsEqualsHashOfWhole(t *testing.T) {
	for _, variant := range []uint32{0, 3, 63} {
		var buf bytes.Buffer
		const size = 3*BlockSize + 4160
		require.NoError(t, WriteRange(&buf, variant, 0, size))
		require.Len(t, buf.Bytes(), size)
		var s State
		var at int64
		for _, to := range []int64{64, 4032, BlockSize - 64, BlockSize, 2*BlockSize + 128, size - 64} {
			s, at = Advance(variant, s, at, to), to
		}
		x := NewHasher()
		want := [][]byte{}
		m, s1, s2 := md5.Sum(buf.Bytes()), sha1.Sum(buf.Bytes()), sha256.Sum256(buf.Bytes())
		want = append(want, m[:], s1[:], s2[:])
		for i := range 3 {
			x.Set(i, &s, at)
			x.Hash(i).Write(buf.Bytes()[at:])
			require.Equal(t, want[i], x.Hash(i).Sum(nil))
		}
	}
}
