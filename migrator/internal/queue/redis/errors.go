package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/memsoak/memsoak/migrator/internal/pace"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
)

// patiently calls f until it succeeds, fails for good, or Redis was unreachable for too long. Whatever f asks for may
// be asked for twice.
func (q *Queue) patiently(ctx context.Context, f func() error) error {
	return q.trying(ctx, q.o.Patience, passing, f)
}

// trying calls f until it succeeds, fails with an error that is not worth another try, or has failed for so long.
func (q *Queue) trying(ctx context.Context, patience time.Duration, worth func(error) bool, f func() error) error {
	began := time.Now()
	var last error // that isn't the end of ctx
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := f()
		if err == nil {
			return nil
		}
		if !errors.Is(err, ctx.Err()) {
			last = err
		}
		if ctx.Err() == nil && (!worth(err) || time.Since(began) > patience) {
			return q.explain(err)
		}
		switch err := pace.Sleep(ctx, pause); {
		case err != nil && last != nil:
			return fmt.Errorf("%w (%w)", q.explain(last), err)
		case err != nil:
			return err
		}
	}
}

// unreached says that no connection came about.
func unreached(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// passing says that an error goes away when the server or the network is back.
func passing(err error) bool {
	var n net.Error
	if errors.As(err, &n) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, goredis.ErrPoolTimeout) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	for _, p := range []string{"LOADING ", "READONLY ", "MASTERDOWN ", "CLUSTERDOWN ", "TRYAGAIN ", "BUSY "} {
		if strings.HasPrefix(err.Error(), p) {
			return true
		}
	}
	return false
}

// explain names in one line the cause and the next step.
func (q *Queue) explain(err error) error {
	text := err.Error()
	switch {
	case strings.HasPrefix(text, "NOAUTH"), strings.HasPrefix(text, "WRONGPASS"), strings.Contains(text, "AUTH failed"),
		strings.HasPrefix(text, "ERR AUTH"):
		return fmt.Errorf("redis at %s refuses the credentials: give them as in redis://user:password@host:6379: %w", q.addr,
			err)
	case strings.HasPrefix(text, "NOPERM"):
		return fmt.Errorf("redis at %s forbids what the queue needs: %w", q.addr, err)
	case strings.Contains(text, "OOM command not allowed"), strings.HasPrefix(text, "OOM"):
		return fmt.Errorf("redis at %s is full: raise its maxmemory or lower --queue-limit; nothing is lost, the same "+
			"command goes on: %w", q.addr, err)
	case strings.Contains(text, "MISCONF"):
		return fmt.Errorf("redis at %s can't save to its disk and takes no more work: free some space there; nothing is "+
			"lost: %w", q.addr, err)
	case strings.Contains(text, "NOGROUP"): // a stream or its group was removed
		return fmt.Errorf("queue %s on Redis at %s: %w", q.o.Name, q.addr, broker.ErrLost)
	case strings.Contains(text, "WRONGTYPE"):
		return fmt.Errorf("queue %s on Redis at %s: %w", q.o.Name, q.addr, broker.ErrSchema)
	case passing(err):
		return fmt.Errorf("redis at %s can't be reached: see that --queue is right and the server runs: %w", q.addr, err)
	}
	return fmt.Errorf("redis at %s: %w", q.addr, err)
}
