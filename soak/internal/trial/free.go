package trial

import (
	"context"
	"time"

	"github.com/memsoak/memsoak/soak/internal/protocol"
)

// listedEvery is the time between looks at how much of a corpus is listed.
const listedEvery = 200 * time.Millisecond

// onceListed calls end so long after that many files were listed; never once the wave or ctx has ended.
func (t *trial) onceListed(ctx context.Context, r *running, files int64, after time.Duration, end func()) {
	wait := func(d time.Duration) bool {
		select {
		case <-ctx.Done():
		case <-r.done:
		case <-time.After(d):
			return true
		}
		return false
	}
	for wait(listedEvery) {
		if c := t.sam.Covariates(ctx); c != nil && c.FilesListed >= files {
			if wait(after) {
				end()
			}
			return
		}
	}
}

// slow makes the sink as slow as the phase wants it.
func (t *trial) slow(ctx context.Context, ph *protocol.Phase) (restore func() error, err error) {
	if ph.SinkRate == 0 {
		return func() error { return nil }, nil
	}
	return t.rig.weather(ctx, weather{sinkRate: int64(ph.SinkRate)})
}
