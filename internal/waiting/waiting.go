// Package waiting waits, and says what a command waits for. It has no patience of its own: who waits bounds that.
package waiting

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/memsoak/memsoak/internal/foreign"
)

// After is how long a wait lasts before its reason is said, Again how long before it is said once more.
const (
	After = 10 * time.Second
	Again = time.Minute
)

// Say says the reason of a wait, in one line, until stop, which may be called more than once.
func Say(out io.Writer, reason string) (stop func()) {
	var saying sync.WaitGroup
	ended := make(chan struct{})
	saying.Go(func() {
		for t := time.NewTimer(After); ; t.Reset(Again) {
			select {
			case <-ended:
				t.Stop()
				return
			case <-t.C:
				fmt.Fprintf(out, "waiting: %s\n", foreign.Line(reason, len("waiting: ")))
			}
		}
	})
	return sync.OnceFunc(func() { close(ended); saying.Wait() })
}

// For waits for d, or until the end of ctx, whose cause it returns then.
func For(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
