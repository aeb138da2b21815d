package trial

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/internal/waiting"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/protocol"
	"github.com/memsoak/memsoak/soak/internal/sampler"
)

// experiment takes the subject through the phases.
func (t *trial) experiment(outer context.Context) error {
	ctx, cancel := t.limited(outer, t.proc.Done())
	defer cancel()
	err := t.phases(ctx)
	switch {
	case outer.Err() != nil:
		return outer.Err()
	case errors.Is(err, errGone) || errors.Is(context.Cause(ctx), errGone):
		return t.why()
	case errors.Is(err, errCapped) || errors.Is(context.Cause(ctx), errCapped):
		return t.atCap()
	case errors.Is(context.Cause(ctx), sampler.ErrSilent):
		return t.noAnswers(context.Cause(ctx))
	case err != nil:
		return err
	case t.ooms() > 0: // a child of the subject was killed, or the subject in this very moment
		return t.why()
	}
	t.whoHolds(ctx)
	if t.anyFail != "" {
		return &ended{outcome: record.WaveFailed, reason: "a wave failed: " + t.anyFail}
	}
	return nil
}

func (t *trial) phases(ctx context.Context) error {
	t.counted = t.findM()
	for _, ph := range t.Protocol.Of(t.Kind) {
		if err := t.phase(ctx, &ph); err != nil {
			return err
		}
	}
	return t.extend(ctx)
}

// phase carries out one phase.
func (t *trial) phase(ctx context.Context, ph *protocol.Phase) error {
	err := t.carryOut(ctx, ph)
	if err == nil {
		err = t.rec.failure()
	}
	return err
}

func (t *trial) carryOut(ctx context.Context, ph *protocol.Phase) error {
	switch ph.Kind {
	case protocol.Idle:
		return t.idle(ctx, ph, record.StateIdle)
	case protocol.IdleAgain:
		return t.idle(ctx, ph, record.StateFloor)
	case protocol.WarmUp:
		return t.warmUp(ctx, ph)
	case protocol.Wave:
		return t.waves(ctx, ph)
	case protocol.Errors:
		return t.errors(ctx, ph)
	case protocol.Hold, protocol.Sizes:
		if !t.counted {
			if err := t.countM(ctx); err != nil {
				return err
			}
			t.counted = true
		}
		if ph.Kind == protocol.Sizes {
			return t.sizes(ctx, ph)
		}
		return t.hold(ctx, ph)
	case protocol.Repeat:
		return t.repeat(ctx, ph)
	case protocol.Folders:
		return t.fold(ctx, ph)
	case protocol.Connections:
		return t.connections(ctx, ph)
	case protocol.Running, protocol.Answered:
		return t.unheld(ctx, ph)
	}
	return t.free(ctx, ph)
}

// open announces a phase; close records it.
func (t *trial) open(name string, ph *protocol.Phase, j job) *record.Phase {
	p := &record.Phase{
		Name: name, Kind: ph.Kind, Start: t.Clock.Now(), Files: j.items(), FileSize: j.size(), Folders: j.folders,
		Repeat: j.repeat, Added: t.added,
	}
	t.watch.enter(name, ph.Kind)
	if t.OnPhase != nil {
		t.OnPhase(*p)
	}
	return p
}

func (t *trial) close(p *record.Phase) {
	p.End = t.Clock.Now()
	t.rec.phase(*p)
	if t.OnPhase != nil {
		t.OnPhase(*p)
	}
}

// idle gives no work for a while, with snapshots spread over it. After the work it is where what grows with time shows.
func (t *trial) idle(ctx context.Context, ph *protocol.Phase, state record.State) error {
	p := t.open(ph.Name, ph, job{})
	defer t.close(p)
	pause := time.Duration(ph.For) / time.Duration(ph.Snapshots)
	for i := range ph.Snapshots {
		if i > 0 || state == record.StateIdle {
			if err := waiting.For(ctx, pause); err != nil {
				return err
			}
		}
		if err := t.floor(ctx, ph.Name, state); err != nil {
			return err
		}
	}
	return nil
}

// do runs a job as a phase of its own, without a snapshot.
func (t *trial) do(ctx context.Context, name string, ph *protocol.Phase, j job) (*record.Phase, error) {
	p := t.open(name, ph, j)
	defer t.close(p)
	since := t.mark(ctx)
	r, err := t.begin(ctx, j)
	if err != nil {
		return p, err
	}
	t.work[ph.Name] = j
	if ph.Kind == protocol.WarmUp {
		t.measurePace(ctx, r)
	}
	p.Failed, err = t.finishWave(ctx, r)
	t.count(ctx, p, since)
	return p, err
}

// mark is where the work stands.
type mark struct {
	seen *record.Covariates
	cpu  float64
	time time.Time
}

func (t *trial) mark(ctx context.Context) mark {
	return mark{seen: t.sam.Covariates(ctx), cpu: t.sam.CPU(), time: time.Now()}
}

// count adds the work done since the mark to the trial's work, and notes it in the phase.
func (t *trial) count(ctx context.Context, p *record.Phase, since mark) {
	now := t.mark(ctx)
	if since.seen == nil || now.seen == nil {
		return
	}
	t.arrived(p, since.seen, now.seen)
	t.rec.update(func(r *record.Trial) {
		r.Work.Files += now.seen.FilesDone - since.seen.FilesDone
		r.Work.Bytes += now.seen.BytesDone - since.seen.BytesDone
		r.Work.Seconds += now.time.Sub(since.time).Seconds()
		r.Work.CPU += max(0, now.cpu-since.cpu)
	})
}

// arrived notes in the phase what the parties saw arrive and fail between two readings, beside what it has already.
func (t *trial) arrived(p *record.Phase, before, now *record.Covariates) {
	if before == nil || now == nil {
		return
	}
	p.Counted = true
	p.Copied += now.FilesDone - before.FilesDone
	p.CopiedBytes += now.BytesDone - before.BytesDone
	p.Errors += now.Failed - before.Failed
}

// warmUp fills the subject's pools and caches with work that is measured for its pace.
func (t *trial) warmUp(ctx context.Context, ph *protocol.Phase) error {
	if _, err := t.do(ctx, ph.Name, ph, t.fresh(ph.Files...)); err != nil {
		return err
	}
	return t.floorAfter(ctx, ph.Name)
}

// floorAfter takes a floor after a phase's work in a trial that is judged by floors.
func (t *trial) floorAfter(ctx context.Context, name string) error {
	if t.Kind != record.Attribution {
		return nil
	}
	return t.floor(ctx, name, record.StateFloor)
}

// waves runs equal waves of fresh work, each followed by a floor; in a run around the clock until its time is over.
func (t *trial) waves(ctx context.Context, ph *protocol.Phase) error {
	begun := time.Now()
	for i := 1; ; i++ {
		name := ph.Name
		if ph.Times > 1 {
			name = numbered(ph.Name, i)
		}
		if err := t.stretch(ctx, name, ph); err != nil {
			return err
		}
		if err := t.floorAfter(ctx, name); err != nil {
			return err
		}
		if i >= ph.Times && (t.added > 0 || time.Since(begun) >= t.Duration) {
			return nil
		}
	}
}

// floorsPerRun is about how many floors a run of a given duration gets, however long it is.
const floorsPerRun = 500

// stretch runs one wave, and in a very long run as many as fit between two floors; they are one phase.
func (t *trial) stretch(ctx context.Context, name string, ph *protocol.Phase) error {
	begun := time.Now()
	p, err := t.do(ctx, name, ph, t.fresh(ph.Files...))
	if err != nil || time.Since(begun) >= t.Duration/floorsPerRun {
		return err
	}
	for time.Since(begun) < t.Duration/floorsPerRun {
		j := t.fresh(ph.Files...)
		p.Files += j.items()
		since := t.mark(ctx)
		r, err := t.begin(ctx, j)
		if err != nil {
			return err
		}
		p.Failed, err = t.finishWave(ctx, r)
		t.count(ctx, p, since)
		if err != nil {
			return err
		}
	}
	p.End = t.Clock.Now()
	t.rec.rewrite(*p)
	return nil
}

// repeat gives an earlier phase's last work once more: what grows now does not grow with distinct items.
func (t *trial) repeat(ctx context.Context, ph *protocol.Phase) error {
	j, ok := t.work[ph.Of]
	if s, service := t.rig.(*serviceRig); !ok || service && s.t.Subject.Load.Consume != nil {
		t.leaveOut(ph, record.LeftOutMissing)
		return nil
	}
	j.repeat = true
	for i := range ph.Times {
		name := ph.Name
		if ph.Times > 1 {
			name = numbered(ph.Name, i+1)
		}
		if _, err := t.do(ctx, name, ph, j); err != nil {
			return err
		}
		if err := t.floorAfter(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// leaveOut records a phase that does not run, and why: what leans on it is open.
func (t *trial) leaveOut(ph *protocol.Phase, why record.LeftOut) {
	now := t.Clock.Now()
	t.rec.phase(record.Phase{Name: ph.Name, Kind: ph.Kind, Start: now, End: now, LeftOut: why, Added: t.added})
}

// fold gives a tree of many folders without files.
func (t *trial) fold(ctx context.Context, ph *protocol.Phase) error {
	if _, err := t.do(ctx, ph.Name, ph, t.foldersJob(ph.FolderCount)); err != nil {
		return err
	}
	return t.floor(ctx, ph.Name, record.StateFloor)
}

// free lets the subject copy the corpus, watched with light samples. When it may take so long only, the wave is broken
// off then, which is no failure.
func (t *trial) free(ctx context.Context, ph *protocol.Phase) error {
	j := t.corpusJob()
	p := t.open(ph.Name, ph, j)
	defer t.close(p)
	waveCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if ph.AtMost > 0 {
		timer := time.AfterFunc(time.Duration(ph.AtMost), func() { cancel(errCutOff) })
		defer timer.Stop()
	}
	restore, err := t.slow(ctx, ph)
	if err != nil {
		return err
	}
	since := t.mark(ctx)
	r, err := t.begin(waveCtx, j)
	if err != nil {
		return errors.Join(err, restore())
	}
	p.Files = r.work.items
	var listed sync.WaitGroup
	if ph.Listed > 0 && since.seen != nil {
		all := since.seen.FilesListed + r.work.items
		listed.Go(func() { t.onceListed(waveCtx, r, all, time.Duration(ph.Listed), func() { cancel(errCutOff) }) })
	}
	<-r.done
	listed.Wait()
	t.watch.last(ctx)
	t.count(ctx, p, since)
	if err := restore(); err != nil {
		t.rec.warn("the sink is still as slow as in phase %s: %v", ph.Name, err)
	}
	if r.err == errCutOff && ctx.Err() == nil {
		p.CutOff = true
		if err := t.hung(ctx); err != nil {
			return err
		}
		return t.floorAfter(ctx, ph.Name)
	}
	if p.Failed, err = t.finishWave(ctx, r); err != nil {
		return err
	}
	return t.floorAfter(ctx, ph.Name)
}

// The signs of a subject that hangs at its limit.
const (
	hungShare = 0.97            // of the limit
	hungAfter = 5 * time.Second // without an answer
)

// hung ends the trial of a subject that is at its limit and doesn't answer any more. Near the limit the kernel may take
// the pages of the program itself, again and again, for a long time before it kills.
func (t *trial) hung(ctx context.Context) error {
	if t.group == nil || t.Limit == 0 {
		return nil
	}
	limit := t.Limit
	if t.NodeSize > 0 {
		limit = min(limit, t.NodeSize)
	}
	if now, err := t.group.Usage(); err != nil || float64(now) < hungShare*float64(limit) {
		return nil
	}
	asked, cancel := context.WithTimeout(ctx, hungAfter)
	defer cancel()
	if _, err := t.sam.Profile(asked, "heap"); err == nil || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &ended{outcome: record.Timeout, reason: fmt.Sprintf("hung at its limit of %s: no answer for %s",
		units.FormatBytes(limit), hungAfter)}
}

// errCutOff is the cause of a wave's end when its time is up.
var errCutOff = errors.New("the phase's time is up")
