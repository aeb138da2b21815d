package rabbit

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/url"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/pace"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
	"github.com/memsoak/memsoak/migrator/internal/queue/rabbit/internal/ledger"
	"github.com/memsoak/memsoak/migrator/internal/queue/rabbit/internal/link"
)

// Queue is a broker.Queue. Safe for concurrent use.
type Queue struct {
	o      broker.Options
	url    string
	addr   string
	vhost  string
	me     string // process, in the ledger
	serial atomic.Int64

	limits link.Limits

	dialing chan struct{} // its holder connects

	mu     sync.Mutex
	now    *session
	broken error // no connection helps any more
	held   broker.Leases[*held]
	ahead  [2][]*held // by kind - 1: delivered and not taken
	wake   chan struct{}
	inside [2]int // by kind - 1: on the way from ahead to held
	begun  bool   // a migration was there
	run    uint64
	known  ledger.Reply // the ledger's last word
	at     time.Time
	locks  map[string]struct{}

	looking chan struct{} // its holder asks how far the migration is
	pushing chan struct{} // of the caller that pushes
	ends    *broker.Outbox[ended]
	ending  context.Context // until Close
	end     context.CancelFunc
	done    sync.WaitGroup
}

// Open connects to the RabbitMQ of a URL as in amqp://user:password@host:5672/vhost or amqps://.
func Open(ctx context.Context, raw string, o broker.Options) (*Queue, error) {
	return openWith(ctx, raw, o, nil)
}

// openWith opens a queue with limits of the caller's, if he gives any.
func openWith(ctx context.Context, raw string, o broker.Options, l *link.Limits) (*Queue, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("queue %s: not a URL", broker.Redact(raw))
	}
	if _, err := amqp.ParseURI(raw); err != nil {
		return nil, fmt.Errorf("queue %s: %w", broker.Redact(raw), err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "host"
	}
	q := &Queue{o: o, url: raw, addr: u.Host, vhost: vhost(u), me: fmt.Sprintf("%s-%d-%s", host, os.Getpid(),
		rand.Text()[:8]),
		dialing: make(chan struct{}, 1), looking: make(chan struct{}, 1), pushing: make(chan struct{}, 1),
		held:  broker.Leases[*held]{},
		locks: map[string]struct{}{},
		wake:  make(chan struct{})}
	q.ends = broker.NewOutbox(q.settleAll)
	if q.limits = q.defaultLimits(); l != nil {
		q.limits = *l
	}
	q.ending, q.end = context.WithCancel(context.Background())
	if err := q.hello(ctx); err != nil {
		q.disconnect()
		return nil, err
	}
	q.done.Go(func() { q.ends.Run(q.ending) })
	q.done.Go(q.returner)
	return q, nil
}

func vhost(u *url.URL) string {
	if v := u.Path; len(v) > 1 {
		return v[1:]
	}
	return "/"
}

// hello looks at the broker. It has no patience with an address without a listener, nor with a broker that is full.
func (q *Queue) hello(ctx context.Context) error {
	began := time.Now()
	for {
		err := q.look(ctx)
		var dial *net.OpError
		switch {
		case err == nil, errors.Is(err, broker.ErrNone), errors.Is(err, broker.ErrLost):
			return nil // a migration that is lost can still be begun again
		case !link.Passing(err), errors.As(err, &dial) && dial.Op == "dial", time.Since(began) >= q.o.Patience:
			return q.explain(err)
		}
		if err := pace.Sleep(ctx, pauseMax); err != nil {
			return err
		}
	}
}

// look asks the ledger once, unless the broker is full.
func (q *Queue) look(ctx context.Context) error {
	s, err := q.session(ctx)
	if err != nil {
		return err
	}
	answer := make(chan error, 1)
	go func() {
		_, err := s.ask(ctx, &ledger.Event{})
		answer <- err
	}()
	select {
	case err = <-answer:
	case <-s.Full:
		err = &link.FullError{Reason: s.Reason}
		s.Fail(err)
		<-answer
	}
	return err
}

func (q *Queue) name(queue string) string { return q.o.Name + "." + queue }

// session returns the connection, a new one where the last has ended.
func (q *Queue) session(ctx context.Context) (*session, error) {
	select {
	case q.dialing <- struct{}{}:
		defer func() { <-q.dialing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	q.mu.Lock()
	s, err := q.now, q.broken
	q.mu.Unlock()
	if s != nil || err != nil {
		return s, err
	}
	s, err = q.dial(ctx)
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-s.Dead: // in the meantime
		return nil, s.Err
	default:
		q.now = s
		return s, nil
	}
}

// dropped forgets a session and what came by it: that goes to others.
func (q *Queue) dropped(s *session) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.now == s {
		q.now = nil
	}
	for i := range q.ahead {
		q.ahead[i] = slices.DeleteFunc(q.ahead[i], func(h *held) bool { return h.s == s })
	}
	q.broadcast()
}

// broadcast wakes those who wait for items. q.mu is held.
func (q *Queue) broadcast() {
	close(q.wake)
	q.wake = make(chan struct{})
}

// break_ keeps an error that no new connection would help against.
func (q *Queue) break_(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.broken == nil {
		q.broken = err
	}
}

// unfinished says that a migration was there, and not done.
func (q *Queue) unfinished() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.begun && !q.known.Done()
}

// finished says that a migration was there, and done.
func (q *Queue) finished() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.begun && q.known.Done()
}

// learn keeps the ledger's word.
func (q *Queue) learn(r *ledger.Reply) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if r.Begun() {
		q.begun = true
	} else if q.begun {
		return // forgotten: the last known state tells whether it was done
	}
	q.known, q.at, q.run = *r, time.Now(), r.Run
}

// ask asks the ledger with patience.
func (q *Queue) ask(ctx context.Context, e *ledger.Event) (r ledger.Reply, err error) {
	err = q.patiently(ctx, func(s *session) (err error) {
		r, err = s.ask(ctx, e)
		return err
	})
	return r, err
}

// askNow asks how far the migration is, all that this process has done included.
func (q *Queue) askNow(ctx context.Context) (r ledger.Reply, err error) {
	if err := q.ends.Flush(ctx); err != nil {
		return r, err
	}
	return q.ask(ctx, &ledger.Event{})
}

// Begin implements broker.Queue.
func (q *Queue) Begin(ctx context.Context, m broker.Migration, root migrator.Item, restart bool) (broker.Migration,
	error) {
	b, err := json.Marshal(m)
	if err != nil {
		return m, err
	}
	p, err := ledger.NewProduct(nil, &root)
	if err != nil {
		return m, err
	}
	e := &ledger.Event{Begin: &ledger.Begin{Request: rand.Text(), Run: mathrand.Uint64() >> 16, Migration: b, Root: p,
		Restart: restart}}
	var r ledger.Reply
	err = q.patiently(ctx, func(s *session) (err error) {
		if err := s.join(true); err != nil {
			return s.Or(err)
		}
		if err := s.Seal(); err != nil {
			return s.Or(err)
		}
		r, err = s.ask(ctx, e)
		return err
	})
	if err != nil {
		return m, err
	}
	return q.decode(&r)
}

// decode reads the description of a migration from a reply.
func (q *Queue) decode(r *ledger.Reply) (m broker.Migration, err error) {
	if !r.Begun() {
		none := broker.ErrNone
		if q.unfinished() {
			none = broker.ErrLost
		}
		return m, fmt.Errorf("queue %s on RabbitMQ at %s: %w", q.o.Name, q.addr, none)
	}
	if err := json.Unmarshal(r.Mine, &m); err != nil {
		return m, fmt.Errorf("queue %s on RabbitMQ at %s: %w: %w", q.o.Name, q.addr, broker.ErrSchema, err)
	}
	return m, nil
}

// Migration implements broker.Queue.
func (q *Queue) Migration(ctx context.Context) (broker.Migration, error) {
	r, err := q.ask(ctx, &ledger.Event{})
	if err != nil {
		return broker.Migration{}, err
	}
	return q.decode(&r)
}

// Forget implements broker.Queue. The queue by which others know that there is a migration goes last.
func (q *Queue) Forget(ctx context.Context, unfinished bool) error {
	r, err := q.askNow(ctx)
	switch {
	case errors.Is(err, broker.ErrLost) && unfinished:
	case err != nil:
		return err
	case !r.Begun():
		return fmt.Errorf("queue %s on RabbitMQ at %s: %w", q.o.Name, q.addr, broker.ErrNone)
	case !r.Done() && !unfinished:
		return fmt.Errorf("queue %s on RabbitMQ at %s: %w", q.o.Name, q.addr, broker.ErrUnfinished)
	}
	return q.patiently(ctx, func(s *session) error {
		defer s.Limit()()
		ch, err := s.Broker.Channel()
		if err != nil {
			return s.Or(err)
		}
		for _, name := range ledger.AllQueues() {
			if _, err := ch.QueueDelete(q.name(name), false, false, false); err != nil {
				return s.Or(err)
			}
		}
		return ch.Close()
	})
}

// Close sends the settled items, gives back those taken ahead, and leaves. Leases not settled go to others
// immediately.
func (q *Queue) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	q.mu.Lock()
	s := q.now
	q.mu.Unlock()
	if s != nil {
		// A broker that is full reads nothing and answers nothing.
		defer context.AfterFunc(ctx, func() { s.Fail(broker.ErrClosed) })()
	}
	err := q.ends.Close(ctx)
	if s != nil && s.takeNoMore() == nil {
		_ = q.giveBack(ctx, q.removeAhead(func(*held) bool { return true })...) // the connection's end does it as well
	}
	q.end()
	q.done.Wait()
	q.disconnect()
	return err
}

func (q *Queue) disconnect() {
	q.mu.Lock()
	s := q.now
	if q.broken == nil {
		q.broken = broker.ErrClosed
	}
	q.mu.Unlock()
	if s != nil {
		s.end()
	}
}

// patiently calls f with a connection until it succeeds, fails for good, or the broker was unreachable for too long.
// Whatever f asks for may be asked for twice.
func (q *Queue) patiently(ctx context.Context, f func(*session) error) error {
	began := time.Now()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		s, err := q.session(ctx)
		if err == nil {
			err = f(s)
		}
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil && errors.Is(err, ctx.Err()):
			return ctx.Err()
		case ctx.Err() != nil:
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case !link.Passing(err) || time.Since(began) > q.o.Patience:
			return q.explain(err)
		}
		if err := pace.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// explain names in one line the cause and the next step.
func (q *Queue) explain(err error) error {
	return link.Explain(err, link.Place{Addr: q.addr, Vhost: q.vhost, Queue: q.o.Name})
}
