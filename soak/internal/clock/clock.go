// Package clock stamps records with times that stay in order when the system's clock is stepped.
package clock

import "time"

// Clock tells the wall clock's time at its start plus what has passed since then by the monotonic clock, which no step
// of the system's clock moves (see the package documentation of time, "Monotonic Clocks"). A nil Clock tells the
// system's time. A Clock is safe for concurrent use.
type Clock struct {
	start   time.Time
	elapsed func() time.Duration
}

// Start returns a Clock that starts at the system's time.
func Start() *Clock {
	now := time.Now()
	return At(now, func() time.Duration { return time.Since(now) })
}

// At returns a Clock that starts at the given time and advances as elapsed says.
func At(start time.Time, elapsed func() time.Duration) *Clock { return &Clock{start, elapsed} }

// Now is the Clock's time.
func (c *Clock) Now() time.Time {
	if c == nil {
		return time.Now()
	}
	return c.start.Add(c.elapsed())
}
