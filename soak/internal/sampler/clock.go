package sampler

import "time"

// Clock keeps the times of records in order when the system's clock is stepped: it tells the wall clock's time at its
// start plus what has passed since then by the monotonic clock, which no step of the system's clock moves (see the
// package documentation of time, "Monotonic Clocks"). A nil Clock tells the system's time. A Clock is safe for
// concurrent use.
type Clock struct {
	start   time.Time
	elapsed func() time.Duration
}

// StartClock returns a Clock that starts at the system's time.
func StartClock() *Clock {
	now := time.Now()
	return ClockAt(now, func() time.Duration { return time.Since(now) })
}

// ClockAt returns a Clock that starts at the given time and advances as elapsed says.
func ClockAt(start time.Time, elapsed func() time.Duration) *Clock { return &Clock{start, elapsed} }

// Now is the Clock's time.
func (c *Clock) Now() time.Time {
	if c == nil {
		return time.Now()
	}
	return c.start.Add(c.elapsed())
}
