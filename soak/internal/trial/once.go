package trial

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/protocol"
	"github.com/memsoak/memsoak/soak/internal/sampler"
)

// runOnce is the trial of a one-shot subject: the process starts with its work, is sampled, and ends.
func (t *trial) runOnce(ctx context.Context) error {
	t.findM()
	r, err := t.prepare(ctx, t.corpusJob())
	if err != nil {
		return err
	}
	if err := t.startSubject(ctx, map[string]string{"root": r.work.root, "prefix": r.prefix}); err != nil {
		return err
	}
	t.sam.Waves.Store(t.begunWaves)
	p := t.open(protocol.Free, &protocol.Phase{Name: protocol.Free, Kind: protocol.Free}, r.job)
	p.Files = r.work.items
	defer t.close(p)
	since := mark{seen: &record.Covariates{}, time: time.Now()}
	limited, cancel := t.limited(ctx, nil)
	defer cancel()
	r.run(limited)
	<-r.done
	err = r.err
	t.count(ctx, p, since)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case t.ooms() > 0:
		return t.why()
	case errors.Is(context.Cause(limited), errCapped):
		p.Failed = errCapped.Error()
		return &ended{outcome: record.Timeout, reason: fmt.Sprintf("the command was not done after %s, the trial's cap",
			t.cap())}
	case errors.Is(context.Cause(limited), sampler.ErrSilent):
		p.Failed = context.Cause(limited).Error()
		return t.noAnswers(context.Cause(limited))
	case err != nil:
		p.Failed = err.Error()
		return t.why()
	}
	return nil
}
