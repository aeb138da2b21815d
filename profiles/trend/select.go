package trend

import (
	"errors"
	"math"
	"slices"
)

// minPivot is the squared sine of the angle between a column and those before it below which it counts as their sum.
const minPivot = 1e-8

var errCollinear = errors.New("columns are collinear")

// Candidate is a column for Select. Penalty is added to the criterion when the term enters: of two columns that
// explain the data equally well the one with the smaller penalty is taken.
type Candidate struct {
	Values  []float64
	Penalty float64
}

// Select chooses at most maxTerms of the candidates by forward selection: in each step the term that lowers the
// criterion most enters, all coefficients are fitted again (>= 0), and selection ends when nothing lowers it. The
// columns named in always are in the fit from the start, without penalty.
//
// The criterion is n ln(1 + chi2/n) + terms ln n: Schwarz's for known variances (chi2 + terms ln n) while the residuals
// are within them, and his for an unknown common factor (n ln chi2 + terms ln n) when they are far beyond.
func Select(cands []Candidate, y, variance []float64, maxTerms int, always ...int) (*Fit, error) {
	columns := make([][]float64, len(cands))
	for i, c := range cands {
		columns[i] = c.Values
	}
	in := make([]bool, len(cands))
	points := newSystem(columns, y, variance)
	defer systems.Put(points)
	best, next, try := &Fit{Terms: slices.Clone(always)}, &Fit{}, &Fit{}
	if err := points.nnls(best); err != nil {
		return nil, err
	}
	for _, i := range best.Terms {
		in[i] = true
	}
	penalty := 0.0
	score := criterion(best, len(y), penalty)
	for len(best.Terms) < maxTerms+len(always) {
		nextScore, nextPenalty, at := score, 0.0, -1
		for i, c := range cands {
			if in[i] || !slices.ContainsFunc(c.Values, func(x float64) bool { return x != 0 }) {
				continue
			}
			try.Terms = append(append(try.Terms[:0], best.Terms...), i)
			if err := points.nnls(try); err != nil || !slices.Contains(try.Terms, i) {
				continue
			}
			p := penalty + c.Penalty
			if s := criterion(try, len(y), p); s < nextScore-1e-9 {
				nextScore, nextPenalty, at = s, p, i
				next, try = try, next
			}
		}
		if at < 0 {
			break
		}
		best, next, score, penalty = next, best, nextScore, nextPenalty
		in[at] = true
	}
	return best, nil
}

func criterion(f *Fit, n int, penalty float64) float64 {
	m := float64(n)
	return m*math.Log1p(f.Chi2/m) + float64(len(f.Terms))*math.Log(m) + penalty
}
