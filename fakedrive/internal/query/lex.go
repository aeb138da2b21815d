package query

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Error describes a mistake in a query and its byte.
type Error struct {
	Input string
	Off   int
	Msg   string
}

func (e *Error) Error() string {
	return fmt.Sprintf("query: at byte %d: %s", e.Off, e.Msg)
}

type kind int

const (
	tokEOF kind = iota
	tokWord
	tokString
	tokOp    // = != < <= > >=
	tokPunct // ( ) { }
)

type token struct {
	kind kind
	text string // a string's value, unescaped
	off  int
}

func (t token) describe() string {
	switch t.kind {
	case tokEOF:
		return "the end of the query"
	case tokString:
		return fmt.Sprintf("the string %q", clip(t.text))
	default:
		return fmt.Sprintf("%q", clip(t.text))
	}
}

func clip(s string) string {
	if utf8.RuneCountInString(s) <= 40 {
		return s
	}
	return string([]rune(s)[:40]) + "..."
}

type lexer struct {
	in  string
	off int
}

func (l *lexer) fail(off int, format string, args ...any) error {
	return &Error{Input: l.in, Off: off, Msg: fmt.Sprintf(format, args...)}
}

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.' || c == '/' ||
		c == '-' || c == '@' || c == ':'
}

// next returns the next token. At the end it returns tokEOF, again and again.
func (l *lexer) next() (token, error) {
	for l.off < len(l.in) && strings.IndexByte(" \t\r\n", l.in[l.off]) >= 0 {
		l.off++
	}
	start := l.off
	if start == len(l.in) {
		return token{kind: tokEOF, off: start}, nil
	}
	c := l.in[start]
	switch {
	case c == '\'' || c == '"':
		return l.str(c)
	case strings.IndexByte("(){}", c) >= 0:
		l.off++
		return token{tokPunct, l.in[start:l.off], start}, nil
	case strings.IndexByte("=<>!", c) >= 0:
		l.off++
		if c != '=' && l.off < len(l.in) && l.in[l.off] == '=' {
			l.off++
		}
		if l.in[start:l.off] == "!" {
			return token{}, l.fail(start, "unknown operator \"!\"; want !=")
		}
		return token{tokOp, l.in[start:l.off], start}, nil
	case wordByte(c):
		for l.off < len(l.in) && wordByte(l.in[l.off]) {
			l.off++
		}
		return token{tokWord, l.in[start:l.off], start}, nil
	}
	r, _ := utf8.DecodeRuneInString(l.in[start:])
	return token{}, l.fail(start, "unexpected character %q", r)
}

// str reads a quoted string. A backslash escapes the quotes and itself; before anything else it stands for itself.
func (l *lexer) str(quote byte) (token, error) {
	start := l.off
	var b strings.Builder
	for i := start + 1; i < len(l.in); i++ {
		c := l.in[i]
		switch {
		case c == quote:
			l.off = i + 1
			return token{tokString, b.String(), start}, nil
		case c == '\\' && i+1 < len(l.in) && strings.IndexByte(`\'"`, l.in[i+1]) >= 0:
			i++
			b.WriteByte(l.in[i])
		default:
			b.WriteByte(c)
		}
	}
	return token{}, l.fail(start, "the string has no closing %c", quote)
}
