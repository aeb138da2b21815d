package series

import (
	"bytes"
	"runtime"
	"runtime/pprof"
	"testing"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/capture"
	"github.com/memsoak/memsoak/profiles/record"
)

var kept [][]byte

// nested allocates on a stack of its own for each path.
func nested(path, depth int) {
	switch {
	case depth == 0:
		kept = append(kept[:0], make([]byte, 64))
	case path&1 == 0:
		nested(path>>1, depth-1)
	default:
		nested(path>>1, depth-1)
	}
}

// TestTheProfilersTableIsAsTheRuntimeHasIt holds the sizes to the runtime's own count, which has the array whole.
func TestTheProfilersTableIsAsTheRuntimeHasIt(t *testing.T) {
	rate := runtime.MemProfileRate
	runtime.MemProfileRate = 1
	for path := range 1 << 10 {
		nested(path, 10)
	}
	runtime.MemProfileRate = rate
	var text bytes.Buffer
	runtime.GC()
	runtime.GC() // a profile is of two collections ago
	require.NoError(t, pprof.Lookup("allocs").WriteTo(&text, 0))
	p, err := profile.Parse(&text)
	require.NoError(t, err)
	var table profilerTable
	for _, s := range p.Sample {
		table.add(len(s.Location), float64(s.Value[1]))
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	require.Greater(t, table.stacks, 1000.0)
	require.InEpsilon(t, stats.BuckHashSys-tableBytes, table.records, 0.2)
}

func TestFineSamplingIsNoMemoryOfTheSubject(t *testing.T) {
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "inuse_objects"}, {Type: "inuse_space"},
		{Type: "alloc_space"}}, PeriodType: &profile.ValueType{Type: "space", Unit: "bytes"}, Period: 4096}
	for i := range 1000 {
		f := &profile.Function{ID: uint64(i + 1), Name: "main.f", Filename: "main.go"}
		l := &profile.Location{ID: f.ID, Address: uint64(i + 1), Line: []profile.Line{{Function: f, Line: int64(i)}}}
		alloc := int64(4096)
		if i < 100 {
			alloc = 64 << 20
		}
		p.Function, p.Location = append(p.Function, f), append(p.Location, l)
		p.Sample = append(p.Sample, &profile.Sample{Location: []*profile.Location{l}, Value: []int64{1, 4096, alloc}})
	}
	sampling := func(asked, period int64, set map[string]string) float64 {
		s := New(&record.Trial{SampleRate: asked, Settings: set}, "")
		var n Snapshot
		p.Period = period
		require.NoError(t, s.AddHeap(&n, &capture.Capture{Profile: p}))
		return n.Sampling
	}
	// 900 rare stacks more, and most pages of an array of which 100 stacks touch a quarter.
	require.InDelta(t, 900*(recordBytes+frameBytes)+0.68*tableBytes, sampling(4096, 4096, nil), 64<<10)
	require.Zero(t, sampling(0, 512<<10, nil), "its own rate")
	require.Zero(t, sampling(512<<10, 512<<10, nil), "as coarse as its own")
	require.Zero(t, sampling(4096, 2048, nil), "a rate that it sets itself")
	require.Zero(t, sampling(4096, 4096, map[string]string{"memprofilerate": "4096"}), "a setting of the run")
}
