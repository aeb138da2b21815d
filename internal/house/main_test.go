package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tree writes files below a temporary folder and counts them.
func tree(t *testing.T, files map[string]string) *counts {
	t.Helper()
	root := t.TempDir()
	var names []string
	for name, text := range files {
		p := filepath.Join(root, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
		require.NoError(t, os.WriteFile(p, []byte(text), 0o600))
		names = append(names, name)
	}
	c, err := countAll(root, names)
	require.NoError(t, err)
	return c
}

const mod = "module example.com/m\n\nrequire example.com/one v1.0.0\n\n" +
	"require (\n\texample.com/two v1.2.0\n\texample.com/three v1.0.0 // indirect\n)\n"

func TestLinesAreCountedByKind(t *testing.T) {
	c := tree(t, map[string]string{
		"go.mod": mod,
		"examples/x/go.mod": "module example.com/x\n\nrequire (\n\texample.com/m v0.1.0\n" +
			"\texample.com/one v1.0.0\n\texample.com/four v1.0.0\n)\n",
		"a/a.go":                    "package a\n\n// A is one.\nvar A = 1\n",
		"a/a_test.go":               "package a\n",
		"a/testdata/x.go":           "package x\n\n\n\n",
		"soak/specimens/x.go":       "package main\n\n",
		"soak/internal/bench/y.go":  "package main\n",
		"soak/internal/bench2/z.go": "package z\n",
	})
	require.Equal(t, 5, c.product)
	require.Equal(t, 3, c.beside)
	require.Equal(t, 1, c.tests)
	require.Equal(t, []string{"example.com/one", "example.com/two"}, c.direct, "indirect ones don't count")
	require.Equal(t, []string{"example.com/four"}, c.onlyOthers())
}

func TestLongThingsAreNamed(t *testing.T) {
	body := "package a\n\nfunc Short() {\n" + strings.Repeat("\t_ = 1\n", maxFunction-2) + "}\n\n" +
		"func Long() {\n" + strings.Repeat("\t_ = 1\n", maxFunction-1) + "}\n"
	c := tree(t, map[string]string{
		"go.mod":   mod,
		"a/a.go":   body,
		"b/b.go":   "package b\n" + strings.Repeat("\n", maxFile),
		"notes.md": strings.Repeat("é", maxColumns) + "\n" + strings.Repeat("é", maxColumns+1) + "\n",
	})
	require.Equal(t, []string{"a/a.go Long 61"}, c.functions)
	require.Equal(t, []string{"b/b.go 401"}, c.files)
	require.Equal(t, map[string]int{"notes.md": 1}, c.wide, "columns are characters, not bytes")
}

func TestDialectIsCountedInCommentsAlone(t *testing.T) {
	c := tree(t, map[string]string{
		"go.mod": mod,
		"a/a.go": "package a\n\n// Whoever reads this\n// goes on.\n// Plain.\nvar A = \"what is\"\n",
	})
	require.Equal(t, 3, c.comments)
	require.Equal(t, 2, c.dialect)
}

func TestFloorsAreTheLongestChainOfImports(t *testing.T) {
	imports := func(pkg string, to ...string) string {
		text := "package " + pkg + "\n"
		for _, p := range to {
			text += "import _ \"example.com/m/" + p + "\"\n"
		}
		return text
	}
	c := tree(t, map[string]string{
		"go.mod":                   mod,
		"soak/cmd/c.go":            imports("main", "soak", "soak/internal/a"),
		"soak/s.go":                imports("soak", "soak/internal/a", "profiles"),
		"soak/internal/a/a.go":     imports("a", "soak/internal/b"),
		"soak/internal/b/b.go":     imports("b"),
		"soak/specimens/s.go":      imports("main", "soak"),
		"profiles/p.go":            imports("profiles"),
		"soak/internal/b/_c.md":    "",
		"soak/internal/c/x.go":     imports("c"),
		"soak/replay/cmd/d/d.go":   imports("main", "soak"),
		"soak/internal/bench/b.go": imports("main", "soak/cmd"),
	})
	rooms, floors, chain := c.rooms("soak")
	require.Equal(t, []string{"soak", "soak/cmd", "soak/internal/a", "soak/internal/b", "soak/internal/c"}, rooms)
	require.Equal(t, 4, floors)
	require.Equal(t, []string{"soak/cmd", "soak", "soak/internal/a", "soak/internal/b"}, chain)
}

func TestFiguresSayMetOrMissed(t *testing.T) {
	var out bytes.Buffer
	missed, err := show(&out, []figure{
		{name: "few", measured: 3, ask: bound{atMost, 3}},
		{name: "many", measured: 4, ask: bound{atMost, 3}, notes: []string{"a", "b"}},
		{name: "share", measured: 0.44, ask: bound{atLeast, 0.45}, digits: 2},
		{name: "seen", measured: 7},
	})
	require.NoError(t, err)
	require.Equal(t, 2, missed)
	lines := strings.Split(out.String(), "\n")
	require.Regexp(t, `^few +3 +<= 3 +met`, lines[1])
	require.Regexp(t, `^many +4 +<= 3 +missed`, lines[2])
	require.Regexp(t, `^share +0\.44 +>= 0\.45 +missed`, lines[3])
	require.Regexp(t, `^seen +7 +- *$`, lines[4])
	require.Contains(t, out.String(), "\nmany:\n  a\n  b\n")
}

func TestUnknownArgumentsAreWrongUsage(t *testing.T) {
	var out, errs bytes.Buffer
	require.Equal(t, 2, run([]string{"-nonsense"}, &out, &errs))
	require.Equal(t, 2, run([]string{"extra"}, &out, &errs))
}
