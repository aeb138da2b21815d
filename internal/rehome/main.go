// Command rehome gives a fork a module path of its own: in go.mod, imports, workflows, docs, subject files and the
// truth about specimens. Run it by
//
//	make rehome MODULE=github.com/acme/memsoak
//
// Names of schemas, metrics and services have no module path in them and stay as they are. So does recorded data: what
// was recorded of a program keeps the paths of that program.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/memsoak/memsoak/internal/checkout"
	"github.com/memsoak/memsoak/internal/exitcode"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) != 1 {
		fmt.Fprintln(stderr, "rehome: give the new module path: make rehome MODULE=github.com/acme/memsoak")
		return exitcode.UsageError
	}
	if err := check(args[0]); err != nil {
		fmt.Fprintln(stderr, "rehome:", err)
		return exitcode.UsageError
	}
	ctx := context.Background()
	root, err := checkout.Root(ctx)
	if err == nil {
		var n int
		if n, err = rehome(ctx, root, args[0]); err == nil {
			fmt.Fprintf(stdout, "%d files name %s now; `make build` builds it\n", n, args[0])
			return exitcode.OK
		}
	}
	fmt.Fprintln(stderr, "rehome:", err)
	return exitcode.Error
}

// element is a part of a module path between slashes.
var element = regexp.MustCompile(`^[A-Za-z0-9_~-][A-Za-z0-9._~-]*$`)

// check refuses what the go command would refuse later.
func check(module string) error {
	parts := strings.Split(module, "/")
	for _, p := range parts {
		if !element.MatchString(p) || strings.HasSuffix(p, ".") {
			return fmt.Errorf("%q is no module path: write it as in github.com/acme/memsoak", module)
		}
	}
	if len(parts) < 2 || !strings.Contains(parts[0], ".") || strings.ToLower(parts[0]) != parts[0] {
		return fmt.Errorf("%q: the first element of a module path is a host such as github.com, and a path follows it",
			module)
	}
	return nil
}

// rehome rewrites the checkout below root and returns how many files have changed. A repository's address (owner/name,
// as workflows write it) changes with the module path.
func rehome(ctx context.Context, root, to string) (changed int, err error) {
	from, err := checkout.Module(root)
	if err != nil {
		return 0, err
	}
	if from == to {
		return 0, nil
	}
	files, err := checkout.Files(ctx, root)
	if err != nil {
		return 0, err
	}
	rewrite := rewriter(from, to)
	for _, name := range files {
		if recorded(name) {
			continue
		}
		at := filepath.Join(root, filepath.FromSlash(name))
		old, err := os.ReadFile(at)
		if err != nil {
			return changed, err
		}
		text := rewrite(old)
		if bytes.Equal(old, text) || bytes.IndexByte(old, 0) >= 0 {
			continue
		}
		st, err := os.Stat(at)
		if err != nil {
			return changed, err
		}
		if err := os.WriteFile(at, text, st.Mode().Perm()); err != nil {
			return changed, err
		}
		changed++
	}
	return changed, nil
}

// rewriter replaces a module path where it stands as a whole: github.com/a/b is no part of github.com/a/bc.
func rewriter(from, to string) func([]byte) []byte {
	module := regexp.MustCompile(regexp.QuoteMeta(from) + `([^A-Za-z0-9_-]|$)`)
	uses := regexp.MustCompile(`(uses: *)` + regexp.QuoteMeta(owner(from)) + `([/@])`)
	return func(text []byte) []byte {
		text = module.ReplaceAll(text, []byte(to+"${1}"))
		return uses.ReplaceAll(text, []byte("${1}"+owner(to)+"${2}"))
	}
}

// owner is the last two elements of a module path: a repository's owner and name.
func owner(module string) string {
	parts := strings.Split(module, "/")
	return path.Join(parts[max(0, len(parts)-2):]...)
}

// recorded says that a file is recorded data, or part of a licence: it keeps its words.
func recorded(name string) bool {
	if name == "LICENSE" || name == "go.sum" {
		return true
	}
	for part := range strings.SplitSeq(path.Dir(name), "/") {
		if part == "testdata" || part == "baselines" || part == "pictures" {
			return path.Ext(name) != ".go"
		}
	}
	return false
}
