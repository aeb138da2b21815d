package memtest

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
)

// TestingM is what VerifyTestMain needs of a *testing.M.
type TestingM interface{ Run() int }

// VerifyTestMain runs the package's tests and exits. Where they pass, it runs them DefaultMainRuns times more, without
// their output, and fails when the package as a whole retains something per run: goroutines, connections or bytes.
//
//	func TestMain(m *testing.M) { memtest.VerifyTestMain(m) }
//
// With IgnoreHeap the tests run once, and whatever goroutine or connection is left then is a finding. Tests that can't
// run twice in one process need that: without it they get no verdict, which is a failure that says so. Where benchmarks
// run, nothing is looked at.
func VerifyTestMain(m TestingM, opts ...Option) {
	os.Exit(verifyMain(m, os.Stderr, callers(), opts))
}

func verifyMain(m TestingM, out io.Writer, callers []string, opts []Option) int {
	c := mainConfig()
	for _, o := range opts {
		o.applyToMain(&c)
	}
	if err := c.refuse(append(callers, "testing.tRunner")); err != nil {
		fmt.Fprintf(out, "memtest: %v\n", err)
		return 2
	}
	o := known()
	if i := slices.IndexFunc(callers, func(f string) bool { return packageOf(f) != o.own }); i >= 0 {
		o = o.with(callers[i]) // TestMain
	}
	k := newCheck(c, o, func() {}, func() bool { return false })
	if c.heap {
		past.begin()
	}
	before := k.ledger.floor(0)
	if code := m.Run(); code != 0 || benchmarks() {
		return code
	}
	findings, err := k.leftAfterOneRun(before), error(nil)
	if c.heap {
		findings, err = k.repeatRuns(m)
	}
	if err != nil {
		fmt.Fprintf(out, "memtest: %v\n", err)
		return 1
	}
	for _, f := range findings {
		fmt.Fprintf(out, "memtest: %s\n", f)
	}
	return min(len(findings), 1)
}

// benchmarks reports whether benchmarks run as well: they would be repeated, with every allocation recorded.
func benchmarks() bool {
	f := flag.Lookup("test.bench")
	return f != nil && f.Value.String() != ""
}

func mainConfig() config {
	c := checkConfig()
	c.waves, c.ops, c.warmup, c.maxBytes, c.extend = DefaultMainRuns-1, 1, 1, DefaultMaxBytesPerRun, false
	c.maxCount, c.unit = 0.5, "run"
	return c
}

// leftAfterOneRun finds goroutines and connections that were not there before the run.
func (k *check) leftAfterOneRun(before floor) []Finding {
	k.waitQuiet(before)
	after := k.ledger.floor(1)
	var out []Finding
	a := k.newAncestry(&graph{})
	for creator, n := range after.goroutines {
		left := n - before.goroutines[creator]
		if !k.goroutines || left <= 0 || k.ignores(creator.Function) || packageOf(creator.Function) == k.origins.own {
			continue
		}
		out = append(out, Finding{
			Kind: Goroutines, PerOp: float64(left), Total: left, Ops: 1, unit: "run", Site: creator, Goroutines: float64(left),
			User: a.through(creator), Waits: a.waiting[creator.place()],
		})
	}
	slices.SortFunc(out, func(a, b Finding) int { return compareLines(a.Site, b.Site) })
	if left := after.sockets - before.sockets; k.connections && left > 0 && len(out) == 0 {
		out = append(out, Finding{Kind: Connections, PerOp: float64(left), Total: left, Ops: 1, unit: "run",
			Connections: float64(left)})
	}
	return out
}

// repeatRuns runs the tests again in waves of one run each.
func (k *check) repeatRuns(m TestingM) ([]Finding, error) {
	if !busy.TryLock() {
		return nil, fmt.Errorf("a Check is still running: its operation hangs")
	}
	defer busy.Unlock()
	past.repeat()
	failed := false
	k.run.op = func() { failed = failed || m.Run() != 0 }
	k.run.failed = func() bool { return failed }
	restore, err := muteOutput()
	if err != nil {
		return nil, err
	}
	r, err := k.measure()
	restore()
	if failed {
		return nil, fmt.Errorf("no verdict: the tests pass once, but not when they run again in the same process; " +
			"try go test -count=2, or look at goroutines and connections alone with IgnoreHeap")
	}
	return r.Findings, err
}

// muteOutput sends what tests print to nowhere.
func muteOutput() (restore func(), err error) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	stdout := os.Stdout
	os.Stdout = null
	return func() { os.Stdout = stdout; null.Close() }, nil
}
