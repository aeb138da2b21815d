package bounded

import (
	"bufio"
	"errors"
	"fmt"
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
	_, err = io.ReadAll(Reader(strings.NewReader("123456"), Cap{Name: "x", Bytes: 5}))
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
		require.ErrorIs(t, check([]byte(before+strings.Repeat(unit, 1000)), Config), ErrTooLarge, "%q", unit)
	}
}

func TestErrorOfATypeIsKept(t *testing.T) {
	var into struct{ At own }
	err := Decode([]byte("at: x\n"), Config, &into)
	require.ErrorIs(t, err, errOwn)
	err = Decode([]byte("nope: 1\n"), Config, &into)
	require.EqualError(t, err, `[1:1] unknown field "nope"`)
}

// TestWhatWouldMeanSomethingElseIsRefused: the library reads each of these as something that the text doesn't say, or
// that a reader finds only elsewhere.
func TestWhatWouldMeanSomethingElseIsRefused(t *testing.T) {
	const (
		null = `null where a value belongs: write the value ("" is an empty text), or leave its key or entry out`
		mark = "anchors, aliases, merge keys and tags are not read: write the values out"
		key  = "a key is a text, and this is of the kind %s: write it in quotes"
		docs = "one document only: end the text here"
	)
	for text, want := range map[string]string{
		"a:":                             "[1:4] " + null,
		"a:\nb: x":                       "[1:3] " + null,
		"b: x\na: null":                  "[2:4] " + null,
		"a: ~":                           "[1:4] " + null,
		"m: {x: }":                       "[1:7] " + null,
		"l: [x, ~]":                      "[1:8] " + null,
		"l:\n- x\n-":                     "[3:3] " + null,
		"~":                              "[1:1] " + null,
		"a: &x y\nb: *x":                 "[1:4] " + mark,
		"l: [x, *y]":                     "[1:8] " + mark,
		"&a k: v":                        "[1:1] " + mark,
		"m:\n  <<: {x: y}":               "[2:3] " + mark,
		"l: !x 0":                        "[1:4] " + mark,
		"a: !!str 1":                     "[1:4] " + mark,
		"!!str 1: x":                     "[1:1] " + mark,
		"1: x":                           "[1:1] " + fmt.Sprintf(key, "integer"),
		"m: {1.5: x}":                    "[1:5] " + fmt.Sprintf(key, "float"),
		"m:\n  true: x":                  "[2:3] " + fmt.Sprintf(key, "bool"),
		"~: x":                           "[1:1] " + fmt.Sprintf(key, "null"),
		".inf: x":                        "[1:1] " + fmt.Sprintf(key, "infinity"),
		"? a\n: x":                       "[1:1] " + fmt.Sprintf(key, "mappingkey"),
		"a: x\n---\na: y":                "[2:1] " + docs,
		"a: x\n---\n":                    "[2:1] " + docs,
		"---\n---\na: x":                 "[2:1] " + docs,
		"%YAML 1.2\n---\na: x":           "[2:1] " + docs,
		"a: x\n...\na: y":                "[2:1] " + docs,
		"a: x\na: y":                     `[2:1] mapping key "a" already defined at [1:1]`,
		"m: {x: 1}\nl: []\nm: {y: 2}":    `[3:1] mapping key "m" already defined at [1:1]`,
		"m: {x: 1, y: 2, x: 3}":          `[1:17] mapping key "x" already defined at [1:5]`,
		"a: [":                           "[1:4] sequence end token ']' not found",
		"m: {\"x\": 1, y: {'x': {z: }}}": "[1:25] " + null,
	} {
		var into struct {
			A, B string
			L    []string
			M    map[string]any
		}
		err := Decode([]byte(text), Config, &into)
		assert.EqualError(t, err, want, "%q", text)
		_, err = Document([]byte(text), Config)
		require.Error(t, err, text)
		line, column, msg := At(err)
		assert.Equal(t, want, fmt.Sprintf("[%d:%d] %s", line, column, msg), "%q", text)
	}
}

func TestQuotedAndEmptyValuesAreRead(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"":                                    nil,
		"# nothing\n":                         nil,
		"# c\n--- # d\na: x\n# e\n":           {"a": "x"},
		"a: ''\nb: \"~\"\n'1': 'null'\n":      {"a": "", "b": "~", "1": "null"},
		"'<<': '*x'\n\"true\": '&x'\non: yes": {"<<": "*x", "true": "&x", "on": "yes"},
		"a: |\n  <<: *x\n  1: ~\n":            {"a": "<<: *x\n1: ~\n"},
	} {
		var into map[string]string
		require.NoError(t, Decode([]byte(text), Config, &into), text)
		assert.Equal(t, want, into, text)
	}
}

func check(text []byte, c Cap) error {
	_, err := tokenize(text, c)
	return err
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
			err := check([]byte(deep(unit, size)), Config)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			require.ErrorIs(t, err, ErrTooLarge, "%q of %d bytes", unit, size)
			worst, most = max(worst, took), max(most, after.TotalAlloc-before.TotalAlloc)
		}
	}
	require.ErrorIs(t, check([]byte(staircase.String()), Config), ErrTooLarge)
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
		"a: [1]\nc: !!str 1\n",
		"a: |\n  [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\nb: 1\n",
	} {
		require.NoError(t, check([]byte(text), Config), text[:min(40, len(text))])
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
