package leaks

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unique"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/memsoak/memsoak/soak/specimens/copier"
	"github.com/memsoak/memsoak/soak/specimens/handy"
)

// observers is a global registry to which each transfer's progress is added. Fixed, it is taken out again.
var observers struct {
	sync.Mutex
	all map[*progress]func(int)
}

type progress struct {
	done  int
	chart [1920]byte
}

func (p *progress) advance(n int) { p.done += n }

func newObservers(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		observers.Lock()
		observers.all = map[*progress]func(int){}
		observers.Unlock()
		return copier.Hooks{Around: func(_ context.Context, _ *copier.Worker, _ copier.File, next func() error) error {
			p := register()
			if fixed {
				defer unregister(p)
			}
			return next()
		}}
	}
}

func register() *progress {
	p := &progress{} // fault:leak-registry
	observers.Lock()
	defer observers.Unlock()
	observers.all[p] = p.advance
	return p
}

func unregister(p *progress) {
	observers.Lock()
	defer observers.Unlock()
	delete(observers.all, p)
}

// retries keeps a closure per transfer "in case it has to be done again"; each closure holds its plan.
//
//go:noinline
func newRetries(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		var mu sync.Mutex
		var again []func() int
		return copier.Hooks{Done: func(_ context.Context, _ *copier.Worker, f copier.File) {
			plan := new([1536]byte) // fault:leak-retry
			mu.Lock()
			defer mu.Unlock()
			again = append(again, func() int { return int(plan[0]) + int(f.Size) })
			if fixed {
				clear(again)
				again = again[:0]
			}
		}}
	}
}

// request is what a transfer's context carries.
type request struct {
	trace [8192]byte
}

type requestKey struct{}

// deadlines derives a context per transfer from the process's own and cancels it only when fixed: a parent keeps its
// children until they are cancelled.
func newDeadlines(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		var base context.Context
		return copier.Hooks{
			Start: func(ctx context.Context) { base = ctx },
			Around: func(_ context.Context, _ *copier.Worker, _ copier.File, next func() error) error {
				cancel := deadline(base)
				if fixed {
					defer cancel()
				}
				return next()
			},
		}
	}
}

func deadline(base context.Context) context.CancelFunc {
	valued := context.WithValue(base, requestKey{}, new(request)) // fault:leak-context
	_, cancel := context.WithTimeout(valued, 24*time.Hour)
	return cancel
}

// cleanups registers a context.AfterFunc per transfer and never takes it back.
func newCleanups(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		var base context.Context
		return copier.Hooks{
			Start: func(ctx context.Context) { base = ctx },
			Around: func(_ context.Context, _ *copier.Worker, _ copier.File, next func() error) error {
				stop := cleanup(base)
				if fixed {
					defer stop()
				}
				return next()
			},
		}
	}
}

func cleanup(ctx context.Context) func() bool {
	temp := new([4096]byte) // fault:leak-contextafter
	return context.AfterFunc(ctx, func() { clear(temp[:]) })
}

// expiries starts a timer per transfer whose closure holds the transfer's state for a day.
func newExpiries(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		return copier.Hooks{Done: func(context.Context, *copier.Worker, copier.File) {
			t := expire()
			if fixed {
				t.Stop()
			}
		}}
	}
}

func expire() *time.Timer {
	state := new([4096]byte) // fault:leak-afterfunc
	return time.AfterFunc(24*time.Hour, func() { clear(state[:]) })
}

// newTimeAfter waits on time.After with a day's timer per transfer: since Go 1.23 it is collected.
func newTimeAfter(*copier.Engine) copier.Hooks {
	return copier.Hooks{Around: func(_ context.Context, _ *copier.Worker, _ copier.File, next func() error) error {
		done := make(chan error, 1)
		go func() { done <- next() }()
		select {
		case err := <-done:
			return err
		case <-time.After(24 * time.Hour):
			return context.DeadlineExceeded
		}
	}}
}

// newUnstoppedTicker makes a ticker per transfer and forgets it: since Go 1.23 it is collected.
func newUnstoppedTicker(*copier.Engine) copier.Hooks {
	return copier.Hooks{Done: func(context.Context, *copier.Worker, copier.File) { time.NewTicker(time.Hour) }}
}

// Two halves point at each other, and both have finalizers: neither is ever collected. Fixed, the cycle is one object
// that points at itself, which Go collects since 1.26.
type half struct {
	other *half
	state [336]byte
}

func newPairs(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		var closed atomic.Int64
		pair := func() {
			a := newHalf()
			a.other = a
			runtime.SetFinalizer(a, func(*half) { closed.Add(1) })
			if fixed {
				return
			}
			b := newHalf()
			a.other, b.other = b, a
			runtime.SetFinalizer(b, func(*half) { closed.Add(1) })
		}
		return copier.Hooks{Done: func(context.Context, *copier.Worker, copier.File) { pair() }}
	}
}

//go:noinline
func newHalf() *half {
	return &half{} // fault:leak-finalizer
}

// heartbeats grows with time alone. Fixed, it keeps the last fifty.
func newHeartbeats(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		b := &beats{fixed: fixed}
		return copier.Hooks{Start: func(ctx context.Context) { handy.Every(ctx, HeartbeatPeriod, b.beat) }}
	}
}

// HeartbeatPeriod is the time between the growth steps of leak-time.
const HeartbeatPeriod = 5 * time.Millisecond

type beats struct {
	all   []*[2048]byte
	fixed bool
}

func (b *beats) beat() {
	if b.fixed && len(b.all) == 50 {
		b.all = nil
	}
	b.all = append(b.all, new([2048]byte)) // fault:leak-time
}

// newUploadMetrics counts uploads by a label: the transfer's own number, or one of eight size classes when fixed.
func newUploadMetrics(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		m := &uploadMetrics{vec: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "uploads_total"},
			[]string{"transfer"})}
		return copier.Hooks{Done: func(_ context.Context, _ *copier.Worker, f copier.File) {
			label := e.Sequence()
			if fixed {
				label %= 8
			}
			m.observe(label)
		}}
	}
}

type uploadMetrics struct{ vec *prometheus.CounterVec }

func (m *uploadMetrics) observe(transfer int64) {
	m.vec.WithLabelValues(strconv.FormatInt(transfer, 10)).Inc() // fault:leak-metrics
}

// newSignals subscribes each transfer to a signal; the subscription outlives it unless fixed.
func newSignals(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		return copier.Hooks{Done: func(context.Context, *copier.Worker, copier.File) {
			c := subscribe()
			if fixed {
				signal.Stop(c)
			}
		}}
	}
}

func subscribe() chan os.Signal {
	c := make(chan os.Signal, 16) // fault:leak-signal
	signal.Notify(c, syscall.SIGUSR2)
	return c
}

// newErrorChain wraps the last error into the next, for ever. Fixed, it starts afresh each time.
func newErrorChain(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		c := &chain{fixed: fixed}
		return copier.Hooks{Done: func(_ context.Context, _ *copier.Worker, f copier.File) { c.add(f) }}
	}
}

type chain struct {
	mu    sync.Mutex
	last  error
	fixed bool
}

type copyWarning struct {
	cause error
	file  [120]byte
	size  int64
}

func (w *copyWarning) Error() string { return fmt.Sprintf("size %d", w.size) }
func (w *copyWarning) Unwrap() error { return w.cause }

func (c *chain) add(f copier.File) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := &copyWarning{cause: c.last, size: f.Size} // fault:leak-errors
	if c.fixed {
		w.cause = nil
	}
	c.last = w
}

// newInterned interns a long key per transfer: a handle without a holder is collected.
func newInterned(e *copier.Engine) copier.Hooks {
	return copier.Hooks{Done: func(_ context.Context, _ *copier.Worker, f copier.File) {
		unique.Make(string(handy.Padded(strconv.AppendInt(nil, e.Sequence(), 10), 512)))
	}}
}
