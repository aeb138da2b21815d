// Package routines has faults that leave a goroutine behind per file; beside each is a look-alike whose goroutine
// ends. The line where the goroutine waits ends in a comment "fault:NAME".
package routines

import (
	"context"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/memsoak/memsoak/soak/specimens/copier"
	"github.com/memsoak/memsoak/soak/specimens/specimen"
)

// All returns the package's specimens.
func All() []specimen.Specimen {
	return []specimen.Specimen{
		{Name: "routine-send", Hooks: newReporter(false)},
		{Name: "ok-send", Hooks: newReporter(true)},
		{Name: "routine-semaphore", Hooks: newThrottle(false)},
		{Name: "ok-semaphore", Hooks: newThrottle(true)},
		{Name: "routine-errgroup", Hooks: newWatchers(false)},
		{Name: "ok-errgroup", Hooks: newWatchers(true)},
		{Name: "routine-ticker", Hooks: newProgressTickers(false)},
		{Name: "ok-routineticker", Hooks: newProgressTickers(true)},
		{Name: "routine-cond", Hooks: newTurnstile(false)},
		{Name: "ok-cond", Hooks: newTurnstile(true)},
		{Name: "routine-pipe", Hooks: newPipes(false)},
		{Name: "ok-pipe", Hooks: newPipes(true)},
		{Name: "routine-receive", Hooks: newListeners(false)},
		{Name: "ok-receive", Hooks: newListeners(true)},
	}
}

// done is the usual seam of this package: something started after each file.
func done(f func(copier.File)) copier.Hooks {
	return copier.Hooks{Done: func(_ context.Context, _ *copier.Worker, file copier.File) { f(file) }}
}

// newReporter reports each file on a channel without a reader. Fixed, the channel has room for the report.
func newReporter(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		return done(func(f copier.File) {
			results := make(chan int64)
			if fixed {
				results = make(chan int64, 1)
			}
			go report(results, f.Size)
		})
	}
}

func report(results chan<- int64, size int64) {
	results <- size // fault:routine-send
}

// throttle starts a goroutine per file that waits for a weight that is never given back.
type throttle struct {
	tokens *semaphore.Weighted
	fixed  bool
}

func newThrottle(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		t := &throttle{tokens: semaphore.NewWeighted(2), fixed: fixed}
		return done(func(copier.File) { go t.verify() })
	}
}

func (t *throttle) verify() {
	if t.tokens.Acquire(context.Background(), 1) != nil { // fault:routine-semaphore
		return
	}
	if t.fixed {
		t.tokens.Release(1)
	}
}

// newWatchers starts an errgroup per file with a member that waits for the group's context, which is never cancelled.
//
//go:noinline
func newWatchers(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		return done(func(copier.File) {
			parent, cancel := context.WithCancel(context.Background())
			g, ctx := errgroup.WithContext(parent)
			g.Go(func() error {
				<-ctx.Done() // fault:routine-errgroup
				return nil
			})
			if fixed {
				cancel()
				_ = g.Wait()
			}
			abandon(cancel)
		})
	}
}

// abandon takes a cancel function that the caller means to lose.
func abandon(context.CancelFunc) {}

// newProgressTickers starts a goroutine with a ticker per file. Fixed, it ends with the transfer.
func newProgressTickers(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		return copier.Hooks{Around: func(_ context.Context, _ *copier.Worker, _ copier.File, next func() error) error {
			stop := make(chan struct{})
			p := &ticking{stop: stop}
			go p.run()
			if fixed {
				defer close(stop)
			}
			return next()
		}}
	}
}

type ticking struct {
	stop  chan struct{}
	ticks int
}

func (p *ticking) run() {
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for {
		select { // fault:routine-ticker
		case <-t.C:
			p.ticks++
		case <-p.stop:
			return
		}
	}
}

// newTurnstile starts a goroutine per file that waits on a condition. Only fixed is the condition ever signalled.
func newTurnstile(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		t := &turnstile{fixed: fixed}
		t.opened = sync.NewCond(&t.mu)
		return done(func(copier.File) {
			pass := t.pass
			go pass()
		})
	}
}

type turnstile struct {
	mu     sync.Mutex
	opened *sync.Cond
	count  int
	fixed  bool
}

func (t *turnstile) pass() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count++
	for !t.fixed {
		t.opened.Wait() // fault:routine-cond
	}
}

// newPipes writes a summary of each file into an io.Pipe whose reader is gone. Fixed, the reader reads to the end.
//
//go:noinline
func newPipes(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		return done(func(f copier.File) {
			r, w := io.Pipe()
			go func() {
				defer w.Close()
				_, _ = io.WriteString(w, f.ID) // fault:routine-pipe
			}()
			if fixed {
				_, _ = io.Copy(io.Discard, r)
			}
		})
	}
}

// newListeners is a generic subscription per file: each listener waits for a value that never comes.
func newListeners(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		return done(func(f copier.File) {
			values := make(chan int64, 1)
			go listen(values, func(int64) {})
			if fixed {
				values <- f.Size
				close(values)
			}
		})
	}
}

func listen[T any](values <-chan T, each func(T)) {
	for v := range values { // fault:routine-receive
		each(v)
	}
}
