package rabbit

import (
	"context"
	"strconv"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/queue/rabbit/internal/keeper"
	"github.com/memsoak/memsoak/migrator/internal/queue/rabbit/internal/ledger"
	"github.com/memsoak/memsoak/migrator/internal/queue/rabbit/internal/link"
)

// session is a connection with the items and replies that come by it.
type session struct {
	*link.Conn
	q       *Queue
	in      *amqp.Channel  // items that this process takes
	arrival sync.WaitGroup // of items

	mu      sync.Mutex
	replies map[string]chan ledger.Reply
	taking  [2]bool  // by kind - 1: items of it come
	tags    []string // of the consumers that bring them
	joined  bool
}

const directReply = "amq.rabbitmq.reply-to"

// limits returns those for a queue's options. Twice two heartbeats are enough for the broker to hand out what a dead
// process had.
func (q *Queue) defaultLimits() link.Limits {
	const silence = 10 * time.Second
	return link.Limits{Silence: silence, Lost: 4*q.heartbeat() + silence}
}

// heartbeat is how often both sides of a connection give a sign of life. The broker hands out what a process has that
// gave none twice.
func (q *Queue) heartbeat() time.Duration { return min(max(q.o.Lease/3, time.Second), 30*time.Second) }

// dial connects.
func (q *Queue) dial(ctx context.Context) (*session, error) {
	s := &session{q: q, replies: map[string]chan ledger.Reply{}}
	set := link.Settings{URL: q.url, Process: q.me, Queues: q.o.Name, Heartbeat: q.heartbeat(), Patience: q.o.Patience,
		Limits: q.limits, Broken: q.break_, Ended: func() { q.dropped(s) }}
	var err error
	if s.Conn, err = link.Dial(ctx, set); err != nil {
		return nil, err
	}
	if err := s.open(); err != nil {
		s.Fail(err)
		return nil, err
	}
	return s, nil
}

// open makes replies come.
func (s *session) open() (err error) {
	defer s.Limit()()
	if s.in, err = s.Channel(false); err != nil {
		return err
	}
	answers, err := s.Talk.Consume(directReply, "", true, false, false, false, nil)
	if err != nil {
		return err
	}
	s.Serve(func() { s.hear(answers) })
	return nil
}

// join declares the queues and takes part in keeping the ledger. Without create it does nothing where no queues are.
func (s *session) join(create bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.joined {
		return nil
	}
	defer s.Limit()()
	if create {
		if err := s.Declare(); err != nil {
			return err
		}
	} else if there, err := s.There(s.q.unfinished); err != nil || !there {
		return err
	}
	s.joined = true
	s.Serve(func() { s.Fail(keeper.Keep(s.Conn, s.q.me, &s.q.serial)) })
	return nil
}

// take makes items of a kind come, a bounded number at a time.
func (s *session) take(k migrator.Kind) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taking[k-1] || !s.joined {
		return nil
	}
	defer s.Limit()()
	ahead, names := s.q.o.Prefetch, ledger.WorkQueues()[1:]
	if k == migrator.File {
		// As many messages as workers are in hand, as many wait in memory, and of twice as many ends wait to go out.
		ahead, names = 4*s.q.o.Prefetch, ledger.WorkQueues()[:1]
	}
	if err := s.in.Qos(ahead, 0, false); err != nil {
		return err
	}
	for level, name := range names {
		tag := strconv.FormatInt(s.q.serial.Add(1), 10)
		items, err := s.in.Consume(s.q.name(name), tag, false, false, false, false, nil)
		if err != nil {
			return err
		}
		s.tags = append(s.tags, tag)
		s.arrival.Go(func() {
			for d := range items {
				s.q.arrived(s, k, level, d)
			}
		})
	}
	s.taking[k-1] = true
	return nil
}

// starve ends the session if items of a kind are ready and don't come: the next one's consumers get them.
func (s *session) starve(k migrator.Kind) bool {
	n, err := s.Ready(k)
	if err != nil || n == 0 {
		return false // where there was an error, the session is about to end
	}
	s.Fail(link.ErrSession)
	return true
}

// takeNoMore ends what take began. When it returns, all that came has arrived.
func (s *session) takeNoMore() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.Limit()()
	for _, tag := range s.tags {
		if err := s.in.Cancel(tag, false); err != nil {
			return err // the session is about to end, and all consumers with it
		}
	}
	s.tags = nil
	s.arrival.Wait()
	return nil
}

// end closes the connection as it should be.
func (s *session) end() {
	s.Conn.End()
	s.arrival.Wait()
}
