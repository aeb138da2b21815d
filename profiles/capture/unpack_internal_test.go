package capture

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestUnpackGrowsNoBufferForABomb: what has more than the limit is counted, and what has less comes whole.
func TestUnpackGrowsNoBufferForABomb(t *testing.T) {
	const size = 40 << 20
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	plain := bytes.Repeat([]byte("\x32\x0e\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"), size/16) // strings
	_, err := z.Write(plain)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	unpack := func(limit int64) ([]byte, int64, uint64) {
		var zip gzip.Reader
		require.NoError(t, zip.Reset(bytes.NewReader(packed.Bytes())))
		var buf bytes.Buffer
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n, err := Unpack(&buf, &zip, packed.Bytes(), limit)
		runtime.ReadMemStats(&after)
		require.NoError(t, err)
		return buf.Bytes(), n, after.TotalAlloc - before.TotalAlloc
	}
	got, n, _ := unpack(size)
	assert.EqualValues(t, size, n)
	assert.True(t, bytes.Equal(plain, got))
	_, n, allocated := unpack(size - 1)
	assert.EqualValues(t, size, n, "one more than the limit")
	assert.LessOrEqual(t, allocated, uint64(80<<20), "bytes: those of the usual size, doubled, and none for the rest")
}
