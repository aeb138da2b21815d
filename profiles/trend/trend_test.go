package trend

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheilSenIgnoresAQuarterOfWildPoints(t *testing.T) {
	var x, y []float64
	for i := range 20 {
		x, y = append(x, float64(i)), append(y, 3*float64(i)+7)
	}
	for i := range 5 {
		y[4*i] = 1e6
	}
	l := TheilSen(x, y)
	require.True(t, l.OK)
	assert.InDelta(t, 3, l.Slope, 1e-9)
	assert.InDelta(t, 7, l.Intercept, 1e-9)
}

func TestTheilSenNeedsTwoDifferentX(t *testing.T) {
	assert.False(t, TheilSen(nil, nil).OK)
	assert.False(t, TheilSen([]float64{1, 1}, []float64{2, 3}).OK)
}

// The values are those of R's Kendall::MannKendall for the same data.
func TestMannKendall(t *testing.T) {
	k := MannKendall([]float64{1, 2, 3, 4, 5, 6, 7, 8})
	require.True(t, k.OK)
	assert.Equal(t, 28, k.S)
	assert.InDelta(t, 3.3404, k.Z, 1e-3)
	down := MannKendall([]float64{8, 7, 6, 5, 4, 3, 2, 1})
	assert.Equal(t, -28, down.S)
	assert.InDelta(t, -k.Z, down.Z, 1e-12)
	flat := MannKendall([]float64{5, 5, 5, 5, 5})
	require.True(t, flat.OK)
	assert.Zero(t, flat.Z, "ties only: no trend, and no division by zero")
	assert.False(t, MannKendall([]float64{1, 2, 3}).OK)
}

func TestQuantile(t *testing.T) {
	v := []float64{4, 1, 3, 2}
	assert.InDelta(t, 2.5, Median(v), 1e-12)
	assert.InDelta(t, 3.7, Quantile(v, 0.9), 1e-12)
	assert.Equal(t, []float64{4, 1, 3, 2}, v, "the caller's slice stays as it is")
	assert.True(t, math.IsNaN(Median(nil)))
}

func ones(n int) []float64 { return slices.Repeat([]float64{1}, n) }

func TestNNLSFindsTheCoefficients(t *testing.T) {
	a, b := []float64{1, 2, 3, 4, 5}, []float64{1, 0, 1, 0, 1}
	y := make([]float64, 5)
	for i := range y {
		y[i] = 2*a[i] + 5*b[i]
	}
	f, err := NNLS([][]float64{a, b}, y, ones(5))
	require.NoError(t, err)
	require.Equal(t, []int{0, 1}, f.Terms)
	assert.InDelta(t, 2, f.Coef[0], 1e-9)
	assert.InDelta(t, 5, f.Coef[1], 1e-9)
	assert.InDelta(t, 1, f.R2, 1e-12)
}

func TestNNLSLeavesOutWhatWouldBeNegative(t *testing.T) {
	f, err := NNLS([][]float64{{1, 2, 3, 4}, {1, 1, 1, 1}}, []float64{0, 1, 2, 3}, ones(4))
	require.NoError(t, err)
	assert.Equal(t, []int{0}, f.Terms, "the constant would be -1")
	assert.Greater(t, f.Coef[0], 0.0)
}

func TestNNLSRefuses(t *testing.T) {
	_, err := NNLS([][]float64{{1}}, []float64{1}, ones(1))
	require.ErrorIs(t, err, ErrShort)
	_, err = NNLS([][]float64{{1, 2}}, []float64{1, math.NaN()}, ones(2))
	require.Error(t, err)
	_, err = NNLS([][]float64{{1, 2, 3}}, []float64{1, 2, 3}, []float64{1, 0, 1})
	require.Error(t, err)
}

// The errors that a fit states have to be those it makes.
func TestStandardErrorsCover(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	const runs, n = 400, 20
	hit := 0
	for range runs {
		x, y, v := make([]float64, n), make([]float64, n), make([]float64, n)
		for i := range n {
			sd := 1 + float64(i)
			x[i], v[i] = float64(i+1), sd*sd
			y[i] = 10*x[i] + sd*rnd.NormFloat64()
		}
		f, err := NNLS([][]float64{x}, y, v)
		require.NoError(t, err)
		if math.Abs(f.Coef[0]-10) <= 1.96*f.SE[0] {
			hit++
		}
	}
	assert.InDelta(t, 0.96, float64(hit)/runs, 0.03)
}

func TestSelectTakesTheTermsThatMatter(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	n := 30
	cands := make([]Candidate, 8)
	for j := range cands {
		cands[j].Values = make([]float64, n)
		for i := range n {
			cands[j].Values[i] = rnd.Float64() * 10
		}
	}
	y, v := make([]float64, n), make([]float64, n)
	for i := range n {
		y[i] = 4*cands[2].Values[i] + 9*cands[5].Values[i] + rnd.NormFloat64()
		v[i] = 1
	}
	f, err := Select(cands, y, v, 3)
	require.NoError(t, err)
	got := slices.Sorted(slices.Values(f.Terms))
	assert.Equal(t, []int{2, 5}, got)
}

func TestSelectPrefersTheLikelierOfTwins(t *testing.T) {
	x := []float64{1, 2, 3, 4, 5, 6}
	y := []float64{2, 4, 6, 8, 10, 12}
	for first := range 2 {
		cands := []Candidate{{Values: x, Penalty: 1}, {Values: slices.Clone(x), Penalty: 1}}
		cands[first].Penalty = 0
		f, err := Select(cands, y, ones(6), 2)
		require.NoError(t, err)
		assert.Equal(t, []int{first}, f.Terms)
	}
}

func TestSelectFindsNothingInNoise(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	found := 0
	for range 200 {
		y, x := make([]float64, 12), make([]float64, 12)
		for i := range y {
			y[i], x[i] = rnd.NormFloat64(), float64(i)
		}
		f, err := Select([]Candidate{{Values: x}}, y, ones(12), 2)
		require.NoError(t, err)
		if len(f.Terms) > 0 && f.T(0) > 4.5 {
			found++
		}
	}
	assert.Zero(t, found)
}

// Units are a matter of taste: counting in thousands must not change the chosen terms, nor the fitted values.
func FuzzSelectIsScaleFree(f *testing.F) {
	f.Add(uint64(1), 1000.0, 0.001)
	f.Add(uint64(2), 1e-6, 1e9)
	f.Fuzz(func(t *testing.T, seed uint64, sx, sy float64) {
		sx, sy = math.Abs(sx), math.Abs(sy)
		if !(sx > 1e-9 && sx < 1e9 && sy > 1e-9 && sy < 1e9) {
			t.Skip()
		}
		rnd := rand.New(rand.NewPCG(seed, 9))
		var cands, scaled []Candidate
		for range 5 {
			c := make([]float64, 15)
			for i := range c {
				c[i] = float64(rnd.IntN(50))
			}
			cands = append(cands, Candidate{Values: c})
			scaled = append(scaled, Candidate{Values: times(c, sx)})
		}
		y, v := make([]float64, 15), make([]float64, 15)
		for i := range y {
			y[i] = 3*cands[1].Values[i] + 2*cands[4].Values[i] + rnd.NormFloat64()
			v[i] = 1
		}
		a, err := Select(cands, y, v, 3)
		require.NoError(t, err)
		b, err := Select(scaled, times(y, sy), times(v, sy*sy), 3)
		require.NoError(t, err)
		require.Equal(t, a.Terms, b.Terms)
		for i := range a.Coef {
			require.InEpsilon(t, a.Coef[i]*sy/sx, b.Coef[i], 1e-6)
		}
	})
}

func times(v []float64, f float64) []float64 {
	out := make([]float64, len(v))
	for i := range v {
		out[i] = v[i] * f
	}
	return out
}

// The error of a prediction by a straight line is known in closed form: the least in the middle of the points, and what
// slope and intercept have too much or too little together, not each for itself.
func TestPredictHasTheErrorOfALine(t *testing.T) {
	x := []float64{1, 2, 3, 4, 5, 6}
	y := make([]float64, len(x))
	for i := range x {
		y[i] = 10 + 3*x[i] + 0.1*float64(1-2*(i%2))
	}
	const sd = 0.5 // more than the scatter, so that it counts
	f, err := NNLS([][]float64{ones(6), x}, y, slices.Repeat([]float64{sd * sd}, 6))
	require.NoError(t, err)
	for _, at := range []float64{0, 3.5, 20} {
		value, se := f.Predict([]float64{1, at})
		assert.InDelta(t, 10+3*at, value, 0.5)
		assert.InDelta(t, sd*math.Sqrt(1.0/6+(at-3.5)*(at-3.5)/17.5), se, 1e-9)
	}
}

func TestPredictTakesAllColumnsAndUsesThoseOfTheFit(t *testing.T) {
	x := []float64{1, 2, 3, 4, 5}
	f, err := NNLS([][]float64{{1, 0, 1, 0, 1}, x}, []float64{2, 4, 6, 8, 10}, ones(5))
	require.NoError(t, err)
	value, se := f.Predict([]float64{0, 7})
	assert.InDelta(t, 14, value, 1e-9)
	assert.Positive(t, se)
}

func TestTheErrorOfAColumnThatTheFitLeftOut(t *testing.T) {
	x := []float64{1, 2, 3, 4, 5, 6}
	none := []float64{0, 3, 0, 2, 0, 1}
	columns, y, variance := [][]float64{x, none}, make([]float64, len(x)), make([]float64, len(x))
	for i := range x {
		y[i], variance[i] = 10*x[i]-0.01*none[i], 4
	}
	f, err := NNLS(columns, y, variance)
	require.NoError(t, err)
	require.Equal(t, []int{0}, f.Terms, "what falls is no term")
	assert.InDelta(t, f.SE[0], f.SEBeside(0, columns, y, variance), 0)
	// The variance of the second coefficient is 4 (x'x) / ((x'x)(n'n) - (x'n)^2), with x'x 91, n'n 14, x'n 20.
	assert.InDelta(t, math.Sqrt(4*91.0/(91*14-20*20)), f.SEBeside(1, columns, y, variance), 1e-9)
	assert.True(t, math.IsInf(f.SEBeside(1, [][]float64{x, x}, y, variance), 1), "a column that is another")
}
