package rabbit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
	"github.com/memsoak/memsoak/migrator/internal/queue/rabbit/internal/ledger"
)

// session is one connection and all that depends on it. It dies as a whole: at the first error of any of its channels.
type session struct {
	q       *Queue
	conn    *amqp.Connection
	wire    net.Conn
	talk    *amqp.Channel // events to the ledger, and its replies
	out     *amqp.Channel // items
	in      *amqp.Channel // items that this process takes
	serving sync.WaitGroup
	arrival sync.WaitGroup // of items

	once sync.Once
	dead chan struct{}
	err  error // why, once dead

	full   chan struct{} // closed when the broker says that it is full, for the first time
	reason string        // why, once full is closed
	mute   atomic.Bool   // the broker is full now and reads nothing

	mu      sync.Mutex
	replies map[string]chan ledger.Reply
	taking  [2]bool  // by kind - 1: items of it come
	tags    []string // of the consumers that bring them
	joined  bool
}

const (
	dialTimeout = 10 * time.Second
	directReply = "amq.rabbitmq.reply-to"
)

// limits are the times after which waiting is in vain.
type limits struct {
	// in which an answer, a confirmation or an item that is ready has to come; else the process connects again
	silence time.Duration
	lost    time.Duration // in which there has to be a sign of open items; else they are lost
}

// limits returns those for a queue's options. Twice two heartbeats are enough for the broker to hand out what a dead
// process had.
func (q *Queue) defaultLimits() limits {
	const silence = 10 * time.Second
	return limits{silence: silence, lost: 4*q.heartbeat() + silence}
}

// tell is how often a process tells that it has items.
func (l *limits) tell() time.Duration { return l.silence / 2 }

// heartbeat is how often both sides of a connection give a sign of life. The broker hands out what a process has that
// gave none twice.
func (q *Queue) heartbeat() time.Duration { return min(max(q.o.Lease/3, time.Second), 30*time.Second) }

// dial connects.
func (q *Queue) dial(ctx context.Context) (*session, error) {
	s := &session{q: q, dead: make(chan struct{}), full: make(chan struct{}), replies: map[string]chan ledger.Reply{}}
	config := amqp.Config{Heartbeat: q.heartbeat(), Locale: "en_US",
		Properties: amqp.Table{"connection_name": "migrator " + q.me},
		Dial: func(network, addr string) (net.Conn, error) {
			d := net.Dialer{Timeout: dialTimeout}
			c, err := d.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			s.wire = c
			return c, c.SetDeadline(time.Now().Add(dialTimeout)) // of the handshake; the client lifts it
		}}
	var err error
	if s.conn, err = amqp.DialConfig(q.url, config); err != nil {
		if s.wire != nil {
			s.wire.Close()
		}
		return nil, err
	}
	closed, blocked := s.conn.NotifyClose(make(chan *amqp.Error, 1)), s.conn.NotifyBlocked(make(chan amqp.Blocking, 8))
	s.serving.Go(func() { s.watch(closed, blocked) })
	if err := s.open(); err != nil {
		s.fail(err)
		return nil, err
	}
	return s, nil
}

// open opens the channels.
func (s *session) open() (err error) {
	defer s.limit()()
	if s.talk, err = s.channel(true); err != nil {
		return err
	}
	if s.out, err = s.channel(true); err != nil {
		return err
	}
	if s.in, err = s.channel(false); err != nil {
		return err
	}
	answers, err := s.talk.Consume(directReply, "", true, false, false, false, nil)
	if err != nil {
		return err
	}
	s.serving.Go(func() { s.hear(answers) })
	return nil
}

// channel opens a channel whose end is the session's.
func (s *session) channel(confirm bool) (*amqp.Channel, error) {
	ch, err := s.conn.Channel()
	if err != nil {
		return nil, err
	}
	if confirm {
		if err := ch.Confirm(false); err != nil {
			return nil, err
		}
	}
	closed, cancelled := ch.NotifyClose(make(chan *amqp.Error, 1)), ch.NotifyCancel(make(chan string, 1))
	returned := ch.NotifyReturn(make(chan amqp.Return, 1))
	s.serving.Go(func() {
		for {
			select {
			case err := <-closed:
				s.fail(lost(err))
			case <-cancelled: // the queue was removed: the next connection shows it
				s.fail(errSession)
			case r, ok := <-returned:
				if ok && r.RoutingKey != "" && r.Type == ledger.Schema {
					s.fail(broker.ErrLost)
				}
				if !ok {
					returned = nil
				}
				continue
			case <-s.dead:
			}
			return
		}
	})
	return ch, nil
}

// lost makes an error of what a connection or channel ended with: nil when it was closed by this side.
func lost(err *amqp.Error) error {
	if err == nil {
		return errSession
	}
	return fmt.Errorf("%w: %w", errSession, err)
}

// watch ends the session when the connection ends, or when the broker was full for too long.
func (s *session) watch(closed chan *amqp.Error, blocked chan amqp.Blocking) {
	patience := time.NewTimer(time.Hour)
	patience.Stop()
	defer patience.Stop()
	for {
		select {
		case err := <-closed:
			s.fail(lost(err))
			return
		case b, ok := <-blocked:
			switch {
			case !ok:
				blocked = nil
			case b.Active:
				s.mute.Store(true)
				if s.reason == "" {
					s.reason = b.Reason
					close(s.full)
				}
				patience.Reset(s.q.o.Patience)
			default:
				s.mute.Store(false)
				patience.Stop()
			}
		case <-patience.C:
			s.fail(&fullError{s.reason})
			return
		case <-s.dead:
			return
		}
	}
}

// fail ends the session immediately. Its items go to others.
func (s *session) fail(err error) {
	s.once.Do(func() {
		s.err = err
		if !passing(err) && !errors.Is(err, broker.ErrClosed) {
			s.q.break_(err)
		}
		close(s.dead)
		if s.wire != nil {
			s.wire.Close() // a polite end could wait for a broker that reads nothing
		}
		s.q.dropped(s)
	})
}

// join declares the queues and takes part in keeping the ledger. Without create it does nothing where no queues are.
func (s *session) join(create bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.joined {
		return nil
	}
	defer s.limit()()
	if create {
		if err := s.declare(); err != nil {
			return err
		}
	} else if there, err := s.there(); err != nil || !there {
		return err
	}
	s.joined = true
	s.serving.Go(func() { s.fail(s.keep()) })
	return nil
}

func (s *session) declare() error {
	ch, err := s.conn.Channel() // a refusal closes it
	if err != nil {
		return err
	}
	for _, name := range ledger.AllQueues() {
		if _, err := ch.QueueDeclare(s.q.name(name), true, false, false, false, arguments(name)); err != nil {
			return err
		}
	}
	return ch.Close()
}

// there says whether the queues are, without making them: the last to be declared, and then all of them, else some were
// removed with their messages.
func (s *session) there() (bool, error) {
	ch, err := s.conn.Channel()
	if err != nil {
		return false, err
	}
	names := ledger.AllQueues()
	slices.Reverse(names)
	for i, name := range names {
		_, err = ch.QueueDeclarePassive(s.q.name(name), true, false, false, false, nil)
		var e *amqp.Error
		switch {
		case errors.As(err, &e) && e.Code == amqp.NotFound && !passing(err):
			if i > 0 || s.q.unfinished() {
				return false, broker.ErrLost
			}
			return false, nil
		case err == nil && i == 0: // is it one of this version's?
			_, err = ch.QueueDeclare(s.q.name(name), true, false, false, false, arguments(name))
		}
		if err != nil {
			return false, err
		}
	}
	return true, ch.Close()
}

// seal makes a RabbitMQ that is killed from now on know the queues that were declared before. A node notes the name
// under which it finds a quorum queue's log only when the note of the next one follows, or seconds later (3.10.8). So
// one more queue is declared, whose loss does no harm.
func (s *session) seal() error {
	defer s.limit()()
	ch, err := s.conn.Channel()
	if err != nil {
		return err
	}
	name := s.q.name("seal." + rand.Text())
	args := amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-expires": int64(time.Minute / time.Millisecond)}
	if _, err := ch.QueueDeclare(name, true, false, false, false, args); err != nil {
		return err
	}
	if _, err := ch.QueueDelete(name, false, false, false); err != nil {
		return err
	}
	return ch.Close()
}

// take makes items of a kind come, a bounded number at a time.
func (s *session) take(k migrator.Kind) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taking[k-1] || !s.joined {
		return nil
	}
	defer s.limit()()
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
	n, err := s.ready(k)
	if err != nil || n == 0 {
		return false // where there was an error, the session is about to end
	}
	s.fail(errSession)
	return true
}

// ready is how many items of a kind wait for a process.
func (s *session) ready(k migrator.Kind) (n int, err error) {
	defer s.limit()()
	ch, err := s.conn.Channel()
	if err != nil {
		return 0, s.or(err)
	}
	defer ch.Close()
	names := ledger.WorkQueues()[1:]
	if k == migrator.File {
		names = ledger.WorkQueues()[:1]
	}
	for _, name := range names {
		got, err := ch.QueueDeclarePassive(s.q.name(name), true, false, false, false, nil)
		if err != nil {
			return 0, s.or(err)
		}
		n += got.Messages
	}
	return n, nil
}

// takeNoMore ends what take began. When it returns, all that came has arrived.
func (s *session) takeNoMore() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.limit()()
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
	select {
	case <-s.dead:
	default:
		_ = s.conn.CloseDeadline(time.Now().Add(5 * time.Second)) // what matters was confirmed before
	}
	s.fail(broker.ErrClosed)
	s.serving.Wait()
	s.arrival.Wait()
}

// arguments are what a queue is declared with: replicated, on disk, and never dropping anything by itself. (Newer
// versions of RabbitMQ drop a message delivered 20 times, and close consumers that hold a message for half an hour: an
// upload may take longer.)
func arguments(queue string) amqp.Table {
	t := amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-delivery-limit": int64(1 << 30),
		"x-consumer-timeout": int64(7 * 24 * 3600 * 1000)}
	if queue == ledger.QueueState {
		t[amqp.SingleActiveConsumerArg] = true
	}
	return t
}
