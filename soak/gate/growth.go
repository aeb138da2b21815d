package gate

import (
	"strings"

	"github.com/memsoak/memsoak/profiles/costs"
)

// Growth that no finding explains, of so many bytes and above this share of all that findings say, leaves open how much
// a file adds.
const (
	leastUnexplained = 1 << 20
	unexplainedShare = 0.1
)

// growthOf is what each finished file of a trial adds by all rows that grow, with what the run's model has beside them,
// and how much of the trial's growth is too large for its findings. Bytes.
func growthOf(t TrialData, beside float64) (each float64, unexplained int64) {
	each = costs.Growth(costs.Of(t.Verdict), costs.RatesOf(t.Trial))
	last, _ := costs.LastWork(t.Trial)
	if c := t.Verdict.Closure; c != nil && c.Unexplained >= leastUnexplained && strings.HasPrefix(c.Contrast, "floor") &&
		float64(c.Unexplained) > unexplainedShare*each*float64(last.FilesDone) {
		unexplained = c.Unexplained
	}
	if each > 0 {
		each += beside
	}
	return each, unexplained
}
