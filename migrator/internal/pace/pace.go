// Package pace decides how fast requests go out: a token bucket that slows down when the service says so and recovers,
// and a bucket of bytes. It knows nothing of services or retries.
package pace

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limiter paces calls. It starts at its ceiling, falls to half the rate that was reached when the service complains,
// and rises again by a twentieth of the fall's rate each second without a complaint. Safe for concurrent use.
type Limiter struct {
	ceiling rate.Limit
	now     func() time.Time

	mu       sync.Mutex
	bucket   *rate.Limiter
	calls    int       // since windowAt
	windowAt time.Time // start of the second that calls counts
	reached  float64   // calls per second of the last whole window
	step     rate.Limit
	cutAt    time.Time
	raisedAt time.Time
	paused   time.Time // no call before
}

// slowest is the rate that no complaint gets below, per second.
const slowest = 0.5

// New returns a limiter of at most perSecond calls; 0 is as many as the service allows.
func New(perSecond float64, now func() time.Time) *Limiter {
	l := &Limiter{ceiling: rate.Inf, now: now}
	if perSecond > 0 {
		l.ceiling = rate.Limit(perSecond)
	}
	l.bucket = rate.NewLimiter(l.ceiling, burst(l.ceiling))
	l.windowAt = now()
	return l
}

func burst(r rate.Limit) int {
	if r == rate.Inf {
		return 1
	}
	return max(1, int(r/4))
}

// Reserve counts a call and says how long to wait before making it.
func (l *Limiter) Reserve() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if d := now.Sub(l.windowAt); d >= time.Second {
		l.reached = float64(l.calls) / d.Seconds()
		l.calls, l.windowAt = 0, now
	}
	l.calls++
	l.recover(now)
	wait := l.bucket.ReserveN(now, 1).DelayFrom(now)
	return max(wait, l.paused.Sub(now))
}

// recover raises the rate, and lifts the limit once it is four times what the service complained about.
func (l *Limiter) recover(now time.Time) {
	if l.step == 0 || now.Sub(l.raisedAt) < time.Second {
		return
	}
	l.raisedAt = now
	next := l.bucket.Limit() + l.step
	if next >= l.ceiling || next > 80*l.step {
		next, l.step = l.ceiling, 0
	}
	l.set(now, next)
}

func (l *Limiter) set(now time.Time, r rate.Limit) {
	l.bucket.SetLimitAt(now, r)
	l.bucket.SetBurstAt(now, burst(r))
}

// Slow tells that the service complained. Complaints within a second of the last cut are about the same burst and
// count once.
func (l *Limiter) Slow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if now.Sub(l.cutAt) < time.Second {
		return
	}
	from := l.bucket.Limit()
	if from == rate.Inf {
		d := max(now.Sub(l.windowAt).Seconds(), 0.1)
		from = rate.Limit(max(l.reached, float64(l.calls)/d))
	}
	l.cutAt, l.raisedAt = now, now
	l.step = max(from/20, 0.1)
	l.set(now, max(from/2, slowest))
}

// Pause lets no call through before t.
func (l *Limiter) Pause(t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.After(l.paused) {
		l.paused = t
	}
}

// Rate is the present limit in calls per second; 0 when there is none.
func (l *Limiter) Rate() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bucket.Limit() == rate.Inf {
		return 0
	}
	return float64(l.bucket.Limit())
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
