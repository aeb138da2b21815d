package rabbit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/pace"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
	"github.com/memsoak/memsoak/migrator/internal/queue/rabbit/internal/ledger"
	"github.com/memsoak/memsoak/migrator/internal/queue/rabbit/internal/link"
)

// held is an item that this process has.
type held struct {
	*delivery
	kind        migrator.Kind
	work        ledger.Work
	redelivered bool
	asked       bool  // the ledger knows that this process has it
	deaths      int64 // of processes that had it, as far as the ledger knows
	bad         error
	since       time.Time // when it came
	lease       migrator.Lease
}

// The pauses between looks at an empty queue.
const (
	pauseMin = 5 * time.Millisecond
	pauseMax = 250 * time.Millisecond
)

// arrived keeps the items of a message until callers take them.
func (q *Queue) arrived(s *session, k migrator.Kind, level int, d amqp.Delivery) {
	b, bad := ledger.DecodeBundle(d.Body, level)
	if d.Type != ledger.Schema {
		bad = broker.ErrSchema
	}
	if bad != nil {
		b = ledger.Bundle{{Level: level}}
	}
	from, now := &delivery{s: s, tag: d.DeliveryTag}, time.Now()
	from.left.Store(int64(len(b)))
	q.mu.Lock()
	defer q.mu.Unlock()
	if s != q.now {
		return
	}
	for _, w := range b {
		q.putAhead(&held{delivery: from, kind: k, work: w, redelivered: d.Redelivered, since: now, bad: bad}, false)
	}
	q.broadcast()
}

// putAhead puts an item where Take finds it: the deepest folders first. q.mu is held.
func (q *Queue) putAhead(h *held, first bool) {
	lane := &q.ahead[h.kind-1]
	at := len(*lane)
	switch {
	case h.kind == migrator.Folder:
		at = slices.IndexFunc(*lane, func(o *held) bool {
			return o.work.Level < h.work.Level || first && o.work.Level == h.work.Level
		})
		if at < 0 {
			at = len(*lane)
		}
	case first:
		at = 0
	}
	*lane = slices.Insert(*lane, at, h)
}

// removeAhead removes items not yet taken, and returns them.
func (q *Queue) removeAhead(which func(*held) bool) (out []*held) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.ahead {
		q.ahead[i] = slices.DeleteFunc(q.ahead[i], func(h *held) bool {
			if h.bad == nil && which(h) {
				out = append(out, h)
				return true
			}
			return false
		})
	}
	return out
}

// aheadWait is how long an item may wait for a free worker of this process while others have nothing to do.
const aheadWait = time.Second

// returner gives items back that wait here in vain, until Close.
func (q *Queue) returner() {
	t := time.NewTicker(min(aheadWait, q.limits.Silence) / 2)
	defer t.Stop()
	var told time.Time
	for {
		select {
		case <-t.C:
		case <-q.ending.Done():
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*aheadWait)
		unless := context.AfterFunc(q.ending, cancel)
		q.share(ctx)
		if time.Since(told) > q.limits.Tell() {
			told = time.Now()
			q.tellHolds(ctx)
		}
		unless()
		cancel()
	}
}

// tellHolds tells the keeper that items are here. Without such news and with nothing ready, the keeper waits no longer.
func (q *Queue) tellHolds(ctx context.Context) {
	h := ledger.Holds{Proc: q.me}
	q.mu.Lock()
	h.Folders = len(q.ahead[0])+q.inside[0] > 0
	h.Files = len(q.ahead[1])+q.inside[1] > 0
	for item := range q.held {
		h.Folders = h.Folders || item.kind == migrator.Folder
		h.Files = h.Files || item.kind == migrator.File
	}
	q.mu.Unlock()
	if h.Folders || h.Files {
		_ = q.tell(ctx, &ledger.Event{Holds: &h}) // the next one follows
	}
}

// share gives back the items that have waited for long, of queues that are empty for the others.
func (q *Queue) share(ctx context.Context) {
	queues := map[string]*session{}
	q.mu.Lock()
	for _, lane := range q.ahead {
		for _, h := range lane {
			if time.Since(h.since) > aheadWait {
				queues[h.work.Queue()] = h.s
			}
		}
	}
	q.mu.Unlock()
	for name, s := range queues {
		if !s.Wanted(q.name(name)) {
			continue
		}
		spare := q.removeAhead(func(h *held) bool {
			return h.s == s && h.work.Queue() == name && time.Since(h.since) > aheadWait
		})
		if q.giveBack(ctx, spare...) != nil {
			q.keep(s, spare)
			return
		}
	}
}

// keep puts items ahead again that couldn't be given back. If their connection has ended they are others'.
func (q *Queue) keep(s *session, items []*held) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if s != q.now {
		return
	}
	for _, h := range slices.Backward(items) {
		q.putAhead(h, true)
	}
	q.broadcast()
}

// Take implements migrator.Queue. It waits for a migration to begin.
func (q *Queue) Take(ctx context.Context, k migrator.Kind) (*migrator.Lease, error) {
	if k != migrator.Folder && k != migrator.File {
		return nil, fmt.Errorf("queue: no items of kind %d", k)
	}
	began, pause := time.Now(), pauseMin
	heard := began // of an item, or that none is ready
	starved := time.Time{}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h, wake := q.next(k)
		if h != nil {
			l, err := q.begin(ctx, h)
			q.entered(k)
			if l != nil || err != nil {
				return l, err
			}
			heard, starved = time.Now(), time.Time{}
			continue
		}
		// Others, the end of everything, or what the broker may deliver here may wait for items done here.
		if err := q.ends.Flush(ctx); err != nil {
			return nil, err
		}
		over, err := q.over(ctx, k, began, pause)
		switch {
		case err != nil:
			return nil, err
		case over:
			return nil, io.EOF
		case time.Since(heard) > q.limits.Silence:
			heard = time.Now()
			if s, err := q.session(ctx); err != nil || !s.starve(k) {
				starved = time.Time{}
			} else if starved.IsZero() {
				starved = heard
			} else if time.Since(starved) > max(q.o.Patience, 3*q.limits.Silence) {
				return nil, q.explain(link.ErrStarved)
			}
		}
		t := time.NewTimer(pause)
		select {
		case <-wake:
		case <-t.C:
			pause = min(2*pause, pauseMax)
		case <-ctx.Done():
		}
		t.Stop()
	}
}

// next returns an item that was delivered, or a channel that is closed when one is.
func (q *Queue) next(k migrator.Kind) (*held, <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lane := &q.ahead[k-1]
	if len(*lane) == 0 {
		return nil, q.wake
	}
	h := (*lane)[0]
	*lane = (*lane)[1:]
	q.inside[k-1]++
	return h, nil
}

// entered ends what next began: the item is in a lease, back, or gone.
func (q *Queue) entered(k migrator.Kind) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inside[k-1]--
}

// over sees to it that items come, and says whether none can come any more. News since began, and not older than a
// pause, is new enough.
func (q *Queue) over(ctx context.Context, k migrator.Kind, began time.Time, pause time.Duration) (bool, error) {
	select {
	case q.looking <- struct{}{}:
		defer func() { <-q.looking }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	q.mu.Lock()
	r, at, s := q.known, q.at, q.now
	q.mu.Unlock()
	if s == nil || !s.takes(k) || at.Before(began) || time.Since(at) > pause {
		err := q.patiently(ctx, func(s *session) (err error) {
			if r, err = s.ask(ctx, &ledger.Event{}); err != nil {
				return err
			}
			if err := s.take(k); err != nil {
				return s.Or(err)
			}
			return nil
		})
		if errors.Is(err, broker.ErrNone) && !q.unfinished() {
			return q.finished(), nil
		}
		if err != nil {
			return false, err
		}
	}
	if r.Lost {
		return false, q.explain(broker.ErrLost)
	}
	if !r.Begun() {
		if q.unfinished() {
			return false, q.explain(broker.ErrLost)
		}
		return q.finished(), nil
	}
	return r.Folders == 0 && (k == migrator.Folder || r.Files == 0), nil
}

func (s *session) takes(k migrator.Kind) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taking[k-1]
}

// begin makes a lease of an item, with the ledger's leave where that is needed; nil when the item is none any more.
func (q *Queue) begin(ctx context.Context, h *held) (*migrator.Lease, error) {
	it := &h.lease.Item
	if h.bad != nil || it.UnmarshalBinary(h.work.Item) != nil || it.Kind != h.kind {
		return nil, fmt.Errorf("queue %s on RabbitMQ at %s: %w", q.o.Name, q.addr, broker.ErrSchema)
	}
	// The ledger knows of each page whether a process had it. Of a file the broker knows no more than that it went out,
	// even if only into a process's memory.
	h.lease.Again = h.work.Again || h.redelivered && h.kind == migrator.File
	q.mu.Lock()
	other := h.work.Run != q.run
	q.mu.Unlock()
	if h.kind == migrator.Folder || h.lease.Again || other {
		v, err := q.leave(ctx, h)
		switch {
		case err != nil:
			q.mu.Lock()
			q.putAhead(h, true)
			q.broadcast()
			q.mu.Unlock()
			return nil, err
		case v == ledger.Gone:
			q.acknowledge(h)
			return nil, nil
		case v == ledger.Poison:
			return nil, q.poisoned(ctx, h)
		case v != ledger.GoOn:
			return nil, nil
		}
	}
	q.hold(h)
	return &h.lease, nil
}

func (q *Queue) hold(h *held) {
	h.lease.Ref = h
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held[h] = struct{}{}
}

// leave asks the ledger for an item, and waits while too many files are queued. It returns nothing where another
// process has the item by now.
func (q *Queue) leave(ctx context.Context, h *held) (ledger.Verdict, error) {
	e := &ledger.Event{Took: &ledger.Took{ID: h.work.ID, Run: h.work.Run, Proc: q.me, Redelivered: h.redelivered,
		Limit: q.o.Limit, Deliveries: q.o.Deliveries}}
	for pause := 4 * pauseMin; ; pause = min(2*pause, pauseMax) {
		select {
		case <-h.s.Dead:
			return "", nil
		default:
		}
		r, err := h.s.ask(ctx, e)
		switch {
		case ctx.Err() != nil:
			return "", ctx.Err()
		case err != nil && link.Passing(err):
			return "", nil // it comes again
		case err != nil:
			return "", q.explain(err)
		case r.Verdict == ledger.Wait:
			if err := pace.Sleep(ctx, pause); err != nil {
				return "", err
			}
			continue
		}
		h.asked = true
		h.work.ID.Try = max(h.work.ID.Try, r.Try)
		if len(r.State) > 0 {
			h.lease.State = r.State
		}
		h.lease.Again = h.lease.Again || r.Try > 1
		h.deaths = r.Deaths
		return r.Verdict, nil
	}
}

// poisoned parks an item that too many processes had and didn't settle.
func (q *Queue) poisoned(ctx context.Context, h *held) error {
	it := &h.lease.Item
	p := migrator.Parked{ID: it.ID, Path: it.Key, Outcome: migrator.Failed, Reason: "poison", Bytes: max(it.Size, 0),
		Detail: fmt.Sprintf("%d processes in a row took it and died before they were done with it", h.deaths)}
	q.hold(h)
	return q.Settle(ctx, &h.lease, migrator.Result{Outcome: migrator.Failed, Parked: []migrator.Parked{p}})
}

// delivery is the message that items came by. It is acknowledged when this process has no item of it any more.
type delivery struct {
	s    *session // the items are another process's when it has ended
	tag  uint64
	left atomic.Int64 // items
}
