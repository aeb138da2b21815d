package gate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/profiles/record"
)

// ReportSchema is the schema of the gate's JSON.
const ReportSchema = "memsoak/gate/v1"

// ErrNothing is returned when the gate was given nothing to hold the run against.
var ErrNothing = errors.New("no threshold and no baseline: a gate that can't fail is refused; add thresholds to " +
	"soak.yaml, or a baseline with soak baseline accept")

// Options say what a run is held against. At least one of Checks and Baseline is set.
type Options struct {
	Checks   []*Check
	Baseline *Baseline
	// Head is compared with Baseline instead of the run itself: a recording made on the same machine at the same time
	// as the baseline's.
	Head *Run
}

// Report is the gate's answer.
type Report struct {
	Schema       string   `json:"schema"`
	RunID        string   `json:"run_id"`
	Subject      string   `json:"subject"`
	Outcome      Outcome  `json:"outcome"`
	Results      []Result `json:"results"`
	Improvements []Result `json:"improvements,omitempty"`
	Warnings     []string `json:"warnings,omitempty"`
	// SelfCheck is nil when none was asked for.
	SelfCheck *SelfCheck `json:"self_check,omitempty"`
}

// Conclude takes the self-check into the outcome: a gate that misses its leak or fails equal recordings says nothing.
func (r *Report) Conclude() {
	if s := r.SelfCheck; s != nil && !s.Trusted() && r.Outcome == Pass {
		r.Outcome = Inconclusive
	}
}

// Judge holds a run against thresholds and a baseline. An error means that nothing could be judged: it wraps
// ErrForeign, ErrNothing or a *SyntaxError.
func Judge(r *Run, o Options) (*Report, error) {
	asked := slices.DeleteFunc(slices.Clone(o.Checks), func(c *Check) bool { return c.Without != "" })
	if len(asked) == 0 && o.Baseline == nil {
		return nil, ErrNothing
	}
	rep := &Report{Schema: ReportSchema, RunID: r.Run.ID, Subject: r.Run.Subject}
	rep.Results = append(rep.Results, whole(r)...)
	for _, c := range r.Cells {
		results, err := judgeCell(c, o.Checks)
		if err != nil {
			return nil, err
		}
		if len(results) > 0 || o.Baseline != nil && o.Head == nil {
			results = append(judgeImplied(c, o.Checks), results...)
		}
		for i := range results {
			if results[i].Outcome == Fail {
				results[i].Culprit = r.culprit(c.Cell, results[i].reads())
			}
		}
		rep.Results = append(rep.Results, results...)
	}
	for _, c := range asked {
		if !slices.ContainsFunc(rep.Results, func(x Result) bool { return x.Check == c.Expr }) {
			rep.Results = append(rep.Results, Result{Check: c.Expr, Detail: fmt.Sprintf("no cell matches %q", c.Cells)})
		}
	}
	if o.Baseline != nil {
		head := r
		if o.Head != nil {
			head = o.Head
			rep.Results = append(rep.Results, whole(head)...)
			for _, c := range head.Cells {
				rep.Results = append(rep.Results, judgeImplied(c, o.Checks)...)
			}
		}
		cmp, err := Compare(o.Baseline, head)
		if err != nil {
			return nil, err
		}
		rep.Results = append(rep.Results, cmp.Results...)
		rep.Improvements = cmp.Improvements
		rep.Warnings = append(rep.Warnings, cmp.Warnings...)
	}
	rep.Outcome = combine(rep.Results)
	return rep, nil
}

// JudgeCell applies thresholds to one cell, for a run that stops at the first failure.
func JudgeCell(c CellData, checks []*Check) (Outcome, []Result, error) {
	results, err := judgeCell(c, checks)
	return combine(results), results, err
}

func judgeCell(c CellData, checks []*Check) ([]Result, error) {
	var out []Result
	q := Measure(c)
	if why := c.unsound(checks); why != "" {
		q = q.without(why)
	}
	for _, check := range checks {
		if check.Without != "" {
			continue
		}
		applies, err := check.Applies(c.Settings)
		if err != nil {
			return nil, err
		}
		if !applies {
			continue
		}
		res := check.Eval(q)
		res.Cell = c.Cell
		out = append(out, res)
	}
	return out, nil
}

// whole finds gaps in a run: each gap is inconclusive.
func whole(r *Run) []Result {
	var out []Result
	if r.Run.Interrupted || r.Run.Ended.IsZero() {
		out = append(out, Result{Check: "run complete", Detail: "the run was interrupted; soak run --resume finishes it"})
	}
	for _, d := range r.Damaged {
		out = append(out, Result{Check: "run readable", Detail: d})
	}
	for _, c := range r.Cells {
		if len(c.Trials) == 0 {
			out = append(out, Result{Cell: c.Cell, Check: "cell recorded", Detail: "no trial of this cell was recorded"})
		}
	}
	return out
}

// reads is the quantity that a result was measured from, "" for none.
func (r Result) reads() string {
	if r.Change != nil {
		return r.Change.Quantity
	}
	if len(r.Measured) == 0 {
		return ""
	}
	name, _, ok := strings.Cut(r.Measured[0], " = ")
	if name, _, call := strings.Cut(r.Measured[0], "("); call {
		return name
	}
	if !ok {
		return ""
	}
	return name
}

// Failures returns the results that failed.
func (r *Report) Failures() []Result {
	return slices.DeleteFunc(slices.Clone(r.Results), func(x Result) bool { return x.Outcome != Fail })
}

// Site returns where a failed result points to in the source, nil when nowhere.
func (r Result) Site() *record.Site {
	if r.Culprit == nil || r.Culprit.Site.File == "" {
		return nil
	}
	return &r.Culprit.Site
}

// Sentence says a result in one line, with its culprit.
func (r Result) Sentence() string {
	if r.Culprit != nil && r.Culprit.Summary != "" {
		return r.line() + ": " + r.Culprit.Summary
	}
	return r.line()
}
