package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// beside are the folders that measure, seed faults or show: benches, specimens, the replay and examples.
// All other code is product.
var beside = []string{
	"examples", "soak/specimens", "soak/replay", "soak/recordings", "soak/internal/bench", "soak/internal/accuracy",
	"fakedrive/internal/bench", "migrator/internal/bench",
}

func isBeside(file string) bool {
	return slices.ContainsFunc(beside, func(d string) bool { return strings.HasPrefix(file, d+"/") })
}

// dialect are words that a reader of plain English stumbles over; CONTRIBUTING.md has plain ones for them.
var dialect = regexp.MustCompile(`(?i)\b(whoever|somebody|nobody|anew|at once|goes on|told|what is|what was)\b`)

// Sizes above which a function, a file, a package and a line are named.
const (
	maxFunction = 60
	maxFile     = 400
	maxPackage  = 1500
	maxColumns  = 120
)

// counts is what countAll saw.
type counts struct {
	product, beside, tests int
	packages               map[string]*room
	comments, dialect      int
	wide                   map[string]int // lines above maxColumns by file
	functions, files       []string
	words                  map[string]int // comment lines in the dialect by folder
	direct, others         []string       // requirements of the product's modules, and of those beside it
}

// room is a package by its folder: its lines without tests, and the folders of this repository that it imports.
type room struct {
	lines   int
	imports []string
}

// countAll reads the files of the repository, named by slash-separated paths below root.
func countAll(root string, files []string) (*counts, error) {
	c := &counts{packages: map[string]*room{}, wide: map[string]int{}, words: map[string]int{}}
	module, err := modulePath(root)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if slices.Contains(strings.Split(f, "/"), "testdata") {
			continue
		}
		kind := path.Ext(f)
		if kind != ".go" && kind != ".md" && path.Base(f) != "go.mod" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(f)))
		if err != nil {
			return nil, err
		}
		if kind == ".mod" {
			c.requires(f, text)
			continue
		}
		c.columns(f, text)
		if kind == ".md" {
			continue
		}
		if err := c.source(f, text, module); err != nil {
			return nil, err
		}
	}
	for _, list := range []*[]string{&c.direct, &c.others} {
		slices.Sort(*list)
		*list = slices.DeleteFunc(slices.Compact(*list), func(m string) bool {
			return m == module || strings.HasPrefix(m, module+"/")
		})
	}
	return c, nil
}

func modulePath(root string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return "", err
	}
	m := regexp.MustCompile(`(?m)^module (\S+)$`).FindSubmatch(text)
	if m == nil {
		return "", fmt.Errorf("%s has no module line", filepath.Join(root, "go.mod"))
	}
	return string(m[1]), nil
}

var requirement = regexp.MustCompile(`(?m)^(?:require)?\s+(\S+\.\S+/?\S*) v\S+$`)

// requires notes the direct requirements of a go.mod: those without "// indirect".
func (c *counts) requires(file string, mod []byte) {
	to := &c.direct
	if isBeside(file) {
		to = &c.others
	}
	for _, m := range requirement.FindAllSubmatch(mod, -1) {
		*to = append(*to, string(m[1]))
	}
}

// columns counts the lines above maxColumns; a tab is one column, as in go vet's positions.
func (c *counts) columns(file string, text []byte) {
	for line := range bytes.Lines(text) {
		if utf8.RuneCount(bytes.TrimRight(line, "\r\n")) > maxColumns {
			c.wide[file]++
		}
	}
}

// source counts one .go file.
func (c *counts) source(file string, text []byte, module string) error {
	lines := bytes.Count(text, []byte("\n"))
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, file, text, parser.ParseComments)
	if err != nil {
		return fmt.Errorf("parse: %w", err)
	}
	c.language(file, parsed)
	if strings.HasSuffix(file, "_test.go") {
		c.tests += lines
		return nil
	}
	if isBeside(file) {
		c.beside += lines
	} else {
		c.product += lines
	}
	if lines > maxFile {
		c.files = append(c.files, fmt.Sprintf("%s %d", file, lines))
	}
	c.long(fset, file, parsed)
	dir := path.Dir(file)
	r := c.packages[dir]
	if r == nil {
		r = &room{}
		c.packages[dir] = r
	}
	r.lines += lines
	for _, imp := range parsed.Imports {
		if to, ours := strings.CutPrefix(strings.Trim(imp.Path.Value, `"`), module+"/"); ours {
			r.imports = append(r.imports, to)
		}
	}
	return nil
}

// language counts lines of comments, and those with a word of the dialect.
func (c *counts) language(file string, f *ast.File) {
	for _, group := range f.Comments {
		for _, comment := range group.List {
			for line := range strings.Lines(comment.Text) {
				c.comments++
				if dialect.MatchString(line) {
					c.dialect++
					c.words[path.Dir(file)]++
				}
			}
		}
	}
}

// long notes functions above maxFunction lines, from the line of func to that of the closing brace.
func (c *counts) long(fset *token.FileSet, file string, f *ast.File) {
	for _, d := range f.Decls {
		fn, is := d.(*ast.FuncDecl)
		if !is || fn.Body == nil {
			continue
		}
		if n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1; n > maxFunction {
			c.functions = append(c.functions, fmt.Sprintf("%s %s %d", file, fn.Name.Name, n))
		}
	}
}
