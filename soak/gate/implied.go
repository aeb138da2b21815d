package gate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/profiles/record"
)

// implied are the checks that every judged cell has to pass beside those that were asked for: a trial that died or did
// nothing measures something other than intended. Threshold.Without turns one off by its name.
var implied = []struct {
	name, check string
	judge       func(CellData) Result
}{
	{"outcome", "outcome == ok", outcomeOK},
	{"work", "the planned work was done", workDone},
}

func impliedNames() []string {
	var out []string
	for _, i := range implied {
		out = append(out, i.name)
	}
	return out
}

func compileWithout(t Threshold) (*Check, error) {
	if t.Expr != "" || t.Cells != "" || t.AbortOnFail {
		return nil, &SyntaxError{Input: t.Without, Msg: "without stands alone in its entry: it turns an implied check off"}
	}
	if !slices.Contains(impliedNames(), t.Without) {
		return nil, &SyntaxError{Input: t.Without, Msg: "no implied check has this name; there are " +
			strings.Join(impliedNames(), " and ")}
	}
	return &Check{Threshold: t}, nil
}

// turnedOff reports whether an implied check is turned off.
func turnedOff(checks []*Check, name string) bool {
	return slices.ContainsFunc(checks, func(c *Check) bool { return c.Without == name })
}

// outcomeOK fails for a trial that was killed, crashed or whose wave failed; one that ran out of time, or has no
// outcome, may have been slow.
func outcomeOK(c CellData) Result {
	var r Result
	bad := map[record.Outcome]int{}
	for _, t := range c.Trials {
		if o := t.Trial.Outcome; o != record.OK {
			bad[o]++
			r.Detail = fmt.Sprintf("%d of %d trials ended as %s", bad[o], len(c.Trials), orNone(o))
			if t.Trial.Reason != "" {
				r.Detail += ": " + t.Trial.Reason
			}
		}
	}
	switch {
	case bad[record.OOMKilled]+bad[record.Crashed]+bad[record.WaveFailed] > 0:
		r.Outcome = Fail
	case len(bad) == 0 && len(c.Trials) > 0:
		r.Outcome = Pass
	}
	return r
}

func orNone(o record.Outcome) string {
	if o == "" {
		return "unfinished"
	}
	return string(o)
}

// workDone is inconclusive where a trial left planned work undone.
func workDone(c CellData) Result {
	if len(c.Trials) == 0 {
		return Result{}
	}
	for _, t := range c.Trials {
		if why := undone(t.Trial); why != "" {
			return Result{Detail: why}
		}
	}
	return Result{Outcome: Pass}
}

// undone says which planned work a trial left, "" for none.
func undone(t *record.Trial) string {
	effort, done, planned := t.DidWork()
	switch effort {
	case record.NoWork:
		return fmt.Sprintf("trial %d finished no file", t.Index)
	case record.PartWork:
		return fmt.Sprintf("trial %d finished %d of %d planned files", t.Index, done, planned)
	}
	return ""
}

// unsound says why nothing can be read from a cell's quantities, "" if they can: a trial that didn't end well, or that
// left its work, unless that is accepted.
func (c CellData) unsound(checks []*Check) string {
	for _, t := range c.Trials {
		if t.Trial.Outcome != record.OK {
			return fmt.Sprintf("trial %d ended as %s", t.Trial.Index, orNone(t.Trial.Outcome))
		}
		if why := undone(t.Trial); why != "" && !turnedOff(checks, "work") {
			return why
		}
	}
	return ""
}

// Open says of a cell without a conclusive verdict what its first diagnosed trial leaves open, and what to run next.
func (c CellData) Open() string {
	i := slices.IndexFunc(c.Trials, func(t TrialData) bool { return t.Trial.Kind != record.Speed })
	if i < 0 {
		return "no trial to diagnose was recorded: soak run --resume records what is missing"
	}
	t, v := c.Trials[i].Trial, cmp.Or(c.Trials[i].Verdict, &record.Verdict{})
	out := fmt.Sprintf("trial %d is inconclusive: ", t.Index) + slices.Concat(v.Warnings,
		[]string{"soak diagnose says what is missing"})[0]
	if bad := (CellData{Trials: c.Trials[i : i+1]}).unsound(nil); bad != "" {
		out = bad + ": soak report says how; mend that and run again"
	} else if k := slices.IndexFunc(v.Hypotheses, func(h record.Hypothesis) bool {
		return h.State != record.Found && h.State != record.Excluded
	}); k >= 0 {
		out = fmt.Sprintf("trial %d leaves %s per %s open: %s", t.Index, v.Hypotheses[k].Class, v.Hypotheses[k].Per,
			v.Hypotheses[k].Needs)
	}
	if t.Effort != nil && t.Effort.Capped {
		out += fmt.Sprintf("; its time ended at %gs: run again with a larger budget", t.Effort.CapSeconds)
	}
	return out
}

// judgeImplied are the implied checks of a cell that are not turned off.
func judgeImplied(c CellData, checks []*Check) []Result {
	var out []Result
	for _, i := range implied {
		if turnedOff(checks, i.name) {
			continue
		}
		r := i.judge(c)
		r.Cell, r.Check = c.Cell, i.check
		out = append(out, r)
	}
	return out
}
