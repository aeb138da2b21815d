package pyroscope

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// While nothing is stored or found, the reason is said after sayAfter, then every sayAgain, and all ends after giveUp.
const (
	sayAfter = 10 * time.Second
	sayAgain = time.Minute
	giveUp   = 3 * time.Minute
)

// patiently does work that waits for a server, and not for ever.
func (p *Pusher) patiently(ctx context.Context, work func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var watch sync.WaitGroup
	ended := make(chan struct{})
	watch.Go(func() {
		t := time.NewTicker(sayAfter)
		defer t.Stop()
		was, since, said := p.moved(), time.Now(), time.Time{}
		for {
			select {
			case <-ended:
				return
			case now := <-t.C:
				n := p.moved()
				switch {
				case n != was:
					was, since, said = n, now, time.Time{}
				case now.Sub(since) >= giveUp:
					cancel(fmt.Errorf("given up, %s", p.why(now.Sub(since))))
					return
				case p.Waiting != nil && now.Sub(said) >= sayAgain:
					p.Waiting(p.why(now.Sub(since)))
					said = now
				}
			}
		}
	})
	err := work(ctx)
	close(ended)
	watch.Wait()
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// moved counts what came of a push so far.
func (p *Pusher) moved() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.result.Stored + p.result.Already + len(p.result.Problems) + p.checked
}

// failed keeps why something has to wait, and returns it.
func (p *Pusher) failed(err error) error {
	if err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.last = err
	}
	return err
}

// why says what a push waits for.
func (p *Pusher) why(waited time.Duration) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	reason := "no answer so far"
	if p.last != nil {
		reason = p.last.Error()
	}
	return fmt.Sprintf("waiting for Pyroscope at %s, nothing moved for %v: %s", p.client.base.Redacted(),
		waited.Round(time.Second), reason)
}
