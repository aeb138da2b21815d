package memtest

import (
	"fmt"
	"strings"
	"time"
)

// Defaults of the options.
const (
	DefaultWaves          = 8
	DefaultOpsPerWave     = 50
	DefaultMaxBytesPerOp  = 0.5
	DefaultMaxBytesPerRun = 4 << 10
	DefaultSettle         = 2 * time.Second
	DefaultMaxLeak        = 256 << 20
	DefaultBudget         = time.Minute
	DefaultMainRuns       = 5
)

type config struct {
	waves, ops  int
	warmup      int // 0: one wave
	maxBytes    float64
	maxCount    float64 // goroutines or connections per operation
	peak        int64
	settle      time.Duration
	maxLeak     int64
	budget      time.Duration
	ignored     []string
	heap        bool
	goroutines  bool
	connections bool
	extend      bool
	unit        string // the repeated unit: an operation, a run of the tests
}

func checkConfig() config {
	return config{
		waves: DefaultWaves, ops: DefaultOpsPerWave, maxBytes: DefaultMaxBytesPerOp,
		maxCount: perOpLeft, settle: DefaultSettle, maxLeak: DefaultMaxLeak, budget: DefaultBudget,
		heap: true, goroutines: true, connections: true, extend: true, unit: "operation",
	}
}

// CheckOption changes what Check does.
type CheckOption interface{ applyToCheck(*config) }

// Option changes what Check and VerifyTestMain do.
type Option interface {
	CheckOption
	applyToMain(*config)
}

type checkOption func(*config)

func (o checkOption) applyToCheck(c *config) { o(c) }

type option func(*config)

func (o option) applyToCheck(c *config) { o(c) }
func (o option) applyToMain(c *config)  { o(c) }

// Waves sets the number of measured waves and the operations in each. At least 4 waves of 1 operation; fewer are
// raised to that. The defaults are DefaultWaves and DefaultOpsPerWave.
func Waves(waves, opsPerWave int) CheckOption {
	return checkOption(func(c *config) { c.waves, c.ops = max(waves, minWaves), max(opsPerWave, 1) })
}

// Warmup sets the operations that run before the first floor, for a pool or cache that takes long to fill. The default
// is one wave.
func Warmup(ops int) CheckOption { return checkOption(func(c *config) { c.warmup = max(ops, 1) }) }

// Peak fails the test when the heap in use rises more than b bytes above where it was before the waves, garbage
// included; the collector runs eagerly meanwhile, so that garbage is small. 0, the default, sets no limit.
func Peak(b int64) CheckOption { return checkOption(func(c *config) { c.peak = b }) }

// MaxBytesPerOp allows a line to retain up to b bytes per operation (per run of the tests in VerifyTestMain), in
// size-class bytes: 100 bytes count as 112. The defaults are DefaultMaxBytesPerOp, less than the smallest object every
// sixteenth operation, and DefaultMaxBytesPerRun.
func MaxBytesPerOp(b float64) Option { return option(func(c *config) { c.maxBytes = b }) }

// Settle is how long goroutines and connections that are on their way out are waited for. Default DefaultSettle.
func Settle(d time.Duration) Option { return option(func(c *config) { c.settle = d }) }

// MaxLeak stops the waves early once the operation has let b bytes leak. Default DefaultMaxLeak.
func MaxLeak(b int64) Option { return option(func(c *config) { c.maxLeak = max(b, 1) }) }

// Budget is how long the operations may take in all. Slow operations get fewer repetitions. Where the budget isn't
// enough for a verdict, the test fails and says so. Default DefaultBudget.
func Budget(d time.Duration) Option { return option(func(c *config) { c.budget = d }) }

// Ignore leaves out allocations, or goroutines started, below a function whose full name begins with
// prefix, for example "example.com/app/metrics.(*Registry)". A prefix that also matches the operation, the test or the
// testing package would silence everything, and is refused.
func Ignore(prefix string) Option {
	return option(func(c *config) { c.ignored = append(c.ignored, prefix) })
}

// IgnoreHeap switches off the check for retained bytes.
func IgnoreHeap() Option { return option(func(c *config) { c.heap = false }) }

// IgnoreGoroutines switches off the check for goroutines left behind.
func IgnoreGoroutines() Option { return option(func(c *config) { c.goroutines = false }) }

// IgnoreConnections switches off the check for sockets left open.
func IgnoreConnections() Option { return option(func(c *config) { c.connections = false }) }

// refuse says why these options can't be used by the functions that are called from root to the operation.
func (c config) refuse(callers []string) error {
	for _, p := range c.ignored {
		for _, f := range callers {
			if strings.HasPrefix(f, p) {
				return fmt.Errorf("Ignore(%q) matches %s, below which everything is: name the function that may retain", p, f)
			}
		}
	}
	if !c.heap && !c.goroutines && !c.connections && c.peak == 0 {
		return fmt.Errorf("heap, goroutines and connections are all ignored: nothing is left to look at; remove one option")
	}
	return nil
}

func (c config) ignores(function string) bool {
	for _, p := range c.ignored {
		if strings.HasPrefix(function, p) {
			return true
		}
	}
	return false
}
