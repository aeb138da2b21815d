package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestWhatIsKnownDecides(t *testing.T) {
	leak := libraryCase{name: "x", class: goroutines}
	at := func(kind, file string, line int) finding { return finding{Kind: kind, File: file, Line: line} }
	good := result{Findings: []finding{at("goroutines", caseFile, 7)}, Errors: []string{"said"}}
	one := func(kind, file string, line int) result { return result{Findings: []finding{at(kind, file, line)}} }
	twice := result{Findings: append(good.Findings, good.Findings...)}
	slow := result{Seconds: 11, Findings: good.Findings}
	for name, c := range map[string]struct {
		of              libraryCase
		leaking, mended result
		want            int
	}{
		"all right":                {leak, good, result{}, exitOK},
		"not found":                {leak, result{}, result{}, exitFailed},
		"another class":            {leak, one("heap", caseFile, 7), result{}, exitFailed},
		"another line":             {leak, one("goroutines", caseFile, 8), result{}, exitFailed},
		"the library's line":       {leak, one("goroutines", "pool.go", 7), result{}, exitFailed},
		"two findings":             {leak, twice, result{}, exitFailed},
		"alarm on the mended":      {leak, good, good, exitFailed},
		"slow":                     {leak, slow, result{Seconds: 11}, exitFailed},
		"not built":                {leak, result{Failed: "no report"}, result{}, exitInconclusive},
		"a cache, no alarm":        {libraryCase{class: fills}, result{}, result{}, exitOK},
		"a cache, an alarm":        {libraryCase{class: fills}, result{Errors: []string{"said"}}, result{}, exitFailed},
		"a cache, alarm on second": {libraryCase{class: fills}, result{}, result{Errors: []string{"said"}}, exitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			if got := totals([]row{judge(c.of, 7, c.leaking, c.mended)}).exit(); got != c.want {
				t.Errorf("exit %d, want %d", got, c.want)
			}
		})
	}
}

func TestEachCaseHasItsSource(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range append(append([]libraryCase{}, cases...), freshCases...) {
		text, err := sources.ReadFile("cases/" + c.name + ".go.txt")
		if err != nil {
			t.Error(err)
		}
		want := 0
		if c.class.leaks() {
			want = 1
		}
		if got := strings.Count(string(text), "// leak\n"); got != want || seen[c.name] {
			t.Errorf("%s: %d lines end in // leak, want %d; seen before: %v", c.name, got, want, seen[c.name])
		}
		seen[c.name] = true
	}
	if len(cases) < 12 {
		t.Errorf("%d libraries, want 12 or more", len(cases))
	}
}

func TestNoReportIsNotJudged(t *testing.T) {
	if r := parse("x v1", []byte("FAIL\n"), fmt.Errorf("exit status 1")); r.Failed == "" {
		t.Error("a test without a report was judged")
	}
	report := []byte("REPORT {\"Seconds\":2,\"Errors\":[\"e\"]}\n")
	if r := parse("x v1", report, nil); r.Seconds != 2 || len(r.Errors) != 1 {
		t.Errorf("read %+v", r)
	}
}

func TestBadInputIsUsage(t *testing.T) {
	for _, args := range [][]string{{"-memtest", "/nowhere"}, {"-only", "no such library"}, {"-what"}} {
		var stderr strings.Builder
		if code := run(args, &strings.Builder{}, &stderr); code != exitUsage || stderr.Len() == 0 {
			t.Errorf("%v: exit %d, %q", args, code, stderr.String())
		}
	}
}

// One case as `make memtest-libraries` runs it, where the module proxy can be reached.
func TestOneLibraryEndToEnd(t *testing.T) {
	if testing.Short() || os.Getenv("MEMSOAK_LONG") == "" {
		t.Skip("runs in the long form")
	}
	out, err := exec.Command("go", "list", "-m", "github.com/hashicorp/go-memdb@v1.3.2").CombinedOutput()
	if err != nil {
		t.Skipf("the module proxy can't be reached: %s", out)
	}
	var stdout, stderr strings.Builder
	if code := run([]string{"-only", "memdb"}, &stdout, &stderr); code != exitOK {
		t.Errorf("exit %d\n%s%s", code, stdout.String(), stderr.String())
	}
}
