package capacity

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/costs"
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
