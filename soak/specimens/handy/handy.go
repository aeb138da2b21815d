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

// Every calls f once for each period that has passed, until ctx ends, and catches up with periods that a busy machine
// missed. It does not block.
func Every(ctx context.Context, period time.Duration, f func()) {
	go func() {
		t := time.NewTicker(period)
		defer t.Stop()
		begun, calls := time.Now(), 0
		for {
			select {
			case <-t.C:
				for ; calls < int(time.Since(begun)/period); calls++ {
					f()
				}
			case <-ctx.Done():
				return
			}
		}
	}()
}
