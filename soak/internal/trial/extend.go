package trial

import (
	"context"
	"fmt"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
)

// Follower judges the hypotheses of a trial as they stand while it is being recorded.
type Follower interface {
	Update() ([]record.Hypothesis, error)
}

// targets are those that the trial works for; nil where nothing is judged by floors and holds.
func (t *trial) targets() *record.Targets {
	if t.Kind != record.Attribution {
		return nil
	}
	v := t.Protocol.Targets
	return &v
}

// effort is the account that a trial begins with.
func (t *trial) effort() *record.Effort { return &record.Effort{CapSeconds: t.cap().Seconds()} }

// hypothesis names a hypothesis from one look to the next.
type hypothesis struct {
	class record.Class
	per   string
}

// stuckShare is the share of a limit that has to go with a block of work; with less the block doesn't feed the
// hypothesis.
const stuckShare = 0.05

// extend looks at the hypotheses after the protocol's own phases, and adds the blocks of work that feed those whose
// limits do not meet their targets, until all do or the declared number of looks is used up. See protocol.Blocks for
// the rule.
func (t *trial) extend(ctx context.Context) error {
	if t.Follow == nil || t.Kind != record.Attribution {
		return nil
	}
	f := t.Follow(t.Dir)
	fed := map[hypothesis]float64{} // the limit before the last block that fed it
	for look := 1; ; look++ {
		open, err := t.ask(f, look)
		if err != nil || len(open) == 0 || look >= t.Protocol.Looks {
			return err
		}
		per := notStuck(open, fed)
		blocks := t.Protocol.Blocks(per)
		if len(per) == 0 || len(blocks) == 0 {
			return nil
		}
		t.added = look
		t.rec.update(func(r *record.Trial) { r.Effort.Blocks += len(blocks) })
		for _, b := range blocks {
			for _, ph := range b.Phases {
				grown := ph.Grown(1 << (look - 1))
				grown.Name = fmt.Sprintf("%s-x%d", ph.Name, look)
				if err := t.phase(ctx, &grown); err != nil {
					return err
				}
			}
		}
	}
}

// ask judges the hypotheses and returns those that need more work. That they can't be judged ends the adding: the
// verdict will say the same.
func (t *trial) ask(f Follower, n int) (open []record.Hypothesis, err error) {
	if err := t.rec.save(); err != nil {
		return nil, err
	}
	all, err := f.Update()
	for _, h := range all {
		if !decided(h) {
			open = append(open, h)
		}
	}
	t.rec.update(func(r *record.Trial) {
		r.Effort.Looks, r.Effort.Open = n, open
		r.Effort.Met = err == nil && len(all) > 0 && len(open) == 0
		if err != nil {
			r.Effort.Error = err.Error()
		}
	})
	if err != nil {
		return nil, nil
	}
	return open, nil
}

// decided says that more work would not change what a hypothesis has come to.
func decided(h record.Hypothesis) bool {
	switch h.State {
	case record.Found:
		return true
	case record.Excluded:
		return h.Target == 0 || h.Limit <= h.Target
	}
	return false
}

// notStuck are the units of the open hypotheses that the last block has brought nearer to their targets, of those whose
// growth gathers samples, and of those that no block has fed yet. It notes their limits in fed.
func notStuck(open []record.Hypothesis, fed map[hypothesis]float64) []string {
	var per []string
	for _, h := range open {
		k := hypothesis{h.Class, h.Per}
		before, was := fed[k]
		fed[k] = h.Limit
		if was && !h.Growing && (h.Limit == 0 || before > 0 && h.Limit > (1-stuckShare)*before) {
			continue
		}
		per = append(per, h.Per)
	}
	return per
}

// pause is how long nothing may move before a subject of this pace counts as standing still, at least.
func (t *trial) pause(least time.Duration) time.Duration {
	return min(max(least, pauseGaps*t.gap), mostPause)
}

// The longest pause that a subject makes while it works tells how long to wait for the next move; mostPause bounds
// that.
const (
	pauseGaps = 2
	mostPause = 20 * time.Second
)
