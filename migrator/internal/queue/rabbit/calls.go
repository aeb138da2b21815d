package rabbit

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
	"github.com/memsoak/memsoak/migrator/internal/queue/rabbit/internal/ledger"
)

// publish sends a message to a queue. The confirmation is waited for by confirmed.
func (s *session) publish(ch *amqp.Channel, queue string, p amqp.Publishing) (*amqp.DeferredConfirmation, error) {
	d, err := ch.PublishWithDeferredConfirm("", queue, true, false, p)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSession, err)
	}
	return d, nil
}

// confirmed waits until the broker has all of the messages for good. When it says nothing for too long the session
// ends: a message that came between its restart and its queue's may be lost without a word, and those behind it wait
// for it.
func (s *session) confirmed(ctx context.Context, all ...*amqp.DeferredConfirmation) error {
	late := time.NewTimer(s.q.limits.silence)
	defer late.Stop()
	for _, d := range all {
		for done := false; !done; {
			select {
			case <-d.Done():
				if !d.Acked() {
					return s.or(errNack)
				}
				done = true
				late.Reset(s.q.limits.silence)
			case <-s.dead:
				return s.err
			case <-ctx.Done():
				return ctx.Err()
			case <-late.C:
				s.silent(errConfirm)
				late.Reset(s.q.limits.silence)
			}
		}
	}
	return nil
}

// silent ends the session because nothing came that should, unless the broker is full: then watch has the patience.
func (s *session) silent(err error) {
	if !s.mute.Load() {
		s.fail(err)
	}
}

// limit ends the session unless stop is called before a call to the broker has taken too long: the client waits for
// ever.
func (s *session) limit() (stop func()) {
	var done sync.WaitGroup
	stopped := make(chan struct{})
	done.Go(func() {
		t := time.NewTicker(3 * s.q.limits.silence)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				s.silent(errSilent)
			case <-stopped:
				return
			case <-s.dead:
				return
			}
		}
	})
	return func() { close(stopped); done.Wait() }
}

// or returns why the session ended if it did, else err.
func (s *session) or(err error) error {
	select {
	case <-s.dead:
		return s.err
	default:
		return err
	}
}

// tell sends an event to the ledger and waits until the broker has it.
func (s *session) tell(ctx context.Context, e *ledger.Event) error {
	if err := s.present(); err != nil {
		return err
	}
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	d, err := s.publish(s.talk, s.q.name(ledger.QueueEvents), persistent(b))
	if err != nil {
		return s.or(err)
	}
	return s.confirmed(ctx, d)
}

// present is ErrNone or ErrLost where there are no queues.
func (s *session) present() error {
	if err := s.join(false); err != nil {
		return s.or(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.joined {
		return broker.ErrNone
	}
	return nil
}

// ask sends an event to the ledger and waits for the reply, which speaks of a state that nothing can undo.
func (s *session) ask(ctx context.Context, e *ledger.Event) (r ledger.Reply, err error) {
	if err := s.present(); err != nil {
		return r, err
	}
	b, err := json.Marshal(e)
	if err != nil {
		return r, err
	}
	id := strconv.FormatInt(s.q.serial.Add(1), 10)
	answer := make(chan ledger.Reply, 1)
	s.mu.Lock()
	s.replies[id] = answer
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.replies, id)
		s.mu.Unlock()
	}()
	p := persistent(b)
	p.ReplyTo, p.CorrelationId = directReply, id
	if _, err := s.publish(s.talk, s.q.name(ledger.QueueEvents), p); err != nil {
		return r, s.or(err)
	}
	late := time.NewTimer(s.q.limits.silence)
	defer late.Stop()
	for heard := false; !heard; {
		select {
		case r = <-answer:
			heard = true
		case <-s.dead:
			return r, s.err
		case <-ctx.Done():
			return r, ctx.Err()
		case <-late.C:
			s.silent(errReply)
			late.Reset(s.q.limits.silence)
		}
	}
	if r.Schema != ledger.Schema {
		return r, fmt.Errorf("schema %s, not %s: %w", r.Schema, ledger.Schema, broker.ErrSchema)
	}
	s.q.learn(&r)
	if r.Lost {
		return r, broker.ErrLost
	}
	return r, nil
}

// hear hands replies to those who wait for them.
func (s *session) hear(answers <-chan amqp.Delivery) {
	for d := range answers {
		var r ledger.Reply
		if err := json.Unmarshal(d.Body, &r); err != nil {
			s.fail(fmt.Errorf("reply: %w: %w", broker.ErrSchema, err))
			return
		}
		s.mu.Lock()
		answer := s.replies[d.CorrelationId]
		s.mu.Unlock()
		if answer != nil {
			answer <- r
		}
	}
}

// persistent is a message that survives the broker's restart.
func persistent(body []byte) amqp.Publishing {
	return amqp.Publishing{DeliveryMode: amqp.Persistent, Type: ledger.Schema, ContentType: "application/octet-stream",
		Body: body}
}
