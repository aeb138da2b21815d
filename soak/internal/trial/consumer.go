package trial

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/internal/waiting"
	"github.com/memsoak/memsoak/soak/internal/gateway"
	"github.com/memsoak/memsoak/soak/internal/load"
	"github.com/memsoak/memsoak/soak/internal/subject"
)

// A consumer fetches its work itself. Between its waves its fetches are held at the gate before the queue, so that a
// floor is one: it waits for work, and has none.

// queue is the name of the gate before the consumer's queue; "" where it isn't known, or the subject is no consumer.
func (s *serviceRig) queue() string {
	c := s.t.Subject.Load.Consume
	switch {
	case c == nil:
		return ""
	case c.Upstream != "":
		return c.Upstream
	case len(s.names) == 1:
		return s.names[0]
	}
	return ""
}

// source is the gate at which items come to the subject.
func (s *serviceRig) source() string {
	if s.t.Subject.Load.Consume != nil {
		return s.queue()
	}
	return subject.Front
}

// queuePoint is where a fetch is held before it has an item: raw TCP has no better place than any of its bytes.
func (s *serviceRig) queuePoint() fault.Point {
	if s.raw(s.queue()) {
		return fault.GateBytes
	}
	return fault.GateRequest
}

// withholdWork holds the consumer's fetches from here on.
func (s *serviceRig) withholdWork(ctx context.Context) error {
	if s.queue() == "" {
		return nil
	}
	h, err := s.Gate(s.queue()).Hold(ctx, fault.Hold{Point: s.queuePoint()})
	if err != nil {
		return s.t.cause(ctx, fmt.Errorf("hold the queue: %w", err))
	}
	s.withheld.Store(h.ID)
	return nil
}

// offerWork lets the held fetches go.
func (s *serviceRig) offerWork(ctx context.Context) error {
	id := s.withheld.Swap(0)
	if id == 0 {
		return nil
	}
	_, err := s.Gate(s.queue()).Release(ctx, id, 0)
	return err
}

// consume lets the subject fetch its work until it has done so many items, or for the longest that a wave may last. The
// time in which its work is held doesn't count.
func (s *serviceRig) consume(ctx context.Context, c *load.Consume, w load.Wave) error {
	first, err := s.consumed(ctx)
	if err == nil {
		err = s.offerWork(ctx)
	}
	if err != nil {
		return err
	}
	now := first
	for end := time.Now().Add(time.Duration(c.For)); time.Now().Before(end); {
		if err = waiting.For(ctx, consumeStep); err != nil {
			break
		}
		if now, err = s.consumed(ctx); err != nil || now-first >= w.Requests {
			break
		}
		if s.t.frozen.Load() {
			end = time.Now().Add(time.Duration(c.For))
		}
	}
	if herr := s.withholdWork(context.WithoutCancel(ctx)); err == nil {
		err = herr
	}
	if err == nil && now == first {
		return fmt.Errorf("the subject fetched nothing within %s: is its queue empty?", time.Duration(c.For))
	}
	return err
}

const consumeStep = 50 * time.Millisecond

// consumed is how many items the subject has done so far.
func (s *serviceRig) consumed(ctx context.Context) (int64, error) {
	if c := s.t.Subject.Load.Consume.Counter; c != "" {
		v := s.t.sam.Metric(ctx, c)
		if math.IsNaN(v) {
			return 0, fmt.Errorf("the subject's metrics have no %s", c)
		}
		return int64(v), nil
	}
	seen, err := s.Seen(ctx)
	return seen[s.queue()].Finished, err
}

// atQueue counts no fetch that is held between waves as in flight: no work is.
func (s *serviceRig) atQueue(seen map[string]gateway.Seen) {
	if v, ok := seen[s.queue()]; ok && s.withheld.Load() != 0 {
		v.InFlight = 0
		seen[s.queue()] = v
	}
}

// consumerNote is what a consumer's trial lacks.
func (s *serviceRig) consumerNote() string {
	note := "a consumer: nothing was sent to it, and each item that it fetched counts as one with a key of its own"
	switch {
	case s.queue() == "":
		return note + "; it worked on while floors were taken, so that they have its work in them: " +
			"`load.consume.upstream` names the queue to hold it at"
	case s.raw(s.queue()):
		return note + "; its fetches were held by stopping the bytes of their connections, where an item may be under way"
	}
	return note
}
