// Package trend is the statistics of the diagnosis, and nothing else: pure functions over numbers, none of which
// changes its arguments.
//
// Callers state the assumption by the function they choose:
//
//   - [TheilSen] (Theil 1950, Sen 1968): a straight line, up to 29 % of the points wrong, nothing said of the noise.
//   - [MannKendall] (Mann 1945, Kendall 1975, variance with ties): a monotonic trend of any shape.
//   - [NNLS] (Lawson & Hanson 1974): a sum of non-negative contributions, variances known up to a factor.
//   - [Select]: the same, when only few of many candidate terms matter; forward selection by the Bayesian information
//     criterion (Schwarz 1978).
//
// Too little data is never an answer: the result's OK is false, or the error [ErrShort].
package trend

import "errors"

// ErrShort is returned when there are fewer points than the method needs.
var ErrShort = errors.New("too few points")
