package metadata

import (
	"context"
	"sync"

	"github.com/memsoak/memsoak/soak/specimens/copier"
)

// unbounded is a queue without a bound: the listing runs ahead of the transfers as far as it can.
type unbounded[T any] struct {
	wrap func(copier.File) T
	file func(T) copier.File

	mu     sync.Mutex
	items  []T
	first  int
	closed bool
	ready  chan struct{} // has a token while there may be something to take
}

func newUnbounded[T any](wrap func(copier.File) T, file func(T) copier.File) *unbounded[T] {
	return &unbounded[T]{wrap: wrap, file: file, ready: make(chan struct{}, 1)}
}

// eager is the queue of those that list everything first: it waits for no one.
func eager() copier.Queue {
	same := func(f copier.File) copier.File { return f }
	return newUnbounded(same, same)
}

type task struct {
	file copier.File
	plan [216]byte
}

func newBacklog(*copier.Engine) copier.Hooks {
	return copier.Hooks{Queue: func() copier.Queue {
		return newUnbounded(newTask, func(t *task) copier.File { return t.file })
	}}
}

//go:noinline
func newTask(f copier.File) *task {
	return &task{file: f} // fault:meta-queue
}

func (q *unbounded[T]) Put(_ context.Context, f copier.File) error {
	t := q.wrap(f)
	q.mu.Lock()
	q.items = append(q.items, t)
	q.mu.Unlock()
	q.signal()
	return nil
}

func (q *unbounded[T]) Close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
}

func (q *unbounded[T]) signal() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

func (q *unbounded[T]) Get(ctx context.Context) (copier.File, bool, error) {
	for {
		q.mu.Lock()
		if q.first < len(q.items) {
			t := q.items[q.first]
			var none T
			q.items[q.first] = none
			q.first++
			q.mu.Unlock()
			q.signal()
			return q.file(t), true, nil
		}
		closed := q.closed
		q.mu.Unlock()
		if closed {
			q.signal()
			return copier.File{}, false, nil
		}
		select {
		case <-q.ready:
		case <-ctx.Done():
			return copier.File{}, false, context.Cause(ctx)
		}
	}
}

// ring is the same fault made of linked elements behind an interface.
type ring struct {
	mu         sync.Mutex
	head, tail *element
	closed     bool
	wake       *sync.Cond
}

type element struct {
	file copier.File
	tags [152]byte
	next *element
}

func newRing(*copier.Engine) copier.Hooks {
	return copier.Hooks{Queue: func() copier.Queue {
		r := &ring{}
		r.wake = sync.NewCond(&r.mu)
		return r
	}}
}

func (r *ring) Put(_ context.Context, f copier.File) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	el := &element{file: f} // fault:meta-ring
	if r.tail == nil {
		r.head = el
	} else {
		r.tail.next = el
	}
	r.tail = el
	r.wake.Signal()
	return nil
}

func (r *ring) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.wake.Broadcast()
}

func (r *ring) Get(ctx context.Context) (copier.File, bool, error) {
	stop := context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.wake.Broadcast()
	})
	defer stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.head == nil {
		if ctx.Err() != nil {
			return copier.File{}, false, context.Cause(ctx)
		}
		if r.closed {
			return copier.File{}, false, nil
		}
		r.wake.Wait()
	}
	el := r.head
	r.head = el.next
	if r.head == nil {
		r.tail = nil
	}
	return el.file, true, nil
}

// slow is a bounded queue whose room is larger than the workers need: it fills up and drains, and grows no further.
type slow chan copier.File

func newSlow(*copier.Engine) copier.Hooks {
	return copier.Hooks{Queue: func() copier.Queue { return make(slow, 128) }}
}

func (q slow) Put(ctx context.Context, f copier.File) error {
	select {
	case q <- f:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (q slow) Close() { close(q) }

func (q slow) Get(ctx context.Context) (copier.File, bool, error) {
	select {
	case f, ok := <-q:
		return f, ok, nil
	case <-ctx.Done():
		return copier.File{}, false, context.Cause(ctx)
	}
}

// perFile starts a goroutine per listed file, which waits until a worker takes its file: the goroutines are the queue.
type perFile struct {
	out     chan copier.File
	waiting sync.WaitGroup
	ctx     context.Context
	stop    context.CancelFunc
}

func newGoroutinePerFile(*copier.Engine) copier.Hooks {
	return copier.Hooks{Queue: func() copier.Queue {
		ctx, stop := context.WithCancel(context.Background())
		return &perFile{out: make(chan copier.File), ctx: ctx, stop: stop}
	}}
}

func (q *perFile) Put(_ context.Context, f copier.File) error {
	q.waiting.Add(1)
	go q.offer(f)
	return nil
}

func (q *perFile) offer(f copier.File) {
	defer q.waiting.Done()
	select { // fault:meta-goroutines
	case q.out <- f:
	case <-q.ctx.Done():
	}
}

func (q *perFile) Close() {
	go func() {
		q.waiting.Wait()
		close(q.out)
		q.stop()
	}()
}

func (q *perFile) Get(ctx context.Context) (copier.File, bool, error) {
	select {
	case f, ok := <-q.out:
		return f, ok, nil
	case <-ctx.Done():
		q.stop()
		return copier.File{}, false, context.Cause(ctx)
	}
}
