package link

import (
	"context"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/memsoak/memsoak/migrator/internal/queue/rabbit/internal/ledger"
)

// Publish sends a message to a queue. The confirmation is waited for by confirmed.
func (c *Conn) Publish(ch *amqp.Channel, queue string, p amqp.Publishing) (*amqp.DeferredConfirmation, error) {
	d, err := ch.PublishWithDeferredConfirm("", queue, true, false, p)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSession, err)
	}
	return d, nil
}

// Persistent is a message that survives the broker's restart.
func Persistent(body []byte) amqp.Publishing {
	return amqp.Publishing{DeliveryMode: amqp.Persistent, Type: ledger.Schema, ContentType: "application/octet-stream",
		Body: body}
}

// Confirmed waits until the broker has all of the messages for good. When it says nothing for too long the connection
// ends: a message that came between its restart and its queue's may be lost without a word, and those behind it wait
// for it.
func (c *Conn) Confirmed(ctx context.Context, all ...*amqp.DeferredConfirmation) error {
	late := time.NewTimer(c.Limits.Silence)
	defer late.Stop()
	for _, d := range all {
		for done := false; !done; {
			select {
			case <-d.Done():
				if !d.Acked() {
					return c.Or(errNack)
				}
				done = true
				late.Reset(c.Limits.Silence)
			case <-c.Dead:
				return c.Err
			case <-ctx.Done():
				return ctx.Err()
			case <-late.C:
				c.Silent(errConfirm)
				late.Reset(c.Limits.Silence)
			}
		}
	}
	return nil
}

// Silent ends the connection because nothing came that should, unless the broker is full: then watch has the patience.
func (c *Conn) Silent(err error) {
	if !c.mute.Load() {
		c.Fail(err)
	}
}

// Limit ends the connection unless stop is called before a call to the broker has taken too long: the client waits for
// ever.
func (c *Conn) Limit() (stop func()) {
	var done sync.WaitGroup
	stopped := make(chan struct{})
	done.Go(func() {
		t := time.NewTicker(3 * c.Limits.Silence)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				c.Silent(errSilent)
			case <-stopped:
				return
			case <-c.Dead:
				return
			}
		}
	})
	return func() { close(stopped); done.Wait() }
}

// Or returns why the connection ended if it did, else err.
func (c *Conn) Or(err error) error {
	select {
	case <-c.Dead:
		return c.Err
	default:
		return err
	}
}
