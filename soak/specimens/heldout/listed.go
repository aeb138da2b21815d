package heldout

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/memsoak/memsoak/soak/specimens/copier"
)

// gate is a lock with a condition that contexts end.
type gate struct {
	mu    sync.Mutex
	moved *sync.Cond
}

func newGate() *gate {
	g := &gate{}
	g.moved = sync.NewCond(&g.mu)
	return g
}

// wait waits for ready, which is called with the lock held, or for ctx to end.
func (g *gate) wait(ctx context.Context, ready func() bool) error {
	stop := context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.moved.Broadcast()
	})
	defer stop()
	for !ready() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		g.moved.Wait()
	}
	return nil
}

// priority is a queue that hands out the largest file first, for which it takes in the whole listing. With a bound the
// listing waits while so many are queued.
type priority struct {
	*gate
	items  itemHeap
	bound  int // 0: none
	closed bool
}

type item struct {
	file     copier.File
	attempts [3]int64
	notes    [256]byte
}

func newPriority(bound int) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		return copier.Hooks{Queue: func() copier.Queue { return &priority{gate: newGate(), bound: bound} }}
	}
}

func (q *priority) Put(ctx context.Context, f copier.File) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bound > 0 {
		if err := q.wait(ctx, func() bool { return len(q.items) < q.bound }); err != nil {
			return err
		}
	}
	it := &item{file: f} // fault:meta-heap
	heap.Push(&q.items, it)
	q.moved.Broadcast()
	return nil
}

func (q *priority) Get(ctx context.Context) (copier.File, bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.wait(ctx, func() bool { return len(q.items) > 0 || q.closed }); err != nil {
		return copier.File{}, false, err
	}
	if len(q.items) == 0 {
		return copier.File{}, false, nil
	}
	it := heap.Pop(&q.items).(*item)
	q.moved.Broadcast()
	return it.file, true, nil
}

func (q *priority) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.moved.Broadcast()
}

// itemHeap is a heap.Interface, largest file first.
type itemHeap []*item

func (h itemHeap) Len() int           { return len(h) }
func (h itemHeap) Less(i, j int) bool { return h[i].file.Size > h[j].file.Size }
func (h itemHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *itemHeap) Push(x any)        { *h = append(*h, x.(*item)) }

func (h *itemHeap) Pop() any {
	last := len(*h) - 1
	it := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return it
}

// eager is the queue of those that list everything first: the listing waits for no one.
type eager struct {
	*gate
	files  []copier.File
	next   int
	closed bool
}

func newEager() copier.Queue { return &eager{gate: newGate()} }

func (q *eager) Put(_ context.Context, f copier.File) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.files = append(q.files, f)
	q.moved.Signal()
	return nil
}

func (q *eager) Get(ctx context.Context) (copier.File, bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.wait(ctx, func() bool { return q.next < len(q.files) || q.closed }); err != nil {
		return copier.File{}, false, err
	}
	if q.next == len(q.files) {
		return copier.File{}, false, nil
	}
	f := q.files[q.next]
	q.next++
	return f, true, nil
}

func (q *eager) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.moved.Broadcast()
}

// folders has the children of each listed page as a slice of structs, by the page's number, until the wave ends. The
// listing does not wait for the transfers.
type folders struct {
	mu       sync.Mutex
	children map[int][]child
}

type child struct {
	size       int64
	created    int64
	modified   int64
	checksum   [32]byte
	attributes [136]byte
}

func newFolders(*copier.Engine) copier.Hooks {
	f := &folders{children: map[int][]child{}}
	return copier.Hooks{
		Queue:   newEager,
		Page:    f.add,
		WaveEnd: func() { f.children = map[int][]child{} },
	}
}

func (f *folders) add(p *copier.Page) {
	f.mu.Lock()
	defer f.mu.Unlock()
	children := make([]child, len(p.Files)) // fault:meta-folders
	for i, file := range p.Files {
		children[i].size = file.Size
	}
	f.children[len(f.children)] = children
}

// joined joins a warning per finished file into one error, which is looked at when the wave ends.
type joined struct {
	mu       sync.Mutex
	warnings error
	last     int // length of the last wave's report
}

type warning struct {
	size int64
	seen [312]byte
}

func (w *warning) Error() string { return fmt.Sprintf("%d bytes without a checksum", w.size) }

func newJoined(*copier.Engine) copier.Hooks {
	j := &joined{}
	h := done(func(f copier.File) { j.warn(f.Size) })
	h.WaveEnd = j.report
	return h
}

func (j *joined) warn(size int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.warnings = errors.Join(j.warnings, &warning{size: size}) // fault:meta-joined
}

// report counts the warnings and drops them.
func (j *joined) report() {
	n := 0
	for err := j.warnings; err != nil; n++ {
		list, ok := err.(interface{ Unwrap() []error })
		if !ok || len(list.Unwrap()) < 2 {
			break
		}
		err = list.Unwrap()[0]
	}
	j.last, j.warnings = n, nil
}

// newPageBuffer decodes each page into the same slice, which is soon as large as a page gets.
func newPageBuffer(*copier.Engine) copier.Hooks {
	var mu sync.Mutex
	var rows []child
	return copier.Hooks{Page: func(p *copier.Page) {
		mu.Lock()
		defer mu.Unlock()
		rows = rows[:0]
		for _, f := range p.Files {
			rows = append(rows, child{size: f.Size})
		}
	}}
}
