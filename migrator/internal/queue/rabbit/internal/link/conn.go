package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
	"github.com/memsoak/memsoak/migrator/internal/queue/rabbit/internal/ledger"
)

// Conn is one connection and its channels. It dies as a whole: at the first error of any of its channels.
type Conn struct {
	Settings
	Broker  *amqp.Connection
	wire    net.Conn
	Talk    *amqp.Channel // events to the ledger, and its replies
	Out     *amqp.Channel // items
	serving sync.WaitGroup

	once sync.Once
	Dead chan struct{}
	Err  error // why, once dead

	Full   chan struct{} // closed when the broker says that it is full, for the first time
	Reason string        // why, once full is closed
	mute   atomic.Bool   // the broker is full now and reads nothing
}

// Settings are what a connection depends on.
type Settings struct {
	URL       string
	Process   string // names the connection to the broker's users
	Queues    string // the name before those of all queues
	Heartbeat time.Duration
	Patience  time.Duration // with a broker that is full
	Limits    Limits

	Broken func(error) // called with an error that no new connection helps against
	Ended  func()      // called at the end
}

const dialTimeout = 10 * time.Second

// Limits are the times after which waiting is in vain.
type Limits struct {
	// in which an answer, a confirmation or an item that is ready has to come; else the process connects again
	Silence time.Duration
	Lost    time.Duration // in which there has to be a sign of open items; else they are lost
}

// Tell is how often a process tells that it has items.
func (l *Limits) Tell() time.Duration { return l.Silence / 2 }

// Name is that of a queue in the broker.
func (c *Conn) Name(queue string) string { return c.Queues + "." + queue }

// Dial connects.
func Dial(ctx context.Context, set Settings) (*Conn, error) {
	c := &Conn{Settings: set, Dead: make(chan struct{}), Full: make(chan struct{})}
	config := amqp.Config{Heartbeat: set.Heartbeat, Locale: "en_US",
		Properties: amqp.Table{"connection_name": "migrator " + set.Process},
		Dial: func(network, addr string) (net.Conn, error) {
			d := net.Dialer{Timeout: dialTimeout}
			wire, err := d.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			c.wire = wire
			return wire, wire.SetDeadline(time.Now().Add(dialTimeout)) // of the handshake; the client lifts it
		}}
	var err error
	if c.Broker, err = amqp.DialConfig(set.URL, config); err != nil {
		if c.wire != nil {
			c.wire.Close()
		}
		return nil, err
	}
	closed := c.Broker.NotifyClose(make(chan *amqp.Error, 1))
	blocked := c.Broker.NotifyBlocked(make(chan amqp.Blocking, 8))
	c.Serve(func() { c.watch(closed, blocked) })
	if err := c.open(); err != nil {
		c.Fail(err)
		return nil, err
	}
	return c, nil
}

// open opens the channels.
func (c *Conn) open() (err error) {
	defer c.Limit()()
	if c.Talk, err = c.Channel(true); err != nil {
		return err
	}
	c.Out, err = c.Channel(true)
	return err
}

// Serve runs f until the connection's end, which waits for it.
func (c *Conn) Serve(f func()) { c.serving.Go(f) }

// Wait returns when all that serve runs has ended.
func (c *Conn) Wait() { c.serving.Wait() }

// Channel opens a channel whose end is the connection's.
func (c *Conn) Channel(confirm bool) (*amqp.Channel, error) {
	ch, err := c.Broker.Channel()
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
	c.Serve(func() {
		for {
			select {
			case err := <-closed:
				c.Fail(lost(err))
			case <-cancelled: // the queue was removed: the next connection shows it
				c.Fail(ErrSession)
			case r, ok := <-returned:
				if ok && r.RoutingKey != "" && r.Type == ledger.Schema {
					c.Fail(broker.ErrLost)
				}
				if !ok {
					returned = nil
				}
				continue
			case <-c.Dead:
			}
			return
		}
	})
	return ch, nil
}

// lost makes an error of what a connection or channel ended with: nil when it was closed by this side.
func lost(err *amqp.Error) error {
	if err == nil {
		return ErrSession
	}
	return fmt.Errorf("%w: %w", ErrSession, err)
}

// watch ends the connection when either side closes it, or when the broker was full for too long.
func (c *Conn) watch(closed chan *amqp.Error, blocked chan amqp.Blocking) {
	patience := time.NewTimer(time.Hour)
	patience.Stop()
	defer patience.Stop()
	for {
		select {
		case err := <-closed:
			c.Fail(lost(err))
			return
		case b, ok := <-blocked:
			switch {
			case !ok:
				blocked = nil
			case b.Active:
				c.mute.Store(true)
				if c.Reason == "" {
					c.Reason = b.Reason
					close(c.Full)
				}
				patience.Reset(c.Patience)
			default:
				c.mute.Store(false)
				patience.Stop()
			}
		case <-patience.C:
			c.Fail(&FullError{Reason: c.Reason})
			return
		case <-c.Dead:
			return
		}
	}
}

// Fail ends the connection immediately. Its items go to others.
func (c *Conn) Fail(err error) {
	c.once.Do(func() {
		c.Err = err
		if !Passing(err) && !errors.Is(err, broker.ErrClosed) {
			c.Broken(err)
		}
		close(c.Dead)
		if c.wire != nil {
			c.wire.Close() // a polite end could wait for a broker that reads nothing
		}
		c.Ended()
	})
}

// End closes the connection as it should be.
func (c *Conn) End() {
	select {
	case <-c.Dead:
	default:
		_ = c.Broker.CloseDeadline(time.Now().Add(5 * time.Second)) // what matters was confirmed before
	}
	c.Fail(broker.ErrClosed)
	c.Wait()
}
