package history

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func settings(t *testing.T, name string, scale int) map[string]Setting {
	t.Helper()
	p, err := Find(name)
	require.NoError(t, err)
	out := map[string]Setting{}
	for _, s := range p.Settings(scale) {
		out[s.Name] = s
	}
	return out
}

func TestEveryPresetIsValidAtEveryScale(t *testing.T) {
	require.Len(t, Presets(), 6)
	for _, p := range Presets() {
		for _, scale := range []int{1, 16, 1 << 40} {
			assert.NoError(t, p.By(scale).Validate(), "%s at %d", p.Name, scale)
		}
		assert.NotZero(t, p.Limit.By(1<<60), "a scale never takes a limit away")
	}
	_, err := Find("v9")
	assert.ErrorContains(t, err, "v2.4.1-single-worker")
}

// TestScaleDividesSizesOnly also pins what the history states and the assumptions.
func TestScaleDividesSizesOnly(t *testing.T) {
	s := settings(t, "v2.4.1-single-worker", 16)
	assert.Equal(t, Setting{Name: "workers", Value: "1"}, s["workers"])
	assert.Equal(t, Setting{Name: "discovery_workers", Value: "2"}, s["discovery_workers"])
	assert.Equal(t, Setting{Name: "gomemlimit", Value: "115200KiB"}, s["gomemlimit"])
	assert.Equal(t, Setting{Name: "gogc", Value: "50"}, s["gogc"])
	assert.Equal(t, Setting{Name: "timeout", Value: "30s"}, s["timeout"])
	assert.Equal(t, Setting{Name: "part_size", Value: "320KiB", Assumed: true}, s["part_size"])
	assert.Equal(t, Setting{Name: "buffer_below", Value: "0"}, s["buffer_below"], "told: none")
	s = settings(t, "v2.3.6", 1)
	assert.Equal(t, Setting{Name: "buffer_below", Value: "10MiB", Assumed: true}, s["buffer_below"])
	assert.Equal(t, Setting{Name: "gomemlimit", Value: "off"}, s["gomemlimit"])
	assert.Equal(t, Setting{Name: "gogc", Value: "100", Assumed: true}, s["gogc"])
}
