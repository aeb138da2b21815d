package gate

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"github.com/memsoak/memsoak/internal/units"
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
			err = errors.New("the matrix doesn't reach so many workers: add a larger count to its axis")
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

// condition is a compiled boolean expression.
type condition struct {
	text    string
	prog    *vm.Program
	names   []string
	sized   []string  // those compared by size, in a filter
	numbers []float64 // the constants in it
}

// compileCondition compiles text after its sizes and percentages are turned into numbers. With a nil env every name is
// allowed and bare words on the right of a comparison are not known.
func compileCondition(text string, env map[string]any) (*condition, error) {
	plain, column := expandUnits(text)
	v := &visitor{filter: env == nil}
	opts := []expr.Option{expr.AsBool(), expr.DisableAllBuiltins(), expr.Optimize(false), expr.MaxNodes(200),
		expr.Patch(v)}
	if env != nil {
		opts = append(opts, expr.Env(env))
	} else {
		opts = append(opts, expr.AllowUndefinedVariables())
	}
	prog, err := expr.Compile(plain, opts...)
	if err != nil {
		var fe *file.Error
		if errors.As(err, &fe) {
			msg, _, _ := strings.Cut(fe.Message, "\n")
			if name, ok := strings.CutPrefix(msg, "unknown name "); ok {
				msg = "unknown quantity " + name + "; known are " + known()
			}
			return nil, &SyntaxError{Input: text, Column: column(fe.Column) + 1, Msg: msg}
		}
		return nil, &SyntaxError{Input: text, Msg: err.Error()}
	}
	c := &condition{text: text, prog: prog, sized: v.sized, numbers: v.numbers}
	for _, n := range v.names {
		if _, isWord := words[n]; (env == nil || !isWord) && !slices.Contains(c.names, n) {
			c.names = append(c.names, n)
		}
	}
	return c, nil
}

func (c *condition) holds(env map[string]any) (bool, error) {
	v, err := expr.Run(c.prog, env)
	if err != nil {
		msg, _, _ := strings.Cut(err.Error(), "\n")
		return false, &SyntaxError{Input: c.text, Msg: msg}
	}
	ok, is := v.(bool)
	if !is {
		return false, &SyntaxError{Input: c.text, Msg: "is not a condition"}
	}
	return ok, nil
}

type visitor struct {
	names   []string
	numbers []float64
	filter  bool // comparisons by size are a filter's
	sized   []string
}

// Visit implements ast.Visitor. It comes to a comparison after its two sides.
func (v *visitor) Visit(n *ast.Node) {
	switch n := (*n).(type) {
	case *ast.BinaryNode:
		if v.filter && slices.Contains([]string{"<", "<=", ">", ">="}, n.Operator) {
			v.bySize(&n.Left)
			v.bySize(&n.Right)
		}
	case *ast.IdentifierNode:
		v.names = append(v.names, n.Value)
	case *ast.IntegerNode:
		v.numbers = append(v.numbers, float64(n.Value))
	case *ast.FloatNode:
		v.numbers = append(v.numbers, n.Value)
	}
}

// token finds what the expression language doesn't know: numbers with a unit, and the words of the vocabulary that it
// would read as a subtraction. Quoted text is matched first, so that it stays as it is.
var token = regexp.MustCompile(`"[^"]*"|'[^']*'|\b(\d+(?:\.\d+)?(?:%|[A-Za-z]+))(?:\b|$|[\s),])|` +
	`\b(off-heap|oom-killed|wave-failed|off|none)\b|[=!<>]=|(=)`)

// number reads a number with a unit: a share in percent, or a size as every flag takes it.
func number(text string) (float64, bool) {
	if p, ok := strings.CutSuffix(text, "%"); ok {
		n, err := strconv.ParseFloat(p, 64)
		return n / 100, err == nil
	}
	n, err := units.ParseBytes(text)
	return float64(n), err == nil
}

// expandUnits replaces "256MiB" and "1%" by plain numbers, words by strings and "=" by "==", and returns a function
// from columns of the result to columns of the input (both 0-based).
func expandUnits(text string) (string, func(int) int) {
	var b strings.Builder
	type shift struct{ at, by int } // from this column of the result on, the input is by columns ahead
	shifts := []shift{{}}
	last := 0
	replace := func(from, to int, by string) {
		b.WriteString(text[last:from])
		b.WriteString(by)
		last = to
		shifts = append(shifts, shift{at: b.Len(), by: last - b.Len()})
	}
	for _, m := range token.FindAllStringSubmatchIndex(text, -1) {
		switch {
		case m[2] >= 0: // number with unit
			if n, ok := number(text[m[2]:m[3]]); ok {
				replace(m[2], m[3], strconv.FormatFloat(n, 'f', -1, 64))
			}
		case m[4] >= 0: // word with a hyphen, or a value of settings
			replace(m[4], m[5], strconv.Quote(text[m[4]:m[5]]))
		case m[6] >= 0: // as people write it
			replace(m[6], m[7], "==")
		}
	}
	b.WriteString(text[last:])
	return b.String(), func(col int) int {
		by := 0
		for _, s := range shifts {
			if col >= s.at {
				by = s.by
			}
		}
		return min(col+by, len(text))
	}
}

// parseSize reads a number with an optional unit.
func parseSize(s string) (float64, bool) {
	if n, err := strconv.ParseFloat(s, 64); err == nil && !math.IsNaN(n) && !math.IsInf(n, 0) {
		return n, true
	}
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
