package memtest

import (
	"fmt"
	"reflect"
	"runtime"
	"time"
)

// TestingT is what Check needs of a *testing.T. Setenv is how a parallel test is noticed: the testing package refuses
// it there. Check also uses Failed and Skipped where the value has them.
type TestingT interface {
	Helper()
	Errorf(format string, args ...any)
	Setenv(key, value string)
}

// Check runs op in waves and fails t, once per cause, when something is retained per operation. It returns the report,
// which a test may print.
//
// Check must have the process to itself: in a parallel test it fails without running op instead of blaming a neighbour,
// and so does a second Check at the same time. An operation that panics, ends the test, fails it or doesn't end within
// the budget fails it with one line, and there is no verdict.
func Check(t TestingT, op func(), opts ...CheckOption) *Report {
	t.Helper()
	c := checkConfig()
	for _, o := range opts {
		o.applyToCheck(&c)
	}
	name := runtime.FuncForPC(reflect.ValueOf(op).Pointer()).Name()
	if err := c.refuse(append(callers(), name)); err != nil {
		t.Errorf("memtest: %v", err)
		return &Report{}
	}
	if parallel(t) {
		t.Errorf("memtest: this test is parallel: its neighbours' memory can't be told from its own; remove t.Parallel")
		return &Report{}
	}
	original := t
	t, remember, before := past.check(t)
	if before != nil {
		op()
		return before
	}
	if !busy.TryLock() {
		t.Errorf("memtest: another Check is running in this process: run them one after the other")
		return &Report{}
	}
	k := newCheck(c, known().with(name), op, failedBy(original))
	r, err := k.measure()
	if k.run.hangs != nil {
		go func() { <-k.run.hangs; busy.Unlock() }()
	} else {
		busy.Unlock()
	}
	if err != nil && !(k.run.exited && skippedBy(original)) {
		t.Errorf("memtest: %v", err)
	}
	for _, f := range r.Findings {
		t.Errorf("memtest: %s", f)
	}
	remember(r)
	if k.run.exited {
		runtime.Goexit() // as the operation would have, in the test's own goroutine
	}
	return r
}

// callers are the functions that called Check: what Ignore must not match.
func callers() []string {
	pcs := make([]uintptr, 64)
	var out []string
	for _, f := range framesOf(pcs[:runtime.Callers(1, pcs)]) {
		out = append(out, f.Function)
	}
	return out
}

// failedBy reports whether operations failed the test, unless it had failed before.
func failedBy(t TestingT) func() bool {
	if f, ok := t.(interface{ Failed() bool }); ok && !f.Failed() {
		return f.Failed
	}
	return func() bool { return false }
}

func skippedBy(t TestingT) bool {
	s, ok := t.(interface{ Skipped() bool })
	return ok && s.Skipped()
}

func parallel(t TestingT) (yes bool) {
	defer func() { yes = recover() != nil }()
	t.Setenv("MEMSOAK_MEMTEST", "1")
	return false
}

// measurePeak runs one more wave with an eager collector, and compares the highest heap in use with the limit.
func (k *check) measurePeak(r *Report) error {
	start, before, peak, err := k.watchPeak()
	if err != nil {
		return err
	}
	r.PeakHeap = peak - start
	if r.PeakHeap <= k.peak {
		return nil
	}
	runtime.GC() // publishes the wave's allocations
	k.ledger.read()
	f := Finding{Kind: PeakHeap, PerOp: float64(r.PeakHeap), Total: r.PeakHeap, Limit: float64(k.peak), Ops: k.ops,
		unit: k.unit}
	var most int64
	for i := range k.ledger.records {
		rec := &k.ledger.records[i]
		n := rec.AllocBytes - before[rec.Stack0]
		if n <= most {
			continue
		}
		frames := framesOf(rec.Stack0[:])
		if w := k.origins.read(frames, k.ignores); !w.mine && !w.ignored {
			most, f.Site, f.User, f.Stack = n, w.site, w.user, k.origins.path(frames)
		}
	}
	r.Findings = append(r.Findings, f)
	return nil
}

const (
	// peakGOGC keeps garbage to a tenth of the live heap while a peak is measured.
	peakGOGC = 10
	// peakEvery is how often the heap in use is read while a peak is measured.
	peakEvery = 100 * time.Microsecond
)

// watchPeak returns the heap before the wave, what each stack had allocated by then, and the highest heap in it.
func (k *check) watchPeak() (start int64, before map[stackKey]int64, peak int64, err error) {
	defer setGC(setGC(peakGOGC))
	collect()
	k.ledger.read()
	before = map[stackKey]int64{}
	for _, rec := range k.ledger.records {
		before[rec.Stack0] = rec.AllocBytes
	}
	start = heapInUse()
	done, highest := make(chan struct{}), make(chan int64)
	go func() {
		top := start
		for tick := time.NewTicker(peakEvery); ; {
			top = max(top, heapInUse())
			select {
			case <-done:
				tick.Stop()
				highest <- max(top, heapInUse())
				return
			case <-tick.C:
			}
		}
	}()
	err = k.repeat(k.ops)
	close(done)
	return start, before, <-highest, err
}

// Kind is the kind of retained thing.
type Kind string

// The kinds of findings.
const (
	Heap        Kind = "heap"
	Goroutines  Kind = "goroutines"
	Connections Kind = "connections"
	PeakHeap    Kind = "peak"
)

// Report is what Check measured.
type Report struct {
	Ops      int     // operations measured, warm-up not counted
	Floors   []int64 // live heap after the warm-up and after each wave, bytes
	PeakHeap int64   // highest heap in use above the first floor, bytes; 0 when Peak was not asked for
	Ignored  float64 // bytes per operation that Ignore left out
	Stopped  bool    // the waves ended early: what may leak had leaked
	Findings []Finding
}

// Finding is one cause of retention, with all that it holds.
type Finding struct {
	Kind    Kind
	Open    bool    // it may still be a cache that fills: the budget ended first
	PerOp   float64 // bytes, goroutines or connections per operation; bytes in all for a peak
	Total   int64   // over all measured operations
	Limit   float64 // allowed per operation
	Ops     int     // operations measured
	Stopped bool    // the waves ended early: what may leak had leaked

	Bytes, Objects          float64 // heap per operation, all that comes with the cause
	Goroutines, Connections float64 // per operation
	StackBytes              float64 // of all goroutines' stacks, per operation

	Site   Line   // the line that holds the rest, whatever module it is of
	User   Line   // the line of the module under test that led there
	Holder Line   // the line that grows the table or array which holds it, where one does
	Waits  string // where the goroutines wait
	With   []Part // the other lines, the largest first
	Stack  []Line // of Site, leaf first

	unit    string // the repeated unit
	accepts bool   // it has accepted ends of connections
}

// Part is what another line retains because of the same cause, per operation.
type Part struct {
	Site                       Line
	Bytes, Objects, Goroutines float64
	Note                       string
}

// partsShown and framesShown bound what a finding prints.
const (
	partsShown  = 4
	framesShown = 12
)

func size(b float64) string {
	for _, u := range []struct {
		name string
		of   float64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if b >= 10*u.of || b >= u.of && u.of > 1<<10 {
			return fmt.Sprintf("%.4g %s", b/u.of, u.name)
		}
	}
	return fmt.Sprintf("%.4g B", b)
}
