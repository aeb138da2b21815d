package gate

import (
	"math"
	"slices"

	"github.com/memsoak/memsoak/internal/stat"
	"github.com/memsoak/memsoak/profiles/record"
)

// rule says how one quantity is compared.
type rule struct {
	quantity string
	// leastRel and leastAbs are the smallest change that counts: the larger of both.
	leastRel, leastAbs float64
	// noiseRel and noiseAbs are the standard deviation between equal trials, as the A/A recordings below testdata show
	// it (make gate-bench prints it). They bound the estimate from below, so that a few repeats that happen to agree
	// don't make a hair's breadth significant.
	noiseRel, noiseAbs float64
	kinds              []record.TrialKind
	// grown is the noise between equal trials on which something grows, as a share, where that is another: what gathers
	// follows from how long a trial took.
	grown float64
	// weight is the quantity's share of Alpha, 1 when it is 0: what doesn't depend on the machine decides first.
	weight float64
}

var (
	steered = []record.TrialKind{record.Attribution, record.Passive}
	freely  = []record.TrialKind{record.Speed}
)

// rules are the compared quantities, those that don't depend on the machine first. The sizes of the process have wider
// bands: of 240 subjects on which nothing grows, peaks of equal trials differed by 2.9 % (sd), and 6 of 5,586 pairs
// by 20 %. On those that grow it was 11 %.
var rules = []rule{
	{quantity: "held_live", leastRel: 0.025, leastAbs: 64 << 10, noiseRel: 0.012, noiseAbs: 16 << 10, kinds: steered,
		weight: 4},
	{quantity: "floor_live", leastRel: 0.03, leastAbs: 96 << 10, noiseRel: 0.01, noiseAbs: 24 << 10, kinds: steered},
	{quantity: "leak_bytes_per_file", leastAbs: 32, noiseAbs: 6, kinds: steered},
	{quantity: growthQuantity, leastAbs: 32, noiseAbs: 6, kinds: steered},
	{quantity: "leak_bytes_per_second", leastAbs: 4 << 10, noiseAbs: 1 << 10, kinds: steered},
	{quantity: "bytes_per_worker", leastRel: 0.1, leastAbs: 8 << 10, noiseRel: 0.02, noiseAbs: 2 << 10, kinds: steered},
	{quantity: "bytes_per_listed_file", leastRel: 0.1, leastAbs: 64, noiseRel: 0.02, noiseAbs: 8, kinds: steered},
	{quantity: "goroutines_growth", leastAbs: 8, noiseAbs: 1.5, kinds: steered},
	{quantity: "peak_rss", leastRel: 0.05, leastAbs: 1 << 20, noiseRel: 0.015, noiseAbs: 256 << 10, kinds: freely},
	{quantity: "peak", leastRel: 0.2, leastAbs: 4 << 20, noiseRel: 0.04, noiseAbs: 1 << 20, kinds: steered, grown: 0.11},
}

// Alpha is the chance that a comparison of equal runs fails by chance, over all cells and quantities together; it is as
// large again for improvements. The smallest change that counts makes it smaller still.
const Alpha = 0.004

// grownLeast is how many times their noise peaks on which something grows have to differ.
const grownLeast = 5

// priorTrials is how many trials' worth of weight the noise known from A/A recordings has, as degrees of freedom.
const priorTrials = 24

// on is the rule on a subject on which something grows, or nothing does.
func (r rule) on(growing bool) rule {
	if growing && r.grown > 0 {
		r.leastRel, r.noiseRel = grownLeast*r.grown, r.grown
	}
	return r
}

func (r rule) from(k record.TrialKind) bool { return slices.Contains(r.kinds, k) }

// share is the rule's weight, 1 by default.
func (r rule) share() float64 { return max(1, r.weight) }

// least is the smallest change from before that counts.
func (r rule) least(before float64) float64 { return max(r.leastAbs, r.leastRel*math.Abs(before)) }

// scale is what deviations of a quantity are measured in, so that those of different cells can be pooled: its mean
// where its noise is relative, 1 where it is not.
func (r rule) scale(mean float64) float64 {
	if r.noiseRel == 0 || mean == 0 {
		return 1
	}
	return math.Abs(mean)
}

// noise is the standard deviation between equal trials, in units of scale, with its degrees of freedom.
type noise struct{ sd, df float64 }

// noiseOf pools the deviations of the quantity within each cell of both sides: a few repeats in each of many cells
// together tell how noisy this machine was. It is never below what the rule knows.
func (r rule) noiseOf(sides ...*Baseline) noise {
	var sum, df float64
	for _, b := range sides {
		for _, c := range b.Cells {
			x := c.Values[r.quantity]
			if len(x) < 2 {
				continue
			}
			mean, s := stat.Mean(x), 0.0
			for _, v := range x {
				s += (v - mean) * (v - mean)
			}
			sum += s / (r.scale(mean) * r.scale(mean))
			df += float64(len(x) - 1)
		}
	}
	known := noise{sd: r.noiseRel, df: priorTrials + df}
	if r.noiseRel == 0 {
		known.sd = r.noiseAbs
	}
	if df == 0 || math.Sqrt(sum/df) <= known.sd {
		return known
	}
	// Noisier than the known noise: the known noise weighs as so many trials, no more.
	return noise{sd: math.Sqrt((priorTrials/4*known.sd*known.sd + df*(sum/df)) / (priorTrials/4 + df)), df: priorTrials/4 +
		df}
}

// pValue is the chance that the means of equal trials differ as much in this direction.
func (r rule) pValue(before, after []float64, n noise) float64 {
	mb, ma := stat.Mean(before), stat.Mean(after)
	sd := max(n.sd*r.scale(mb), r.noiseAbs)
	se := sd * math.Sqrt(1/float64(len(before))+1/float64(len(after)))
	return stat.TTail(math.Abs(ma-mb)/se, n.df)
}

// constant reports whether all values are the same: such a pair can't fail, whatever the others do, and so it doesn't
// count among the comparisons that could by chance.
func constant(sides ...[]float64) bool {
	all := slices.Concat(sides...)
	return len(all) == 0 || slices.Min(all) == slices.Max(all)
}
