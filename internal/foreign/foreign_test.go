package foreign

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTextShowsWhatATerminalWouldObey(t *testing.T) {
	for in, want := range map[string]string{
		"plain, größe, 日本\n\ttext": "plain, größe, 日本\n\ttext",
		"\x1b[31mred\x07":          `\x1b[31mred\a`,
		"a\rb":                     `a\rb`,
		"\u009b2J":                 `\u009b2J`,
		"exe.\u202egpj":            `exe.\u202egpj`,
		"\xff\xfe":                 `\xff\xfe`,
		"x\u2028y":                 `x\u2028y`,
	} {
		assert.Equal(t, want, Text(in))
	}
}

func TestLineIsOneShortLine(t *testing.T) {
	assert.Equal(t, "read it: no such file", Line("read it: no such file", 6))
	assert.Equal(t, "one; two; three", Line("one\n\n  two \r\nthree\n", 0))
	long := Line("begin "+strings.Repeat("xé", 3<<20)+"\n"+strings.Repeat("more\n", 100000)+" use --help", 6)
	assert.LessOrEqual(t, len(long), MaxLine-6)
	assert.True(t, strings.HasPrefix(long, "begin "))
	assert.True(t, strings.HasSuffix(long, "use --help"))
}

func FuzzLine(f *testing.F) {
	f.Add("a\x1b\n\u202e", 3)
	f.Add("\xe2\x28", 0)
	f.Fuzz(func(t *testing.T, s string, prefix int) {
		l := Line(s, prefix&127)
		require.LessOrEqual(t, len(l), MaxLine)
		require.True(t, utf8.ValidString(l))
		require.False(t, strings.ContainsFunc(l, unicode.IsControl), "%q", l)
	})
}

func TestWriterCleansAcrossWrites(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out)
	for _, b := range []byte("ok\x1b[2J größe \u202e 日本\n") {
		_, err := w.Write([]byte{b})
		require.NoError(t, err)
	}
	assert.Equal(t, `ok\x1b[2J größe \u202e 日本`+"\n", out.String())
	assert.Same(t, &out, Raw(w))
	_, err := NewWriter(broken{}).Write([]byte("x"))
	assert.ErrorIs(t, err, errBroken)
}

var errBroken = errors.New("broken pipe")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }
