package profiles

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

// growing are faults whose work is bounded by a limit, with what a file costs.
var growing = map[string]struct {
	fault int // of faults
	bytes float64
}{
	"a leak per file": {1, 112},
}

func TestFilesThatFitComeFromTheCostTable(t *testing.T) {
	for name, c := range growing {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			recordRun(t, dir, 3, func() *subject { return newSubject(faults[c.fault].make) })
			rv, e, err := diagnoseRun(dir, Options{}, nil)
			require.NoError(t, err)
			m := e.peakModel()
			p := Plan{Limit: 96 * mib}
			got := e.capacity(m, p)
			require.NotNil(t, got.Fits, "%v", got.Answer)
			require.Contains(t, got.Answer[0], "fit in 96.0 MiB", "how much work fits stands first")
			base, _ := m.forecast(Plan{LargestFile: got.LargestFile}, got.Fits.Workers).needs()
			assert.InEpsilon(t, (float64(p.Limit)-base)/c.bytes, got.Fits.Files, 0.15)
			assert.LessOrEqual(t, got.Fits.Range[0], got.Fits.Range[1])

			p.Files, p.LargestFile = int64(got.Fits.Files), got.LargestFile
			_, high := m.forecast(p, got.Fits.Workers).needs()
			assert.InEpsilon(t, p.Limit, high, 0.03, "a plan for so many files needs all of the limit")
			assert.Equal(t, -1, got.MaxWorkers, "the default plan has a million files")
			assert.Positive(t, got.Mended, "without the leak workers fit")

			sum := 0.0
			for _, row := range rv.Costs {
				if n, ok := m.rates.perFile(row.Per); ok && !row.Bounded {
					sum += n * row.Bytes
				}
			}
			assert.InDelta(t, sum, got.Fits.PerFile, 1e-6)
			for _, v := range rv.Cells {
				for i, f := range v.Findings {
					if f.Slope != nil && i < len(v.Costs) && f.Slope.Per == "file" {
						assert.InEpsilon(t, v.Costs[i].Bytes*DefaultPlannedFiles, float64(f.AtPlan), 1e-3,
							"at_plan and plan are one computation")
					}
				}
			}
		})
	}
}

func TestTablesOfTrialsAreJoinedRowByRow(t *testing.T) {
	row := func(class record.Class, function, per string, bytes float64) record.Cost {
		return record.Cost{Class: class, Site: record.Site{Function: function}, Per: per, Bytes: bytes,
			CI95: [2]float64{bytes - 2, bytes + 2}}
	}
	got := runCosts([][]record.Cost{
		{row(record.Leak, "a", "file", 100), row(record.BufferWorker, "a", "worker", 9)},
		{row(record.Leak, "a", "file", 110)},
		{row(record.Metadata, "a", "distinct-item", 105)}, // the same bytes by another unit
		{row(record.Metadata, "b", "listed-file", 7)},
	})
	require.Len(t, got, 3)
	assert.Equal(t, "file", got[0].Per)
	assert.InDelta(t, 105, got[0].Bytes, 1e-9)
	assert.GreaterOrEqual(t, got[0].CI95[1], 110.0, "the interval covers how far trials differ")
	assert.Equal(t, []string{"worker", "listed-file"}, []string{got[1].Per, got[2].Per},
		"what one trial has beside it stays")
}

func TestVerdictsWithoutATableHaveTheirSlopesAsRows(t *testing.T) {
	v := &record.Verdict{Findings: []record.Finding{
		{Class: record.Leak, Slope: &record.Slope{Bytes: 64, Per: "file"}}, {Class: record.BufferWorker,
			Slope: &record.Slope{Bytes: 1, Per: "worker"}}, {Class: record.GCHeadroom}}}
	got := Costs(v)
	require.Len(t, got, 2)
	assert.False(t, got[0].Bounded)
	assert.True(t, got[1].Bounded)
	assert.InDelta(t, 64, Growth(got, Rates{}), 1e-9)
}

func TestThousandsAreApart(t *testing.T) {
	for n, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 612_345: "612,000",
		1_999_999: "1,990,000"} {
		assert.Equal(t, want, thousands(n))
	}
}

func TestTwoStacksOfOneFunctionAddUp(t *testing.T) {
	row := record.Cost{Class: record.GoroutineLeak, Site: record.Site{Function: "a.send", Line: 7}, Per: "file",
		Bytes: 2000, CI95: [2]float64{1970, 2030},
		Parts: map[string]float64{partStacks: 1900, partLive: 100}}
	other := row
	other.Bytes, other.CI95, other.Parts = 1000, [2]float64{960, 1040}, nil
	got := runCosts([][]record.Cost{{row, other}})
	require.Len(t, got, 1)
	assert.Equal(t, 3000.0, got[0].Bytes, "each file leaves both")
	assert.InDelta(t, 100, got[0].CI95[1]-got[0].CI95[0], 1e-9)
	assert.Equal(t, 1100.0, got[0].Parts[partLive])
	assert.Equal(t, 1900.0, got[0].Parts[partStacks])
	assert.Equal(t, Growth([]record.Cost{row, other}, Rates{}), Growth(got, Rates{}))
}

func TestHeapThatWorkLeftIsNoMoreThanTheHeapGrewBy(t *testing.T) {
	row := func(live, stacks float64) *judged {
		j := &judged{term: term{unit: unit{name: "file", values: []float64{0, 500, 1000}}, slope: live + stacks, se: 1,
			retainedTerm: true}, parts: map[string]float64{partLive: live, partStacks: stacks}, costSE: 10}
		j.Class, j.Slope = record.Leak, &record.Slope{Bytes: live + stacks, Per: "file"}
		return j
	}
	for name, c := range map[string]struct {
		grew      int64
		container bool
		want      []float64 // bytes per file
	}{
		"said three times":        {2 << 20, false, []float64{1048.576 + 1000, 2 * 524.288}},
		"within the samples' own": {5 << 20, false, []float64{3145.728 + 1000, 3145.728}},
		"a container may double":  {2 << 20, true, []float64{3145.728 + 1000, 3145.728}},
		"nothing grew":            {0, false, []float64{3145.728 + 1000, 3145.728}},
	} {
		s := &Series{}
		for _, alloc := range []int64{1 << 20, 0, 1<<20 + c.grew} {
			n := &Snapshot{}
			n.State, n.Runtime = record.StateFloor, &record.Runtime{HeapAlloc: alloc}
			s.Snaps = append(s.Snaps, n)
		}
		s.Snaps[1].Runtime = nil
		js := []*judged{row(3145.728, 1000), row(3145.728, 0)}
		js[1].container = c.container
		s.boundByTotal(js)
		for i, j := range js {
			require.InDelta(t, c.want[i], j.bytes(), 0.01, name)
			require.InDelta(t, c.want[i], j.Slope.Bytes, 0.01, name)
		}
		require.LessOrEqual(t, js[0].costSE, 10.0)
	}
}

func TestWhatComesWithFilesBesideTheHeapFillsALimitToo(t *testing.T) {
	fit := func(outside float64) *record.Fit {
		e, _ := sized(t, 36*mib)
		e.trials[0].costs = []record.Cost{{Class: record.Leak, Per: "file", Bytes: 4 << 10,
			CI95: [2]float64{4 << 10, 4 << 10}}}
		for i := range e.rows {
			o := &e.rows[i]
			o.cov.FilesDone = int64(500 * i)
			o.live += 4 << 10 * float64(o.cov.FilesDone)
			o.outside = 5*mib + outside*float64(o.cov.FilesDone)
		}
		return e.peakModel().fits(Plan{Limit: 900 * mib, LargestFile: 48 * mib}, grounds{seen: 8})
	}
	heap, all := fit(0), fit(2<<10)
	require.InEpsilon(t, 4<<10, heap.PerFile, 0.02)
	require.InEpsilon(t, 6<<10, all.PerFile, 0.02)
	require.InEpsilon(t, heap.Files*4/6, all.Files, 0.05)
}

func TestSuspectsHaveNoCosts(t *testing.T) {
	v := &record.Verdict{Findings: []record.Finding{{Class: record.Leak, Slope: &record.Slope{Bytes: 64, Per: "file"}}}}
	require.Len(t, Costs(v), 1, "a verdict from before there was a table")
	v.Hypotheses = []record.Hypothesis{{Class: record.Leak, Per: "file"}}
	require.Empty(t, Costs(v))
}
