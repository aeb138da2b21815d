// Package screen draws on a terminal: styled text, cut to a width, in a block of lines that is drawn over itself. It
// reads no keys. Text that others wrote is made plain before it comes here (package foreign).
package screen

import (
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// Style is a way to write text, as the parameters of the terminal's "select graphic rendition".
type Style string

// The colours are the terminal's own sixteen, which its user has chosen to be read on its background.
const (
	Bold  Style = "1"
	Faint Style = "2"
	Good  Style = "32"
	Bad   Style = "1;31"
	Warn  Style = "33"
	Blue  Style = "34"
)

const (
	escape = "\x1b["
	reset  = escape + "0m"
)

// Render is the text in the style.
func (s Style) Render(text string) string {
	if text == "" {
		return ""
	}
	return escape + string(s) + "m" + text + reset
}

// walk calls f with each character of s and its position, and skips styles.
func walk(s string, f func(at int, c rune) bool) {
	for i := 0; i < len(s); {
		if strings.HasPrefix(s[i:], escape) {
			if n := strings.IndexByte(s[i:], 'm'); n > 0 {
				i += n + 1
				continue
			}
		}
		c, n := utf8.DecodeRuneInString(s[i:])
		if !f(i, c) {
			return
		}
		i += n
	}
}

// Width is how many columns of a terminal s takes.
func Width(s string) int {
	n := 0
	walk(s, func(_ int, c rune) bool { n += columns(c); return true })
	return n
}

// wide are the characters that take two columns; the ranges are those of Unicode's East Asian Width, made coarse.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{{0x1100, 0x115f, 1}, {0x2e80, 0x303e, 1}, {0x3041, 0xa4cf, 1}, {0xac00, 0xd7a3, 1},
		{0xf900, 0xfaff, 1}, {0xfe30, 0xfe6f, 1}, {0xff00, 0xff60, 1}, {0xffe0, 0xffe6, 1}},
	R32: []unicode.Range32{{0x1f300, 0x1f64f, 1}, {0x1f680, 0x1f6ff, 1}, {0x1f900, 0x1faff, 1}, {0x20000, 0x3fffd, 1}},
}

func columns(c rune) int {
	switch {
	case unicode.In(c, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.Is(wide, c):
		return 2
	}
	return 1
}

// Plain is s without styles.
func Plain(s string) string {
	var b strings.Builder
	walk(s, func(_ int, c rune) bool { b.WriteRune(c); return true })
	return b.String()
}

// Cut shortens s to a width; a text that it shortens ends with an ellipsis.
func Cut(s string, width int) string {
	if Width(s) <= width {
		return s
	}
	if width < 1 {
		return ""
	}
	n, end := 0, 0
	walk(s, func(at int, c rune) bool {
		end = at
		n += columns(c)
		return n < width
	})
	out := s[:end] + "…"
	if strings.Contains(out, escape) {
		out += reset
	}
	return out
}

// Wrap breaks s between words into lines no wider than width. A word that is wider, such as a path, stays whole.
func Wrap(s string, width int) string {
	var b strings.Builder
	n := 0
	for i, word := range strings.Split(s, " ") {
		w := Width(word)
		switch {
		case i == 0:
		case n+1+w > width:
			b.WriteByte('\n')
			n = 0
		default:
			b.WriteByte(' ')
			n++
		}
		b.WriteString(word)
		n += w
	}
	return b.String()
}

// IsTerminal reports whether lines on w can be drawn again.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" && runtime.GOOS != "windows"
}

// Size is the terminal's width and height in characters, or 80 and 24.
func Size(w io.Writer) (width, height int) {
	if f, ok := w.(*os.File); ok {
		if width, height, err := term.GetSize(int(f.Fd())); err == nil && width > 0 && height > 0 {
			return width, height
		}
	}
	return 80, 24
}

// Coloured is s for w: with its styles, or as plain text where NO_COLOR is set or w is no terminal.
// Convention: https://no-color.org
func Coloured(w io.Writer, s string) string {
	if os.Getenv("NO_COLOR") != "" || !IsTerminal(w) {
		return Plain(s)
	}
	return s
}

// Block is some lines of a terminal that are drawn over themselves. It is for one goroutine.
type Block struct {
	out   io.Writer
	lines int // drawn, above the cursor
}

// NewBlock begins a block where the cursor is.
func NewBlock(out io.Writer) *Block { return &Block{out: out} }

// Draw replaces the block by the lines, in one write. The terminal cuts a line that is too wide: wrapped, it would take
// two. Each line is cleared before it is written and not the whole block, which would flicker; cleared behind the text,
// a line as wide as the terminal would lose its last character.
func (b *Block) Draw(lines []string) {
	var s strings.Builder
	s.WriteString(escape + "?25l" + escape + "?7l") // no cursor, no wrapping
	b.up(&s)
	for _, l := range lines {
		s.WriteString(escape + "K" + l + "\n")
	}
	s.WriteString(escape + "J" + escape + "?7h" + escape + "?25h")
	b.lines = len(lines)
	text := s.String()
	if os.Getenv("NO_COLOR") != "" {
		text = uncoloured(text)
	}
	_, _ = io.WriteString(b.out, text) // a terminal that is gone shows nothing
}

// Clear removes the block, so that other lines can be written in its place.
func (b *Block) Clear() {
	var s strings.Builder
	b.up(&s)
	b.lines = 0
	_, _ = io.WriteString(b.out, s.String()+escape+"J")
}

// up goes to the beginning of the block's first line.
func (b *Block) up(s *strings.Builder) {
	if b.lines > 0 {
		s.WriteString(escape + strconv.Itoa(b.lines) + "A")
	}
	s.WriteString("\r")
}

// uncoloured is s without styles, but with the movements of the cursor.
func uncoloured(s string) string {
	for _, style := range []Style{Bold, Faint, Good, Bad, Warn, Blue} {
		s = strings.ReplaceAll(s, escape+string(style)+"m", "")
	}
	return strings.ReplaceAll(s, reset, "")
}
