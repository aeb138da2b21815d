// Package memtest checks, inside an ordinary Go test, that repeating an operation retains nothing: no heap, no
// goroutine, no connection. It names the line that holds what stays.
//
//	func TestCopyRetainsNothing(t *testing.T) {
//		memtest.Check(t, func() { copyOneFile() })
//	}
//
// The operation runs in equal waves. Between waves the package collects garbage until the heap is settled and reads an
// exact profile (every allocation recorded), so that what a site retains per operation is counted, not estimated. Only
// a site that grows over the waves is reported: a cache that fills in the first waves, or a pool, isn't.
//
// It is not for benchmarks (recording every allocation is slow) and not for processes other than the test's own: for
// those, run soak.
package memtest

import (
	"fmt"
	"strings"
	"time"
)

// TestingT is what Check needs of a *testing.T. Setenv is how a parallel test is noticed: the testing package refuses
// it there.
type TestingT interface {
	Helper()
	Errorf(format string, args ...any)
	Setenv(key, value string)
}

// Defaults of the options.
const (
	DefaultWaves         = 8
	DefaultOpsPerWave    = 50
	DefaultMaxBytesPerOp = 0.5
	DefaultSettle        = 2 * time.Second
)

type config struct {
	waves, ops  int
	maxBytes    float64
	peak        int64
	settle      time.Duration
	ignored     []string
	goroutines  bool
	connections bool
}

// Option changes what Check does.
type Option func(*config)

// Waves sets the number of measured waves and the operations in each. At least 4 waves of 1 operation; fewer are
// raised to that. The defaults are DefaultWaves and DefaultOpsPerWave.
func Waves(waves, opsPerWave int) Option {
	return func(c *config) { c.waves, c.ops = max(waves, minWaves), max(opsPerWave, 1) }
}

// MaxBytesPerOp allows a site to retain up to b bytes per operation, in size-class bytes (100 bytes count as 112).
// The default is DefaultMaxBytesPerOp: less than the smallest object every sixteenth operation.
func MaxBytesPerOp(b float64) Option { return func(c *config) { c.maxBytes = b } }

// Peak fails the test when the heap in use rises more than b bytes above where it was before the waves, garbage
// included; the collector runs eagerly meanwhile, so that garbage is small. 0, the default, sets no limit.
func Peak(b int64) Option { return func(c *config) { c.peak = b } }

// Settle is how long goroutines and connections that are on their way out are waited for. Default DefaultSettle.
func Settle(d time.Duration) Option { return func(c *config) { c.settle = d } }

// Ignore leaves out what was allocated, or which goroutines were started, below a function whose full name begins with
// prefix, for example "example.com/app/metrics.(*Registry)".
func Ignore(prefix string) Option { return func(c *config) { c.ignored = append(c.ignored, prefix) } }

// IgnoreGoroutines switches off the check for goroutines left behind.
func IgnoreGoroutines() Option { return func(c *config) { c.goroutines = false } }

// IgnoreConnections switches off the check for sockets left open.
func IgnoreConnections() Option { return func(c *config) { c.connections = false } }

// Check runs op in waves and fails t, once per culprit, when something is retained per operation. It returns the
// report, which a test may print.
//
// Check must have the process to itself: in a parallel test it fails at once instead of blaming a neighbour, and so
// does a second Check at the same time.
func Check(t TestingT, op func(), opts ...Option) *Report {
	t.Helper()
	c := config{
		waves: DefaultWaves, ops: DefaultOpsPerWave, maxBytes: DefaultMaxBytesPerOp, settle: DefaultSettle,
		goroutines: true, connections: true,
	}
	for _, o := range opts {
		o(&c)
	}
	if parallel(t) {
		t.Errorf("memtest: this test is parallel: its neighbours' memory can't be told from its own; remove t.Parallel")
		return &Report{}
	}
	if !busy.TryLock() {
		t.Errorf("memtest: another Check is running in this process: run them one after the other")
		return &Report{}
	}
	defer busy.Unlock()
	r := measure(c, op)
	for _, f := range r.Findings {
		t.Errorf("memtest: %s", f)
	}
	return r
}

func parallel(t TestingT) (yes bool) {
	defer func() { yes = recover() != nil }()
	t.Setenv("MEMSOAK_MEMTEST", "1")
	return false
}

// Kind is what is retained.
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
	Findings []Finding
}

// Finding is one thing retained.
type Finding struct {
	Kind  Kind
	PerOp float64  // bytes, goroutines or connections per operation; bytes in all for a peak
	Total int64    // over all measured waves
	Limit float64  // what was allowed
	Site  string   // "function file:line" of the culprit, "" when there is none
	Stack []string // leaf first
}

// String says it in one sentence, with the stack below.
func (f Finding) String() string {
	var b strings.Builder
	switch f.Kind {
	case Heap:
		fmt.Fprintf(&b, "%.4g bytes retained per operation (%d in all) allocated at %s; %.4g allowed", f.PerOp, f.Total, f.Site, f.Limit)
	case Goroutines:
		fmt.Fprintf(&b, "%.4g goroutines left per operation (%d in all) started at %s", f.PerOp, f.Total, f.Site)
	case Connections:
		fmt.Fprintf(&b, "%.4g connections left open per operation (%d in all)", f.PerOp, f.Total)
	case PeakHeap:
		fmt.Fprintf(&b, "the heap rose %d bytes above its floor; %.0f allowed; most was allocated at %s", f.Total, f.Limit, f.Site)
	}
	for _, s := range f.Stack {
		b.WriteString("\n\t")
		b.WriteString(s)
	}
	return b.String()
}
