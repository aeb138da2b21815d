package trial

import (
	"bytes"
	"compress/gzip"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fullyParsed is what liveReader does, with a parser of the whole profile.
func fullyParsed(t *testing.T, p *profile.Profile) (sum, own int64) {
	at := -1
	for i, st := range p.SampleType {
		if st.Type == "inuse_space" {
			at = i
		}
	}
	require.GreaterOrEqual(t, at, 0)
	for _, s := range p.Sample {
		writer := false
		for _, l := range s.Location {
			for _, line := range l.Line {
				writer = writer || strings.HasPrefix(line.Function.Name, "runtime/pprof.")
			}
		}
		if writer {
			own += s.Value[at]
		} else {
			sum += s.Value[at]
		}
	}
	return sum, own
}

// heapProfile is a profile of this process in which its own writing has a part.
func heapProfile(t *testing.T) []byte {
	rate := runtime.MemProfileRate
	runtime.MemProfileRate = 512
	defer func() { runtime.MemProfileRate = rate }()
	var b bytes.Buffer
	for range 2 {
		b.Reset()
		require.NoError(t, pprof.Lookup("heap").WriteTo(&b, 0))
		runtime.GC()
		runtime.GC()
	}
	return b.Bytes()
}

func TestTheLiveHeapIsWhatAFullParserSays(t *testing.T) {
	kept := make([][]byte, 100)
	for i := range kept {
		kept[i] = make([]byte, 4<<10)
	}
	data := heapProfile(t)
	runtime.KeepAlive(kept)
	p, err := profile.ParseData(data)
	require.NoError(t, err)
	want, own := fullyParsed(t, p)
	require.Positive(t, want)
	require.Positive(t, own, "the profile's own writing is in it")
	var r liveReader
	for range 2 { // its buffers are used again
		got, err := r.bytes(data)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	// Another writer puts the tables in another order, and short lists unpacked.
	var other bytes.Buffer
	require.NoError(t, p.Write(&other))
	got, err := r.bytes(other.Bytes())
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

func TestAProfileThatIsCutOffOrOfAnotherKindHasNoLiveHeap(t *testing.T) {
	var r liveReader
	data := heapProfile(t)
	for _, bad := range [][]byte{nil, []byte("no profile"), data[:len(data)/2], gzipped(t, []byte{0x0a, 0xff})} {
		_, err := r.bytes(bad)
		assert.Error(t, err)
	}
	var routines bytes.Buffer
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&routines, 0))
	_, err := r.bytes(routines.Bytes())
	assert.ErrorIs(t, err, errNoLive)
	_, err = r.bytes(data)
	assert.NoError(t, err, "after bad ones a good one is read")
}

func gzipped(t *testing.T, data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func BenchmarkLiveHeap(b *testing.B) {
	var data bytes.Buffer
	if err := pprof.Lookup("heap").WriteTo(&data, 0); err != nil {
		b.Fatal(err)
	}
	var r liveReader
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.bytes(data.Bytes()); err != nil {
			b.Fatal(err)
		}
	}
}
