// Package foreign prints text that others wrote: names of files, output of subjects, messages of servers. A terminal
// obeys control characters, so none of them reaches it, and an error is one line whatever it quotes.
package foreign

import (
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxLine is the length in bytes of the longest error message that a command prints.
const MaxLine = 300

// Text returns s with every character that a terminal obeys, or that changes the direction of text, written as Go would
// write it in a string: \x1b, \u202e. Tabs and line ends stay.
func Text(s string) string {
	if !strings.ContainsFunc(s, acts) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x` + strconv.FormatUint(uint64(s[i])|0x100, 16)[1:])
		case acts(r):
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// acts says whether a character does something to a terminal instead of being shown.
func acts(r rune) bool {
	switch r {
	case '\t', '\n':
		return false
	case '\u2028', '\u2029': // lines and paragraphs end
		return true
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
}

// Line returns s as one line of at most MaxLine bytes less prefix, the bytes that are printed before it. Of a longer
// one the beginning and the end are kept, since the end often says what to do.
func Line(s string, prefix int) string {
	const enough = 4 * MaxLine // an end that is cut in the middle of a character is cut again below
	if len(s) > 2*enough {
		s = s[:enough] + "\n" + s[len(s)-enough:]
	}
	var parts []string
	for line := range strings.Lines(s) {
		if t := strings.Join(strings.Fields(Text(strings.TrimSpace(line))), " "); t != "" {
			parts = append(parts, t)
		}
	}
	return clip(strings.Join(parts, "; "), max(MaxLine-prefix, 20))
}

// clip cuts the middle out of a text that is longer than most bytes.
func clip(s string, most int) string {
	const gap = " ... "
	if len(s) <= most {
		return s
	}
	head := (most - len(gap)) * 2 / 3
	tail := len(s) - (most - len(gap) - head)
	for head > 0 && !utf8.RuneStart(s[head]) {
		head--
	}
	for tail < len(s) && !utf8.RuneStart(s[tail]) {
		tail++
	}
	return s[:head] + gap + s[tail:]
}

// Writer passes text on to w as Text shows it.
type Writer struct {
	w    io.Writer
	part []byte // of a character whose rest is still to come
}

// NewWriter returns a Writer. A nil w stays nil.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Raw returns the writer below any Writer, for programs that draw and clean what they draw themselves.
func Raw(w io.Writer) io.Writer {
	if f, ok := w.(*Writer); ok {
		return f.w
	}
	return w
}

// Write implements io.Writer.
func (f *Writer) Write(p []byte) (int, error) {
	all := append(f.part, p...)
	end := len(all)
	for i := 1; i < utf8.UTFMax && i <= len(all); i++ {
		if utf8.RuneStart(all[len(all)-i]) {
			if !utf8.FullRune(all[len(all)-i:]) {
				end = len(all) - i
			}
			break
		}
	}
	f.part = append([]byte(nil), all[end:]...)
	if _, err := io.WriteString(f.w, Text(string(all[:end]))); err != nil {
		return 0, err
	}
	return len(p), nil
}
