package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// top is the root of the repository, from this package.
const top = "../.."

// documents are those whose names of files and symbols are checked.
var documents = []string{"ARCHITECTURE.md", "CONTRIBUTING.md", "docs/*.md", "docs/decisions/*.md"}

var (
	fence  = regexp.MustCompile("(?ms)^```.*?^```$")
	span   = regexp.MustCompile("`([^`\n]+)`")
	link   = regexp.MustCompile(`\]\(([^)#]+)`)
	symbol = regexp.MustCompile(`^((?:soak|profiles|migrator|fakedrive|internal)(?:/[a-z0-9]+)*)` +
		`\.([A-Za-z]\w*(?:\.\w+)?)$`)
	// location is a file or a folder of this repository, with at least one slash.
	location = regexp.MustCompile(`^(?:soak|profiles|migrator|fakedrive|internal|docs|\.ci)/[\w./-]+$`)
	suffixes = regexp.MustCompile(`\.(go|md|yaml|json|html)$`)
)

// declared are the top-level names of a folder's package, methods and fields as Type.Name.
func declared(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(top, dir, "*.go"))
	require.NoError(t, err)
	names := map[string]bool{}
	for _, f := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), f, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range parsed.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				names[receiver(d)+d.Name.Name] = true
			case *ast.GenDecl:
				for _, s := range d.Specs {
					addSpec(names, s)
				}
			}
		}
	}
	return names
}

func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	typ := f.Recv.List[0].Type
	if star, is := typ.(*ast.StarExpr); is {
		typ = star.X
	}
	if name, is := typ.(*ast.Ident); is {
		return name.Name + "."
	}
	return "?."
}

func addSpec(names map[string]bool, s ast.Spec) {
	switch s := s.(type) {
	case *ast.ValueSpec:
		for _, n := range s.Names {
			names[n.Name] = true
		}
	case *ast.TypeSpec:
		names[s.Name.Name] = true
		if st, is := s.Type.(*ast.StructType); is {
			for _, f := range st.Fields.List {
				for _, n := range f.Names {
					names[s.Name.Name+"."+n.Name] = true
				}
			}
		}
	}
}

// packages are the declared names by folder: documents name the same ones many times.
type packages map[string]map[string]bool

func (p packages) has(t *testing.T, dir, name string) bool {
	t.Helper()
	if p[dir] == nil {
		p[dir] = declared(t, dir)
	}
	return p[dir][name]
}

// missing are the names in a document's code spans and links that the repository doesn't have;
// seen is how many it names.
func (p packages) missing(t *testing.T, file, text string) (bad []string, seen int) {
	t.Helper()
	exists := func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	}
	text = fence.ReplaceAllString(text, "")
	for _, m := range span.FindAllStringSubmatch(text, -1) {
		name := m[1]
		switch parts := symbol.FindStringSubmatch(name); {
		case parts != nil && !suffixes.MatchString(name):
			seen++
			if !p.has(t, parts[1], parts[2]) {
				bad = append(bad, name)
			}
		case location.MatchString(name):
			seen++
			if !exists(filepath.Join(top, name)) {
				bad = append(bad, name)
			}
		}
	}
	for _, m := range link.FindAllStringSubmatch(text, -1) {
		if strings.Contains(m[1], "://") {
			continue
		}
		seen++
		if !exists(filepath.Join(top, filepath.Dir(file), m[1])) {
			bad = append(bad, m[1])
		}
	}
	return bad, seen
}

func TestDocumentsNameWhatExists(t *testing.T) {
	total, known := 0, packages{}
	for _, pattern := range documents {
		files, err := filepath.Glob(filepath.Join(top, pattern))
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, f := range files {
			text, err := os.ReadFile(f)
			require.NoError(t, err)
			rel, err := filepath.Rel(top, f)
			require.NoError(t, err)
			bad, seen := known.missing(t, rel, string(text))
			require.Empty(t, bad, "%s names what isn't there", rel)
			total += seen
		}
	}
	require.Greater(t, total, 80)
}

func TestMissingNamesAreSeen(t *testing.T) {
	text := "`soak.Runner.Run` `soak.Runner.Walk` `soak/runner.go` `soak/walker.go` `soak.yaml` `make soak`\n" +
		"[a](README.md) [b](NOWHERE.md)\n```\n`soak.Nothing`\n```\n"
	bad, seen := packages{}.missing(t, "ARCHITECTURE.md", text)
	require.Equal(t, []string{"soak.Runner.Walk", "soak/walker.go", "NOWHERE.md"}, bad)
	require.Equal(t, 6, seen)
}

// TestQuestionsAreAnsweredInOneHop holds the table "Where is ..." to a symbol or file in each answer.
func TestQuestionsAreAnsweredInOneHop(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(top, "ARCHITECTURE.md"))
	require.NoError(t, err)
	rows := regexp.MustCompile(`(?m)^\| \.\.\. (.*?) \| (.*) \|$`).FindAllStringSubmatch(string(text), -1)
	require.GreaterOrEqual(t, len(rows), 6)
	for _, r := range rows {
		_, seen := packages{}.missing(t, "ARCHITECTURE.md", r[2])
		require.Positive(t, seen, "no name answers %q", r[1])
	}
}

func TestDependencyTableIsThatOfGoMod(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join(top, "go.mod"))
	require.NoError(t, err)
	var c counts
	c.requires("go.mod", mod)
	slices.Sort(c.direct)
	text, err := os.ReadFile(filepath.Join(top, "docs", "dependencies.md"))
	require.NoError(t, err)
	var rows []string
	row := regexp.MustCompile("(?m)^\\| `(\\S+)` \\| [^|]+ \\| [^|]+ \\| \\d{4}-\\d{2} \\|$")
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		rows = append(rows, m[1])
	}
	slices.Sort(rows)
	require.Equal(t, c.direct, rows)
}
