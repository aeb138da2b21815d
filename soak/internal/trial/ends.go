package trial

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
)

// limited is the context of a trial's work: it ends at the cap, when the subject counts as silent, and with gone, the
// process's end; a nil gone is waited for elsewhere.
func (t *trial) limited(outer context.Context, gone <-chan struct{}) (context.Context, context.CancelFunc) {
	capped, end := context.WithDeadlineCause(outer, t.begun.Add(t.cap()), errCapped)
	ctx, cancel := context.WithCancelCause(capped)
	go func() {
		select {
		case <-gone:
			cancel(errGone)
		case err := <-t.silent:
			cancel(err)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil); end() }
}

// noAnswers is the end of a trial whose subject doesn't answer any more.
func (t *trial) noAnswers(silent error) error {
	if t.ooms() > 0 {
		return t.why()
	}
	return &ended{outcome: record.Timeout, reason: silent.Error()}
}

// errCapped is the cause of the context's end at the cap of the trial's time.
var errCapped = errors.New("the cap of the trial's time is reached")

// cap is the declared cap of the trial's time; a run around the clock has it beyond its duration.
func (t *trial) cap() time.Duration { return time.Duration(t.Protocol.Budget) + t.Duration }

// atCap is the end of a trial that reached its cap: a timeout while phases of the protocol are missing. Of the work
// added beyond those nothing is missing, and open hypotheses stay open.
func (t *trial) atCap() error {
	if n := t.ooms(); n > 0 {
		return t.why()
	}
	phase := ""
	t.rec.update(func(r *record.Trial) {
		if r.Effort != nil {
			r.Effort.Capped = true
		}
		if n := len(r.Phases); n > 0 {
			phase = r.Phases[n-1].Name
		}
	})
	if t.added > 0 {
		return nil
	}
	return &ended{outcome: record.Timeout, reason: fmt.Sprintf("not done after %s, the trial's cap; its last phase was %s",
		t.cap(), phase)}
}
