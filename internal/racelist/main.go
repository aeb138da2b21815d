// Command racelist prints the packages of a module whose tests run under the race detector: those that start goroutines
// or guard state against those of others, and have tests. Packages left out are named in [slow], with the reason.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// slow are packages that only the long form (-all) runs, and why.
var slow = map[string]string{
	"profiles":                 "hundreds of series are judged, by pure functions; four goroutines share no state",
	"fakedrive/internal/bench": "minutes of measurements beside a bare handler",
	"internal/badinput":        "programs that are built without the detector",
	"soak/internal/accuracy":   "programs that are built without the detector",
	"profiles/capture":         "it measures its own memory, which the detector doubles, by bombs of 4 GiB",
	"soak/cmd/soak":            "whole runs of programs that are built without the detector",
	"soak/internal/trial":      "trials of subjects that are built without the detector",
	"soak/internal/holders":    "heap dumps of programs that are built without the detector",
	"soak/internal/report":     "pages in a browser",
	"soak/internal/view":       "pages in a browser",
	"soak/internal/pyroscope":  "runs of hundreds of profiles, encoded and decoded",
	"soak":                     "whole runs of programs that are built without the detector",
	"soak/replay/service":      "whole migrations of the first service",
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("racelist", flag.ContinueOnError)
	f.SetOutput(stderr)
	all := f.Bool("all", false, "print those as well that take too long for each change")
	if f.Parse(args) != nil || f.NArg() > 0 {
		return 2
	}
	found, err := concurrent(".")
	if err != nil {
		fmt.Fprintln(stderr, "racelist:", err)
		return 1
	}
	for _, dir := range found {
		if _, out := slow[dir]; *all || !out {
			fmt.Fprintln(stdout, "./"+dir)
		}
	}
	return 0
}

// concurrent are the folders, below that of the module, of the packages with tests that have to do with goroutines.
func concurrent(module string) (dirs []string, err error) {
	cmd := exec.Command("go", "list", "-json=Dir,Module,GoFiles,TestGoFiles,XTestGoFiles", "./...")
	cmd.Dir, cmd.Stderr = module, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			Dir                                string
			Module                             struct{ Dir string }
			GoFiles, TestGoFiles, XTestGoFiles []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return dirs, nil
		} else if err != nil {
			return nil, err
		}
		if len(p.TestGoFiles)+len(p.XTestGoFiles) == 0 {
			continue
		}
		for _, name := range p.GoFiles {
			yes, err := shares(filepath.Join(p.Dir, name))
			if err != nil {
				return nil, err
			}
			if yes {
				rel, err := filepath.Rel(p.Module.Dir, p.Dir)
				if err != nil {
					return nil, err
				}
				dirs = append(dirs, filepath.ToSlash(rel))
				break
			}
		}
	}
}

// shares says whether a file starts goroutines or guards state against them.
func shares(path string) (yes bool, err error) {
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return false, err
	}
	for _, i := range f.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err == nil && (p == "sync" || p == "sync/atomic" ||
			p == "golang.org/x/sync/errgroup") {
			return true, nil
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		_, starts := n.(*ast.GoStmt)
		yes = yes || starts
		return !yes
	})
	return yes, nil
}
