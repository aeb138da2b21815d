package bounded

import (
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
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

// Decode reads a YAML text into v after YAML has checked it. Keys that v doesn't have are errors; an error is one line.
func Decode(text []byte, c Cap, v any) error {
	if err := YAML(text, c); err != nil {
		return err
	}
	if err := yaml.UnmarshalWithOptions(text, v, yaml.Strict()); err != nil {
		return &DecodeError{err}
	}
	return nil
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

// YAML checks the size, the tokens and the nesting of a YAML text before it is parsed, since the parser's time and
// memory grow faster than the nesting.
func YAML(text []byte, c Cap) error {
	if c.Bytes > 0 && int64(len(text)) > c.Bytes {
		return c.tooLong()
	}
	if err := c.characters(text); err != nil { // before each of them takes the memory of a token
		return err
	}
	tokens := lexer.Tokenize(string(text))
	if c.Count > 0 && len(tokens) > c.Count {
		return c.errorf("%d tokens", c.Count)
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
			return c.errorf("%d anchors, aliases, tags, directives and documents", maxMarks)
		case c.Depth > 0 && n.depth() > c.Depth:
			return c.errorf("%d nested lists and maps", c.Depth)
		}
	}
	return nil
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
