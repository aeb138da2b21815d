package trial

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
)

// begin gives the subject the job and returns while it works. A subject that stands still for too long is left.
func (t *trial) begin(ctx context.Context, j job) (*running, error) {
	r, err := t.prepare(ctx, j)
	if err != nil {
		return nil, err
	}
	t.sam.Waves.Store(t.begunWaves)
	ctx, stop := context.WithCancelCause(ctx)
	r.run(ctx)
	go func() {
		defer stop(nil)
		if t.standsStill(ctx, r) {
			stop(errStill)
			<-r.done
		}
	}()
	return r, nil
}

// errStill is the cause of a wave's end when nothing moved for too long.
var errStill = errors.New("nothing moved for too long")

// stillLooks is how many looks a wave's patience is divided into.
const stillLooks = 20

// standsStill waits for the wave's end, or until the parties have seen nothing move for the protocol's patience. While
// work is held nothing is meant to move.
func (t *trial) standsStill(ctx context.Context, r *running) bool {
	patience := time.Duration(t.Protocol.WaveTimeout)
	tick := time.NewTicker(patience / stillLooks)
	defer tick.Stop()
	var last movement
	since := time.Now()
	for {
		select {
		case <-r.done:
			return false
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		now, err := t.moved(ctx)
		switch {
		case err != nil: // the trial is at its end
		case t.frozen.Load() || now != last:
			last, since = now, time.Now()
		case time.Since(since) >= patience:
			return true
		}
	}
}

// items is a number of the trial's items with their name.
func (t *trial) items(n int64) string {
	if t.Subject.Load != nil {
		return units.Count(n, "request")
	}
	return units.Count(n, "file")
}

// maxFailed is how many waves in a row may fail before the trial ends.
const maxFailed = 3

// finishWave waits for the wave and judges its end. A failed wave is noted and only ends the trial when too many fail
// in a row; standing still and the process's end do so the first time.
func (t *trial) finishWave(ctx context.Context, r *running) (failed string, err error) {
	<-r.done
	switch {
	case r.err == nil:
		t.failed = 0
		return "", nil
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case errors.Is(r.err, errStill):
		reason := fmt.Sprintf("a wave of %s was not done and nothing moved for %s", t.items(r.work.items),
			time.Duration(t.Protocol.WaveTimeout))
		if l := t.Subject.Load; l != nil && len(l.Command) > 0 {
			reason += fmt.Sprintf("; the load command %s had not ended", l.Command[0])
		}
		return r.err.Error(), &ended{outcome: record.Timeout, reason: reason}
	}
	// A request that breaks off is mostly the process's end, which is noticed a little later.
	select {
	case <-t.proc.Done():
		return "", errGone
	case <-time.After(100 * time.Millisecond):
	}
	t.failed++
	t.anyFail = r.err.Error()
	if t.failed >= maxFailed {
		return t.anyFail, &ended{outcome: record.WaveFailed, reason: fmt.Sprintf("%d waves in a row failed: %s", t.failed,
			t.anyFail)}
	}
	return t.anyFail, nil
}
