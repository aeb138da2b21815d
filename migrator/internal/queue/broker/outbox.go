package broker

import (
	"context"
	"sync"
	"time"

	"github.com/memsoak/memsoak/migrator/internal/pace"
)

// EndsBatch is how many ends of leases go out together at most, unless some couldn't be sent.
const EndsBatch = 128

// An outbox sends as soon as it holds a batch, or a while after its first entry came.
const (
	linger     = 50 * time.Millisecond
	afterError = time.Second // before Run tries again
)

// Outbox sends the ends of leases together. A caller of Add doesn't wait until its end is gone, unless the last ones
// couldn't be sent. What couldn't be sent stays and is sent again, though it may have arrived. Safe for concurrent use;
// its content is bounded by the batch and the number of callers.
type Outbox[T any] struct {
	send  func(context.Context, []T) error
	turn  chan struct{} // of the caller that sends
	first chan struct{} // says that something is there

	mu     sync.Mutex
	here   []T
	failed bool // the last ones
	closed bool
}

// NewOutbox sends by a function, one call at a time.
func NewOutbox[T any](send func(context.Context, []T) error) *Outbox[T] {
	return &Outbox[T]{send: send, turn: make(chan struct{}, 1), first: make(chan struct{}, 1)}
}

// Add puts one in. An error says that none can be sent now, or that the outbox is closed.
func (o *Outbox[T]) Add(ctx context.Context, e T) error {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return ErrClosed
	}
	o.here = append(o.here, e)
	now := len(o.here) >= EndsBatch || o.failed
	o.mu.Unlock()
	if now {
		return o.Flush(ctx)
	}
	select {
	case o.first <- struct{}{}:
	default: // Run knows
	}
	return nil
}

// Flush sends all entries. When it returns nil, all that was put in before has arrived.
func (o *Outbox[T]) Flush(ctx context.Context) error {
	select {
	case o.turn <- struct{}{}:
		defer func() { <-o.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	o.mu.Lock()
	all := o.here
	o.here = nil
	o.mu.Unlock()
	if len(all) == 0 {
		return nil
	}
	err := o.send(ctx, all)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed = err != nil
	if err != nil {
		o.here = append(all, o.here...)
	}
	return err
}

// Close sends all entries and takes no more.
func (o *Outbox[T]) Close(ctx context.Context) error {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	return o.Flush(ctx)
}

// Run sends what has lingered, until the end of ctx; the rest then stays.
func (o *Outbox[T]) Run(ctx context.Context) {
	for {
		select {
		case <-o.first:
		case <-ctx.Done():
			return
		}
		for wait := linger; wait > 0; {
			if pace.Sleep(ctx, wait) != nil {
				return
			}
			wait = 0
			if o.Flush(ctx) != nil {
				wait = afterError // a caller that adds something meanwhile learns why
			}
		}
	}
}
