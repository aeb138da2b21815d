// Package stat has the small statistics that several rooms need: middles and Student's t.
// What knows of memory or of trends is not here but in profiles.
package stat

import (
	"math"
	"slices"
)

// Mean is the arithmetic mean, or NaN of none.
func Mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// Deviation is the standard deviation of a sample, or NaN of fewer than two.
func Deviation(v []float64) float64 {
	mean, sum := Mean(v), 0.0
	for _, x := range v {
		sum += (x - mean) * (x - mean)
	}
	return math.Sqrt(sum / float64(len(v)-1))
}

// Median is the middle value, or NaN of none.
func Median(v []float64) float64 { return Quantile(v, 0.5) }

// Quantile is the q-quantile by linear interpolation between order statistics (Hyndman & Fan's type 7), or NaN of none.
func Quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	pos := q * float64(len(s)-1)
	i := int(pos)
	if i+1 >= len(s) {
		return s[len(s)-1]
	}
	return s[i] + (pos-float64(i))*(s[i+1]-s[i])
}

// TTail is the chance that a value of Student's t with df degrees of freedom is above t.
func TTail(t, df float64) float64 {
	if math.IsNaN(t) || math.IsNaN(df) {
		return math.NaN()
	}
	half := betaShare(df/2, 0.5, df/(df+t*t)) / 2
	if t < 0 {
		return 1 - half
	}
	return half
}

// TQuantile is the value that Student's t with df degrees of freedom stays below with the chance p.
func TQuantile(p, df float64) float64 {
	if p < 0.5 {
		return -TQuantile(1-p, df)
	}
	lo, hi := 0.0, 1.0
	for TTail(hi, df) > 1-p && hi < math.MaxFloat64/2 {
		lo, hi = hi, 2*hi
	}
	for range 200 { // more than a float64 has bits
		mid := lo + (hi-lo)/2
		if TTail(mid, df) > 1-p {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo + (hi-lo)/2
}

// NormalQuantile is the value that a standard normal stays below with the chance p.
func NormalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

// betaShare is the regularised incomplete beta function, by its continued fraction.
// Source: https://dlmf.nist.gov/8.17#v
func betaShare(a, b, x float64) float64 {
	switch {
	case x <= 0:
		return 0
	case x >= 1:
		return 1
	case x > (a+1)/(a+b+2): // there the fraction of the mirror image converges fast
		return 1 - betaShare(b, a, 1-x)
	}
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	front := math.Exp(lab-la-lb+a*math.Log(x)+b*math.Log1p(-x)) / a
	const tiny = 1e-300 // stands for 0 in a denominator
	c, d, f := 1.0, 0.0, 1.0
	for i := range 500 {
		m := float64(i / 2)
		num := 1.0
		switch {
		case i == 0:
		case i%2 == 0:
			num = m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		default:
			num = -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		}
		if d = 1 + num*d; math.Abs(d) < tiny {
			d = tiny
		}
		if c = 1 + num/c; math.Abs(c) < tiny {
			c = tiny
		}
		d = 1 / d
		f *= c * d
		if math.Abs(1-c*d) < 1e-14 {
			break
		}
	}
	return front * (f - 1)
}
