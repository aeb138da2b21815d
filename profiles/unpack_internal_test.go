package profiles

import (
	"bytes"
	"compress/gzip"
	"runtime"
	"runtime/pprof"
	"testing"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func zipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

// TestAnUnpackerReadsWhatPprofReads compares it with pprof's own parser on profiles good and bad, one after the other
// with the same buffers.
func TestAnUnpackerReadsWhatPprofReads(t *testing.T) {
	runtime.GC()
	var packed, text, routines bytes.Buffer
	require.NoError(t, pprof.Lookup("heap").WriteTo(&packed, 0))
	require.NoError(t, pprof.Lookup("heap").WriteTo(&text, 1))
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&routines, 0))
	p, err := profile.ParseData(packed.Bytes())
	require.NoError(t, err)
	var plain bytes.Buffer
	require.NoError(t, p.WriteUncompressed(&plain))

	var u unpacker
	for name, b := range map[string][]byte{
		"heap": packed.Bytes(), "goroutine": routines.Bytes(), "heap, uncompressed": plain.Bytes(), "heap, as text": text.Bytes(),
		"cut off": packed.Bytes()[:packed.Len()/2], "garbage": []byte("<html>not found</html>"), "garbage, compressed": zipped(t, []byte("garbage")),
		"nothing, compressed": zipped(t, nil), "two in one": zipped(t, append(plain.Bytes(), plain.Bytes()...)),
		"a damaged sum": append(packed.Bytes()[:packed.Len()-8:packed.Len()-8], 1, 2, 3, 4, 5, 6, 7, 8),
	} {
		want, wantErr := profile.ParseData(b)
		got, err := u.parse(b)
		if wantErr != nil {
			assert.EqualError(t, err, wantErr.Error(), name)
			continue
		}
		require.NoError(t, err, name)
		assert.Equal(t, want.String(), got.String(), name)
	}
}
