package bounded

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryRowHasABound(t *testing.T) {
	names := map[string]bool{}
	for _, c := range All {
		assert.NotEmpty(t, c.Name)
		assert.Positive(t, c.Bytes, c.Name)
		assert.False(t, names[c.Name], "two rows %s", c.Name)
		names[c.Name] = true
	}
	assert.Positive(t, Reading.Within, "a subject may trickle")
}

// TestOnlyRegularFilesAreRead: a device behind a link has no end, and a pipe has no beginning.
func TestOnlyRegularFilesAreRead(t *testing.T) {
	dir := t.TempDir()
	zero, pipe, big, small := filepath.Join(dir, "zero"), filepath.Join(dir, "pipe"), filepath.Join(dir, "big"),
		filepath.Join(dir, "small")
	require.NoError(t, os.Symlink("/dev/zero", zero))
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	require.NoError(t, os.WriteFile(small, []byte("12345"), 0o600))
	require.NoError(t, os.WriteFile(big, nil, 0o600))
	require.NoError(t, os.Truncate(big, 1<<40)) // sparse
	for path, want := range map[string]error{zero: ErrNotRegular, pipe: ErrNotRegular, dir: ErrNotRegular,
		big: ErrTooLarge, filepath.Join(dir, "none"): os.ErrNotExist} {
		_, err := ReadFile(path, RunFile)
		require.ErrorIs(t, err, want, path)
	}
	b, err := ReadFile(small, Cap{Name: "x", Bytes: 5})
	require.NoError(t, err)
	assert.Equal(t, "12345", string(b))
	_, err = Read(strings.NewReader("123456"), Cap{Name: "x", Bytes: 5})
	require.ErrorIs(t, err, ErrTooLarge)
	_, err = Line(bufio.NewReaderSize(strings.NewReader(strings.Repeat("x", 100)), 16), nil, Cap{Name: "x", Bytes: 50})
	require.ErrorIs(t, err, ErrTooLarge)
}

// TestCostlyTextIsRefused: each of these costs the parser, the lexer or the message of an error time or memory by the
// square of its length. The memory shows that, on a busy machine as well.
func TestCostlyTextIsRefused(t *testing.T) {
	for _, x := range []struct{ before, unit string }{
		// blocks within brackets
		{"{\"unknown_key\": [1, 2,", "- "}, {"name: [\n", "- "}, {"", "- - "}, {"{", "- x..., a: b"},
		// what nests without brackets
		{"", "!a "}, {"", "!!map "}, {"- ", "!!seq "}, {"{\n  ", "&a "}, {"", "%"}, {"", "!a !!str "},
		{"", "- a\n..."}, {"", "a\n---\n"}, // documents
		{">\n", "\n "}, {"a: |\n  b", "\n"}, {"a: |\n  b", "\r\n"}, // empty lines at the end of a block
		{"\"\t", "\t!a : "}, {"\"", ",*a \t"}, // tabs within quotes
		// one line with an error
		{"", "\""}, {"", "@"}, {"", "`"}, {"", "]"}, {"[", ", a: b"}, {"", "\ta: "}, {"name: ", ": x"}, {"{a: ", "b, a: "},
	} {
		for _, size := range []int{256 << 10, 100 << 10, 40 << 10} {
			text := []byte(x.before + strings.Repeat(x.unit, (size-len(x.before))/len(x.unit)))
			var into struct{ Name string }
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := Decode(text, Config, &into)
			require.Error(t, err, "%q %q of %d bytes", x.before, x.unit, size)
			message := err.Error()
			runtime.ReadMemStats(&after)
			assert.NotContains(t, message, "\n")
			assert.LessOrEqual(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20), "bytes for %q %q of %d bytes: %.100s",
				x.before, x.unit, size, message)
		}
	}
}

// TestSlowTextIsRefusedBeforeItIsRead: the lexer alone takes its time with these, and little memory.
func TestSlowTextIsRefusedBeforeItIsRead(t *testing.T) {
	for unit, before := range map[string]string{"\t!a : ": "\"\t", "x\t": "a: \"", "\n ": ">\n", "\r": "a: |\n  b"} {
		require.ErrorIs(t, YAML([]byte(before+strings.Repeat(unit, 1000)), Config), ErrTooLarge, "%q", unit)
	}
}

func TestErrorOfATypeIsKept(t *testing.T) {
	var into struct{ At own }
	err := Decode([]byte("at: x\n"), Config, &into)
	require.ErrorIs(t, err, errOwn)
	err = Decode([]byte("nope: 1\n"), Config, &into)
	require.EqualError(t, err, `[1:1] unknown field "nope"`)
}

var errOwn = errors.New("own")

type own struct{}

func (*own) UnmarshalYAML([]byte) error { return errOwn }

// TestDeepTextIsRefusedQuickly is the figure for bad YAML: 1 MiB in a second and 64 MiB.
func TestDeepTextIsRefusedQuickly(t *testing.T) {
	deep := func(unit string, size int) string { return strings.Repeat(unit, size/len(unit)) }
	staircase := strings.Builder{}
	for i := range 400 {
		staircase.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	var worst time.Duration
	var most uint64
	for _, unit := range []string{"[", "{a: ", "- ", "? ", "[{", "- [", "a: [", `["]",`, "x: |\n  '\ny: [", "&a [",
		"*a, "} {
		for _, size := range []int{1 << 20, 256 << 10, 60 << 10, 30 << 10} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			err := YAML([]byte(deep(unit, size)), Config)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			require.ErrorIs(t, err, ErrTooLarge, "%q of %d bytes", unit, size)
			worst, most = max(worst, took), max(most, after.TotalAlloc-before.TotalAlloc)
		}
	}
	require.ErrorIs(t, YAML([]byte(staircase.String()), Config), ErrTooLarge)
	t.Logf("bad YAML: asked for at most 1 s and 64 MiB; measured %v and %d MiB", worst.Round(time.Millisecond), most>>20)
	assert.LessOrEqual(t, most, uint64(64<<20))
	require.ErrorIs(t, JSON([]byte(strings.Repeat("[", 1000)), RunFile), ErrTooLarge)
	require.NoError(t, JSON([]byte(`{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"["}`),
		RunFile))
}

func TestUsualTextPasses(t *testing.T) {
	for _, text := range []string{
		"", "name: x\ncommand: [a, b, \"{{.c}}\"]\nwave:\n  headers: {A: b}\n  body: '{\"root\": [1, [2]]}'\n",
		"rules:\n" + strings.Repeat("  - {op: list, nth: 1, error: {status: 503}}\n", 2000),
		"a: |\n  b\n" + strings.Repeat("\n", 100) + "c:\td\n",
		"a: &x [1]\nb: *x\nc: !!str 1\n",
		"a: |\n  [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\nb: 1\n",
	} {
		require.NoError(t, YAML([]byte(text), Config), text[:min(40, len(text))])
	}
}

func TestTemplatesOnlyInsertAndChoose(t *testing.T) {
	for text, ok := range map[string]bool{
		"{{.a}}-{{if eq .b \"x\"}}1{{else}}{{with .c}}{{.}}{{end}}{{end}}": true,
		"{{range 1000000000000}}x{{end}}":                                  false,
		"{{printf \"%999999999d\" 1}}":                                     false,
		"{{if true}}{{range .a}}{{end}}{{end}}":                            false,
		"{{define \"t\"}}{{template \"t\"}}{{end}}{{template \"t\"}}":      false,
	} {
		tree, err := template.New("").Parse(text)
		require.NoError(t, err)
		if ok {
			require.NoError(t, Tree(tree.Root), text)
		} else {
			require.ErrorIs(t, Tree(tree.Root), ErrTemplate, text)
		}
	}
	_, err := Writer(io.Discard, Cap{Name: "x", Bytes: 3}).Write([]byte("1234"))
	require.ErrorIs(t, err, ErrTooLarge)
}
