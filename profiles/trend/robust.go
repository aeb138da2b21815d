package trend

import (
	"math"
	"slices"

	"github.com/memsoak/memsoak/internal/stat"
)

// Line is a fitted straight line.
type Line struct {
	Slope, Intercept float64
	OK               bool
}

// TheilSen fits a line by the median of the slopes between all pairs of points with different x. It needs two such
// points; the time is quadratic.
func TheilSen(x, y []float64) Line {
	n := min(len(x), len(y))
	var slopes []float64
	for i := range n {
		for j := i + 1; j < n; j++ {
			if d := x[j] - x[i]; d != 0 {
				slopes = append(slopes, (y[j]-y[i])/d)
			}
		}
	}
	if len(slopes) == 0 {
		return Line{}
	}
	l := Line{Slope: Median(slopes), OK: true}
	off := make([]float64, n)
	for i := range n {
		off[i] = y[i] - l.Slope*x[i]
	}
	l.Intercept = Median(off)
	return l
}

// Median is the middle value, or NaN of none.
func Median(v []float64) float64 { return stat.Median(v) }

// Quantile is the q-quantile by linear interpolation between order statistics (Hyndman & Fan's type 7), or NaN of none.
func Quantile(v []float64, q float64) float64 { return stat.Quantile(v, q) }

// Kendall is the outcome of a Mann-Kendall test.
type Kendall struct {
	S  int     // pairs that rise minus pairs that fall
	Z  float64 // standardised with continuity correction; about normal from 8 points on
	OK bool
}

// MannKendall tests for a monotonic trend in values given in order. It needs four values.
func MannKendall(y []float64) Kendall {
	n := len(y)
	if n < 4 {
		return Kendall{}
	}
	k := Kendall{OK: true}
	for i := range n {
		for j := i + 1; j < n; j++ {
			switch {
			case y[j] > y[i]:
				k.S++
			case y[j] < y[i]:
				k.S--
			}
		}
	}
	f := float64(n)
	variance := f * (f - 1) * (2*f + 5)
	sorted := slices.Clone(y)
	slices.Sort(sorted)
	for i := 0; i < n; {
		j := i
		for j < n && sorted[j] == sorted[i] {
			j++
		}
		t := float64(j - i)
		variance -= t * (t - 1) * (2*t + 5)
		i = j
	}
	if variance <= 0 {
		return k
	}
	switch {
	case k.S > 0:
		k.Z = float64(k.S-1) / math.Sqrt(variance/18)
	case k.S < 0:
		k.Z = float64(k.S+1) / math.Sqrt(variance/18)
	}
	return k
}
