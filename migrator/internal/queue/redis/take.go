package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/pace"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
)

// held is an item that this process has.
type held struct {
	lane, id   string
	deliveries int64
	payload    string
	lease      migrator.Lease
}

// lane hands out items of one kind. The caller that has the turn fetches and waits for all.
type lane struct {
	turn    chan struct{}
	ahead   []*held
	most    int           // how many to fetch
	filled  time.Time     // when ahead was filled; zero once that was used
	claimed time.Time     // when items of dead processes were last looked for; zero while there are some
	pause   time.Duration // grows while there is nothing to take
	looked  time.Time     // when it was last made sure that open items are somewhere
}

// The pauses between looks at an empty queue.
const (
	pauseMin = 5 * time.Millisecond
	pauseMax = 250 * time.Millisecond
)

// auditEvery is how often, or once a lease if that is sooner, a waiting process makes sure that open items can still
// come.
const auditEvery = 5 * time.Second

// A process takes ahead what it needs for about as long, so that it seldom asks, and others seldom wait for what it
// has.
const (
	aheadFor  = 200 * time.Millisecond
	aheadMost = 128
)

// Take implements migrator.Queue. It waits for a migration to begin.
func (q *Queue) Take(ctx context.Context, k migrator.Kind) (*migrator.Lease, error) {
	if k != migrator.Folder && k != migrator.File {
		return nil, fmt.Errorf("queue: no items of kind %d", k)
	}
	q.working.Do(func() { q.done.Go(q.renewer) })
	l := &q.lanes[k-1]
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if q.ending.Err() != nil {
			return nil, broker.ErrClosed
		}
		for len(l.ahead) > 0 {
			h := l.ahead[0]
			l.ahead = l.ahead[1:]
			if h.deliveries <= q.o.Deliveries {
				return &h.lease, nil
			}
			if err := q.poisoned(ctx, h); err != nil {
				return nil, err
			}
		}
		if err := q.fetch(ctx, l, k); err != nil {
			return nil, err
		}
		if len(l.ahead) > 0 {
			l.pause, l.filled, l.looked = 0, time.Now(), time.Now()
			continue
		}
		// Others, or the end of everything, may wait for items done here.
		if err := q.ends.Flush(ctx); err != nil {
			return nil, err
		}
		if err := q.audit(ctx, l); err != nil {
			return nil, err
		}
		l.pause = min(max(2*l.pause, pauseMin), pauseMax)
		if err := pace.Sleep(ctx, l.pause); err != nil {
			return nil, err
		}
	}
}

// audit looks now and then whether items that are open are nowhere, which no process does, but XTRIM, XDEL or the like:
// without it all would wait for ever.
func (q *Queue) audit(ctx context.Context, l *lane) error {
	if time.Since(l.looked) < min(auditEvery, q.o.Lease) {
		return nil
	}
	l.looked = time.Now()
	if _, err := q.Status(ctx); err != nil && !errors.Is(err, broker.ErrNone) {
		return err
	}
	return nil
}

// adapt makes the number to fetch larger if what came last was gone soon, and smaller if it lasted. Looks at an empty
// queue change nothing.
func (l *lane) adapt(least int) {
	if !l.filled.IsZero() {
		switch lasted := time.Since(l.filled); {
		case lasted < aheadFor/2:
			l.most *= 2
		case lasted > aheadFor:
			l.most /= 2
		}
		l.filled = time.Time{}
	}
	l.most = max(least, min(l.most, aheadMost))
}

// fetch asks for items. It returns io.EOF at the end, and nothing when there is none now. Items of dead processes come
// a few at a time: one may be what they died of.
func (q *Queue) fetch(ctx context.Context, l *lane, k migrator.Kind) error {
	lane, most, claims := "folders", 1, 0
	if k == migrator.File {
		l.adapt(q.o.Prefetch)
		lane, most = filesLane, l.most
	}
	if time.Since(l.claimed) > q.o.Lease/2 {
		if err := q.ends.Flush(ctx); err != nil {
			return err
		}
		claims, l.claimed = min(most, q.o.Prefetch), time.Now()
	}
	r, err := q.run(ctx, takeScript, "meta", q.base, group, schema, lane, q.me, most, q.o.Limit, claims,
		q.o.Lease.Milliseconds(), levels)
	if err != nil {
		return err
	}
	reply, ok := r.([]any)
	if !ok || len(reply) == 0 {
		return fmt.Errorf("queue %s: unexpected reply to take: %v", q.o.Name, r)
	}
	switch reply[0] {
	case "end":
		q.mu.Lock()
		defer q.mu.Unlock()
		q.ended = len(reply) > 1 && reply[1] == int64(1)
		return io.EOF
	case "schema":
		return fmt.Errorf("queue %s on Redis at %s: %w", q.o.Name, q.addr, broker.ErrSchema)
	case "gone":
		return fmt.Errorf("queue %s on Redis at %s: %w", q.o.Name, q.addr, broker.ErrLost)
	case "none":
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.ended {
			return io.EOF
		}
		if q.begun {
			return fmt.Errorf("queue %s on Redis at %s: %w", q.o.Name, q.addr, broker.ErrLost)
		}
		return nil
	case "full":
		return nil
	}
	return q.received(l, k, reply[1:])
}

// received takes in the items of the take script's reply.
func (q *Queue) received(l *lane, k migrator.Kind, reply []any) error {
	for len(reply) > 0 {
		entry, rest := reply[0], reply[1:]
		if id, ok := entry.(string); ok && len(rest) > 0 {
			entry, rest = []any{filesLane, id, int64(1), "0", rest[0], ""}, rest[1:]
		}
		h, err := q.item(entry, k)
		if err != nil {
			return err
		}
		if h.deliveries > 1 {
			l.claimed = time.Time{}
		}
		l.ahead = append(l.ahead, h)
		reply = rest
	}
	return nil
}

// item decodes an item of the take script's reply.
func (q *Queue) item(entry any, k migrator.Kind) (*held, error) {
	f, ok := entry.([]any)
	if !ok || len(f) != 6 {
		return nil, fmt.Errorf("queue %s: unexpected item: %v", q.o.Name, entry)
	}
	text := func(i int) string { s, _ := f[i].(string); return s }
	h := &held{lane: text(0), id: text(1), payload: text(4)}
	h.deliveries, _ = f[2].(int64)
	if err := h.lease.Item.UnmarshalBinary([]byte(h.payload)); err != nil || h.lease.Item.Kind != k {
		return nil, fmt.Errorf("queue %s on Redis at %s: item %s: %w", q.o.Name, q.addr, h.id, errors.Join(broker.ErrSchema,
			err))
	}
	h.lease.Again = text(3) == "1"
	if s := text(5); s != "" {
		h.lease.State = []byte(s)
	}
	h.lease.Ref = h
	q.mu.Lock()
	q.held[h] = struct{}{}
	q.begun, q.ended = true, false
	q.mu.Unlock()
	return h, nil
}

// poisoned parks an item that too many processes had and didn't settle.
func (q *Queue) poisoned(ctx context.Context, h *held) error {
	it := &h.lease.Item
	p := migrator.Parked{ID: it.ID, Path: it.Key, Outcome: migrator.Failed, Reason: "poison", Bytes: max(it.Size, 0),
		Detail: fmt.Sprintf("%d processes in a row took it and died before they were done with it", h.deliveries-1)}
	return q.Settle(ctx, &h.lease, migrator.Result{Outcome: migrator.Failed, Parked: []migrator.Parked{p}})
}

// Lock implements migrator.Locker.
func (q *Queue) Lock(ctx context.Context, key string) (unlock func(), err error) {
	name := "lock:" + key
	for {
		var got bool
		err := q.patiently(ctx, func() (err error) {
			got, err = q.rdb.SetNX(ctx, q.key(name), q.me, q.o.Lease).Result()
			return err
		})
		if err != nil {
			return nil, err
		}
		if got {
			break
		}
		if err := pace.Sleep(ctx, 4*pauseMin); err != nil {
			return nil, err
		}
	}
	q.mu.Lock()
	q.locks[q.key(name)] = struct{}{}
	q.mu.Unlock()
	return func() {
		q.mu.Lock()
		delete(q.locks, q.key(name))
		q.mu.Unlock()
		_, _ = q.run(context.WithoutCancel(ctx), unlockScript, name, q.me) // it ends by itself after a lease
	}, nil
}
