package bounded

import (
	"errors"
	"io"
	"slices"
	"text/template/parse"
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

// ErrTemplate is returned, wrapped, for a template that does more than choose and insert.
var ErrTemplate = errors.New("a template may insert placeholders, choose by if and with, and compare")

// plainFunctions are the functions that make no more text than they are given.
var plainFunctions = []string{"eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "len", "index", "print", "html",
	"js", "urlquery"}

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
