package heldout2

import (
	"bytes"
	"context"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/memsoak/memsoak/soak/specimens/copier"
	"github.com/memsoak/memsoak/soak/specimens/handy"
)

// ring keeps the last entries of a journal.
type ring struct {
	mu      sync.Mutex
	entries [32]*entry
	next    int
}

func newRing(*copier.Engine) copier.Hooks { return onDone(new(ring).write) }

func (r *ring) write(f copier.File) {
	e := &entry{at: time.Now(), file: f}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries[r.next] = e
	r.next = (r.next + 1) % len(r.entries)
}

// newLastCursor keeps a copy of the head of the last page alone.
func newLastCursor(*copier.Engine) copier.Hooks {
	var last atomic.Pointer[[]byte]
	return copier.Hooks{Page: func(p *copier.Page) {
		head := bytes.Clone(p.Raw[:min(len(p.Raw), headSize)])
		last.Store(&head)
	}}
}

// newLineKeysInFlight keeps a copy of each key while its file is in flight.
func newLineKeysInFlight(*copier.Engine) copier.Hooks {
	var mu sync.Mutex
	seen := map[string]int{}
	return copier.Hooks{Around: func(_ context.Context, _ *copier.Worker, f copier.File, next func() error) error {
		line := strings.Repeat(f.ID+" ", 40)
		key := strings.Clone(line[:len(f.ID)])
		mu.Lock()
		seen[key]++
		mu.Unlock()
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			delete(seen, key)
		}()
		return next()
	}}
}

// newStoppedReminders sets a reminder for each transfer and stops it at the transfer's end.
func newStoppedReminders(*copier.Engine) copier.Hooks {
	var overdue atomic.Int64
	return copier.Hooks{Around: func(_ context.Context, _ *copier.Worker, f copier.File, next func() error) error {
		t := time.AfterFunc(12*time.Hour, func() { overdue.Add(f.Size) })
		defer t.Stop()
		return next()
	}}
}

// newCancelledChildren gives each transfer a session below the service's context and cancels it at its end.
func newCancelledChildren(*copier.Engine) copier.Hooks {
	parent, stop := context.WithCancel(context.Background())
	return copier.Hooks{
		Start: func(ctx context.Context) { context.AfterFunc(ctx, stop) },
		Around: func(_ context.Context, _ *copier.Worker, f copier.File, next func() error) error {
			s := &session{file: f}
			child, cancel := context.WithCancel(context.WithValue(parent, sessionKey{}, s))
			defer cancel()
			if err := child.Err(); err != nil {
				return err
			}
			return next()
		},
	}
}

// newDrained repeats a check right after the file, so that the queue of checks is short.
func newDrained(*copier.Engine) copier.Hooks {
	o := &overdue{}
	return onDone(func(f copier.File) {
		o.add(&retry{due: time.Now(), file: f})
		o.drain(time.Now().Add(time.Second))
	})
}

// newFixedSampling takes as many samples as the service that keeps them, into a window of a fixed size.
func newFixedSampling(*copier.Engine) copier.Hooks {
	var window [128]time.Time
	n := 0
	return copier.Hooks{Start: func(ctx context.Context) {
		handy.Every(ctx, samplePeriod, func() {
			window[n%len(window)] = time.Now()
			n++
		})
	}}
}

// newCleanedPeers makes handles that point to each other, with a cleanup in place of a finalizer.
func newCleanedPeers(*copier.Engine) copier.Hooks {
	return onDone(func(f copier.File) {
		source, sink := &handle{file: f}, &handle{file: f}
		source.peer, sink.peer = sink, source
		runtime.AddCleanup(source, func(int64) {}, f.Size)
	})
}

// weakReports finds the report of a file as long as another part of the program uses it.
type weakReports struct {
	engine *copier.Engine
	mu     sync.Mutex
	byID   map[int64]weak.Pointer[report]
	last   *report
}

type report struct{ text [1024]byte }

func newWeakReports(e *copier.Engine) copier.Hooks {
	w := &weakReports{engine: e, byID: map[int64]weak.Pointer[report]{}}
	return onDone(w.note)
}

func (w *weakReports) note(f copier.File) {
	r := new(report)
	copy(r.text[:], f.Name)
	id := w.engine.Sequence()
	runtime.AddCleanup(r, w.drop, id)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.byID[id] = weak.Make(r)
	w.last = r
}

func (w *weakReports) drop(id int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.byID, id)
}

// warmNames remembers the first names that it sees, and no more once it is warm.
type warmNames struct {
	mu    sync.Mutex
	names map[string]*[256]byte
}

const warmEnough = 100

func newWarmNames(*copier.Engine) copier.Hooks {
	w := &warmNames{names: map[string]*[256]byte{}}
	return onDone(w.note)
}

func (w *warmNames) note(f copier.File) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.names) >= warmEnough || w.names[f.ID] != nil {
		return
	}
	padded := [256]byte(handy.Padded([]byte(f.Name), 256))
	w.names[f.ID] = &padded
}
