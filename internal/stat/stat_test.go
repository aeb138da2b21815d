package stat

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMiddles(t *testing.T) {
	v := []float64{9, 1, 5}
	assert.InDelta(t, 5, Mean(v), 0)
	assert.InDelta(t, 4, Deviation(v), 0)
	assert.InDelta(t, 5, Median(v), 0)
	assert.Equal(t, []float64{9, 1, 5}, v, "the caller's data")
	assert.InDelta(t, 3, Median([]float64{5, 1}), 0)
	assert.True(t, math.IsNaN(Median(nil)) && math.IsNaN(Mean(nil)) && math.IsNaN(Deviation(v[:1])))
}

// TestStudentIsWhatTablesSay: values of R's qt and pt.
func TestStudentIsWhatTablesSay(t *testing.T) {
	for _, c := range []struct{ p, df, want float64 }{
		{0.975, 1, 12.706204736174698}, {0.975, 2, 4.302652729749464}, {0.975, 10, 2.2281388519862742},
		{0.995, 5, 4.032142983555227}, {0.95, 2.5, 2.5582185}, {0.9999, 30, 4.233986},
		{0.975, 1e6, 1.9599663}, {0.025, 10, -2.2281388519862742}, {0.5, 3, 0},
	} {
		assert.InEpsilon(t, 1+c.want, 1+TQuantile(c.p, c.df), 1e-6, "%v", c)
		assert.InDelta(t, 1-c.p, TTail(c.want, c.df), 1e-7, "%v", c)
	}
	assert.InDelta(t, 1.959963984540054, NormalQuantile(0.975), 1e-12)
	assert.InDelta(t, 0.5, TTail(0, 4), 1e-15)
}
