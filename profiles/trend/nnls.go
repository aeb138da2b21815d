package trend

import (
	"fmt"
	"math"
	"slices"
	"sync"
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

	root   []float64 // by rows, lower triangle whose product with its transpose is the scaled normal matrix
	scale  []float64 // of the columns, in the order of Terms
	excess float64   // by which the residuals exceed the stated variances, at least one
	memory []float64 // that all of these lie in
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
			s -= f.root[i*len(z)+m] * z[m]
		}
		z[i] = s / f.root[i*len(z)+i]
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
	points := newSystem(columns, y, variance)
	defer systems.Put(points)
	f := &Fit{}
	for i := range columns {
		f.Terms = append(f.Terms, i)
	}
	if err := points.nnls(f); err != nil {
		return nil, err
	}
	return f, nil
}

// SEBeside is the standard error that the coefficient of column j has beside the terms of the fit, whether it is one of
// them or the fit left it out at zero; columns, y and variance are those of the fit. It is infinite where the points
// can't tell the column from the others.
func (f *Fit) SEBeside(j int, columns [][]float64, y, variance []float64) float64 {
	if i := slices.Index(f.Terms, j); i >= 0 {
		return f.SE[i]
	}
	points := newSystem(columns, y, variance)
	defer systems.Put(points)
	wide := &Fit{Terms: append(slices.Clone(f.Terms), j)}
	if err := points.wls(wide); err != nil {
		return math.Inf(1)
	}
	return wide.SE[len(f.Terms)]
}

// system is the points of a fit: whatever subset of its columns is fitted, the products of two columns are computed
// once.
type system struct {
	columns  [][]float64
	y, w     []float64 // w are the roots of the weights
	total    float64   // weighted sum of squares of y
	products []float64 // of two columns, and in the last row of a column and y; NaN: not computed yet
	err      error     // a point that is none
}

// systems keeps the memory of systems: a trial has thousands.
var systems = sync.Pool{New: func() any { return &system{} }}

func newSystem(columns [][]float64, y, variance []float64) *system {
	n, rows := len(y), len(columns)+1
	s := systems.Get().(*system)
	s.columns, s.y, s.total, s.err = columns, y, 0, nil
	if len(variance) != n {
		s.err = fmt.Errorf("%w: %d with %d variances", ErrShort, n, len(variance))
		return s
	}
	s.w, s.products = slices.Grow(s.w[:0], n)[:n], slices.Grow(s.products[:0], rows*rows)[:rows*rows]
	for i, v := range variance {
		if v <= 0 || math.IsNaN(v) || math.IsNaN(y[i]) || math.IsInf(y[i], 0) {
			s.err = fmt.Errorf("point %d: value %g with variance %g", i, y[i], v)
			return s
		}
		s.w[i] = 1 / math.Sqrt(v)
		s.total += y[i] * y[i] / v
	}
	for i := range s.products {
		s.products[i] = math.NaN()
	}
	return s
}

// product is the weighted inner product of two columns; len(columns) stands for y.
func (s *system) product(i, j int) float64 {
	at := max(i, j)*(len(s.columns)+1) + min(i, j)
	if math.IsNaN(s.products[at]) {
		b := s.y
		if max(i, j) < len(s.columns) {
			b = s.columns[max(i, j)]
		}
		s.products[at] = dot(s.columns[min(i, j)], b, s.w)
	}
	return s.products[at]
}

// nnls fits the terms of f, drops the most negative and fits again until none is negative. For the few terms used here
// that is the optimum Lawson and Hanson's active-set method finds, but for degenerate sets of collinear columns.
func (s *system) nnls(f *Fit) error {
	for {
		if err := s.wls(f); err != nil {
			return err
		}
		worst, at := 0.0, -1
		for i, c := range f.Coef {
			if c <= 0 && c-1 < worst {
				worst, at = c-1, i
			}
		}
		if at < 0 {
			return nil
		}
		f.Terms = append(f.Terms[:at], f.Terms[at+1:]...)
	}
}

// wls makes f the plain weighted least squares over its terms.
func (s *system) wls(f *Fit) error {
	n, k := len(s.y), len(f.Terms)
	if n <= k {
		return fmt.Errorf("%w: %d for %d terms", ErrShort, n, k)
	}
	if s.err != nil {
		return s.err
	}
	f.memory = slices.Grow(f.memory[:0], (6+k)*k)[:(6+k)*k]
	var part [6][]float64
	for i := range part {
		part[i] = f.memory[i*k : (i+1)*k : (i+1)*k]
	}
	f.Coef, f.SE, f.scale, f.root = part[0], part[1], part[2], f.memory[6*k:]
	f.DF, f.Chi2, f.R2, f.excess = n-k, s.total, 0, 0
	if k > 0 {
		cov := part[3]
		if err := s.solve(f, cov, part[4], part[5]); err != nil {
			return err
		}
		f.Chi2 = s.chi2(f)
		f.excess = math.Max(1, f.Chi2/float64(f.DF))
		for i := range k {
			f.SE[i] = math.Sqrt(math.Max(0, cov[i]) * f.excess)
		}
	}
	if s.total > 0 {
		f.R2 = 1 - f.Chi2/s.total
	}
	return nil
}

// solve fills in f.Coef and the diagonal of the inverse normal matrix, cov, by Cholesky's decomposition; z and col are
// memory. Columns are scaled to length one first, so that a small pivot means two columns that are nearly the same.
func (s *system) solve(f *Fit, cov, z, col []float64) error {
	terms, scale, l, k := f.Terms, f.scale, f.root, len(f.Terms)
	for j, t := range terms {
		scale[j] = math.Sqrt(s.product(t, t))
		if scale[j] == 0 {
			return fmt.Errorf("column %d is zero", t)
		}
	}
	for i := range k {
		for j := 0; j <= i; j++ {
			v := s.product(terms[i], terms[j]) / (scale[i] * scale[j])
			for m := range j {
				v -= l[i*k+m] * l[j*k+m]
			}
			if i != j {
				l[i*k+j] = v / l[j*k+j]
				continue
			}
			if v < minPivot {
				return errCollinear
			}
			l[i*k+i] = math.Sqrt(v)
		}
	}
	for i := range k { // l z = right-hand side
		v := s.product(terms[i], len(s.columns)) / scale[i]
		for m := range i {
			v -= l[i*k+m] * z[m]
		}
		z[i] = v / l[i*k+i]
	}
	for i := k - 1; i >= 0; i-- { // transposed l, coef = z
		v := z[i]
		for m := i + 1; m < k; m++ {
			v -= l[m*k+i] * f.Coef[m]
		}
		f.Coef[i] = v / l[i*k+i]
	}
	inverseDiagonal(l, cov, col)
	for j := range k {
		f.Coef[j] /= scale[j]
		cov[j] /= scale[j] * scale[j]
	}
	return nil
}

// inverseDiagonal puts the diagonal of the inverse of l times its transpose into out; col is memory.
func inverseDiagonal(l, out, col []float64) {
	k := len(out)
	for c := range k { // column c of the inverse of l
		out[c] = 0
		for i := c; i < k; i++ {
			s := 0.0
			if i == c {
				s = 1
			}
			for m := c; m < i; m++ {
				s -= l[i*k+m] * col[m]
			}
			col[i] = s / l[i*k+i]
			out[c] += col[i] * col[i]
		}
	}
}

// dot is the weighted inner product.
func dot(a, b, w []float64) float64 {
	s := 0.0
	for i, x := range a {
		s += x * b[i] * w[i] * w[i]
	}
	return s
}

func (s *system) chi2(f *Fit) float64 {
	sum := 0.0
	for i, r := range s.y {
		for j, t := range f.Terms {
			r -= f.Coef[j] * s.columns[t][i]
		}
		sum += r * r * s.w[i] * s.w[i]
	}
	return sum
}
