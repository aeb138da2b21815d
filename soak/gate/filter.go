package gate

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// Filter is a condition over a cell's settings. The zero Filter and nil match everything.
type Filter struct{ cond *condition }

// CompileFilter prepares a filter such as "workers >= 10 and pool = 4". Names are settings, values are compared as
// numbers or sizes where they look like them, else as text. A limit that is off is no limit: by <, <=, > and >= it is
// above every number. An empty text matches every cell.
func CompileFilter(text string) (*Filter, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	cond, err := compileCondition(text, nil)
	if err != nil {
		return nil, err
	}
	return &Filter{cond: cond}, nil
}

// Match reports whether the settings fulfil the filter. A setting that the filter names and the cell lacks is an error.
func (f *Filter) Match(settings map[string]string) (bool, error) {
	if f == nil {
		return true, nil
	}
	env := map[string]any{}
	for k, v := range settings {
		env[k], env[ordered(k)] = v, v
		if n, ok := parseSize(v); ok {
			env[k], env[ordered(k)] = n, n
		} else if v == off {
			env[ordered(k)] = math.Inf(1)
		}
	}
	for _, n := range f.cond.names {
		if _, ok := env[n]; !ok {
			return false, &SyntaxError{Input: f.cond.text, Msg: fmt.Sprintf("no setting %q; there are %s", n,
				strings.Join(slices.Sorted(maps.Keys(settings)), ", "))}
		}
	}
	ok, err := f.cond.holds(env)
	if err != nil {
		for _, n := range f.cond.sized {
			if text, is := env[ordered(n)].(string); is {
				return false, &SyntaxError{Input: f.cond.text,
					Msg: fmt.Sprintf("%s is %q here, which has no size: compare it by =, != or in", n, text)}
			}
		}
	}
	return ok, err
}

// off is the value of a limit that is not set.
const off = "off"

// ordered is the name under which a setting is compared by size: there off is more than any number, while the setting's
// own name keeps the word.
func ordered(name string) string { return name + " by size" }

// bySize makes one side of a comparison by size read a limit that is off as more than any number.
func (v *visitor) bySize(side *ast.Node) {
	switch n := (*side).(type) {
	case *ast.IdentifierNode:
		v.sized = append(v.sized, n.Value)
		ast.Patch(side, &ast.IdentifierNode{Value: ordered(n.Value)})
	case *ast.StringNode:
		if n.Value == off {
			ast.Patch(side, &ast.FloatNode{Value: math.Inf(1)})
		}
	}
}
