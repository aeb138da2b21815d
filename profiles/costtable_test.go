package profiles

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/costs"
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
			m := e.PeakModel()
			p := costs.Plan{Limit: 96 * mib}
			got := e.Capacity(m, p)
			require.NotNil(t, got.Fits, "%v", got.Answer)
			require.Contains(t, got.Answer[0], "fit in 96.0 MiB", "how much work fits stands first")
			base, _ := m.Forecast(costs.Plan{LargestFile: got.LargestFile}, got.Fits.Workers).Needs()
			truth := (float64(p.Limit) - base) / c.bytes
			assert.LessOrEqual(t, got.Fits.Files, truth)
			assert.Greater(t, got.Fits.Files, truth/2, "from few files: growth beside the heap too small to be seen counts")
			assert.LessOrEqual(t, truth, got.Fits.Range[1])

			p.Files, p.LargestFile = int64(got.Fits.Files), got.LargestFile
			_, high := m.Forecast(p, got.Fits.Workers).Needs()
			assert.InEpsilon(t, p.Limit, high, 0.03, "a plan for so many files needs all of the limit")
			assert.Equal(t, -1, got.MaxWorkers, "the default plan has a million files")
			assert.Positive(t, got.Mended, "without the leak workers fit")

			sum := 0.0
			for _, row := range rv.Costs {
				if n, ok := m.Rates.PerFile(row.Per); ok && !row.Bounded {
					sum += n * row.Bytes
				}
			}
			assert.InDelta(t, sum, got.Fits.PerFile, 1e-6)
			for _, v := range rv.Cells {
				for i, f := range v.Findings {
					if f.Slope != nil && i < len(v.Costs) && f.Slope.Per == "file" {
						assert.InEpsilon(t, v.Costs[i].Bytes*costs.DefaultPlannedFiles, float64(f.AtPlan), 1e-3,
							"at_plan and plan are one computation")
					}
				}
			}
		})
	}
}

// TestASliceThatGrowsIsARowThatIsCopied has a slice by append, and objects in a list.
func TestASliceThatGrowsIsARowThatIsCopied(t *testing.T) {
	for name, want := range map[string]bool{"leak-append": true, "leak-wave": false} {
		s, err := readReduced(t, filepath.Join(recordings, name+".json.gz")).series()
		require.NoError(t, err)
		v := diagnose(s, Options{})
		require.NotEmpty(t, v.Costs, name)
		assert.Equal(t, want, v.Costs[0].Copied, name)
	}
}
