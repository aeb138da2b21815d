package copier

import (
	"context"
	"io"
	"net/http"
)

// Hooks are the seams of an engine. Any may be nil. They are called from many goroutines concurrently.
type Hooks struct {
	// Start is called once; what it starts ends with ctx.
	Start func(ctx context.Context)
	// Transport may change the engine's transport before its first use.
	Transport func(*http.Transport)
	// Page is called with each page of a listing; it may keep nothing of Page.Raw, which is used again.
	Page func(p *Page)
	// Listed is called with each file, before it is queued.
	Listed func(ctx context.Context, f File)
	// Queue returns a wave's queue, in place of a bounded channel.
	Queue func() Queue
	// Around runs a whole transfer: it has to call next.
	Around func(ctx context.Context, w *Worker, f File, next func() error) error
	// Upload stores the body, in place of one streamed PUT.
	Upload func(ctx context.Context, w *Worker, f File, key string, body io.Reader) error
	// Done is called after a file is stored.
	Done func(ctx context.Context, w *Worker, f File)
	// WaveEnd is called when all transfers of a wave have ended.
	WaveEnd func()
}

// Merge returns hooks that call those of a and then those of b. Where only one can be called (Queue, Upload) it is
// b's, if b has one.
func Merge(a, b Hooks) Hooks {
	m := Hooks{
		Start:     both(a.Start, b.Start),
		Transport: both(a.Transport, b.Transport),
		Page:      both(a.Page, b.Page),
		Queue:     b.Queue,
		Upload:    b.Upload,
	}
	if m.Queue == nil {
		m.Queue = a.Queue
	}
	if m.Upload == nil {
		m.Upload = a.Upload
	}
	m.Listed = a.Listed
	if a.Listed == nil {
		m.Listed = b.Listed
	} else if b.Listed != nil {
		m.Listed = func(ctx context.Context, f File) { a.Listed(ctx, f); b.Listed(ctx, f) }
	}
	m.Around = a.Around
	if a.Around == nil {
		m.Around = b.Around
	} else if b.Around != nil {
		m.Around = func(ctx context.Context, w *Worker, f File, next func() error) error {
			return a.Around(ctx, w, f, func() error { return b.Around(ctx, w, f, next) })
		}
	}
	m.Done = a.Done
	if a.Done == nil {
		m.Done = b.Done
	} else if b.Done != nil {
		m.Done = func(ctx context.Context, w *Worker, f File) { a.Done(ctx, w, f); b.Done(ctx, w, f) }
	}
	m.WaveEnd = a.WaveEnd
	if a.WaveEnd == nil {
		m.WaveEnd = b.WaveEnd
	} else if b.WaveEnd != nil {
		m.WaveEnd = func() { a.WaveEnd(); b.WaveEnd() }
	}
	return m
}

func both[T any](a, b func(T)) func(T) {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(v T) { a(v); b(v) }
}

// Queue holds the files between the listing and the workers.
type Queue interface {
	// Put adds a file, or fails when ctx ends first.
	Put(ctx context.Context, f File) error
	// Get takes a file; ok is false when the queue is closed and empty.
	Get(ctx context.Context) (f File, ok bool, err error)
	// Close says that no more files will be put.
	Close()
}

type bounded chan File

func newBounded(n int) bounded { return make(bounded, n) }

func (q bounded) Put(ctx context.Context, f File) error {
	select {
	case q <- f:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (q bounded) Get(ctx context.Context) (File, bool, error) {
	select {
	case f, ok := <-q:
		return f, ok, nil
	case <-ctx.Done():
		return File{}, false, context.Cause(ctx)
	}
}

func (q bounded) Close() { close(q) }
