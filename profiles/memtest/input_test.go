package memtest_test

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/memsoak/memsoak/profiles/memtest"
)

// oneLine is the failure's only line, which has all the parts.
func oneLine(t *testing.T, r *recorder, parts ...string) {
	t.Helper()
	if len(r.errors) != 1 || strings.Contains(r.errors[0], "\n") {
		t.Fatalf("want one line, got %q", r.errors)
	}
	for _, p := range parts {
		contains(t, r.errors[0], p)
	}
}

func TestParallelTestIsRefused(t *testing.T) {
	ran := false
	r := &recorder{parallel: true}
	memtest.Check(r, func() { ran = true })
	oneLine(t, r, "t.Parallel")
	if ran {
		t.Error("the operation ran")
	}
}

// counting is a real *testing.T whose failures are counted instead.
type counting struct {
	*testing.T
	n *int
}

func (c counting) Errorf(string, ...any) { *c.n++ }

func TestRealParallelTestIsRefused(t *testing.T) {
	t.Run("parallel", func(t *testing.T) {
		t.Parallel()
		errs := 0
		memtest.Check(counting{t, &errs}, func() {})
		if errs != 1 {
			t.Errorf("want one failure, got %d", errs)
		}
	})
}

func TestSecondCheckAtTheSameTimeIsRefused(t *testing.T) {
	inner := &recorder{}
	check(t, func() {
		if len(inner.errors) == 0 {
			memtest.Check(inner, func() {})
		}
	}, memtest.Waves(4, 1), memtest.MaxBytesPerOp(1e6))
	oneLine(t, inner, "another Check")
}

func TestOperationThatPanicsIsOneLine(t *testing.T) {
	n := 0
	r, rep := check(t, func() {
		if n++; n == 7 {
			panic("boom")
		}
	})
	oneLine(t, r, "operation 7 panicked", "TestOperationThatPanicsIsOneLine", "input_test.go:", "boom")
	if len(rep.Findings) > 0 {
		t.Error("there is no verdict")
	}
	r, _ = check(t, func() {}) // the process is as before
	clean(t, r)
}

func TestOperationThatEndsTheTestEndsIt(t *testing.T) {
	r, done := &recorder{}, make(chan bool)
	go func() {
		after := false
		defer func() { done <- after }()
		memtest.Check(r, func() { runtime.Goexit() })
		after = true
	}()
	if <-done {
		t.Error("the test goes on")
	}
	oneLine(t, r, "operation 1 ended the test", "FailNow")
}

func TestOperationThatHangsIsOneLineAndKeepsOthersOut(t *testing.T) {
	release := make(chan struct{})
	r, _ := check(t, func() { <-release }, memtest.Budget(20*time.Millisecond))
	oneLine(t, r, "didn't end within the budget", "TestOperationThatHangsIsOneLineAndKeepsOthersOut", "chan receive")
	r, _ = check(t, func() {})
	oneLine(t, r, "another Check")
	close(release)
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		if r, _ = check(t, func() {}); len(r.errors) == 0 {
			return
		}
		if time.Since(start) > 20*time.Second {
			t.Fatal("the operation ended, but checks are still refused")
		}
	}
}

func TestOperationThatIsTooSlowForTheBudgetIsOneLine(t *testing.T) {
	r, _ := check(t, func() { time.Sleep(30 * time.Millisecond) }, memtest.Budget(50*time.Millisecond))
	oneLine(t, r, "the whole budget of 50ms", "Budget")
}

func TestSlowOperationGetsFewerRepetitions(t *testing.T) {
	var kept []*[64]byte
	r, rep := check(t, func() { time.Sleep(20 * time.Millisecond); kept = append(kept, new([64]byte)) },
		memtest.Budget(4*time.Second))
	if len(r.errors) != 1 || rep.Ops > 250 || rep.Findings[0].Bytes < 64 {
		t.Errorf("want the leak within the budget, got %q after %d operations", r.errors, rep.Ops)
	}
	runtime.KeepAlive(kept)
}

func TestTenMegabytesPerOperationStopEarly(t *testing.T) {
	var kept [][]byte
	r, rep := check(t, func() { kept = append(kept, make([]byte, 10<<20)) })
	f := only(t, rep, memtest.Heap)
	if !rep.Stopped || f.PerOp < 10<<20 || f.PerOp > 10.1*(1<<20) || len(kept) > 40 {
		t.Errorf("want 10 MiB per operation after some 26 operations, got %v after %d", f.PerOp, len(kept))
	}
	first, _, _ := strings.Cut(r.errors[0], "\n")
	contains(t, first, "10 MiB in 1")
	contains(t, first, "TestTenMegabytesPerOperationStopEarly")
}

func TestLeakAboveTheCapAtOnceHasNoVerdict(t *testing.T) {
	var kept [][]byte
	r, _ := check(t, func() { kept = append(kept, make([]byte, 3<<20)) }, memtest.MaxLeak(4<<20))
	oneLine(t, r, "no verdict", "MaxLeak")
	runtime.KeepAlive(kept)
}

// failing is a *testing.T that an operation fails.
type failing struct {
	recorder
	failed bool
}

func (f *failing) Failed() bool { return f.failed }

func TestOperationThatFailsItsOwnChecksStopsEarly(t *testing.T) {
	f := &failing{}
	n := 0
	memtest.Check(f, func() { n++; f.failed = true })
	oneLine(t, &f.recorder, "operation 1 failed the test")
	if n != 1 {
		t.Errorf("%d operations ran", n)
	}
}

func TestIgnoreLeavesOutWhatIsNamed(t *testing.T) {
	var wholes []*whole
	n := 0
	r, rep := check(t, func() { n++; wholes = append(wholes, newWhole(n)) },
		memtest.Ignore("github.com/memsoak/memsoak/profiles/memtest_test.newWhole"), memtest.MaxBytesPerOp(32))
	clean(t, r)
	if rep.Ignored < 1000 {
		t.Errorf("the report says what was ignored, got %v", rep.Ignored)
	}
}

func TestIgnoreOfEverythingIsRefused(t *testing.T) {
	for _, prefix := range []string{
		"", "g", "github.com/memsoak/memsoak/profiles/memtest_test", "testing.", "testing.tRunner",
		"github.com/memsoak/memsoak/profiles/memtest.", "runtime.goexit",
	} {
		ran := false
		r, _ := check(t, func() { ran = true }, memtest.Ignore(prefix))
		oneLine(t, r, "Ignore(", "everything")
		if ran {
			t.Errorf("Ignore(%q): the operation ran", prefix)
		}
	}
	r, _ := check(t, func() {}, memtest.IgnoreHeap(), memtest.IgnoreGoroutines(), memtest.IgnoreConnections())
	oneLine(t, r, "nothing is left to look at")
}

// The smallest Go that the module promises reads, builds and runs it.
func TestOldestGoRunsIt(t *testing.T) {
	const oldest = "go1.23.12"
	if os.Getenv("MEMTEST_OLDEST") != "" || testing.Short() {
		t.Skip("short, or running with it already")
	}
	env := append(os.Environ(), "GOTOOLCHAIN="+oldest, "MEMTEST_OLDEST=1", "GOWORK=off")
	version := exec.Command("go", "version")
	version.Env = env
	if out, err := version.Output(); err != nil || !bytes.Contains(out, []byte(oldest+" ")) {
		t.Skipf("%s can't be had here", oldest)
	}
	run := exec.Command("go", "test", "-short", "-count=1",
		"-run", "TestLeakIsCounted|TestOneLeakOfMany|TestGoroutinesComeFirst|TestConnectionsAre|TestNothing", ".")
	run.Env = env
	if out, err := run.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
