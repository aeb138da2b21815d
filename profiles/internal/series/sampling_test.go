package series

import (
	"bytes"
	"math"
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

// TestRecordsOfStacksAreAsTheRuntimeHasThem holds their sizes to the runtime's own count.
func TestRecordsOfStacksAreAsTheRuntimeHasThem(t *testing.T) {
	var before, after runtime.MemStats
	rate := runtime.MemProfileRate
	runtime.MemProfileRate = 1
	nested(0, 1)
	runtime.ReadMemStats(&before)
	for path := range 1 << 10 {
		nested(path, 10)
	}
	runtime.ReadMemStats(&after)
	runtime.MemProfileRate = rate
	runtime.GC()
	runtime.GC() // a profile is of two collections ago
	var text bytes.Buffer
	require.NoError(t, pprof.Lookup("allocs").WriteTo(&text, 0))
	p, err := profile.Parse(&text)
	require.NoError(t, err)
	sum, stacks := 0.0, 0
	for _, s := range p.Sample {
		if len(s.Location) > 10 {
			sum, stacks = sum+recordBytes+frameBytes*float64(len(s.Location)), stacks+1
		}
	}
	require.GreaterOrEqual(t, stacks, 1<<10)
	require.InEpsilon(t, after.BuckHashSys-before.BuckHashSys, sum, 0.25)
}

func TestFineSamplingCostsTheStacksThatItsOwnRateWouldNotSee(t *testing.T) {
	const stacks, once = 1000, 600
	heap := func(since int64) *capture.Capture {
		p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "inuse_objects"}, {Type: "inuse_space"},
			{Type: "alloc_space"}}, PeriodType: &profile.ValueType{Type: "space", Unit: "bytes"}, Period: 4096}
		for i := range stacks {
			f := &profile.Function{ID: uint64(i + 1), Name: "main.f", Filename: "main.go"}
			l := &profile.Location{ID: f.ID, Address: uint64(i + 1), Line: []profile.Line{{Function: f, Line: int64(i)}}}
			alloc := int64(4096)
			if i >= once {
				alloc += since
			}
			p.Function, p.Location = append(p.Function, f), append(p.Location, l)
			p.Sample = append(p.Sample, &profile.Sample{Location: []*profile.Location{l}, Value: []int64{1, 4096, alloc}})
		}
		return &capture.Capture{Profile: p}
	}
	of := func(asked int64, page int64, profiling int64, set map[string]string) Sampling {
		s := New(&record.Trial{SampleRate: asked, Settings: set, PageSize: page}, "")
		for i, files := range []int64{0, 1000} {
			n := &Snapshot{Snapshot: record.Snapshot{State: record.StateFloor, Sample: record.Sample{
				Covariates: &record.Covariates{FilesDone: files}, Runtime: &record.Runtime{Profiling: profiling}}}}
			require.NoError(t, s.AddHeap(n, heap(64<<10*int64(i))))
			s.Snaps = append(s.Snaps, n)
		}
		return s.Sampling()
	}
	const each = recordBytes + frameBytes
	seen := func(alloc float64) float64 { return math.Exp(-alloc / ownRate) }
	fine := of(4096, 0, 0, nil)
	require.InEpsilon(t, each*(once*seen(4<<10)+400*seen(68<<10)), fine.Beyond(1000), 1e-6)
	require.InDelta(t, fine.Beyond(1000), fine.Beyond(1), 0, "no more with fewer files than were done")
	require.InEpsilon(t, each*once*seen(4<<10), fine.Beyond(1<<30), 1e-6, "what allocates with files is seen in the end")

	// Some 50 stacks at its own rate touch an eighth of the array's pages, 1,000 all but one in 17.
	array := func(page, profiling int64) float64 {
		return of(4096, page, profiling, nil).Beyond(1000) - fine.Beyond(1000)
	}
	require.InDelta(t, 0.8*arrayBytes, array(4096, arrayBytes+1000*each*5/4), 0.02*arrayBytes)
	require.InDelta(t, 0.1*arrayBytes, array(64<<10, arrayBytes+1000*each*5/4), 0.02*arrayBytes)
	require.Less(t, array(2<<20, arrayBytes+1000*each*5/4), 1.0, "one huge page")
	require.Zero(t, array(4096, arrayBytes+1000*each*2), "as many stacks of other profiles")
	require.Zero(t, array(4096, 0), "not read")
	for name, s := range map[string]Sampling{"its own rate": of(0, 4096, 0, nil),
		"another, that it sets itself": of(2048, 4096, 0, nil),
		"a setting of the run":         of(4096, 4096, 0, map[string]string{"memprofilerate": "4096"})} {
		require.Zero(t, s.Beyond(1000), name)
	}
}
