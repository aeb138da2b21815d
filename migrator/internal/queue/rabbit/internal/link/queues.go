package link

import (
	"crypto/rand"
	"errors"
	"slices"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
	"github.com/memsoak/memsoak/migrator/internal/queue/rabbit/internal/ledger"
)

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

func (c *Conn) Declare() error {
	ch, err := c.Broker.Channel() // a refusal closes it
	if err != nil {
		return err
	}
	for _, name := range ledger.AllQueues() {
		if _, err := ch.QueueDeclare(c.Name(name), true, false, false, false, arguments(name)); err != nil {
			return err
		}
	}
	return ch.Close()
}

// There says whether the queues are, without making them: the last to be declared, and then all of them, else some were
// removed with their messages. Where they are expected and none is, they are lost.
func (c *Conn) There(expected func() bool) (bool, error) {
	ch, err := c.Broker.Channel()
	if err != nil {
		return false, err
	}
	names := ledger.AllQueues()
	slices.Reverse(names)
	for i, name := range names {
		_, err = ch.QueueDeclarePassive(c.Name(name), true, false, false, false, nil)
		var e *amqp.Error
		switch {
		case errors.As(err, &e) && e.Code == amqp.NotFound && !Passing(err):
			if i > 0 || expected() {
				return false, broker.ErrLost
			}
			return false, nil
		case err == nil && i == 0: // is it one of this version's?
			_, err = ch.QueueDeclare(c.Name(name), true, false, false, false, arguments(name))
		}
		if err != nil {
			return false, err
		}
	}
	return true, ch.Close()
}

// Seal makes a RabbitMQ that is killed from now on know the queues that were declared before. A node notes the name
// under which it finds a quorum queue's log only when the note of the next one follows, or seconds later (3.10.8). So
// one more queue is declared, whose loss does no harm.
func (c *Conn) Seal() error {
	defer c.Limit()()
	ch, err := c.Broker.Channel()
	if err != nil {
		return err
	}
	name := c.Name("seal." + rand.Text())
	args := amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-expires": int64(time.Minute / time.Millisecond)}
	if _, err := ch.QueueDeclare(name, true, false, false, false, args); err != nil {
		return err
	}
	if _, err := ch.QueueDelete(name, false, false, false); err != nil {
		return err
	}
	return ch.Close()
}

// Ready is how many items of a kind wait for a process.
func (c *Conn) Ready(k migrator.Kind) (n int, err error) {
	defer c.Limit()()
	ch, err := c.Broker.Channel()
	if err != nil {
		return 0, c.Or(err)
	}
	defer ch.Close()
	names := ledger.WorkQueues()[1:]
	if k == migrator.File {
		names = ledger.WorkQueues()[:1]
	}
	for _, name := range names {
		got, err := ch.QueueDeclarePassive(c.Name(name), true, false, false, false, nil)
		if err != nil {
			return 0, c.Or(err)
		}
		n += got.Messages
	}
	return n, nil
}

// Wanted says that a queue has nothing for other processes that take from it.
func (c *Conn) Wanted(queue string) bool {
	defer c.Limit()()
	ch, err := c.Broker.Channel()
	if err != nil {
		return false
	}
	defer ch.Close()
	got, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	return err == nil && got.Messages == 0 && got.Consumers > 1
}

// ErrLocked means that another process has the lock.
var ErrLocked = errors.New("locked")

// Lock makes the queue that is a lock.
func (c *Conn) Lock(name string) error {
	defer c.Limit()()
	ch, err := c.Broker.Channel() // a refusal closes it
	if err != nil {
		return c.Or(err)
	}
	_, err = ch.QueueDeclare(name, false, false, true, false, nil)
	var e *amqp.Error
	if errors.As(err, &e) && e.Code == amqp.ResourceLocked {
		return ErrLocked
	}
	if err != nil {
		return c.Or(err)
	}
	return ch.Close()
}

// Unlock removes it; where the connection is gone, the lock is, too.
func (c *Conn) Unlock(name string) {
	defer c.Limit()()
	ch, err := c.Broker.Channel()
	if err != nil {
		return
	}
	_, _ = ch.QueueDelete(name, false, false, false)
	_ = ch.Close()
}
