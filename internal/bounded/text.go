package bounded

import (
	"errors"
	"io"
	"slices"
	"strings"
	"text/template/parse"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// JSON checks the size and the nesting of a JSON text before it is decoded.
func JSON(text []byte, c Cap) error {
	if c.Bytes > 0 && int64(len(text)) > c.Bytes {
		return c.tooLong()
	}
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case quoted && b == '\\':
			i++
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '[' || b == '{':
			if depth++; c.Depth > 0 && depth > c.Depth {
				return c.errorf("%d nested lists and maps", c.Depth)
			}
		case b == ']' || b == '}':
			depth--
		}
	}
	return nil
}

// maxAliases bounds the aliases of a document: each may stand for many others.
const maxAliases = 100

// YAML checks the size, the tokens and the nesting of a YAML text before it is parsed, since the parser's time and memory
// grow faster than the nesting.
func YAML(text []byte, c Cap) error {
	if c.Bytes > 0 && int64(len(text)) > c.Bytes {
		return c.tooLong()
	}
	s := string(text)
	if n := strings.Count(s, "[") + strings.Count(s, "{"); c.Count > 0 && n > c.Count/4 {
		return c.errorf("%d brackets", c.Count/4) // before each of them takes the memory of a token
	}
	tokens := lexer.Tokenize(s)
	if c.Count > 0 && len(tokens) > c.Count {
		return c.errorf("%d tokens", c.Count)
	}
	aliases := 0
	var n nesting
	for i, t := range tokens {
		if t.Type == token.AliasType {
			aliases++
		}
		n.token(tokens, i)
		switch {
		case aliases > maxAliases:
			return c.errorf("%d aliases", maxAliases)
		case c.Depth > 0 && n.depth() > c.Depth:
			return c.errorf("%d nested lists and maps", c.Depth)
		}
	}
	return nil
}

// nesting follows the depth of a document: brackets, and the columns at which blocks began.
type nesting struct {
	flow    int
	columns []int
}

func (n *nesting) depth() int { return n.flow + len(n.columns) }

func (n *nesting) token(all token.Tokens, i int) {
	switch t := all[i]; t.Type {
	case token.SequenceStartType, token.MappingStartType:
		n.flow++
	case token.SequenceEndType, token.MappingEndType:
		n.flow = max(n.flow-1, 0)
	case token.SequenceEntryType, token.MappingKeyType:
		n.block(t)
	case token.MappingValueType:
		if i > 0 && n.flow == 0 {
			n.block(all[i-1])
		}
	case token.DocumentHeaderType:
		*n = nesting{}
	}
}

// block notes that a block has an entry in the token's column: those that began further right have ended.
func (n *nesting) block(t *token.Token) {
	if n.flow > 0 || t.Position == nil {
		return
	}
	for len(n.columns) > 0 && n.columns[len(n.columns)-1] > t.Position.Column {
		n.columns = n.columns[:len(n.columns)-1]
	}
	if len(n.columns) == 0 || n.columns[len(n.columns)-1] < t.Position.Column {
		n.columns = append(n.columns, t.Position.Column)
	}
}

// ErrTemplate is returned, wrapped, for a template that does more than choose and insert.
var ErrTemplate = errors.New("a template may insert placeholders, choose by if and with, and compare")

// plainFunctions are the functions that make no more text than they are given.
var plainFunctions = []string{"eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "len", "index", "print", "html", "js", "urlquery"}

// Tree checks that a template can't run for long or make much: no range, no other templates, no formats with widths.
func Tree(n parse.Node) error {
	switch n := n.(type) {
	case nil:
		return nil
	case *parse.ListNode:
		if n == nil {
			return nil
		}
		return each(n.Nodes, Tree)
	case *parse.ActionNode:
		return Tree(n.Pipe)
	case *parse.PipeNode:
		if n == nil {
			return nil
		}
		return each(n.Cmds, func(c *parse.CommandNode) error { return each(c.Args, Tree) })
	case *parse.IdentifierNode:
		if !slices.Contains(plainFunctions, n.Ident) {
			return ErrTemplate
		}
	case *parse.IfNode:
		return errors.Join(Tree(n.Pipe), Tree(n.List), Tree(n.ElseList))
	case *parse.WithNode:
		return errors.Join(Tree(n.Pipe), Tree(n.List), Tree(n.ElseList))
	case *parse.RangeNode, *parse.TemplateNode, *parse.BreakNode, *parse.ContinueNode:
		return ErrTemplate
	}
	return nil
}

func each[T any](list []T, check func(T) error) error {
	for _, x := range list {
		if err := check(x); err != nil {
			return err
		}
	}
	return nil
}

// Writer fails once more than the row's size was written to w.
func Writer(w io.Writer, c Cap) io.Writer { return &writer{w, c, c.Bytes} }

type writer struct {
	w    io.Writer
	c    Cap
	left int64
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	if w.left -= int64(len(p)); w.left < 0 {
		return 0, w.c.tooLong()
	}
	return w.w.Write(p)
}
