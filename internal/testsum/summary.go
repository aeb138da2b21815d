package main

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// summary turns events into what a person reads.
type summary struct {
	w io.Writer
	// output is what each test has said so far, by package and test; a test that passes takes its own away.
	output map[[2]string][]string
	// skipped are the tests by reason.
	skipped map[string][]string
	// failures are what failed, in order: tests, then the packages that they are in.
	failures []string
}

func newSummary(w io.Writer) *summary {
	return &summary{w: w, output: map[[2]string][]string{}, skipped: map[string][]string{}}
}

func (s *summary) event(e event) {
	key := [2]string{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(s.w, e.Output)
	case "output":
		s.said(key, e)
	case "skip":
		if e.Test != "" {
			why := reason(s.output[key])
			s.skipped[why] = append(s.skipped[why], short(e.Package)+" "+e.Test)
		}
		delete(s.output, key)
	case "pass":
		delete(s.output, key)
	case "fail":
		s.failed(key)
	}
}

// said keeps what a test prints, and prints the lines of packages: ok, FAIL, and output outside of tests.
func (s *summary) said(key [2]string, e event) {
	if e.Test != "" {
		s.output[key] = append(s.output[key], e.Output)
		return
	}
	if e.Output == "PASS\n" || strings.Contains(e.Output, "[no test files]") {
		return
	}
	fmt.Fprint(s.w, e.Output)
}

// failed prints what a test said. A package that ends in the middle of a test takes its tests with it: those have no
// event of their own.
func (s *summary) failed(key [2]string) {
	s.failures = append(s.failures, strings.TrimSpace(short(key[0])+" "+key[1]))
	if key[1] != "" {
		s.print(key)
		return
	}
	for _, k := range slices.SortedFunc(maps.Keys(s.output), func(a, b [2]string) int {
		return strings.Compare(a[1], b[1])
	}) {
		if k[0] == key[0] {
			s.print(k)
		}
	}
}

func (s *summary) print(key [2]string) {
	for _, line := range s.output[key] {
		if !strings.HasPrefix(line, "=== ") {
			fmt.Fprint(s.w, line)
		}
	}
	delete(s.output, key)
}

// said is a line that a test logs: file, line, text.
var said = regexp.MustCompile(`^\s*[\w.-]+\.go:\d+: `)

// reason is the last that a skipped test said.
func reason(lines []string) string {
	why := ""
	for _, line := range lines {
		if at := said.FindString(line); at != "" {
			why = strings.TrimSpace(line[len(at):])
		}
	}
	why = strings.TrimLeft(strings.TrimPrefix(why, "SKIPPED"), ":, ")
	if why == "" {
		return "no reason given"
	}
	return why
}

// short is the package's path below the module's.
func short(pkg string) string {
	parts := strings.SplitN(pkg, "/", 4)
	return parts[len(parts)-1]
}

// shown is how many tests of one reason are named.
const shown = 4

// skips prints the skipped tests by reason, the reason with the most first.
func (s *summary) skips() {
	if len(s.skipped) == 0 {
		return
	}
	total := 0
	for _, tests := range s.skipped {
		total += len(tests)
	}
	fmt.Fprintf(s.w, "\n=== %d tests were skipped:\n", total)
	reasons := slices.SortedFunc(maps.Keys(s.skipped), func(a, b string) int {
		if d := len(s.skipped[b]) - len(s.skipped[a]); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for _, why := range reasons {
		tests := s.skipped[why]
		fmt.Fprintf(s.w, "%4d  %s\n", len(tests), why)
		for _, name := range tests[:min(shown, len(tests))] {
			fmt.Fprintf(s.w, "        %s\n", name)
		}
		if n := len(tests) - shown; n > 0 {
			fmt.Fprintf(s.w, "        and %d more\n", n)
		}
	}
}

// ends names the failures, last, since the lines above may be thousands, or cut off.
func (s *summary) ends() {
	if len(s.failures) == 0 {
		return
	}
	fmt.Fprintf(s.w, "\n=== failed:\n")
	for _, name := range s.failures {
		fmt.Fprintf(s.w, "        %s\n", name)
	}
}
