package broker

import (
	"context"
	"errors"
)

// ErrClosed means that the queue was closed in the meantime.
var ErrClosed = errors.New("queue: closed")

// Together sends what several callers want to send at the same time as one: each waits for the one that carries his.
// Make one with [NewTogether]. Safe for concurrent use.
type Together[T any] struct {
	most int
	send func(context.Context, []T) error
	in   chan *waiting[T]
}

type waiting[T any] struct {
	ctx  context.Context
	what T
	err  chan error
}

// NewTogether sends at most as many at once.
func NewTogether[T any](most int, send func(context.Context, []T) error) *Together[T] {
	return &Together[T]{most: most, send: send, in: make(chan *waiting[T])}
}

// Send waits until what was sent, and returns what became of it. After the end of until it is ErrClosed.
func (t *Together[T]) Send(ctx, until context.Context, what T) error {
	w := &waiting[T]{ctx: ctx, what: what, err: make(chan error, 1)}
	select {
	case t.in <- w:
		return <-w.err
	case <-until.Done():
		return ErrClosed
	}
}

// Run sends until the end of ctx: all that have come while the last ones were under way.
func (t *Together[T]) Run(ctx context.Context) {
	for {
		var all []*waiting[T]
		select {
		case w := <-t.in:
			all = append(all, w)
		case <-ctx.Done():
			return
		}
		for more := true; more && len(all) < t.most; {
			select {
			case w := <-t.in:
				all = append(all, w)
			default:
				more = false
			}
		}
		what := make([]T, 0, len(all))
		for _, w := range all {
			what = append(what, w.what)
		}
		err := t.send(all[0].ctx, what)
		for _, w := range all {
			w.err <- err
		}
	}
}

// Leases are the items in the hands of a process, by what its queue knows of each.
type Leases[H comparable] map[H]struct{}

// Own returns what the queue knows of a lease that it gave out and that nobody settled. Whoever guards the map has its
// lock.
func (l Leases[H]) Own(ref any) (h H, err error) {
	h, ok := ref.(H)
	if !ok {
		return h, errors.New("queue: the lease isn't of this queue")
	}
	if _, ok := l[h]; !ok {
		return h, errors.New("queue: the lease was settled before")
	}
	return h, nil
}
