package fault

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

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
	body, err := bounded.Document(text, bounded.Plan)
	if err != nil {
		return nil, positioned(err)
	}
	p := &Plan{}
	if body == nil {
		return p, nil
	}
	if err := yaml.NodeToValue(body, p, yaml.Strict()); err != nil {
		return nil, positioned(err)
	}
	if f := p.check(&o); f != nil {
		return nil, f.in(body)
	}
	return p, nil
}

// positioned turns an error of the YAML library into one line with a position.
func positioned(err error) error {
	line, column, msg := bounded.At(err)
	return &PlanError{line, column, msg}
}

// in gives the flaw the position of its field, or of the nearest thing around it that the text has.
func (f *flaw) in(body ast.Node) error {
	e := &PlanError{Line: 1, Column: 1, Msg: f.Error()}
	for p := f.path; len(p) > 1; p = p[:max(strings.LastIndexAny(p, ".["), 1)] {
		path, err := yaml.PathString(p)
		if err != nil {
			continue
		}
		node, err := path.FilterNode(body)
		if err != nil || node == nil || node.GetToken() == nil {
			continue
		}
		pos := node.GetToken().Position
		e.Line, e.Column = pos.Line, pos.Column
		return e
	}
	return e
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
	return &yaml.SyntaxError{Token: n.GetToken(), Message: err.Error()}
}
