package fieldmask

import "fmt"

// Limits on a mask, beyond which Parse refuses it.
const (
	MaxLen   = 16 << 10 // bytes
	maxDepth = 16       // nested levels
)

// Error describes a mistake in a mask and its byte. Field is the unknown field, if that is it.
type Error struct {
	Input string
	Off   int
	Msg   string
	Field string
}

func (e *Error) Error() string { return fmt.Sprintf("fields: at byte %d: %s", e.Off, e.Msg) }

// Mask selects fields of a resource. The nil mask selects nothing. A mask is immutable and safe for concurrent use.
type Mask struct {
	all  bool
	kids map[string]*Mask
}

// All selects everything.
var All = &Mask{all: true}

// Field returns the mask that holds inside the named field, nil if the field is not selected.
func (m *Mask) Field(name string) *Mask {
	switch {
	case m == nil:
		return nil
	case m.all:
		return All
	}
	if k, ok := m.kids[name]; ok {
		return k
	}
	return m.kids["*"]
}

// Has says whether the field, or a part of it, is selected.
func (m *Mask) Has(name string) bool { return m.Field(name) != nil }

// Whole says whether the mask selects everything below it.
func (m *Mask) Whole() bool { return m != nil && m.all }

// Filter returns what the mask selects of v, a value as encoding/json decodes it: maps, slices and scalars. A mask
// over a slice holds for each element.
func (m *Mask) Filter(v any) any {
	if m.Whole() {
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, x := range v {
			if k := m.Field(name); k != nil {
				out[name] = k.Filter(x)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = m.Filter(x)
		}
		return out
	}
	return v
}

type parser struct {
	in  string
	off int
}

// Parse reads a mask over the named resource of the discovery document ("FileList", "File", "About" ...). Errors are of
// type *Error.
func Parse(in, resource string) (*Mask, error) {
	s, ok := shapes()[resource]
	if !ok {
		return nil, &Error{Input: in, Msg: "unknown resource " + resource}
	}
	p := &parser{in: in}
	if len(in) > MaxLen {
		return nil, p.fail(MaxLen, "longer than %d bytes", MaxLen)
	}
	m := &Mask{}
	if err := p.list(m, s, 0); err != nil {
		return nil, err
	}
	if p.off != len(p.in) {
		return nil, p.fail(p.off, "unexpected %q", p.in[p.off])
	}
	return m, nil
}

func (p *parser) fail(off int, format string, args ...any) error {
	return &Error{Input: p.in, Off: off, Msg: fmt.Sprintf(format, args...)}
}

func (p *parser) space() {
	for p.off < len(p.in) && (p.in[p.off] == ' ' || p.in[p.off] == '\t' || p.in[p.off] == '\n' || p.in[p.off] == '\r') {
		p.off++
	}
}

func (p *parser) at(c byte) bool {
	p.space()
	return p.off < len(p.in) && p.in[p.off] == c
}

// list reads path,path,... into m.
func (p *parser) list(m *Mask, s *shape, depth int) error {
	for {
		if err := p.path(m, s, depth); err != nil {
			return err
		}
		if !p.at(',') {
			return nil
		}
		p.off++
	}
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.' ||
		c == '*'
}

// path reads name, name/path or name(list) into m.
func (p *parser) path(m *Mask, s *shape, depth int) error {
	if depth > maxDepth {
		return p.fail(p.off, "nested deeper than %d", maxDepth)
	}
	p.space()
	start := p.off
	for p.off < len(p.in) && nameByte(p.in[p.off]) {
		p.off++
	}
	name := p.in[start:p.off]
	if name == "" {
		return p.fail(start, "a field name is missing")
	}
	next, ok := s.field(name)
	if !ok && name != "*" {
		return &Error{Input: p.in, Off: start, Msg: "unknown field " + name, Field: name}
	}
	if name == "*" {
		next = nil
	}
	deeper := p.at('/') || p.at('(')
	switch {
	case name == "*" && !deeper:
		m.all = true
		return nil
	case !deeper:
		m.put(name, All)
		return nil
	case next.resolve() == nil:
		return p.fail(p.off, "%s has no fields", name)
	}
	kid := m.child(name)
	if p.at('/') {
		p.off++
		return p.path(kid, next, depth+1)
	}
	open := p.off
	p.off++
	if err := p.list(kid, next, depth+1); err != nil {
		return err
	}
	if !p.at(')') {
		return p.fail(open, "the parenthesis is not closed")
	}
	p.off++
	return nil
}

func (m *Mask) put(name string, k *Mask) {
	if m.kids == nil {
		m.kids = map[string]*Mask{}
	}
	m.kids[name] = k
}

// child returns the mask below name to add to: a throw-away one where everything is selected already.
func (m *Mask) child(name string) *Mask {
	if k := m.kids[name]; k == All {
		return &Mask{}
	} else if k != nil {
		return k
	}
	k := &Mask{}
	m.put(name, k)
	return k
}
