package redis

import (
	"context"
	"sync"
	"time"

	"github.com/memsoak/memsoak/migrator/internal/pace"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
)

// What is in an outbox leaves as soon as there is so much of it, or a while after the first of it came.
const (
	batch      = 128
	linger     = 50 * time.Millisecond
	afterError = time.Second // before run tries again
)

// outbox sends the ends of leases together. Whoever puts one in doesn't wait until it is gone, unless the last ones
// couldn't be sent. What couldn't be sent stays and is sent again, though it may have arrived. Safe for concurrent use;
// what is in it is bounded by the batch and the number of those who add.
type outbox struct {
	send  func(context.Context, []ended) error
	turn  chan struct{} // of whoever sends
	first chan struct{} // says that something is there

	mu     sync.Mutex
	here   []ended
	failed bool // the last ones
	closed bool
}

func newOutbox(send func(context.Context, []ended) error) *outbox {
	return &outbox{send: send, turn: make(chan struct{}, 1), first: make(chan struct{}, 1)}
}

// add puts one in. An error says that none can be sent now, or that the outbox is closed.
func (o *outbox) add(ctx context.Context, e ended) error {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return broker.ErrClosed
	}
	o.here = append(o.here, e)
	now := len(o.here) >= batch || o.failed
	o.mu.Unlock()
	if now {
		return o.flush(ctx)
	}
	select {
	case o.first <- struct{}{}:
	default: // run knows
	}
	return nil
}

// flush sends what is there. When it returns nil, all that was put in before has arrived.
func (o *outbox) flush(ctx context.Context) error {
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

// close sends what is there and takes no more.
func (o *outbox) close(ctx context.Context) error {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	return o.flush(ctx)
}

// run sends what has lingered, until the end of ctx; what is there then stays.
func (o *outbox) run(ctx context.Context) {
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
			if o.flush(ctx) != nil {
				wait = afterError // whoever adds something meanwhile learns why
			}
		}
	}
}
