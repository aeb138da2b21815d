package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
	"github.com/memsoak/memsoak/migrator/internal/queue/rabbit/internal/ledger"
	"github.com/memsoak/memsoak/migrator/internal/queue/rabbit/internal/link"
)

// keeper keeps the ledger while the broker lets this process do so.
type keeper struct {
	c       *link.Conn
	me      string        // this process
	numbers *atomic.Int64 // of this process, each used once
	state   *amqp.Channel
	inbox   *amqp.Channel
	states  <-chan amqp.Delivery
	events  <-chan amqp.Delivery
	l       *ledger.Ledger
	stale   []amqp.Delivery // messages of the state queue that the next commit replaces
	emptied bool            // the rest of the work queues is removed, at the end
	serial  int
	audit   *ledger.Audit
}

const (
	appHello = "hello" // in the state queue: a process has come; changes nothing
	appState = "state"

	keeperAhead  = 64                    // events in the keeper's memory
	keeperLinger = 10 * time.Millisecond // how long a batch waits for more events when no caller waits for it
)

// Keep waits for its turn to keep the ledger, and keeps it until the session ends.
func Keep(c *link.Conn, me string, numbers *atomic.Int64) error {
	k := &keeper{c: c, me: me, numbers: numbers, audit: ledger.NewAudit(c.Limits.Tell(), c.Limits.Lost, c.Ready)}
	var err error
	if k.state, err = c.Channel(true); err != nil {
		return err
	}
	if k.inbox, err = c.Channel(false); err != nil {
		return err
	}
	if k.states, err = k.state.Consume(c.Name(ledger.QueueState), "", false, false, false, false, nil); err != nil {
		return err
	}
	if _, err := k.hello(); err != nil {
		return err
	}
	if err := k.adopt(); err != nil {
		return err
	}
	if err := k.inbox.Qos(keeperAhead, 0, false); err != nil {
		return err
	}
	if k.events, err = k.inbox.Consume(c.Name(ledger.QueueEvents), "", false, false, false, false, nil); err != nil {
		return err
	}
	for {
		if err := k.round(); err != nil {
			return err
		}
	}
}

// hello puts a message into the state queue that is known again.
func (k *keeper) hello() (id string, err error) {
	k.serial++
	id = fmt.Sprintf("%s.%d.%d", k.me, k.numbers.Add(1), k.serial)
	p := link.Persistent(nil)
	p.AppId, p.MessageId = appHello, id
	_, err = k.c.Publish(k.state, k.c.Name(ledger.QueueState), p)
	return id, err
}

// nextState waits for a message of the state queue.
func (k *keeper) nextState(ctx context.Context) (d amqp.Delivery, err error) {
	var ok bool
	select {
	case d, ok = <-k.states:
	case <-k.c.Dead:
		return d, k.c.Err
	case <-ctx.Done():
		return d, errors.Join(link.ErrSession, ctx.Err())
	}
	if !ok {
		return d, k.c.Or(link.ErrSession)
	}
	if d.Type != ledger.Schema {
		return d, fmt.Errorf("schema %q, not %s: %w", d.Type, ledger.Schema, broker.ErrSchema)
	}
	return d, nil
}

// adopt takes the ledger over. The first message says that it is this process's turn; a hello sent after that comes
// behind all states that any keeper before can have acted upon, and the newest of them counts. The new epoch is higher
// than that of any keeper before, even of one that never came to commit: that one saw fewer hellos.
func (k *keeper) adopt() error {
	first, err := k.nextState(context.Background())
	if err != nil {
		return err
	}
	mark, err := k.hello()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*k.c.Limits.Silence)
	defer cancel()
	k.l = ledger.New()
	hellos := uint64(0)
	for d := first; ; {
		k.stale = append(k.stale, d)
		if d.AppId == appHello {
			hellos++
		} else {
			l, err := ledger.Decode(d.Body)
			if err != nil {
				return err
			}
			if l.Newer(k.l) {
				k.l = l
			}
		}
		if d.MessageId == mark {
			break
		}
		if d, err = k.nextState(ctx); err != nil {
			return err
		}
	}
	k.l.Succeed(hellos)
	return k.commit()
}

// commit makes the state outlive this process: it goes into the state queue and has to come back, which it does only as
// long as no other process has the turn.
func (k *keeper) commit() error {
	b, name, err := k.l.Commit()
	if err != nil {
		return err
	}
	p := link.Persistent(b)
	p.AppId, p.MessageId = appState, k.me+"."+name
	if _, err := k.c.Publish(k.state, k.c.Name(ledger.QueueState), p); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*k.c.Limits.Silence)
	defer cancel()
	for {
		d, err := k.nextState(ctx)
		if err != nil {
			return err
		}
		if d.MessageId == p.MessageId {
			for _, old := range k.stale {
				_ = old.Ack(false) // if it fails the session ends, and the newest counts
			}
			k.stale = append(k.stale[:0], d)
			return nil
		}
		if err := k.stray(d); err != nil {
			return err
		}
	}
}

// stray removes a message of the state queue that isn't this keeper's: a hello, or the state of one before.
func (k *keeper) stray(d amqp.Delivery) error {
	if d.AppId == appState {
		l, err := ledger.Decode(d.Body)
		if err != nil {
			return err
		}
		if !l.Earlier(k.l) {
			return fmt.Errorf("%w: another process keeps the ledger", link.ErrSession)
		}
	}
	return d.Ack(false)
}

// batch is events that are committed together.
type batch struct {
	last     amqp.Delivery
	n        int
	asked    []amqp.Delivery
	replies  []ledger.Reply
	outgoing []*amqp.DeferredConfirmation
}

// round handles the events that are there: it publishes for good first their products, then the state; only then it
// removes the events and answers their senders.
func (k *keeper) round() error {
	var b batch
	linger := time.NewTimer(time.Hour)
	defer linger.Stop()
	for b.n < keeperAhead {
		if b.n == 1 {
			linger.Reset(keeperLinger)
		}
		var d amqp.Delivery
		ok := true
		select {
		case d, ok = <-k.events:
		default:
			if len(b.asked) > 0 {
				return k.finish(&b)
			}
			select {
			case d, ok = <-k.events:
			case d, ok := <-k.states:
				if !ok {
					return k.c.Or(link.ErrSession)
				}
				if err := k.stray(d); err != nil {
					return err
				}
				continue
			case <-linger.C:
				return k.finish(&b)
			case <-k.c.Dead:
				return k.c.Err
			}
		}
		if !ok {
			return k.c.Or(link.ErrSession)
		}
		if err := k.handle(&b, d); err != nil {
			return err
		}
	}
	return k.finish(&b)
}

func (k *keeper) handle(b *batch, d amqp.Delivery) error {
	var e ledger.Event
	if d.Type != ledger.Schema {
		return fmt.Errorf("an event of schema %q, not %s: %w", d.Type, ledger.Schema, broker.ErrSchema)
	}
	if err := json.Unmarshal(d.Body, &e); err != nil {
		return fmt.Errorf("event: %w: %w", broker.ErrSchema, err)
	}
	b.last = d
	b.n++
	k.audit.Saw(&e)
	if k.l.Replaced(e.Begin) {
		// First nothing is open any more; then nothing need be there.
		k.l.Forget()
		if err := k.commit(); err != nil {
			return err
		}
		if err := k.empty(ledger.ContentQueues()); err != nil {
			return err
		}
	}
	out, r := k.l.Apply(&e)
	for _, o := range out {
		c, err := k.send(&o)
		if err != nil {
			return err
		}
		b.outgoing = append(b.outgoing, c)
	}
	if d.ReplyTo != "" {
		b.asked, b.replies = append(b.asked, d), append(b.replies, r)
	}
	return nil
}

// send publishes an item or a parked line.
func (k *keeper) send(o *ledger.Outgoing) (*amqp.DeferredConfirmation, error) {
	queue, body, err := k.l.Message(o)
	if err != nil {
		return nil, err
	}
	return k.c.Publish(k.c.Out, k.c.Name(queue), link.Persistent(body))
}

func (k *keeper) finish(b *batch) error {
	if err := k.c.Confirmed(context.Background(), b.outgoing...); err != nil {
		return err
	}
	if err := k.commit(); err != nil {
		return err
	}
	if err := b.last.Ack(true); err != nil {
		return err
	}
	if err := k.audit.Look(k.l); err != nil {
		return err
	}
	for i, d := range b.asked {
		r := b.replies[i]
		k.l.Status(&r)
		r.Lost = k.audit.Lost()
		body, err := json.Marshal(&r)
		if err != nil {
			return err
		}
		// Each reply is sent once: a process that hears nothing asks again.
		if err := k.c.Talk.PublishWithContext(context.Background(), "", d.ReplyTo, false, false,
			amqp.Publishing{CorrelationId: d.CorrelationId, Type: ledger.Schema, Body: body}); err != nil {
			return err
		}
	}
	if done := k.l.Done(); done != k.emptied {
		k.emptied = done
		if done {
			return k.empty(ledger.WorkQueues()) // second copies of items, from listings that didn't count
		}
	}
	return nil
}

// empty removes the ready messages of queues.
func (k *keeper) empty(names []string) error {
	defer k.c.Limit()()
	for _, name := range names {
		if _, err := k.inbox.QueuePurge(k.c.Name(name), false); err != nil {
			return err
		}
	}
	return nil
}
