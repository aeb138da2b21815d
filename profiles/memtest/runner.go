package memtest

import (
	"fmt"
	"runtime"
	"time"
)

const (
	// maxGoroutines and maxSockets end the waves early: what grows so far needs no more proof, and the process's own
	// limits come next.
	maxGoroutines = 2000
	maxSockets    = 200
	// limitsEvery is how often these are looked at while operations run.
	limitsEvery = 50 * time.Microsecond
	// graceful is how much longer than the budget an operation may take before it counts as hanging.
	graceful = time.Second
)

// ending is how a wave ended.
type ending int

const (
	complete ending = iota
	share           // it leaked its share of what may leak
	enough          // all waves leaked what may leak
	late            // the budget is used up
	broken          // the operation panicked, ended the test, failed or hangs: no verdict
)

// runner runs the operation, in a goroutine of its own so that a hanging one can be left.
type runner struct {
	op       func()
	failed   func() bool // the operation has failed the test by itself
	deadline time.Time
	base     usage // before the first operation
	share    usage // what one wave may leak
	limit    usage // what all may leak
	done     int
	broke    error // why there is no verdict
	exited   bool  // the operation ended its goroutine: the test has to end as well
	hangs    chan struct{}
	nextLook time.Time

	sockets      int64 // when last counted
	nextSockets  time.Time
	collectAbove int64 // heap in use below which a collection isn't worth its time
}

// usage is what the limits are about.
type usage struct {
	heap, goroutines, sockets int64
}

func readUsage() usage {
	return usage{heapInUse(), int64(runtime.NumGoroutine()), max(openSockets(), 0)}
}

func (u usage) minus(v usage) usage {
	return usage{u.heap - v.heap, u.goroutines - v.goroutines, u.sockets - v.sockets}
}

func (u usage) exceeds(limit usage) bool {
	return u.heap > limit.heap || u.goroutines > limit.goroutines || u.sockets > limit.sockets
}

// part is a share of the limits: one in n, and no less than one of each.
func (u usage) part(n int64) usage {
	return usage{max(u.heap/n, 1), max(u.goroutines/n, 1), max(u.sockets/n, 1)}
}

// wave runs n operations, fewer where a limit ends it.
func (r *runner) wave(n int) ending {
	var how ending
	over := make(chan struct{})
	go func() {
		defer close(over)
		how = broken
		defer r.explain()
		how = r.repeat(n)
	}()
	timer := time.NewTimer(time.Until(r.deadline))
	defer timer.Stop()
	select {
	case <-over:
		return how
	case <-timer.C:
	}
	select { // an operation that ends soon after the budget is still counted
	case <-over:
		return how
	case <-time.After(graceful):
	}
	r.hangs = over
	at := ""
	for _, g := range goroutines() {
		if l, ok := inOperation(g); ok {
			at = fmt.Sprintf(", at %s [%s]", l, g.state)
		}
	}
	r.broke = fmt.Errorf("no verdict: an operation didn't end within the budget%s; raise Budget or do less in one", at)
	return broken
}

// inOperation finds the line of the module under test where a goroutine of repeat is.
func inOperation(g goroutine) (Line, bool) {
	o := known()
	var at Line
	for _, l := range g.frames {
		if at.Function == "" && o.of(l.Function, l.File) != standard {
			at = l
		}
		if packageOf(l.Function) == o.own && l.Function != o.own+".goroutines" {
			return at, at != l
		}
	}
	return Line{}, false
}

func (r *runner) repeat(n int) ending {
	start := readUsage()
	for i := range n {
		r.op()
		r.done++
		if r.failed() {
			r.broke = fmt.Errorf("no verdict: operation %d failed the test by itself", r.done)
			return broken
		}
		now := time.Now()
		if now.After(r.deadline) {
			return late
		}
		if now.Before(r.nextLook) {
			continue
		}
		if how := r.look(start); how != complete {
			if i+1 == n && how == share {
				how = complete
			}
			return how
		}
	}
	return complete
}

// look compares with the limits. Garbage is collected before a limit counts as reached.
func (r *runner) look(start usage) ending {
	r.nextLook = time.Now().Add(limitsEvery)
	now := usage{heapInUse(), int64(runtime.NumGoroutine()), r.countSockets()}
	over := func() bool { return now.minus(start).exceeds(r.share) || now.minus(r.base).exceeds(r.limit) }
	if !over() {
		return complete
	}
	if heap := now.heap; heap > r.collectAbove {
		runtime.GC()
		now.heap = heapInUse()
		r.collectAbove = now.heap + max(r.share.heap/2, 1<<20)
	} else {
		now.heap = min(heap, start.heap, r.base.heap)
	}
	switch {
	case now.minus(r.base).exceeds(r.limit):
		return enough
	case now.minus(start).exceeds(r.share):
		return share
	}
	return complete
}

// countSockets takes no more than half of the time.
func (r *runner) countSockets() int64 {
	if began := time.Now(); began.After(r.nextSockets) {
		r.sockets = max(openSockets(), 0)
		r.nextSockets = time.Now().Add(time.Millisecond + time.Since(began))
	}
	return r.sockets
}

// explain runs deferred: it says how an operation that didn't return ended.
func (r *runner) explain() {
	if r.broke != nil {
		return
	}
	if p := recover(); p != nil {
		r.broke = fmt.Errorf("no verdict: operation %d panicked%s: %v", r.done+1, panicLine(), p)
	}
}

// panicLine finds the frame that panicked: the first one outside the standard library below the deferred call.
func panicLine() string {
	pcs := make([]uintptr, 64)
	for _, f := range framesOf(pcs[:runtime.Callers(2, pcs)]) {
		if of := known().of(f.Function, f.File); of == user || of == library {
			return " at " + lineOf(f).String()
		}
	}
	return ""
}
