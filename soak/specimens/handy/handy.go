// Package handy has helpers that faulty and healthy code share, as every real program has them.
package handy

import (
	"context"
	"time"
)

// Padded returns a copy of b in a slice of n bytes. A longer b is cut.
func Padded(b []byte, n int) []byte {
	p := make([]byte, n)
	copy(p, b)
	return p
}

// Every calls f each time the period has passed, until ctx ends. It does not block.
func Every(ctx context.Context, period time.Duration, f func()) {
	go func() {
		t := time.NewTicker(period)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				f()
			case <-ctx.Done():
				return
			}
		}
	}()
}
