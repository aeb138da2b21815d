package trial

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/protocol"
)

// runOnce is the trial of a one-shot subject: the process starts with its work, is sampled, and ends.
func (t *trial) runOnce(ctx context.Context) error {
	t.findM()
	j := t.corpusJob()
	prefix := fmt.Sprintf("t%d-w1", t.Index)
	w, err := t.rig.give(ctx, j, prefix)
	if err != nil {
		return err
	}
	root := w.root
	r := &running{job: j, root: root, prefix: prefix, done: make(chan struct{})}
	if err := t.startSubject(ctx, map[string]string{"root": root.ID, "prefix": r.prefix}); err != nil {
		return err
	}
	t.given = append(t.given, r)
	t.sam.Waves.Add(1)
	p := t.open(protocol.Free, &protocol.Phase{Name: protocol.Free, Kind: protocol.Free}, job{files: root.Files})
	defer t.close(p)
	since := mark{seen: &record.Covariates{}, time: time.Now()}
	limited, cancel := context.WithTimeoutCause(ctx, time.Duration(t.Protocol.WaveTimeout), errWaveTimeout)
	defer cancel()
	r.err = w.do(limited)
	close(r.done)
	err = r.err
	t.count(ctx, since)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case t.ooms() > 0:
		return t.why()
	case errors.Is(context.Cause(limited), errWaveTimeout):
		p.Failed = errWaveTimeout.Error()
		return &ended{outcome: record.Timeout, reason: fmt.Sprintf("the command was not done after %s", time.Duration(t.Protocol.WaveTimeout))}
	case err != nil:
		p.Failed = err.Error()
		return t.why()
	}
	return nil
}
