package rabbit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/memsoak/memsoak/migrator/internal/pace"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
)

// The ways in which a call fails that doesn't come back from the broker as an error.
var (
	errSession = errors.New("connection lost")
	errNack    = errors.New("the broker didn't take a message")
	errReply   = errors.New("no process answers")
	errConfirm = errors.New("the broker confirms nothing")
	errSilent  = errors.New("the broker answers nothing")
	errStarved = errors.New("items are ready and the broker delivers none")
)

// fullError means that the broker takes no messages any more.
type fullError struct{ reason string }

func (e *fullError) Error() string { return "blocked: " + e.reason }

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
		case !passing(err) || time.Since(began) > q.o.Patience:
			return q.explain(err)
		}
		if err := pace.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// passing says that an error goes away when the server or the network is back.
func passing(err error) bool {
	var full *fullError
	if errors.As(err, &full) || errors.Is(err, broker.ErrSchema) || errors.Is(err, broker.ErrLost) || errors.Is(err,
		broker.ErrNone) {
		return false
	}
	if errors.Is(err, errSession) || errors.Is(err, errNack) || errors.Is(err, errReply) || errors.Is(err, errConfirm) ||
		errors.Is(err, errSilent) || errors.Is(err, amqp.ErrClosed) {
		return true
	}
	var e *amqp.Error
	if errors.As(err, &e) {
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

// explain names in one line the cause and the next step.
func (q *Queue) explain(err error) error {
	var full *fullError
	var e *amqp.Error
	coded := errors.As(err, &e)
	switch {
	case errors.Is(err, broker.ErrClosed), errors.Is(err, broker.ErrNone), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &full):
		return fmt.Errorf("rabbitmq at %s is full (%s) and takes no more work: free memory or disk space there, or lower "+
			"--queue-limit; nothing is lost, the same command goes on", q.addr, full.reason)
	case errors.Is(err, broker.ErrSchema), errors.Is(err, broker.ErrLost):
		return fmt.Errorf("queue %s on RabbitMQ at %s: %w", q.o.Name, q.addr, err)
	case coded && e.Code == amqp.PreconditionFailed && !passing(err):
		return fmt.Errorf("queue %s on RabbitMQ at %s: %w (%s)", q.o.Name, q.addr, broker.ErrSchema, e.Reason)
	case coded && e.Code == amqp.NotFound && !passing(err):
		return fmt.Errorf("queue %s on RabbitMQ at %s: %w", q.o.Name, q.addr, broker.ErrLost)
	case errors.Is(err, amqp.ErrVhost), coded && e.Code == amqp.NotAllowed:
		return fmt.Errorf("rabbitmq at %s lets the user not into virtual host %q: create it or give another one, as in "+
			"amqp://user:password@host:5672/vhost: %w", q.addr, q.vhost, err)
	case coded && e.Code == amqp.AccessRefused && strings.Contains(e.Reason, "queue"):
		return fmt.Errorf("rabbitmq at %s forbids what the queue needs: %w", q.addr, err)
	case coded && e.Code == amqp.AccessRefused, errors.Is(err, amqp.ErrSASL):
		return fmt.Errorf("rabbitmq at %s refuses the credentials: give them as in amqp://user:password@host:5672/vhost: %w",
			q.addr, err)
	case passing(err):
		return fmt.Errorf("rabbitmq at %s can't be reached: see that --queue is right and the server runs: %w", q.addr, err)
	}
	return fmt.Errorf("rabbitmq at %s: %w", q.addr, err)
}
