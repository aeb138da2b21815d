package subject

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// awaitReady polls the ready URL until it answers 200.
func (p *Process) awaitReady(ctx context.Context, timeout time.Duration) error {
	if timeout <= 0 {
		timeout = 20 * time.Second
	}
	url := p.Pprof + "/"
	if p.Spec.Ready != "" {
		var err error
		if url, err = Expand(p.Spec.Ready, p.values); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%w: no 200 from %s within %s", ErrNotReady, url,
		timeout))
	defer cancel()
	pause := 2 * time.Millisecond
	for {
		if status(ctx, p.client, url) == http.StatusOK {
			return nil
		}
		select {
		case <-p.exited:
			if p.cmd == nil {
				return fmt.Errorf("%w: the process %d has ended", ErrNotReady, p.PID())
			}
			return fmt.Errorf("%w: it ended with %s: %s", ErrNotReady, p.cmd.ProcessState, lastLine(p.log.Tail(2<<10)))
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
		pause = min(2*pause, 50*time.Millisecond)
	}
}

func status(ctx context.Context, c *http.Client, url string) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode
}
