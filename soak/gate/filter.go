package gate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
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
		env[k] = v
		if n, ok := parseSize(v); ok {
			env[k] = n
		}
	}
	for _, n := range f.cond.names {
		if _, ok := env[n]; !ok {
			return false, &SyntaxError{Input: f.cond.text, Msg: fmt.Sprintf("no setting %q; there are %s", n,
				strings.Join(slices.Sorted(maps.Keys(settings)), ", "))}
		}
	}
	return f.cond.holds(env)
}

// off is the value of a limit that is not set.
const off = "off"
