package gate

import (
	"errors"
	"fmt"
	"maps"

	"github.com/memsoak/memsoak/profiles/record"
)

// Threshold is one line of soak.yaml's thresholds.
type Threshold struct {
	// Expr is a condition that must hold, such as "peak_rss < 256MiB" or "headline in [healthy, buffering]".
	Expr string `yaml:"expr" json:"expr"`
	// Cells limits the threshold to the cells for which this condition over axes holds, such as "workers >= 10".
	Cells string `yaml:"cells,omitempty" json:"cells,omitempty"`
	// AbortOnFail ends the run at the first cell that fails.
	AbortOnFail bool `yaml:"abort_on_fail,omitempty" json:"abort_on_fail,omitempty"`
	// Without turns an implied check off, by its name: outcome or work. It stands alone.
	Without string `yaml:"without,omitempty" json:"without,omitempty"`
}

// UnmarshalYAML accepts a bare string for a threshold without options.
func (t *Threshold) UnmarshalYAML(unmarshal func(any) error) error {
	if unmarshal(&t.Expr) == nil {
		return nil
	}
	type plain Threshold
	return unmarshal((*plain)(t))
}

// SyntaxError is a threshold or filter that can't be used, with the position of the error.
type SyntaxError struct {
	Input  string
	Column int // 1-based, in bytes; 0 when the whole is meant
	Msg    string
}

func (e *SyntaxError) Error() string {
	if e.Column > 0 {
		return fmt.Sprintf("%q, column %d: %s", e.Input, e.Column, e.Msg)
	}
	return fmt.Sprintf("%q: %s", e.Input, e.Msg)
}

// Check is a compiled threshold. It is safe for concurrent use.
type Check struct {
	Threshold
	cond   *condition
	filter *Filter
	names  []string // the quantities it reads
}

// Compile checks a threshold for sense and prepares it: every name must be a quantity, it must be a condition, and
// there must be measurements that fail it and others that pass.
func Compile(t Threshold) (*Check, error) {
	if t.Without != "" {
		return compileWithout(t)
	}
	cond, err := compileCondition(t.Expr, exampleEnv())
	if err != nil {
		return nil, err
	}
	c := &Check{Threshold: t, cond: cond, names: cond.names}
	if len(c.names) == 0 {
		return nil, &SyntaxError{Input: t.Expr, Msg: "names no quantity, so it would always say the same; known are " +
			known()}
	}
	if c.filter, err = CompileFilter(t.Cells); err != nil {
		return nil, err
	}
	return c, c.sensible()
}

// CompileAll compiles thresholds and joins their errors.
func CompileAll(ts []Threshold) ([]*Check, error) {
	var out []*Check
	var errs []error
	for i, t := range ts {
		c, err := Compile(t)
		if err != nil {
			errs = append(errs, fmt.Errorf("threshold %d: %w", i+1, err))
			continue
		}
		out = append(out, c)
	}
	return out, errors.Join(errs...)
}

// sensible tries the condition on made-up measurements: every quantity it reads at each of a few values.
func (c *Check) sensible() error {
	var passed, failed bool
	var tries [][]any
	var names []string
	for _, n := range c.names {
		if n != "max_workers" {
			names, tries = append(names, n), append(tries, quantities[n].probes(c.cond.numbers))
		}
	}
	forEach(tries, func(values []any) bool {
		env := exampleEnv()
		for i, n := range names {
			env[n] = values[i]
		}
		for _, workers := range append([]float64{0, 1, 1e6}, c.cond.numbers...) {
			env["max_workers"] = func(float64) (float64, error) { return workers, nil }
			ok, err := c.cond.holds(env)
			passed, failed = passed || (err == nil && ok), failed || (err == nil && !ok)
		}
		return !(passed && failed)
	})
	switch {
	case !failed:
		return &SyntaxError{Input: c.Expr, Msg: "can't fail, whatever is measured"}
	case !passed:
		return &SyntaxError{Input: c.Expr, Msg: "can't hold, whatever is measured"}
	}
	return nil
}

// forEach calls f with every combination of one value from each list until f returns false.
func forEach(lists [][]any, f func([]any) bool) {
	pick := make([]any, len(lists))
	var rec func(int) bool
	rec = func(i int) bool {
		if i == len(lists) {
			return f(pick)
		}
		for _, v := range lists[i] {
			pick[i] = v
			if !rec(i + 1) {
				return false
			}
		}
		return true
	}
	rec(0)
}

// Applies reports whether the threshold is meant for the cell.
func (c *Check) Applies(settings map[string]string) (bool, error) { return c.filter.Match(settings) }

// Eval judges the threshold on a cell's quantities.
func (c *Check) Eval(q Quantities) Result {
	r := Result{Check: c.Expr, Outcome: Inconclusive}
	env := maps.Clone(q.values)
	for _, n := range c.names {
		if n == "max_workers" {
			continue
		}
		v, ok := q.values[n]
		if !ok {
			r.Detail = n + " was not measured: " + q.missing(n)
			return r
		}
		r.Measured = append(r.Measured, n+" = "+format(n, v))
	}
	var open bool
	env["max_workers"] = q.maxWorkers(&r, false, &open)
	ok, err := c.cond.holds(env)
	if err == nil && open {
		var other bool
		env["max_workers"] = q.maxWorkers(&r, true, &open)
		if other, err = c.cond.holds(env); err == nil && other != ok {
			err = errors.New("whether so many workers fit is not known: soak plan says why")
		}
	}
	switch {
	case err != nil:
		r.Detail = err.Error()
	case ok:
		r.Outcome = Pass
	default:
		r.Outcome = Fail
	}
	return r
}

// parseSize reads a number with an optional unit.
func parseSize(s string) (float64, bool) {
	if s == off || s == "none" { // words of settings, which are more than any number
		return 0, false
	}
	return number(s)
}

// words are the bare words of thresholds: headlines, outcomes and classes.
var words = func() map[string]any {
	w := map[string]any{}
	for _, h := range []record.Headline{record.Inconclusive, record.Healthy, record.HeadLeak, record.HeadBuffer,
		record.HeadMetadata, record.HeadHeadroom} {
		w[string(h)] = string(h)
	}
	w["ok"], w["crashed"], w["timeout"] = string(record.OK), string(record.Crashed), string(record.Timeout)
	return w
}()
