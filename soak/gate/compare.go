package gate

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/internal/stat"
	"github.com/memsoak/memsoak/profiles/record"
)

// Change is one quantity of one cell that was compared.
type Change struct {
	Quantity string  `json:"quantity"`
	Before   float64 `json:"before"`
	After    float64 `json:"after"`
	// Least is the smallest change that would have counted; P the corrected chance of such a difference between equal
	// runs.
	Least float64 `json:"least"`
	P     float64 `json:"p"`
}

// Comparison is a run against a baseline.
type Comparison struct {
	Results      []Result `json:"results"`
	Improvements []Result `json:"improvements,omitempty"`
	Warnings     []string `json:"warnings,omitempty"`
}

// Outcome is that of all its results together.
func (c *Comparison) Outcome() Outcome { return combine(c.Results) }

// Names of the checks that are no quantities.
const (
	checkRecorded = "cell recorded"
	checkFindings = "no new finding"
	checkOutcome  = "ends as before"
)

// Compare judges run against base: for every cell of either, how trials ended, every finding and every rule's quantity.
// An error wraps ErrForeign when they can't be compared.
func Compare(base *Baseline, r *Run) (*Comparison, error) {
	now := summarise(r)
	if err := base.fits(now); err != nil {
		return nil, err
	}
	c := compare(base, now)
	if base.note != "" {
		c.Warnings = append(c.Warnings, base.note)
	}
	for i := range c.Results {
		if x := &c.Results[i]; x.Outcome == Fail {
			x.Culprit = blame(base.cell(x.Cell), now.cell(x.Cell), *x, r)
		}
	}
	return c, nil
}

// compare is Compare on summaries, without culprits.
func compare(base, now *Baseline) *Comparison {
	c := &Comparison{}
	type pair struct {
		rule rule
		cell record.Cell
		b, n []float64
	}
	var pairs []pair
	for i := range base.Cells {
		b := &base.Cells[i]
		n := now.cell(b.Cell)
		if n == nil {
			c.Results = append(c.Results, Result{Cell: b.Cell, Check: checkRecorded,
				Detail: "the baseline has this cell, the run does not"})
			continue
		}
		c.Results = append(c.Results, compareOutcomes(b, n), compareFindings(b, n))
		for _, rule := range rules {
			before, after := b.Values[rule.quantity], n.Values[rule.quantity]
			switch {
			case len(before) == 0: // nothing to hold on to
			case len(after) == 0:
				c.Results = append(c.Results, Result{Cell: b.Cell, Check: rule.quantity,
					Detail: "the baseline has it, the run did not measure it"})
			default:
				pairs = append(pairs, pair{rule.on(b.grows() || n.grows()), b.Cell, before, after})
			}
		}
	}
	for _, n := range now.Cells {
		if base.cell(n.Cell) == nil {
			c.Warnings = append(c.Warnings, fmt.Sprintf("cell %s is not in the baseline and was not compared", n.Cell))
		}
	}
	noises := map[string]noise{}
	for _, rule := range rules {
		noises[rule.quantity] = rule.noiseOf(base, now)
	}
	tests := 0.0
	for _, t := range pairs {
		if !constant(t.b, t.n) {
			tests += t.rule.share()
		}
	}
	for _, t := range pairs {
		change := Change{Quantity: t.rule.quantity, Before: stat.Mean(t.b), After: stat.Mean(t.n)}
		change.Least = t.rule.least(change.Before)
		// Bonferroni with weights, over the pairs that can differ: simple, and valid whatever the quantities have in common.
		change.P = 1
		if !constant(t.b, t.n) {
			change.P = min(1, t.rule.pValue(t.b, t.n, noises[t.rule.quantity])*tests/t.rule.share())
		}
		res := t.rule.judge(t.cell, change)
		if strings.HasPrefix(res.Detail, improved) {
			c.Improvements = append(c.Improvements, res)
		}
		c.Results = append(c.Results, res)
	}
	return c
}

// improved begins the detail of a change for the better.
const improved = "improved"

func (r rule) judge(cell record.Cell, c Change) Result {
	res := Result{
		Cell: cell, Check: c.Quantity, Outcome: Pass, Change: &c,
		Measured: []string{fmt.Sprintf("%s: %s, was %s", c.Quantity, format(c.Quantity, c.After), format(c.Quantity,
			c.Before))},
	}
	if math.Abs(c.After-c.Before) <= c.Least || c.P > Alpha {
		return res
	}
	percent := ""
	if c.Before > 0 {
		percent = fmt.Sprintf(" (%+.1f %%)", 100*(c.After/c.Before-1))
	}
	if c.After < c.Before {
		res.Detail = fmt.Sprintf("%s%s: %s less", improved, percent, format(c.Quantity, c.Before-c.After))
		return res
	}
	res.Outcome = Fail
	res.Detail = fmt.Sprintf("rose by %s%s; %s would have been let pass", format(c.Quantity, c.After-c.Before), percent,
		format(c.Quantity, c.Least))
	return res
}

// compareOutcomes fails for a way to end that no baseline trial had: immediately for a kill for memory, for others when
// most trials ended so. Fewer are inconclusive.
func compareOutcomes(b, n *BaselineCell) Result {
	res := Result{Cell: b.Cell, Check: checkOutcome, Outcome: Pass}
	all := 0
	for _, k := range n.Outcomes {
		all += k
	}
	for _, o := range []record.Outcome{record.OOMKilled, record.Crashed, record.Timeout, record.WaveFailed} {
		k := n.Outcomes[o]
		if k == 0 || b.Outcomes[o] > 0 {
			continue
		}
		res.Outcome = Inconclusive
		res.Detail = fmt.Sprintf("%d of %d trials ended %s, none did before", k, all, o)
		if o == record.OOMKilled || 2*k > all {
			res.Outcome = Fail
			return res
		}
	}
	return res
}

// compareFindings fails for findings that no baseline trial had and most trials of the run have.
func compareFindings(b, n *BaselineCell) Result {
	res := Result{Cell: b.Cell, Check: checkFindings, Outcome: Pass}
	if n.Verdicts == 0 || b.Verdicts == 0 {
		res.Outcome = Inconclusive
		res.Detail = "no trial with a conclusive verdict: " + cmp.Or(n.open, "the baseline has none, accept another")
		return res
	}
	var news []string
	for _, f := range n.newTo(b) {
		news = append(news, fmt.Sprintf("%s at %s was not there before (in %d of %d trials)", f.Class, f.Function, f.Trials,
			n.Verdicts))
	}
	if len(news) > 0 {
		res.Outcome, res.Detail = Fail, strings.Join(news, "; ")
	}
	return res
}

// newTo are the findings in most of the cell's trials of a class that b never had, or never at this function where the
// class is a fault. Those that settings bound differ between equal trials, of a few sampled buffers each: their size is
// compared.
func (c *BaselineCell) newTo(b *BaselineCell) []FindingCount {
	return slices.DeleteFunc(slices.Clone(c.Findings), func(f FindingCount) bool {
		return 2*f.Trials <= c.Verdicts || slices.ContainsFunc(b.Findings, func(x FindingCount) bool {
			return x.Class == f.Class && (x.Function == f.Function || !f.Class.Fault())
		})
	})
}

// grows reports whether a trial of the cell has costs without a bound.
func (c *BaselineCell) grows() bool { return stat.Mean(c.Values[growthQuantity]) > 0 }

// blame is what a failed result points at: the new finding, the finding that the quantity is made of, else the site
// whose share of the memory grew most.
func blame(b, n *BaselineCell, x Result, r *Run) *record.Finding {
	if x.Check == checkFindings {
		f := n.newTo(b)[0]
		return r.finding(x.Cell, f.Class, f.Function)
	}
	if f := r.slopeOf(x.Cell, x.Check); f != nil {
		return f
	}
	var best *record.Finding
	for _, s := range n.Sites {
		was := int64(0)
		if i := slices.IndexFunc(b.Sites,
			func(o record.SiteSize) bool { return o.Site.Function == s.Site.Function }); i >= 0 {
			was = b.Sites[i].Bytes
		}
		if grew := s.Bytes - was; grew > 0 && (best == nil || grew > best.BytesAtPeak) {
			best = &record.Finding{Site: s.Site, BytesAtPeak: grew,
				Summary: fmt.Sprintf("%s holds %s more at the peak", s.Site.Function, format("held_live", float64(grew)))}
		}
	}
	return best
}
