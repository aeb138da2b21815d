package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
)

// The ways in which a call fails that doesn't come back from the broker as an error.
var (
	ErrSession = errors.New("connection lost")
	errNack    = errors.New("the broker didn't take a message")
	ErrReply   = errors.New("no process answers")
	errConfirm = errors.New("the broker confirms nothing")
	errSilent  = errors.New("the broker answers nothing")
	ErrStarved = errors.New("items are ready and the broker delivers none")
)

// FullError means that the broker takes no messages any more.
type FullError struct{ Reason string }

// Error says why.
func (e *FullError) Error() string { return "blocked: " + e.Reason }

// Passing says that an error goes away when the server or the network is back.
func Passing(err error) bool {
	var full *FullError
	if errors.As(err, &full) || errors.Is(err, broker.ErrSchema) || errors.Is(err, broker.ErrLost) || errors.Is(err,
		broker.ErrNone) {
		return false
	}
	if errors.Is(err, ErrSession) || errors.Is(err, errNack) || errors.Is(err, ErrReply) || errors.Is(err, errConfirm) ||
		errors.Is(err, errSilent) || errors.Is(err, amqp.ErrClosed) {
		return true
	}
	if e, ok := errors.AsType[*amqp.Error](err); ok {
		switch e.Code {
		case amqp.AccessRefused, amqp.NotAllowed, amqp.NotImplemented, amqp.ResourceLocked:
			return false
		case amqp.PreconditionFailed:
			return !strings.Contains(e.Reason, "inequivalent") && !strings.Contains(e.Reason, "invalid arg")
		case amqp.NotFound:
			return !strings.Contains(e.Reason, "no queue")
		}
		return true
	}
	var n net.Error
	return errors.As(err, &n) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err,
		context.DeadlineExceeded)
}

// Place is where a queue is, as an error says it.
type Place struct{ Addr, Vhost, Queue string }

// Explain names in one line the cause and the next step.
func Explain(err error, q Place) error {
	var full *FullError
	var e *amqp.Error
	coded := errors.As(err, &e)
	switch {
	case errors.Is(err, broker.ErrClosed), errors.Is(err, broker.ErrNone), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &full):
		return fmt.Errorf("rabbitmq at %s is full (%s) and takes no more work: free memory or disk space there, or lower "+
			"--queue-limit; nothing is lost, the same command goes on", q.Addr, full.Reason)
	case errors.Is(err, broker.ErrSchema), errors.Is(err, broker.ErrLost):
		return fmt.Errorf("queue %s on RabbitMQ at %s: %w", q.Queue, q.Addr, err)
	case coded && e.Code == amqp.PreconditionFailed && !Passing(err):
		return fmt.Errorf("queue %s on RabbitMQ at %s: %w (%s)", q.Queue, q.Addr, broker.ErrSchema, e.Reason)
	case coded && e.Code == amqp.NotFound && !Passing(err):
		return fmt.Errorf("queue %s on RabbitMQ at %s: %w", q.Queue, q.Addr, broker.ErrLost)
	case errors.Is(err, amqp.ErrVhost), coded && e.Code == amqp.NotAllowed:
		return fmt.Errorf("rabbitmq at %s lets the user not into virtual host %q: create it or give another one, as in "+
			"amqp://user:password@host:5672/vhost: %w", q.Addr, q.Vhost, err)
	case coded && e.Code == amqp.AccessRefused && strings.Contains(e.Reason, "queue"):
		return fmt.Errorf("rabbitmq at %s forbids what the queue needs: %w", q.Addr, err)
	case coded && e.Code == amqp.AccessRefused, errors.Is(err, amqp.ErrSASL):
		return fmt.Errorf("rabbitmq at %s refuses the credentials: give them as in amqp://user:password@host:5672/vhost: %w",
			q.Addr, err)
	case Passing(err):
		return fmt.Errorf("rabbitmq at %s can't be reached: see that --queue is right and the server runs: %w", q.Addr, err)
	}
	return fmt.Errorf("rabbitmq at %s: %w", q.Addr, err)
}
