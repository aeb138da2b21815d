package gate

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/memsoak/memsoak/internal/units"
)

// condition is a parsed boolean expression over named values.
type condition struct {
	text    string
	root    *node
	names   []string  // the quantities or settings that it reads
	numbers []float64 // the constants in it
}

// kind is what a part of a condition is known to be before anything is measured.
type kind string

const (
	truth  kind = "condition"
	amount kind = "number"
	word   kind = "word"
	either kind = "setting" // a number or a word: the cell tells
)

// scope holds the value of each name: a float64, a string, or the function behind max_workers.
type scope = map[string]any

// node is a part of a condition: an operator with its operands, a name, or a value.
type node struct {
	op    string // an operator, "name", "call" or "value"
	kind  kind
	at    int // offset in the text
	name  string
	value any
	args  []*node
}

// lexeme is one token: text in quotes, a number with or without a unit, a name, or an operator. The words with a hyphen
// are tried before names, which have none.
var lexeme = regexp.MustCompile(`^(?:"[^"]*"|'[^']*'|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?:%|[A-Za-z]+)?|` +
	`(?:off-heap|oom-killed|wave-failed)\b|[A-Za-z_]\w*|==|!=|<=|>=|&&|\|\||[-=<>!()\[\],+*/])`)

// spelled are operators that have a second spelling.
var spelled = map[string]string{"=": "==", "&&": "and", "||": "or", "!": "not"}

// maxTokens bounds the length of a condition, and with it how deep its parts lie.
const maxTokens = 400

type token struct {
	text string
	at   int
}

// parser reads a condition. With a nil env it is a filter's: every name is a setting.
type parser struct {
	*condition
	env  scope
	toks []token
}

// compileCondition parses a condition over the names of env, or over settings if env is nil.
func compileCondition(text string, env scope) (*condition, error) {
	p := &parser{condition: &condition{text: text}, env: env}
	for at := 0; ; {
		at += len(text[at:]) - len(strings.TrimLeft(text[at:], " \t\r\n"))
		if at == len(text) {
			break
		}
		t := lexeme.FindString(text[at:])
		if t == "" {
			return nil, p.errorf(at, "%.1q is not understood", text[at:])
		}
		to, ok := spelled[t]
		if !ok {
			to = t
		}
		p.toks, at = append(p.toks, token{to, at}), at+len(t)
	}
	if len(p.toks) > maxTokens {
		return nil, &SyntaxError{Input: text, Msg: fmt.Sprintf("has %d parts; at most %d can be", len(p.toks), maxTokens)}
	}
	var err error
	if p.root, err = p.or(); err != nil {
		return nil, err
	}
	if len(p.toks) > 0 {
		return nil, p.errorf(p.at(), "%q is too much here", p.toks[0].text)
	}
	return p.condition, p.want(truth, p.root)
}

func (p *parser) errorf(at int, format string, args ...any) error {
	return &SyntaxError{Input: p.text, Column: min(at+1, max(1, len(p.text))), Msg: fmt.Sprintf(format, args...)}
}

// at is where the next token begins.
func (p *parser) at() int {
	if len(p.toks) == 0 {
		return len(p.text)
	}
	return p.toks[0].at
}

// take takes the next token if it is one of these.
func (p *parser) take(texts ...string) (string, bool) {
	if len(p.toks) == 0 || !slices.Contains(texts, p.toks[0].text) {
		return "", false
	}
	t := p.toks[0].text
	p.toks = p.toks[1:]
	return t, true
}

// need takes a token that has to be there.
func (p *parser) need(text string) error {
	if _, ok := p.take(text); !ok {
		return p.errorf(p.at(), "%q is missing", text)
	}
	return nil
}

// want refuses operands of another kind. What a setting is, only the cell tells.
func (p *parser) want(k kind, nodes ...*node) error {
	for _, n := range nodes {
		if n.kind != k && (n.kind != either || k == truth) && (k != either || n.kind == truth) {
			return p.errorf(n.at, "want a %s, have a %s", k, n.kind)
		}
	}
	return nil
}

func (p *parser) or() (*node, error)      { return p.chain(p.and, truth, "or") }
func (p *parser) and() (*node, error)     { return p.chain(p.not, truth, "and") }
func (p *parser) sum() (*node, error)     { return p.chain(p.product, amount, "+", "-") }
func (p *parser) product() (*node, error) { return p.chain(p.negative, amount, "*", "/") }

// chain reads operands of a kind with operators between them, which give that kind again.
func (p *parser) chain(next func() (*node, error), of kind, ops ...string) (*node, error) {
	left, err := next()
	for err == nil {
		op, ok := p.take(ops...)
		if !ok {
			return left, nil
		}
		var right *node
		if right, err = next(); err == nil {
			err = p.want(of, left, right)
			left = &node{op: op, kind: of, at: left.at, args: []*node{left, right}}
		}
	}
	return nil, err
}

func (p *parser) not() (*node, error) {
	at := p.at()
	if _, ok := p.take("not"); !ok {
		return p.comparison()
	}
	n, err := p.not()
	if err != nil {
		return nil, err
	}
	return &node{op: "not", kind: truth, at: at, args: []*node{n}}, p.want(truth, n)
}

func (p *parser) negative() (*node, error) {
	at := p.at()
	if _, ok := p.take("-"); !ok {
		return p.operand()
	}
	n, err := p.negative()
	if err != nil {
		return nil, err
	}
	return &node{op: "-", kind: amount, at: at, args: []*node{{op: "value", value: 0.0}, n}}, p.want(amount, n)
}

// comparison reads two terms with a comparison between them, or one and the list that it may be in.
func (p *parser) comparison() (*node, error) {
	left, err := p.sum()
	if err != nil {
		return nil, err
	}
	of, not := left.kind, false
	op, ok := p.take("==", "!=", "<", "<=", ">", ">=", "in")
	if !ok && len(p.toks) > 1 && p.toks[0].text == "not" && p.toks[1].text == "in" {
		p.toks, op, not = p.toks[2:], "in", true
	}
	n := &node{op: op, kind: truth, at: left.at, args: []*node{left}}
	switch op {
	case "":
		return left, nil
	case "in":
		if err := p.list(n); err != nil {
			return nil, err
		}
	default:
		right, err := p.sum()
		if err != nil {
			return nil, err
		}
		n.args = append(n.args, right)
		if strings.ContainsAny(op, "<>") {
			of = amount
		}
	}
	if op == "!=" {
		n.op, not = "==", true
	}
	if p.env == nil {
		of = either // settings and words: what has a size is known when a cell is there
	}
	if not {
		return &node{op: "not", kind: truth, at: n.at, args: []*node{n}}, p.want(of, n.args...)
	}
	return n, p.want(of, n.args...)
}

// list reads the values in brackets.
func (p *parser) list(in *node) error {
	err := p.need("[")
	for err == nil {
		var n *node
		if n, err = p.sum(); err != nil {
			return err
		}
		in.args = append(in.args, n)
		if _, ok := p.take(","); !ok {
			return p.need("]")
		}
	}
	return err
}

// operand reads a condition in brackets, a value or a name.
func (p *parser) operand() (*node, error) {
	if _, ok := p.take("("); ok {
		n, err := p.or()
		if err != nil {
			return nil, err
		}
		return n, p.need(")")
	}
	if len(p.toks) == 0 {
		return nil, p.errorf(p.at(), "a quantity, a number or a word is missing")
	}
	t := p.toks[0]
	p.toks = p.toks[1:]
	switch c := t.text[0]; {
	case c == '"', c == '\'':
		return &node{op: "value", kind: word, at: t.at, value: t.text[1 : len(t.text)-1]}, nil
	case c == '.', c >= '0' && c <= '9':
		v, ok := number(t.text)
		if !ok {
			return nil, p.errorf(t.at, "%q is no size; write for example 64, 512KiB, 2Gi or 1%%", t.text)
		}
		p.numbers = append(p.numbers, v)
		return &node{op: "value", kind: amount, at: t.at, value: v}, nil
	case slices.Contains([]string{"off", "none", "off-heap", "oom-killed", "wave-failed"}, t.text),
		p.env != nil && words[t.text] != nil:
		return &node{op: "value", kind: word, at: t.at, value: t.text}, nil
	case c == '_', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z':
		return p.named(t)
	}
	return nil, p.errorf(t.at, "%q is not expected here", t.text)
}

// named reads a quantity, a call of max_workers, or a setting.
func (p *parser) named(t token) (*node, error) {
	n := &node{op: "name", kind: either, at: t.at, name: t.text}
	if p.env != nil {
		switch p.env[t.text].(type) {
		case float64:
			n.kind = amount
		case string:
			n.kind = word
		case nil:
			return nil, p.errorf(t.at, "unknown quantity %s; known are %s", t.text, known())
		default:
			if len(p.toks) == 0 || p.toks[0].text != "(" {
				return nil, p.errorf(p.at(), "%s needs a limit, as in %s(2Gi)", t.text, t.text)
			}
			arg, err := p.operand()
			if err != nil {
				return nil, err
			}
			if err := p.want(amount, arg); err != nil {
				return nil, err
			}
			n.op, n.kind, n.args = "call", amount, []*node{arg}
		}
	}
	if !slices.Contains(p.names, t.text) {
		p.names = append(p.names, t.text)
	}
	return n, nil
}

// holds evaluates the condition.
func (c *condition) holds(s scope) (bool, error) {
	v, err := c.root.eval(s)
	if err != nil {
		return false, &SyntaxError{Input: c.text, Msg: err.Error()}
	}
	return v == true, nil
}

func (n *node) eval(s scope) (any, error) {
	switch n.op {
	case "value":
		return n.value, nil
	case "name":
		return s[n.name], nil
	}
	var vals []any
	for _, a := range n.args {
		v, err := a.eval(s)
		if err != nil {
			return nil, err
		}
		if (n.op == "or" || n.op == "and") && v == (n.op == "or") {
			return v, nil // decides, so that the rest isn't asked for
		}
		vals = append(vals, v)
	}
	switch n.op {
	case "or", "and":
		return n.op == "and", nil
	case "not":
		return vals[0] == false, nil
	case "==", "in":
		return slices.Contains(vals[1:], vals[0]), nil
	}
	var x [2]float64
	for i, v := range vals {
		var err error
		if x[i], err = n.args[i].size(v); err != nil {
			return nil, err
		}
	}
	if n.op == "call" {
		return s[n.name].(func(float64) (float64, error))(x[0])
	}
	return calculate[n.op](x[0], x[1]), nil
}

// size is a value that is compared by it. A limit that is off is none: it is above every number.
func (n *node) size(v any) (float64, error) {
	f, ok := v.(float64)
	if !ok && v == off {
		return math.Inf(1), nil
	}
	if !ok && n.op == "name" {
		return 0, fmt.Errorf("%s is %q here, which has no size: compare it by =, != or in", n.name, v)
	}
	if !ok {
		return 0, fmt.Errorf("%q has no size: compare it by =, != or in", v)
	}
	return f, nil
}

// calculate has the operators on numbers.
var calculate = map[string]func(a, b float64) any{
	"<":  func(a, b float64) any { return a < b },
	"<=": func(a, b float64) any { return a <= b },
	">":  func(a, b float64) any { return a > b },
	">=": func(a, b float64) any { return a >= b },
	"+":  func(a, b float64) any { return a + b },
	"-":  func(a, b float64) any { return a - b },
	"*":  func(a, b float64) any { return a * b },
	"/":  func(a, b float64) any { return a / b },
}

// number reads a number, with or without a unit: a share in percent, or a size as every flag takes it.
func number(text string) (float64, bool) {
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return n, !math.IsNaN(n) && !math.IsInf(n, 0)
	}
	if p, ok := strings.CutSuffix(text, "%"); ok {
		n, err := strconv.ParseFloat(p, 64)
		return n / 100, err == nil
	}
	n, err := units.ParseBytes(text)
	return float64(n), err == nil
}
