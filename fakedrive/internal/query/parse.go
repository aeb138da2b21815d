package query

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits on a query, beyond which Parse refuses it.
const (
	MaxLen   = 32 << 10 // bytes
	maxDepth = 64       // nested parentheses and nots
)

// Query is a parsed query. It is immutable and safe for concurrent use.
type Query struct {
	root *node // nil: matches everything
}

type nodeKind int

const (
	nTerm nodeKind = iota
	nAnd
	nOr
	nNot
)

type node struct {
	kind nodeKind
	kids []*node // of nAnd, nOr; one for nNot

	// A term.
	field Field
	op    Op
	text  string // the value; the key of a has
	text2 string // the value of a has
	words []string
	time  time.Time
	flag  bool
	num   int64
}

type parser struct {
	lexer
	tok    token
	fields map[string]fieldSpec
}

// Parse reads a query of the domain. An empty one matches everything. Errors are of type *Error.
func Parse(in string, domain Domain) (*Query, error) {
	p := &parser{lexer: lexer{in: in}, fields: fileFields}
	if domain == Drives {
		p.fields = driveFields
	}
	if len(in) > MaxLen {
		return nil, p.fail(MaxLen, "the query is longer than %d bytes", MaxLen)
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.tok.kind == tokEOF {
		return &Query{}, nil
	}
	root, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if p.tok.kind != tokEOF {
		return nil, p.unexpected("and, or, or the end")
	}
	return &Query{root: root}, nil
}

func (p *parser) advance() (err error) {
	p.tok, err = p.next()
	return err
}

func (p *parser) unexpected(want string) error {
	return p.fail(p.tok.off, "unexpected %s; want %s", p.tok.describe(), want)
}

func (p *parser) keyword(word string) bool {
	return p.tok.kind == tokWord && strings.EqualFold(p.tok.text, word)
}

func (p *parser) or(depth int) (*node, error) { return p.chain(nOr, "or", depth, p.and) }

func (p *parser) and(depth int) (*node, error) { return p.chain(nAnd, "and", depth, p.unary) }

// chain reads operands of one operator into one flat node.
func (p *parser) chain(kind nodeKind, word string, depth int, operand func(int) (*node, error)) (*node, error) {
	first, err := operand(depth)
	if err != nil || !p.keyword(word) {
		return first, err
	}
	n := &node{kind: kind, kids: []*node{first}}
	for p.keyword(word) {
		if err := p.advance(); err != nil {
			return nil, err
		}
		kid, err := operand(depth)
		if err != nil {
			return nil, err
		}
		n.kids = append(n.kids, kid)
	}
	return n, nil
}

func (p *parser) unary(depth int) (*node, error) {
	if depth > maxDepth {
		return nil, p.fail(p.tok.off, "nested deeper than %d", maxDepth)
	}
	switch {
	case p.keyword("not"):
		if err := p.advance(); err != nil {
			return nil, err
		}
		kid, err := p.unary(depth + 1)
		if err != nil {
			return nil, err
		}
		return &node{kind: nNot, kids: []*node{kid}}, nil
	case p.tok.kind == tokPunct && p.tok.text == "(":
		open := p.tok.off
		if err := p.advance(); err != nil {
			return nil, err
		}
		n, err := p.or(depth + 1)
		if err != nil {
			return nil, err
		}
		if p.tok.kind == tokEOF {
			return nil, p.fail(open, "the parenthesis is not closed")
		}
		return n, p.punct(")")
	case p.tok.kind == tokString:
		return p.member()
	case p.tok.kind == tokWord:
		return p.term()
	}
	return nil, p.unexpected("a term")
}

func (p *parser) punct(text string) error {
	if p.tok.kind != tokPunct || p.tok.text != text {
		return p.unexpected(strconv.Quote(text))
	}
	return p.advance()
}

func (p *parser) lookup() (fieldSpec, error) {
	if p.tok.kind != tokWord {
		return fieldSpec{}, p.unexpected("a term")
	}
	spec, ok := p.fields[p.tok.text]
	if !ok {
		return spec, p.fail(p.tok.off, "unknown term %q", clip(p.tok.text))
	}
	return spec, nil
}

// member reads 'x' in field.
func (p *parser) member() (*node, error) {
	value := p.tok.text
	if err := p.advance(); err != nil {
		return nil, err
	}
	if !p.keyword("in") {
		return nil, p.unexpected("in")
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	spec, err := p.lookup()
	if err != nil {
		return nil, err
	}
	if !slices.Contains(spec.ops, In) {
		return nil, p.fail(p.tok.off, "%s is not a collection", p.tok.text)
	}
	return &node{field: spec.field, op: In, text: value}, p.advance()
}

// term reads everything that starts with a field.
func (p *parser) term() (*node, error) {
	spec, err := p.lookup()
	if err != nil {
		return nil, err
	}
	name := p.tok.text
	if err := p.advance(); err != nil {
		return nil, err
	}
	op, isOp := opNames[strings.ToLower(p.tok.text)]
	if !isOp || p.tok.kind != tokOp && p.tok.kind != tokWord {
		if spec.kind == boolValue {
			return &node{field: spec.field, op: Eq, flag: true}, nil
		}
		return nil, p.unexpected("an operator")
	}
	if !slices.Contains(spec.ops, op) {
		return nil, p.fail(p.tok.off, "%s does not take the operator %s", name, op)
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	n := &node{field: spec.field, op: op}
	if op == Has {
		return n, p.property(n)
	}
	return n, p.value(n, spec, name)
}

// property reads { key='k' and value='v' }.
func (p *parser) property(n *node) error {
	if err := p.punct("{"); err != nil {
		return err
	}
	for i, part := range []struct {
		word string
		into *string
	}{{"key", &n.text}, {"value", &n.text2}} {
		if i > 0 {
			if !p.keyword("and") {
				return p.unexpected("and")
			}
			if err := p.advance(); err != nil {
				return err
			}
		}
		if !p.keyword(part.word) {
			return p.unexpected(part.word)
		}
		if err := p.advance(); err != nil {
			return err
		}
		if p.tok.kind != tokOp || p.tok.text != "=" {
			return p.unexpected("=")
		}
		if err := p.advance(); err != nil {
			return err
		}
		if p.tok.kind != tokString {
			return p.unexpected("a string")
		}
		*part.into = p.tok.text
		if err := p.advance(); err != nil {
			return err
		}
	}
	return p.punct("}")
}

// value reads the right side of a comparison into n.
func (p *parser) value(n *node, spec fieldSpec, name string) error {
	t := p.tok
	switch spec.kind {
	case boolValue:
		if !p.keyword("true") && !p.keyword("false") {
			return p.unexpected("true or false")
		}
		n.flag = p.keyword("true")
	case intValue:
		v, err := strconv.ParseInt(t.text, 10, 64)
		if t.kind != tokWord || err != nil {
			return p.unexpected("a number")
		}
		n.num = v
	case timeValue:
		if t.kind != tokString {
			return p.unexpected("a time in quotes")
		}
		v, err := parseTime(t.text)
		if err != nil {
			return p.fail(t.off, "%q is not an RFC 3339 time", clip(t.text))
		}
		n.time = v
	default:
		if t.kind != tokString {
			return p.unexpected("a string in quotes")
		}
		if spec.enum != nil && !slices.Contains(spec.enum, t.text) {
			return p.fail(t.off, "%q is not a value of %s", clip(t.text), name)
		}
		n.text = t.text
		if n.op == Contains {
			n.words = tokens(t.text)
		}
	}
	return p.advance()
}

// parseTime reads an RFC 3339 time; without a zone it is UTC, and the time of day may be missing.
func parseTime(s string) (time.Time, error) {
	var err error
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02"} {
		var t time.Time
		if t, err = time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, err
}
