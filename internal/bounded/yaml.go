package bounded

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of what the parser's time or memory grows faster than. Configurations have few of them or none.
const (
	// maxMarks bounds anchors, aliases, tags, directives and documents: an alias may stand for many others, the rest nest.
	maxMarks = 100
	// maxBlank bounds empty lines in a row: at the end of a block of text the lexer copies the block once for each of
	// them.
	maxBlank = 100
	// maxTabs bounds the tabs of a line: within quotes the lexer looks for the line's end at each of them.
	maxTabs = 100
)

// Decode reads a YAML text into v by Document. Keys that v doesn't have are errors; an error is one line.
func Decode(text []byte, c Cap, v any) error {
	body, err := Document(text, c)
	if err != nil || body == nil {
		return err
	}
	if err := yaml.NodeToValue(body, v, yaml.Strict()); err != nil {
		return &DecodeError{err}
	}
	return nil
}

// Document parses a YAML text of one document, nil when it is empty. It refuses what the library would read as
// something else than it says: a null for any value, the first of several documents, keys that are numbers, and what
// anchors, merges and tags make of others.
func Document(text []byte, c Cap) (ast.Node, error) {
	tokens, err := tokenize(text, c)
	if err != nil {
		return nil, err
	}
	if t := second(tokens); t != nil {
		return nil, &DecodeError{&yaml.SyntaxError{Token: t, Message: "one document only: end the text here"}}
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		return nil, &DecodeError{err}
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil, nil
	}
	var s strict
	if ast.Walk(&s, file.Docs[0].Body); s.err != nil {
		return nil, &DecodeError{s.err}
	}
	return file.Docs[0].Body, nil
}

// second returns the mark that ends the first document, nil for none. The parser leaves out all that comes after two
// headers in a row.
func second(tokens token.Tokens) *token.Token {
	begun := false
	for _, t := range tokens {
		if t.Type == token.DocumentEndType || begun && t.Type == token.DocumentHeaderType {
			return t
		}
		begun = begun || t.Type != token.CommentType
	}
	return nil
}

// strict keeps the first error of a document.
type strict struct{ err error }

// Visit implements ast.Visitor.
func (s *strict) Visit(n ast.Node) ast.Visitor {
	at, problem := n, ""
	switch n := n.(type) {
	case *ast.NullNode:
		problem = `null where a value belongs: write the value ("" is an empty text), or leave its key or entry out`
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode, *ast.TagNode: // on some tags the library panics
		problem = "anchors, aliases, merge keys and tags are not read: write the values out"
	case *ast.MappingValueNode:
		switch n.Key.(type) {
		case *ast.StringNode, *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode, *ast.TagNode:
		default:
			at, problem = n.Key, fmt.Sprintf("a key is a text, and this is of the kind %s: write it in quotes",
				strings.ToLower(n.Key.Type().String()))
		}
	}
	if s.err == nil && problem != "" {
		s.err = &yaml.SyntaxError{Token: at.GetToken(), Message: problem}
	}
	if s.err != nil {
		return nil
	}
	return s
}

// At takes an error of the YAML library, or of Document, apart: the position that it is about, from 1 on, and one line,
// without the excerpt that DecodeError is about.
func At(err error) (line, column int, msg string) {
	var y yaml.Error
	if !errors.As(err, &y) {
		return 1, 1, strings.Join(strings.Fields(err.Error()), " ")
	}
	line, column, msg = 1, 1, strings.Join(strings.Fields(y.GetMessage()), " ")
	if t := y.GetToken(); t != nil && t.Position != nil {
		line, column = max(t.Position.Line, 1), max(t.Position.Column, 1)
	}
	return line, column, msg
}

// DecodeError is an error of the YAML library without the excerpt of the text that it comes with: to make that takes
// time and memory by the square of a line's length.
type DecodeError struct{ Err error }

// Error implements error. It is one line.
func (e *DecodeError) Error() string {
	return strings.Join(strings.Fields(yaml.FormatError(e.Err, false, false)), " ")
}

// Unwrap returns the error of the library, or of a type that read itself.
func (e *DecodeError) Unwrap() error { return e.Err }

// tokenize checks the size, the tokens and the nesting of a YAML text before it is parsed, since the parser's time and
// memory grow faster than the nesting.
func tokenize(text []byte, c Cap) (token.Tokens, error) {
	if c.Bytes > 0 && int64(len(text)) > c.Bytes {
		return nil, c.tooLong()
	}
	if err := c.characters(text); err != nil { // before each of them takes the memory of a token
		return nil, err
	}
	tokens := lexer.Tokenize(string(text))
	if c.Count > 0 && len(tokens) > c.Count {
		return nil, c.errorf("%d tokens", c.Count)
	}
	marks := 0
	var n nesting
	for i, t := range tokens {
		switch t.Type {
		case token.AliasType, token.AnchorType, token.TagType, token.DirectiveType, token.DocumentHeaderType,
			token.DocumentEndType:
			marks++
		}
		n.token(tokens, i)
		switch {
		case marks > maxMarks:
			return nil, c.errorf("%d anchors, aliases, tags, directives and documents", maxMarks)
		case c.Depth > 0 && n.depth() > c.Depth:
			return nil, c.errorf("%d nested lists and maps", c.Depth)
		}
	}
	return tokens, nil
}

// characters counts in a YAML text what costs the lexer most.
func (c Cap) characters(text []byte) error {
	brackets, signs, blank, tabs := 0, 0, 0, 0
	for i, b := range text {
		switch b {
		case '\n', '\r':
			if b == '\r' || i == 0 || text[i-1] != '\r' {
				blank++
			}
			if blank > maxBlank+1 {
				return c.errorf("%d empty lines in a row", maxBlank)
			}
			tabs = 0
			continue
		case '\t':
			if tabs++; tabs > maxTabs {
				return c.errorf("%d tabs in a line", maxTabs)
			}
			continue
		case ' ':
			continue
		case '[', '{':
			brackets++
			signs++
		case ']', '}', ',', ':', '-', '?', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`', '#':
			signs++
		}
		blank = 0
	}
	switch {
	case c.Count > 0 && brackets > c.Count/4:
		return c.errorf("%d brackets", c.Count/4)
	case c.Count > 0 && signs > 2*c.Count:
		return c.errorf("%d signs", 2*c.Count)
	}
	return nil
}

// nesting follows the depth of a document: brackets, and the columns at which blocks began.
type nesting struct {
	flow    int
	entries int // of lists of blocks within brackets, which the parser takes for nested before it refuses them
	columns []int
}

func (n *nesting) depth() int { return n.flow + n.entries + len(n.columns) }

func (n *nesting) token(all token.Tokens, i int) {
	switch t := all[i]; t.Type {
	case token.SequenceStartType, token.MappingStartType:
		n.flow++
	case token.SequenceEndType, token.MappingEndType:
		n.flow = max(n.flow-1, 0)
	case token.SequenceEntryType:
		if n.flow > 0 {
			n.entries++
		}
		n.block(t)
	case token.MappingKeyType:
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
