package migrator

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/memsoak/memsoak/migrator/internal/pace"
)

// retrier counts the tries of one operation.
type retrier struct {
	c              *Copier
	tries, limited int
}

// again decides about err: nil after the pause that another try needs, else the error to give up with.
func (r *retrier) again(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var wait time.Duration
	switch ClassOf(err) {
	case Transient:
		if r.tries++; r.tries >= r.c.cfg.Attempts {
			return fmt.Errorf("%w (given up after %d tries)", err, r.tries)
		}
		wait = r.c.backoff(r.tries)
	case RateLimited:
		if r.limited++; r.limited >= 4*r.c.cfg.Attempts {
			return fmt.Errorf("%w (given up after %d tries)", err, r.limited)
		}
		wait = r.c.backoff(r.limited)
		r.c.stats.RateLimited.Add(1)
	case DailyLimit:
		return r.c.waitDay(ctx, err)
	default:
		return err
	}
	wait = max(wait, min(retryAfter(err), 5*time.Minute))
	r.c.stats.Retries.Add(1)
	r.c.event(Event{Type: "retry", Reason: ReasonOf(err), Detail: err.Error(), Wait: wait})
	return pace.Sleep(ctx, wait)
}

// backoff is the pause before the try after n: full jitter over the upper half of a doubling bound.
func (c *Copier) backoff(n int) time.Duration {
	d := min(c.cfg.Backoff<<min(n-1, 20), c.cfg.BackoffMax)
	return d/2 + time.Duration(rand.Int64N(int64(d/2)+1))
}

func retryAfter(err error) time.Duration {
	if e := asError(err); e != nil {
		return e.RetryAfter
	}
	return 0
}

// source makes one kind of call to the source, paced, until it succeeds or is given up.
func (c *Copier) source(ctx context.Context, call func() error) error {
	r := retrier{c: c}
	for {
		if err := c.pace.Wait(ctx); err != nil {
			return err
		}
		err := call()
		if err == nil {
			return nil
		}
		if ClassOf(err) == RateLimited {
			c.pace.Slow()
		}
		if err := r.again(ctx, err); err != nil {
			return err
		}
	}
}

// listPage asks the source for one page, and gives a reply as long as IdleTimeout.
func (c *Copier) listPage(ctx context.Context, l Listing) (page Page, err error) {
	err = c.source(ctx, func() (err error) {
		ctx, cancel := context.WithTimeout(ctx, c.cfg.IdleTimeout)
		defer cancel()
		page, err = c.src.List(ctx, l)
		return err
	})
	return page, err
}

// statEntry asks the source for one item, and gives a reply as long as IdleTimeout.
func (c *Copier) statEntry(ctx context.Context, id string) (e Entry, err error) {
	err = c.source(ctx, func() (err error) {
		ctx, cancel := context.WithTimeout(ctx, c.cfg.IdleTimeout)
		defer cancel()
		e, err = c.src.Stat(ctx, id)
		return err
	})
	return e, err
}

// sinkCall makes one kind of call to the sink until it succeeds or is given up.
func (c *Copier) sinkCall(ctx context.Context, call func(ctx context.Context) error) error {
	r := retrier{c: c}
	for {
		cctx, cancel := context.WithTimeout(ctx, c.cfg.SinkTimeout)
		err := call(cctx)
		cancel()
		if err == nil {
			return nil
		}
		if err := r.again(ctx, err); err != nil {
			return err
		}
	}
}

// waitDay waits until the day's quota is renewed. All calls to the source wait with it.
func (c *Copier) waitDay(ctx context.Context, err error) error {
	now := c.now()
	until := now.Add(c.cfg.DailyPause)
	if c.cfg.DailyPause == 0 {
		until = nextQuotaDay(now)
	}
	c.pace.Pause(until)
	c.stats.Paused.Add(1)
	c.event(Event{Type: "paused", Reason: ReasonOf(err), Detail: "goes on at " + until.Format(time.RFC3339),
		Wait: until.Sub(now)})
	return pace.Sleep(ctx, until.Sub(now))
}

// nextQuotaDay is the next midnight of Pacific time. Without a time zone database it takes UTC-8, an hour late in
// summer.
func nextQuotaDay(now time.Time) time.Time {
	zone, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		zone = time.FixedZone("UTC-8", -8*3600)
	}
	y, m, d := now.In(zone).Date()
	return time.Date(y, m, d+1, 0, 1, 0, 0, zone)
}
