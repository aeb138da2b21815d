package fault

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/memsoak/memsoak/internal/bounded"
)

// MaxPlanBytes is the longest text of a plan.
var MaxPlanBytes = bounded.Plan.Bytes

// PlanError says where in the text of a plan something is wrong. Line and Column count from 1.
type PlanError struct {
	Line, Column int
	Msg          string
}

func (e *PlanError) Error() string {
	return fmt.Sprintf("fault plan: line %d, column %d: %s", e.Line, e.Column, e.Msg)
}

// ParsePlan reads a plan, in YAML or JSON, for a fake of these options. Unknown fields, operations and reasons are
// errors; every error is a *PlanError.
func ParsePlan(text []byte, o Options) (*Plan, error) {
	if int64(len(text)) > MaxPlanBytes {
		return nil, &PlanError{1, 1, fmt.Sprintf("longer than %d bytes", MaxPlanBytes)}
	}
	if err := bounded.YAML(text, bounded.Plan); err != nil {
		return nil, &PlanError{1, 1, err.Error()}
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, positioned(err)
	}
	if len(file.Docs) > 1 {
		return nil, &PlanError{lineOf(file.Docs[1]), 1, "one document only"}
	}
	p := &Plan{}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return p, nil
	}
	if err := yaml.NodeToValue(file.Docs[0].Body, p, yaml.Strict()); err != nil {
		return nil, positioned(err)
	}
	if f := p.check(&o); f != nil {
		return nil, f.in(file)
	}
	return p, nil
}

// positioned turns an error of the YAML library into one line with a position.
func positioned(err error) error {
	var own *PlanError
	if errors.As(err, &own) {
		return own
	}
	e := &PlanError{Line: 1, Column: 1}
	var y yaml.Error
	if errors.As(err, &y) { // its Error has an excerpt, which takes time by the square of a line's length
		e.Msg = strings.Join(strings.Fields(y.GetMessage()), " ")
		if t := y.GetToken(); t != nil && t.Position != nil {
			e.Line, e.Column = t.Position.Line, t.Position.Column
		}
	} else {
		e.Msg = strings.Join(strings.Fields(err.Error()), " ")
	}
	return e
}

// in gives the flaw the position of its field, or of the nearest thing around it that the text has.
func (f *flaw) in(file *ast.File) error {
	e := &PlanError{Line: 1, Column: 1, Msg: f.Error()}
	for p := f.path; len(p) > 1; p = p[:max(strings.LastIndexAny(p, ".["), 1)] {
		path, err := yaml.PathString(p)
		if err != nil {
			continue
		}
		node, err := path.FilterFile(file)
		if err != nil || node == nil || node.GetToken() == nil {
			continue
		}
		pos := node.GetToken().Position
		e.Line, e.Column = pos.Line, pos.Column
		return e
	}
	return e
}

func lineOf(d *ast.DocumentNode) int {
	if d.Start != nil && d.Start.Position != nil {
		return d.Start.Position.Line
	}
	return 1
}

// UnmarshalYAML implements yaml.NodeUnmarshaler: as UnmarshalText, with the position in errors.
func (s *Size) UnmarshalYAML(n ast.Node) error { return unmarshalScalar(n, s.UnmarshalText) }

// UnmarshalYAML implements yaml.NodeUnmarshaler: as UnmarshalText, with the position in errors.
func (d *Duration) UnmarshalYAML(n ast.Node) error { return unmarshalScalar(n, d.UnmarshalText) }

func unmarshalScalar(n ast.Node, unmarshal func([]byte) error) error {
	err := errors.New("a single value is needed here")
	if _, ok := n.(ast.ScalarNode); ok {
		if err = unmarshal([]byte(n.GetToken().Value)); err == nil {
			return nil
		}
	}
	pos := n.GetToken().Position
	return &PlanError{pos.Line, pos.Column, err.Error()}
}
