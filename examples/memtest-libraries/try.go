package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	caseFile = "case_test.go"
	// tryFor bounds one version: its download, its build and its check.
	tryFor = 5 * time.Minute
)

// try runs memtest on both versions of a library.
func try(c libraryCase, memtest string) (row, error) {
	source, err := sources.ReadFile("cases/" + c.name + ".go.txt")
	if err != nil {
		return row{}, err
	}
	want := 0
	for i, line := range strings.Split(string(source), "\n") {
		if strings.HasSuffix(line, "// leak") {
			want = i + 1
		}
	}
	if want == 0 && c.class.leaks() {
		return row{}, fmt.Errorf("no line of its source ends in // leak")
	}
	var results []result
	for _, version := range []string{c.leaking, c.mended} {
		r, err := tryVersion(c.module, version, memtest, source)
		if err != nil {
			return row{}, err
		}
		results = append(results, r)
	}
	return judge(c, want, results[0], results[1]), nil
}

// self is the path of memtest.
const self = "github.com/memsoak/memsoak/profiles/memtest"

// command is the go command in a module whose sums aren't known: it looks them up and writes them.
func command(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod -buildvcs=false", "GOWORK=off")
	return cmd
}

// added counts the modules that requiring memtest adds to a user's build.
func added(c libraryCase, memtest string) (int, error) {
	user := fmt.Sprintf("module example.com/user\n\ngo 1.23\n\nrequire %s %s\n", c.module, c.mended)
	with := user + fmt.Sprintf("\nrequire %s v0.0.0\n\nreplace %s => %s\n", self, self, memtest)
	var counts [2]int
	for i, mod := range []string{user, with} {
		dir, err := os.MkdirTemp("", "memtest-libraries-")
		if err != nil {
			return 0, err
		}
		defer os.RemoveAll(dir)
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(mod), 0o644); err != nil {
			return 0, err
		}
		ctx, cancel := context.WithTimeout(context.Background(), tryFor)
		defer cancel()
		out, err := command(ctx, dir, "list", "-m", "all").Output()
		if err != nil {
			return 0, fmt.Errorf("go list -m all: %w", err)
		}
		counts[i] = bytes.Count(out, []byte("\n"))
	}
	return counts[1] - counts[0], nil
}

func tryVersion(module, version, memtest string, source []byte) (result, error) {
	dir, err := os.MkdirTemp("", "memtest-libraries-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	const requires = "module example.com/user\n\ngo 1.23\n\nrequire (\n\t%s %s\n\t%s v0.0.0\n)\n\nreplace %s => %s\n"
	for name, text := range map[string][]byte{
		"go.mod":          fmt.Appendf(nil, requires, module, version, self, self, memtest),
		"harness_test.go": []byte(harness),
		caseFile:          source,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return result{}, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), tryFor)
	defer cancel()
	out, runErr := command(ctx, dir, "test", "-count=1", "-v", ".").CombinedOutput()
	return parse(module+" "+version, out, runErr), nil
}

// parse finds the report in what a test printed.
func parse(what string, out []byte, runErr error) result {
	for _, line := range bytes.Split(out, []byte("\n")) {
		text, ok := bytes.CutPrefix(line, []byte("REPORT "))
		if !ok {
			continue
		}
		var r result
		if err := json.Unmarshal(text, &r); err != nil {
			return result{Failed: fmt.Sprintf("%s: %v", what, err)}
		}
		return r
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return result{Failed: fmt.Sprintf("%s: no report (%v): %s", what, runErr, lines[max(0, len(lines)-3)])}
}
