package capacity

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/linear"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/record"
)

func TestWhatComesWithFilesBesideTheHeapFillsALimitToo(t *testing.T) {
	fit := func(outside float64) *record.Fit {
		e, _ := sized(t, 36*mib)
		e.Trials[0].costs = []record.Cost{{Class: record.Leak, Per: "file", Bytes: 4 << 10,
			CI95: [2]float64{4 << 10, 4 << 10}}}
		for i := range e.Rows {
			o := &e.Rows[i]
			o.Cov.FilesDone = int64(500 * i)
			o.Live += 4 << 10 * float64(o.Cov.FilesDone)
			o.Outside = 5*mib + outside*float64(o.Cov.FilesDone)
		}
		return e.PeakModel().fits(costs.Plan{Limit: 900 * mib, LargestFile: 48 * mib}, grounds{seen: 8})
	}
	heap, all := fit(0), fit(2<<10)
	require.InEpsilon(t, 4<<10, heap.PerFile, 0.02)
	require.InEpsilon(t, 6<<10, all.PerFile, 0.02)
	require.InEpsilon(t, heap.Files*4/6, all.Files, 0.05)
}

// TestAnArrayNeedsItsCopyBesideIt has growth in a slice, of which append leaves the old array until the new one is full
// of it.
func TestAnArrayNeedsItsCopyBesideIt(t *testing.T) {
	plan := costs.Plan{Limit: 900 * mib, LargestFile: 48 * mib, Files: 50_000}
	fit := func(copied bool) (*record.Fit, float64) {
		e, _ := sized(t, 36*mib)
		e.Trials[0].costs = []record.Cost{{Class: record.Leak, Per: "file", Bytes: 4 << 10,
			CI95: [2]float64{4 << 10, 4 << 10}, Copied: copied}}
		for i := range e.Rows {
			o := &e.Rows[i]
			o.Cov.FilesDone = int64(500 * i)
			o.Live += 4 << 10 * float64(o.Cov.FilesDone)
		}
		m := e.PeakModel()
		_, high := m.Forecast(plan, 1).Needs()
		return m.fits(plan, grounds{seen: 8}), high
	}
	list, need := fit(false)
	slice, most := fit(true)
	require.InEpsilon(t, list.Files/2, slice.Files, 0.05)
	require.InDelta(t, need+50_000*4<<10, most, 0.05*need)
}

// never are floors of a subject that keeps 8 KiB of each file, of which it writes one part in four, and readings that
// are no sign of such memory.
var never = map[string]struct {
	change func(o *linear.Observation)
	want   float64
}{
	"never written": {func(*linear.Observation) {}, 0.75},
	"free pages that go away": {func(o *linear.Observation) {
		o.Unwritten = max(0, o.Unwritten/4-float64(o.Cov.FilesDone)) // by the slope alone there would be some
	}, 0.12},
	"there from the start": {func(o *linear.Observation) { o.Unwritten = 64 * mib }, 0},
	"all has pages":        {func(o *linear.Observation) { o.Unwritten = 0 }, 0},
}

// leaking is evidence of a row of so many bytes a file, with twelve floors that are a thousand files apart.
func leaking(t *testing.T, each float64, change func(o *linear.Observation)) *Evidence {
	e, _ := sized(t, 36*mib)
	e.Trials[0].costs = []record.Cost{{Class: record.Leak, Per: "file", Bytes: each, CI95: [2]float64{each, each}}}
	at := e.Rows[0]
	for _, o := range e.Rows {
		if !o.Held {
			at = o
		}
	}
	for i := range 12 {
		o := at
		o.Cov.FilesDone = int64(1000 * i)
		o.Live += each * float64(o.Cov.FilesDone)
		change(&o)
		e.Rows = append(e.Rows, o)
	}
	return e
}

func TestWhatIsKeptAndNeverWrittenMakesALowerBound(t *testing.T) {
	for name, s := range never {
		m := leaking(t, 8<<10, func(o *linear.Observation) {
			o.Unwritten = 0.75 * 8 << 10 * float64(o.Cov.FilesDone)
			s.change(o)
		}).PeakModel()
		require.InDelta(t, s.want, m.bare, 0.1, name)
		fit := m.fits(costs.Plan{Limit: 900 * mib, LargestFile: 48 * mib}, grounds{seen: 8})
		require.Equal(t, m.bare >= threshold.BareShare, fit.AtLeast, name)
		require.Equal(t, fit.AtLeast, fit.Range[1] == 0, name)
		require.LessOrEqual(t, fit.Files*8192, 900.0*mib, "memory that may be written counts: %s", name)
	}
}

// TestLateGrowthIsWhatCounts has growth beside a leak that is half of it a warm-up, and a dip that is no growth.
func TestLateGrowthIsWhatCounts(t *testing.T) {
	const end = 11_000
	each := func(outside func(files float64) float64) float64 {
		return leaking(t, 4<<10, func(o *linear.Observation) {
			o.Outside = 5*mib + outside(float64(o.Cov.FilesDone))
		}).PeakModel().beside()
	}
	require.InDelta(t, 160, each(func(n float64) float64 { return 160 * n }), 16)
	require.InDelta(t, 100, each(func(n float64) float64 { return 160*min(n, end/3) + 100*max(0, n-end/3) }), 15,
		"what the second half adds")
	require.Less(t, each(func(n float64) float64 {
		if n < end/2 {
			return 0
		}
		return -50 * (end - n)
	}), 10.0, "what a dip gives back")
}
