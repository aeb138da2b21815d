// Package pace decides how fast requests go out: a token bucket that slows down when the service says so and recovers,
// and a bucket of bytes. It knows nothing of services or retries.
package pace

import (
	"context"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limiter paces calls. It starts at its ceiling and looks at each second: where the service complained about a fifth of
// the calls or more, the rate falls to a little below the rate let through, though by half at most; in a second
// with fewer complaints it rises by a quarter, until it is so far above the complaints that it is lifted. Single
// complaints are left to the caller's backoff. Safe for concurrent use.
type Limiter struct {
	ceiling rate.Limit
	now     func() time.Time

	mu         sync.Mutex
	bucket     *rate.Limiter
	calls      float64 // since windowAt
	complaints float64
	windowAt   time.Time
	highest    rate.Limit // rate at which the first cut was made; 0 while there is none
	paused     time.Time  // no call before
}

const (
	window    = time.Second
	tolerated = 0.2 // share of complaints that isn't about the rate
	slowest   = 5   // calls per second that no cut gets below: Google grants a user 200
	rise      = 1.25
	lifted    = 4 // the limit goes when it has reached so many times the rate of the first cut
)

// New returns a limiter of at most perSecond calls; 0 is as many as the service allows.
func New(perSecond float64, now func() time.Time) *Limiter {
	l := &Limiter{ceiling: rate.Inf, now: now, windowAt: now()}
	if perSecond > 0 {
		l.ceiling = rate.Limit(perSecond)
	}
	l.bucket = rate.NewLimiter(l.ceiling, burst(l.ceiling))
	return l
}

func burst(r rate.Limit) int {
	if r == rate.Inf {
		return 1
	}
	return max(1, int(r/4))
}

// Reserve counts a call and says how long to wait before making it. Where that is longer than a window nothing is
// reserved and ok is false: the caller waits and asks again, since the rate may have changed by then.
func (l *Limiter) Reserve() (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.adapt(now)
	if wait := l.paused.Sub(now); wait > 0 {
		return wait, false
	}
	r := l.bucket.ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > window {
		r.CancelAt(now)
		return window, false
	}
	l.calls++
	return wait, true
}

// Wait waits until a call may be made.
func (l *Limiter) Wait(ctx context.Context) error {
	for {
		wait, ok := l.Reserve()
		if err := Sleep(ctx, wait); err != nil || ok {
			return err
		}
	}
}

// Slow counts a complaint of the service.
func (l *Limiter) Slow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.complaints++
	l.adapt(l.now())
}

// adapt changes the rate when a window has passed.
func (l *Limiter) adapt(now time.Time) {
	d := now.Sub(l.windowAt)
	if d < window {
		return
	}
	share := l.complaints / max(l.calls, l.complaints, 1)
	called := rate.Limit(max(l.calls, l.complaints) / d.Seconds())
	through := called * rate.Limit(1-share)
	l.calls, l.complaints, l.windowAt = 0, 0, now
	limit := l.bucket.Limit()
	switch {
	case share >= tolerated:
		from := min(limit, called)
		l.highest = max(l.highest, from)
		l.set(now, max(through*0.9, from/2, slowest))
	case l.highest > 0:
		next := limit * rate.Limit(math.Pow(rise, min(d.Seconds(), 60)))
		if next >= l.ceiling || next > lifted*l.highest {
			next, l.highest = l.ceiling, 0
		}
		l.set(now, next)
	}
}

func (l *Limiter) set(now time.Time, r rate.Limit) {
	l.bucket.SetLimitAt(now, r)
	l.bucket.SetBurstAt(now, burst(r))
}

// Pause lets no call through before t.
func (l *Limiter) Pause(t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.After(l.paused) {
		l.paused = t
	}
}

// Bytes is a limit of bytes per second; nil is none.
type Bytes struct{ bucket *rate.Limiter }

// NewBytes returns a limit of perSecond bytes, nil for 0.
func NewBytes(perSecond int64) *Bytes {
	if perSecond <= 0 {
		return nil
	}
	return &Bytes{rate.NewLimiter(rate.Limit(perSecond), int(max(perSecond/4, 64<<10)))}
}

// Wait takes n bytes out of the bucket.
func (b *Bytes) Wait(ctx context.Context, n int) error {
	for b != nil && n > 0 {
		k := min(n, b.bucket.Burst())
		if err := b.bucket.WaitN(ctx, k); err != nil {
			return err
		}
		n -= k
	}
	return nil
}

// Sleep waits for d, or until the end of ctx, whose error it returns then.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
