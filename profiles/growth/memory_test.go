package growth

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

// TestGrowthOutsideGosHeapIsFound has a heap that stays, and memory outside it that grows, wanders, or is full early.
func TestGrowthOutsideGosHeapIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		outside func(x float64, i int) float64
		want    record.HypothesisState
	}{
		"it grows":   {func(x float64, _ int) float64 { return 100 * mib * x }, record.Found},
		"it wanders": {func(_ float64, i int) float64 { return 100*mib + float64(i*7%5)*mib }, record.Excluded},
		"it is full": {func(x float64, _ int) float64 { return min(100*mib, 400*mib*x) }, record.Excluded},
		"a little":   {func(x float64, _ int) float64 { return 2 * mib * x }, record.Excluded},
	} {
		const n = 30
		s := sampled(rand.New(rand.NewPCG(1, 2)), n, source{"table", constant(20 * mib), 1})
		for i := range s.Points {
			s.Points[i].Memory = map[string]float64{record.OutsidePart: c.outside(float64(i)/(n-1), i)}
		}
		g := Judge(s, "")
		require.Len(t, g.Memory, 1, name)
		assert.Equal(t, c.want, g.Memory[0].State, name)
	}
}

// TestLessThanASampledObjectIsNoGrowth has a place that was seen once and is a few bytes larger at the end.
func TestLessThanASampledObjectIsNoGrowth(t *testing.T) {
	c := judge(samples{t: []float64{0, 1, 2}, y: []float64{512 << 10, 1 << 20, 512<<10 + 8}, rate: 512 << 10}, false)
	assert.Equal(t, record.Steady, c.Shape)
}
