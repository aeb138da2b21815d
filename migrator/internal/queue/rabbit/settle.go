package rabbit

import (
	"context"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/memsoak/memsoak/migrator"
)

// together is how many leases one event settles.
const together = 128

// Push implements migrator.Queue.
func (q *Queue) Push(ctx context.Context, items ...migrator.Item) error {
	var s settled
	for i := range items {
		p, err := makeProduct(nil, &items[i])
		if err != nil {
			return err
		}
		s.Products = append(s.Products, p)
	}
	return q.tell(ctx, &event{Settled: []settled{s}})
}

// tell tells the ledger with patience.
func (q *Queue) tell(ctx context.Context, e *event) error {
	return q.patiently(ctx, func(s *session) error { return s.tell(ctx, e) })
}

// Settle implements migrator.Queue. The files of a listing are published first, under numbers that count only once the
// event that settles the page does. Settles of files go out together.
func (q *Queue) Settle(ctx context.Context, lease *migrator.Lease, r migrator.Result) error {
	h, err := q.own(lease)
	if err != nil {
		return err
	}
	if r.Outcome == migrator.Returned && len(r.Produced) == 0 {
		h.work.again = true
		return q.giveBack(ctx, h)
	}
	s := settled{ID: h.work.id, Run: h.work.run, Outcome: r.Outcome, Bytes: r.Bytes}
	for _, p := range r.Parked {
		s.Parked = append(s.Parked, parked{p, p.Outcome})
	}
	var files []work
	for i := range r.Produced {
		it := &r.Produced[i]
		p, err := makeProduct(&lease.Item, it)
		if err != nil {
			return err
		}
		if h.kind == migrator.File || p.Folder {
			s.Products = append(s.Products, p)
			continue
		}
		s.Files++
		s.Size += p.Size
		files = append(files, work{run: h.work.run, id: itemID{s.ID.Page, s.ID.Try, s.Files}, item: p.Payload})
	}
	if h.kind == migrator.File && len(s.Products) == 0 {
		err = q.settles.Send(ctx, q.ending, s)
	} else if err = q.send(ctx, files); err == nil {
		err = q.tell(ctx, &event{Settled: []settled{s}})
	}
	if err == nil {
		q.release(h)
	}
	return err
}

// send publishes items and waits until the broker has them.
func (q *Queue) send(ctx context.Context, items []work) error {
	if len(items) == 0 {
		return nil
	}
	return q.patiently(ctx, func(s *session) error {
		if err := s.present(); err != nil {
			return err
		}
		all := make([]*amqp.DeferredConfirmation, 0, len(items))
		for i := range items {
			d, err := s.publish(s.out, q.name(items[i].queue()), persistent(items[i].encode()))
			if err != nil {
				return s.or(err)
			}
			all = append(all, d)
		}
		return s.confirmed(ctx, all...)
	})
}

func (q *Queue) own(lease *migrator.Lease) (*held, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.held.Own(lease.Ref)
}

// release ends a lease. If the acknowledgement doesn't get through, the item comes again and is known to be gone.
func (q *Queue) release(h *held) {
	_ = h.s.in.Ack(h.tag, false)
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.held, h)
}

// giveBack puts an item back: a second message takes the place of the first, so that nobody takes this for a death.
// Where the connection that it came by has ended, it is back already.
func (q *Queue) giveBack(ctx context.Context, h *held) error {
	if h.asked {
		if err := q.tell(ctx, &event{Back: &back{h.work.id, h.work.run, q.me}}); err != nil {
			return err
		}
	}
	select {
	case <-h.s.dead:
	default:
		w := h.work
		if w.id.N == 0 {
			w.id.Try = 0
		}
		w.again = w.again || h.redelivered
		if err := q.send(ctx, []work{w}); err != nil {
			return err
		}
	}
	q.release(h)
	return nil
}

// settleAll settles as one event.
func (q *Queue) settleAll(ctx context.Context, all []settled) error {
	return q.tell(ctx, &event{Settled: all})
}

// Checkpoint implements migrator.Checkpointer.
func (q *Queue) Checkpoint(ctx context.Context, lease *migrator.Lease, state []byte) error {
	h, err := q.own(lease)
	if err != nil {
		return err
	}
	return q.tell(ctx, &event{State: &saved{h.work.id, h.work.run, q.me, state}})
}
