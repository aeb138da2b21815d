package profiles

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/profiles/capacity"
	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/record"
)

// keepsToMeasurements checks that no prediction of a trial's own settings and work is below its memory.
func keepsToMeasurements(t *testing.T, s *series.Series, v *record.Verdict) {
	e := &capacity.Evidence{}
	e.Collect(s, v)
	m := e.PeakModel()
	if m == nil {
		return
	}
	for _, x := range m.States {
		f := m.Forecast(costs.Plan{Files: x.Files, LargestFile: x.Largest}, max(1, x.Workers))
		_, high := f.Needs()
		assert.GreaterOrEqual(t, high, x.Inside+x.Outside, "%d files, the largest of %d B", x.Files, x.Largest)
		assert.GreaterOrEqual(t, high, f.Live+x.Outside, "%d files, the largest of %d B", x.Files, x.Largest)
	}
	x, n := e.Trials[0], max(1, e.Trials[0].Workers)
	peak := x.Peak.Bytes()
	for more, own := range []record.CapacityStep{
		m.Step(costs.Plan{Limit: tib, Files: x.Files, LargestFile: x.Held}, n, tib),
		m.Step(costs.Plan{Limit: tib, Files: 2 * x.Files, LargestFile: x.Held}, 3*n, tib),
	} {
		assert.GreaterOrEqual(t, own.Peak, peak)
		assert.GreaterOrEqual(t, own.PI95[1], own.Peak)
		assert.GreaterOrEqual(t, own.Peak, own.PI95[0])
		assert.Equal(t, more == 0, own.Measured == peak)
	}
	whole := m.Step(costs.Plan{Limit: tib, Files: x.Files, LargestFile: x.Whole}, n, tib)
	assert.LessOrEqual(t, whole.PI95[0], peak)
}

const tib = 1 << 40
