package rabbit

import (
	"context"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/queue/rabbit/internal/ledger"
	"github.com/memsoak/memsoak/migrator/internal/queue/rabbit/internal/link"
)

// Push implements migrator.Queue. However often it has to be sent, its items enter once: the ledger knows the number of
// this process's last push, so there is one at a time.
func (q *Queue) Push(ctx context.Context, items ...migrator.Item) error {
	var s ledger.Settled
	for i := range items {
		p, err := ledger.NewProduct(nil, &items[i])
		if err != nil {
			return err
		}
		s.Products = append(s.Products, p)
	}
	select {
	case q.pushing <- struct{}{}:
		defer func() { <-q.pushing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return q.tell(ctx, &ledger.Event{Settled: []ledger.Settled{s}, Push: &ledger.Push{Proc: q.me, N: q.serial.Add(1)}})
}

// tell tells the ledger with patience.
func (q *Queue) tell(ctx context.Context, e *ledger.Event) error {
	return q.patiently(ctx, func(s *session) error { return s.tell(ctx, e) })
}

// Settle implements migrator.Queue. The files of a listing are published first, under numbers that count only once the
// event that settles the page does. Files that end without products go out together a moment later: if the process dies
// before, they come again. An error of sending is returned by the next Settle, and by Close.
func (q *Queue) Settle(ctx context.Context, lease *migrator.Lease, r migrator.Result) error {
	h, err := q.own(lease)
	if err != nil {
		return err
	}
	if r.Outcome == migrator.Returned && len(r.Produced) == 0 {
		h.work.Again = true
		return q.giveBack(ctx, h)
	}
	s := ledger.Settled{ID: h.work.ID, Run: h.work.Run, Outcome: r.Outcome, Bytes: r.Bytes}
	for _, p := range r.Parked {
		s.Parked = append(s.Parked, ledger.Parked{Parked: p, Outcome: p.Outcome})
	}
	var files []ledger.Work
	var sizes []int64
	for i := range r.Produced {
		it := &r.Produced[i]
		p, err := ledger.NewProduct(&lease.Item, it)
		if err != nil {
			return err
		}
		if h.kind == migrator.File || p.Folder {
			s.Products = append(s.Products, p)
			continue
		}
		s.Files++
		s.Size += p.Size
		id := ledger.ItemID{Page: s.ID.Page, Try: s.ID.Try, N: s.Files}
		files = append(files, ledger.Work{Run: h.work.Run, ID: id, Item: p.Payload})
		sizes = append(sizes, it.Size)
	}
	if h.kind == migrator.File && len(s.Products) == 0 {
		return q.endLater(ctx, h, s)
	}
	if err = q.send(ctx, ledger.Pack(files, sizes)); err == nil {
		err = q.tell(ctx, &ledger.Event{Settled: []ledger.Settled{s}})
	}
	if err == nil {
		q.release(h)
	}
	return err
}

// ended is a file's lease at its end.
type ended struct {
	h       *held
	settled ledger.Settled
}

// endLater ends a file without products. One that a process may have died with ends without delay: beside an item that
// processes die of it would come again each time, until it is held to be the cause.
func (q *Queue) endLater(ctx context.Context, h *held, s ledger.Settled) error {
	q.mu.Lock()
	delete(q.held, h)
	q.mu.Unlock()
	if err := q.ends.Add(ctx, ended{h, s}); err != nil || !h.asked && !h.redelivered {
		return err
	}
	return q.ends.Flush(ctx)
}

// settleAll ends leases by one event. An acknowledged item is in the ledger's hands.
func (q *Queue) settleAll(ctx context.Context, all []ended) error {
	var e ledger.Event
	for i := range all {
		e.Settled = append(e.Settled, all[i].settled)
	}
	if err := q.tell(ctx, &e); err != nil {
		return err
	}
	for i := range all {
		q.acknowledge(all[i].h)
	}
	return nil
}

// send publishes items and waits until the broker has them.
func (q *Queue) send(ctx context.Context, items []ledger.Bundle) error {
	if len(items) == 0 {
		return nil
	}
	return q.patiently(ctx, func(s *session) error {
		if err := s.present(); err != nil {
			return err
		}
		all := make([]*amqp.DeferredConfirmation, 0, len(items))
		for _, b := range items {
			d, err := s.Publish(s.Out, q.name(b[0].Queue()), link.Persistent(b.Encode()))
			if err != nil {
				return s.Or(err)
			}
			all = append(all, d)
		}
		return s.Confirmed(ctx, all...)
	})
}

func (q *Queue) own(lease *migrator.Lease) (*held, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.held.Own(lease.Ref)
}

// release ends a lease.
func (q *Queue) release(h *held) {
	q.acknowledge(h)
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.held, h)
}

// acknowledge removes an item from this process: with the last one of a message, that too. If that doesn't get through,
// the items come again and are known to be gone.
func (q *Queue) acknowledge(h *held) {
	if h.left.Add(-1) == 0 {
		_ = h.s.in.Ack(h.tag, false)
	}
}

// giveBack puts items back: second messages take the place of the first, so that this doesn't look like a death. What
// came together goes together. Where the connection that they came by has ended, they are back already.
func (q *Queue) giveBack(ctx context.Context, items ...*held) error {
	var again []ledger.Bundle
	at := map[*delivery]int{} // in again, from 1
	for _, h := range items {
		if h.asked {
			if err := q.tell(ctx, &ledger.Event{Back: &ledger.Back{ID: h.work.ID, Run: h.work.Run, Proc: q.me}}); err != nil {
				return err
			}
		}
		select {
		case <-h.s.Dead:
			continue
		default:
		}
		w := h.work
		if w.ID.N == 0 {
			w.ID.Try = 0
		}
		w.Again = w.Again || h.redelivered
		if at[h.delivery] == 0 {
			again = append(again, nil)
			at[h.delivery] = len(again)
		}
		b := &again[at[h.delivery]-1]
		*b = append(*b, w)
	}
	if err := q.send(ctx, again); err != nil {
		return err
	}
	for _, h := range items {
		q.release(h)
	}
	return nil
}

// Checkpoint implements migrator.Checkpointer.
func (q *Queue) Checkpoint(ctx context.Context, lease *migrator.Lease, state []byte) error {
	h, err := q.own(lease)
	if err != nil {
		return err
	}
	s := &ledger.Saved{ID: h.work.ID, Run: h.work.Run, Proc: q.me, State: state}
	return q.tell(ctx, &ledger.Event{State: s})
}
