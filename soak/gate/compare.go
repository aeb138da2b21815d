package gate

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"memsoak/profiles/record"
)

// rule says how one quantity is compared.
type rule struct {
	quantity string
	// resident marks what depends on the machine's moment: it has a band instead of a test.
	resident bool
	// least is the smallest change that counts, relative and absolute: the larger of both.
	leastRel, leastAbs float64
	// noiseRel and noiseAbs bound the standard deviation between trials from below, so that a few equal repeats don't
	// make a hair's breadth significant. They are the larger half of what A/A runs show; make gate-bench prints them.
	noiseRel, noiseAbs float64
	kinds              []record.TrialKind
}

var (
	steered = []record.TrialKind{record.Attribution, record.Passive}
	freely  = []record.TrialKind{record.Speed}
)

// rules are the compared quantities, those that don't depend on the machine first.
var rules = []rule{
	{quantity: "held_live", leastRel: 0.025, leastAbs: 64 << 10, noiseRel: 0.005, noiseAbs: 16 << 10, kinds: steered},
	{quantity: "floor_live", leastRel: 0.03, leastAbs: 96 << 10, noiseRel: 0.01, noiseAbs: 24 << 10, kinds: steered},
	{quantity: "leak_bytes_per_file", leastAbs: 32, noiseAbs: 4, kinds: steered},
	{quantity: "leak_bytes_per_second", leastAbs: 4 << 10, noiseAbs: 1 << 10, kinds: steered},
	{quantity: "bytes_per_worker", leastRel: 0.1, leastAbs: 8 << 10, noiseRel: 0.02, noiseAbs: 2 << 10, kinds: steered},
	{quantity: "bytes_per_listed_file", leastRel: 0.1, leastAbs: 64, noiseRel: 0.02, noiseAbs: 8, kinds: steered},
	{quantity: "goroutines_growth", leastAbs: 8, noiseAbs: 1.5, kinds: steered},
	{quantity: "peak_rss", resident: true, leastRel: 0.10, leastAbs: 4 << 20, kinds: freely},
}

func (r rule) from(k record.TrialKind) bool { return slices.Contains(r.kinds, k) }

const (
	// familyAlpha is the chance that a comparison of equal runs fails by chance, over all cells and quantities together.
	familyAlpha = 0.002
	// spreadFactor widens the band of resident sizes: so many times the A/A spread (relative standard deviation).
	spreadFactor = 4
)

// Change is one quantity of one cell that was compared.
type Change struct {
	Quantity string  `json:"quantity"`
	Before   float64 `json:"before"`
	After    float64 `json:"after"`
	// Least is the smallest change that would have counted; P the corrected chance of such a difference between equal
	// runs (absent for resident sizes).
	Least float64 `json:"least"`
	P     float64 `json:"p,omitempty"`
}

// Comparison is a run against a baseline.
type Comparison struct {
	Results      []Result `json:"results"`
	Improvements []Result `json:"improvements,omitempty"`
	Warnings     []string `json:"warnings,omitempty"`
}

// Compare judges run against base: for every cell of either, every rule's quantity and every finding. Results carry one
// entry per judged quantity and one for the findings of a cell. An error wraps ErrForeign when they can't be compared.
func Compare(base *Baseline, r *Run) (*Comparison, error) {
	now := summarise(r)
	if err := base.fits(now); err != nil {
		return nil, err
	}
	c := &Comparison{}
	type pending struct {
		cell   record.Cell
		rule   rule
		change Change
		p      float64 // not yet corrected
	}
	var tests []pending
	for _, b := range base.Cells {
		i := slices.IndexFunc(now.Cells, func(n BaselineCell) bool { return n.Cell.String() == b.Cell.String() })
		if i < 0 {
			c.Results = append(c.Results, Result{Cell: b.Cell, Check: "cell recorded", Detail: "the baseline has this cell, the run does not"})
			continue
		}
		n := now.Cells[i]
		c.Results = append(c.Results, compareFindings(b, n, r))
		for _, rule := range rules {
			before, after := b.Values[rule.quantity], n.Values[rule.quantity]
			if len(before) == 0 {
				continue // never measured for this cell: nothing to hold on to
			}
			if len(after) == 0 {
				c.Results = append(c.Results, Result{Cell: b.Cell, Check: rule.quantity, Detail: "the baseline has it, the run did not measure it"})
				continue
			}
			change := Change{Quantity: rule.quantity, Before: stat.Mean(before, nil), After: stat.Mean(after, nil)}
			p := 0.0
			if rule.resident {
				change.Least = rule.band(before, after)
			} else {
				change.Least = max(rule.leastAbs, rule.leastRel*change.Before)
				p = rule.pValue(before, after)
			}
			tests = append(tests, pending{b.Cell, rule, change, p})
		}
	}
	for _, n := range now.Cells {
		if !slices.ContainsFunc(base.Cells, func(b BaselineCell) bool { return b.Cell.String() == n.Cell.String() }) {
			c.Warnings = append(c.Warnings, fmt.Sprintf("cell %s is not in the baseline and was not compared", n.Cell))
		}
	}
	// Bonferroni: simple, and valid whatever the quantities have in common.
	for _, t := range tests {
		if !t.rule.resident {
			t.change.P = min(1, t.p*float64(len(tests)))
		}
		res := t.rule.judge(t.cell, t.change, r)
		if res.Outcome == Pass && strings.HasPrefix(res.Detail, "improved") {
			c.Improvements = append(c.Improvements, res)
		}
		c.Results = append(c.Results, res)
	}
	return c, nil
}

// pValue is Welch's two-sided test with the standard deviations bounded from below by the rule's noise, which then has
// the degrees of freedom of a known quantity.
func (r rule) pValue(before, after []float64) float64 {
	noise := max(r.noiseAbs, r.noiseRel*stat.Mean(before, nil))
	v := func(x []float64) (variance, df float64) {
		df = 30 // the noise floor is known from many A/A runs
		variance = noise * noise
		if len(x) > 1 {
			if s := stat.Variance(x, nil); s > variance {
				variance, df = s, float64(len(x)-1)
			}
		}
		return variance / float64(len(x)), df
	}
	vb, db := v(before)
	va, da := v(after)
	se := math.Sqrt(vb + va)
	df := (vb + va) * (vb + va) / (vb*vb/db + va*va/da)
	t := math.Abs(stat.Mean(after, nil)-stat.Mean(before, nil)) / se
	return 2 * distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}.Survival(t)
}

// band is how far a resident size may rise: the larger of the rule's least and spreadFactor times the spread seen
// between equal trials, on either side.
func (r rule) band(before, after []float64) float64 {
	b := max(r.leastAbs, r.leastRel*stat.Mean(before, nil))
	for _, x := range [][]float64{before, after} {
		if len(x) > 1 {
			b = max(b, spreadFactor*stat.StdDev(x, nil))
		}
	}
	return b
}

func (r rule) judge(cell record.Cell, c Change, run *Run) Result {
	res := Result{
		Cell: cell, Check: c.Quantity, Outcome: Pass, Change: &c,
		Measured: []string{fmt.Sprintf("%s: %s, was %s", c.Quantity, format(c.Quantity, c.After), format(c.Quantity, c.Before))},
	}
	if math.Abs(c.After-c.Before) <= c.Least || (!r.resident && c.P > familyAlpha) {
		return res
	}
	percent := ""
	if c.Before > 0 {
		percent = fmt.Sprintf(" (%+.1f %%)", 100*(c.After/c.Before-1))
	}
	if c.After < c.Before {
		res.Detail = fmt.Sprintf("improved%s: %s less", percent, format(c.Quantity, c.Before-c.After))
		return res
	}
	res.Outcome = Fail
	res.Detail = fmt.Sprintf("rose by %s%s; %s would have been let pass", format(c.Quantity, c.After-c.Before), percent, format(c.Quantity, c.Least))
	res.Culprit = run.culprit(cell, c.Quantity)
	return res
}

// compareFindings fails for a class at a function that no baseline trial had and most trials of the run have.
func compareFindings(b, n BaselineCell, r *Run) Result {
	res := Result{Cell: b.Cell, Check: "no new finding", Outcome: Pass}
	if n.Verdicts == 0 || b.Verdicts == 0 {
		res.Outcome, res.Detail = Inconclusive, "no trial with a conclusive verdict"
		return res
	}
	for _, f := range n.Findings {
		known := slices.ContainsFunc(b.Findings, func(x FindingCount) bool { return x.Class == f.Class })
		if known || 2*f.Trials <= n.Verdicts {
			continue
		}
		res.Outcome = Fail
		res.Culprit = r.finding(b.Cell, f.Class, f.Function)
		res.Detail = fmt.Sprintf("%s at %s was not there before (in %d of %d trials)", f.Class, f.Function, f.Trials, n.Verdicts)
		return res
	}
	return res
}
