package trend

import (
	"fmt"
	"math"
	"slices"
)

// Fit is a weighted least-squares fit with coefficients >= 0.
type Fit struct {
	// Terms are the indices of the columns in the fit, Coef their coefficients and SE the standard errors, all of the
	// same length. SE holds the factor by which the residuals exceed the stated variances, where they do.
	Terms []int
	Coef  []float64
	SE    []float64
	Chi2  float64 // weighted sum of squared residuals
	DF    int     // points minus terms
	R2    float64 // weighted, about zero

	root   [][]float64 // lower triangle whose product with its transpose is the scaled normal matrix
	scale  []float64   // of the columns, in the order of Terms
	excess float64     // by which the residuals exceed the stated variances, at least one
}

// Predict is the fit's value where the columns have the values x, one for each that the fit was given, and its standard
// error: that of the coefficients together, so that what one has too much and another too little cancels. The scatter
// of single points about the fit is not in it.
func (f *Fit) Predict(x []float64) (value, se float64) {
	z := make([]float64, len(f.Terms)) // root z = scaled x
	sum := 0.0
	for i, t := range f.Terms {
		value += f.Coef[i] * x[t]
		s := x[t] / f.scale[i]
		for m := range i {
			s -= f.root[i][m] * z[m]
		}
		z[i] = s / f.root[i][i]
		sum += z[i] * z[i]
	}
	return value, math.Sqrt(sum * f.excess)
}

// T is the t statistic of the i-th term, +Inf for a coefficient without error.
func (f *Fit) T(i int) float64 {
	if f.SE[i] == 0 {
		return math.Inf(sign(f.Coef[i]))
	}
	return f.Coef[i] / f.SE[i]
}

func sign(v float64) int {
	if v < 0 {
		return -1
	}
	return 1
}

// NNLS fits y = sum of coef[k] * columns[k] with coef >= 0 and the points' variances as weights. Terms whose
// coefficient is zero at the optimum are left out of the fit. It needs more points than columns.
func NNLS(columns [][]float64, y, variance []float64) (*Fit, error) {
	all := make([]int, len(columns))
	for i := range all {
		all[i] = i
	}
	return nnls(columns, y, variance, all)
}

// SEBeside is the standard error that the coefficient of column j has beside the terms of the fit, whether it is one of
// them or the fit left it out at zero; columns, y and variance are those of the fit. It is infinite where the points
// can't tell the column from the others.
func (f *Fit) SEBeside(j int, columns [][]float64, y, variance []float64) float64 {
	if i := slices.Index(f.Terms, j); i >= 0 {
		return f.SE[i]
	}
	wide, err := wls(columns, y, variance, append(slices.Clone(f.Terms), j))
	if err != nil {
		return math.Inf(1)
	}
	return wide.SE[len(f.Terms)]
}

// nnls drops the most negative term and fits again until none is negative. For the few terms used here that is the
// optimum Lawson and Hanson's active-set method finds, but for degenerate sets of collinear columns.
func nnls(columns [][]float64, y, variance []float64, terms []int) (*Fit, error) {
	terms = append([]int(nil), terms...)
	for {
		f, err := wls(columns, y, variance, terms)
		if err != nil {
			return nil, err
		}
		worst, at := 0.0, -1
		for i, c := range f.Coef {
			if c <= 0 && c-1 < worst {
				worst, at = c-1, i
			}
		}
		if at < 0 {
			return f, nil
		}
		terms = append(terms[:at], terms[at+1:]...)
	}
}

// wls is plain weighted least squares over the columns named by terms.
func wls(columns [][]float64, y, variance []float64, terms []int) (*Fit, error) {
	n, k := len(y), len(terms)
	if n <= k || len(variance) != n {
		return nil, fmt.Errorf("%w: %d for %d terms", ErrShort, n, k)
	}
	f := &Fit{Terms: terms, Coef: make([]float64, k), SE: make([]float64, k), DF: n - k}
	w := make([]float64, n)
	total := 0.0
	for i, v := range variance {
		if v <= 0 || math.IsNaN(v) || math.IsNaN(y[i]) || math.IsInf(y[i], 0) {
			return nil, fmt.Errorf("point %d: value %g with variance %g", i, y[i], v)
		}
		w[i] = 1 / math.Sqrt(v)
		total += y[i] * y[i] / v
	}
	if k > 0 {
		cov, err := solve(f, columns, y, w, terms)
		if err != nil {
			return nil, err
		}
		f.Chi2 = chi2(f, columns, y, w)
		f.excess = math.Max(1, f.Chi2/float64(f.DF))
		for i := range k {
			f.SE[i] = math.Sqrt(math.Max(0, cov[i]) * f.excess)
		}
	} else {
		f.Chi2 = total
	}
	if total > 0 {
		f.R2 = 1 - f.Chi2/total
	}
	return f, nil
}

// solve fills in f.Coef and returns the diagonal of the inverse normal matrix, by Cholesky's decomposition. Columns are
// scaled to length one first, so that a small pivot means two columns that are nearly the same.
func solve(f *Fit, columns [][]float64, y, w []float64, terms []int) ([]float64, error) {
	k := len(terms)
	scale := make([]float64, k)
	for j, t := range terms {
		scale[j] = math.Sqrt(dot(columns[t], columns[t], w))
		if scale[j] == 0 {
			return nil, fmt.Errorf("column %d is zero", t)
		}
	}
	l := make([][]float64, k) // the lower triangle
	for i := range k {
		l[i] = make([]float64, k)
		for j := 0; j <= i; j++ {
			s := dot(columns[terms[i]], columns[terms[j]], w) / (scale[i] * scale[j])
			for m := range j {
				s -= l[i][m] * l[j][m]
			}
			if i != j {
				l[i][j] = s / l[j][j]
				continue
			}
			if s < minPivot {
				return nil, errCollinear
			}
			l[i][i] = math.Sqrt(s)
		}
	}
	z := make([]float64, k) // l z = right-hand side
	for i := range k {
		s := dot(columns[terms[i]], y, w) / scale[i]
		for m := range i {
			s -= l[i][m] * z[m]
		}
		z[i] = s / l[i][i]
	}
	for i := k - 1; i >= 0; i-- { // transposed l, coef = z
		s := z[i]
		for m := i + 1; m < k; m++ {
			s -= l[m][i] * f.Coef[m]
		}
		f.Coef[i] = s / l[i][i]
	}
	f.root, f.scale = l, scale
	cov := inverseDiagonal(l)
	for j := range k {
		f.Coef[j] /= scale[j]
		cov[j] /= scale[j] * scale[j]
	}
	return cov, nil
}

// inverseDiagonal is the diagonal of the inverse of l times its transpose.
func inverseDiagonal(l [][]float64) []float64 {
	k := len(l)
	out := make([]float64, k)
	col := make([]float64, k)
	for c := range k { // column c of the inverse of l
		for i := c; i < k; i++ {
			s := 0.0
			if i == c {
				s = 1
			}
			for m := c; m < i; m++ {
				s -= l[i][m] * col[m]
			}
			col[i] = s / l[i][i]
			out[c] += col[i] * col[i]
		}
	}
	return out
}

// dot is the weighted inner product.
func dot(a, b, w []float64) float64 {
	s := 0.0
	for i, x := range a {
		s += x * b[i] * w[i] * w[i]
	}
	return s
}

func chi2(f *Fit, columns [][]float64, y, w []float64) float64 {
	sum := 0.0
	for i := range y {
		r := y[i]
		for j, t := range f.Terms {
			r -= f.Coef[j] * columns[t][i]
		}
		sum += r * r * w[i] * w[i]
	}
	return sum
}
