package capacity

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/linear"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/record"
)

// roomy is a subject that makes 32 MiB for each transfer and writes as much of it as the file is large. Below 16 MiB
// its buffers are as large as the file.
func roomy(workers ...int64) *Evidence {
	e := &Evidence{}
	for _, m := range workers {
		for _, size := range []int64{64 << 10, mib, 4 * mib, 16 * mib, 64 * mib} {
			n := m
			if size > 8*mib {
				n = max(1, m/2)
			}
			made, written := n*size, n*min(size, 32*mib)
			if size >= 16*mib {
				made = n * 32 * mib
			}
			e.Rows = append(e.Rows, linear.Observation{Cell: strconv.FormatInt(m, 10), Workers: int(m), Held: true,
				Live: float64(2*mib + made), Unwritten: float64(made - written), Arenas: 2 * mib, Outside: 5 * mib,
				Cov: record.Covariates{InFlight: n, WithBody: n, BytesInFlight: n * size, ConnsOpen: 2 * n}})
		}
		e.Rows = append(e.Rows, linear.Observation{Workers: int(m), Live: 2 * mib, Arenas: 2 * mib, Outside: 5 * mib})
		t := sound(int(m), 64*mib)
		e.Trials = append(e.Trials, t)
	}
	return e
}

func TestBuffersThatAreNotWrittenTakeNoWorkersAway(t *testing.T) {
	e := roomy(2, 4, 8)
	m := e.PeakModel()
	most := func(size int64) int { return m.largest(costs.Plan{Limit: 256 * mib, LargestFile: size}, 100) }
	require.InDelta(t, 13, most(16*mib), 1, "16 of 32 MiB have pages, and a tenth of the others may get some")
	require.LessOrEqual(t, most(16*mib), (256-9)/16)
	require.LessOrEqual(t, most(64*mib), (256-9)/32, "all of the buffer is written")
	require.LessOrEqual(t, most(24*mib), (256-9)/24, "files as large as that were not held")
	require.Contains(t, m.binding(costs.Plan{Limit: 256 * mib, LargestFile: 16 * mib}, 14),
		"what files of such a size were measured to hold")
}

func TestWhatWasNeverHeldIsTakenForWritten(t *testing.T) {
	e := roomy(2, 4, 8)
	m := e.PeakModel()
	at := func(size int64) bool { _, ok := m.heldAt(float64(size)); return ok }
	require.True(t, at(16*mib))
	require.True(t, at(15.5*mib), "hardly more than those")
	require.False(t, at(16*mib+2), "no such files were held, and a path of its own may begin there")
	require.False(t, at(20*mib), "no such files were held")
	_, beyond := m.measured(65 * mib)
	require.False(t, beyond, "larger than any")
	m.holds = m.holds[:5]
	require.False(t, at(16*mib), "one state is no measurement")

	few := roomy(2, 4, 8)
	few.Rows[len(few.Rows)-2].Cov.InFlight = 64 // the most transfers of any state
	m = few.PeakModel()
	_, ok := m.measured(16 * mib)
	require.False(t, ok, "few transfers say nothing of many")
}

// TestBetweenSizesThatWereHeldNoMoreIsNeeded has a buffer of whole files up to 8 MiB, and streams larger ones.
func TestBetweenSizesThatWereHeldNoMoreIsNeeded(t *testing.T) {
	m := &peakModel{}
	for _, size := range []float64{mib, 4 * mib, 16 * mib, 64 * mib} {
		for n := 1.0; n <= 4; n++ {
			written := n * size
			if size > 8*mib {
				written = n * 65536
			}
			m.holds = append(m.holds, hold{size: size, transfers: n, written: written})
		}
	}
	for size, want := range map[float64]float64{3 * mib: 4 * mib, 7 * mib: 7 * mib, 16 * mib: 65536, mib / 2: mib,
		30 * mib: 30.0 / 16 * 65536} {
		got, ok := m.measured(size)
		require.True(t, ok)
		require.InEpsilon(t, want, got.each, 0.01, "files of %.1f MiB", size/mib)
	}
}

// pages are readings of a live heap of 40 MiB with 2 MiB beside its objects, and how much of it has no pages.
var pages = map[string]struct {
	process *record.Process
	arenas  float64
	want    float64
}{
	"half of it":              {&record.Process{HeapArena: 22 * mib}, 2 * mib, 20 * mib},
	"free pages hide some":    {&record.Process{HeapArena: 36 * mib}, 2 * mib, 6 * mib},
	"all has pages":           {&record.Process{HeapArena: 60 * mib}, 2 * mib, 0},
	"swapped out pages count": {&record.Process{HeapArena: 22 * mib, Swap: 20 * mib}, 2 * mib, 0},
	"arenas not read":         {&record.Process{}, 2 * mib, 0},
	"no process":              {nil, 2 * mib, 0},
}

func TestLiveHeapWithoutPages(t *testing.T) {
	for name, c := range pages {
		n := &series.Snapshot{Live: series.Amount{Bytes: 40 * mib}}
		n.Process = c.process
		require.InDelta(t, c.want, n.Unwritten(c.arenas), 1, name)
	}
}

func TestTheLiveHeapIsAsTheRuntimeCountsIt(t *testing.T) {
	n := &series.Snapshot{Live: series.Amount{Bytes: 40 * mib}}
	n.Runtime = &record.Runtime{HeapAlloc: 47 * mib}
	require.EqualValues(t, 40*mib, n.LiveHeap(), "with garbage among it")
	n.Exact = true
	require.EqualValues(t, 47*mib, n.LiveHeap(), "sites are a sample")
	n.Runtime.HeapAlloc = 30 * mib
	require.EqualValues(t, 40*mib, n.LiveHeap())
}

// TestFreeSpansLeaveOpenHowMuchIsWritten has 4 MiB of free spans for each transfer beside half-written buffers: these
// may have that much less.
func TestFreeSpansLeaveOpenHowMuchIsWritten(t *testing.T) {
	ask := func(free float64, leak float64) *record.Capacity {
		e := roomy(2, 4, 8)
		for i := range e.Rows {
			o := &e.Rows[i]
			o.Free = free * float64(o.Cov.InFlight)
		}
		if leak > 0 {
			e.Trials[0].costs = []record.Cost{{Class: record.Leak, Per: "file", Bytes: leak, CI95: [2]float64{leak, leak}}}
		}
		return e.Capacity(e.PeakModel(), costs.Plan{Limit: 170 * mib, LargestFile: 16 * mib, Files: 1000})
	}
	none, some := ask(0, 0), ask(4*mib, 0)
	require.Less(t, none.Perhaps, some.Perhaps-2, "%v", none.Answer)
	require.Equal(t, none.MaxWorkers, some.MaxWorkers, "safe is the most")
	require.InDelta(t, (170-9)/12, some.Perhaps, 2)
	require.Greater(t, some.Perhaps, some.MaxWorkers+1)
	require.Positive(t, ask(4*mib, 1<<10).Perhaps, "a mebibyte of files is not what decides")
	require.Zero(t, ask(4*mib, 100<<10).Perhaps, "it hangs on the files")
}
