package rabbit

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
	"github.com/memsoak/memsoak/migrator/internal/queue/rabbit/internal/ledger"
	"github.com/memsoak/memsoak/migrator/internal/queue/rabbit/internal/link"
)

// tell sends an event to the ledger and waits until the broker has it.
func (s *session) tell(ctx context.Context, e *ledger.Event) error {
	if err := s.present(); err != nil {
		return err
	}
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	d, err := s.Publish(s.Talk, s.q.name(ledger.QueueEvents), link.Persistent(b))
	if err != nil {
		return s.Or(err)
	}
	return s.Confirmed(ctx, d)
}

// present is ErrNone or ErrLost where there are no queues.
func (s *session) present() error {
	if err := s.join(false); err != nil {
		return s.Or(err)
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
	p := link.Persistent(b)
	p.ReplyTo, p.CorrelationId = directReply, id
	if _, err := s.Publish(s.Talk, s.q.name(ledger.QueueEvents), p); err != nil {
		return r, s.Or(err)
	}
	late := time.NewTimer(s.q.limits.Silence)
	defer late.Stop()
	for heard := false; !heard; {
		select {
		case r = <-answer:
			heard = true
		case <-s.Dead:
			return r, s.Err
		case <-ctx.Done():
			return r, ctx.Err()
		case <-late.C:
			s.Silent(link.ErrReply)
			late.Reset(s.q.limits.Silence)
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
			s.Fail(fmt.Errorf("reply: %w: %w", broker.ErrSchema, err))
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
