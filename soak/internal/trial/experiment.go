package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/protocol"
)

// experiment takes the subject through the phases. Its context ends with the subject's process.
func (t *trial) experiment(outer context.Context) error {
	ctx, cancel := context.WithCancelCause(outer)
	defer cancel(nil)
	stop := context.AfterFunc(outer, func() { cancel(outer.Err()) })
	defer stop()
	finished := make(chan struct{})
	defer close(finished)
	go func() {
		select {
		case <-t.proc.Done():
			cancel(errGone)
		case <-finished:
		}
	}()
	err := t.phases(ctx)
	if outer.Err() != nil {
		return outer.Err()
	}
	if errors.Is(err, errGone) || errors.Is(context.Cause(ctx), errGone) {
		return t.why()
	}
	if err != nil {
		return err
	}
	if t.ooms() > 0 { // a child of the subject was killed, or the subject in this very moment
		return t.why()
	}
	t.whoHolds(ctx)
	if t.anyFail != "" {
		return &ended{outcome: record.WaveFailed, reason: "a wave failed: " + t.anyFail}
	}
	return nil
}

func (t *trial) phases(ctx context.Context) error {
	list := slices.Clone(t.Protocol.Of(t.Kind))
	counted := t.findM()
	for i := range list {
		ph := &list[i]
		left := time.Duration(t.Protocol.Budget) - time.Since(t.begun)
		if ph.Optional && left <= 0 {
			t.rec.warn("phase %s was left out: the budget of %s was spent", ph.Name, time.Duration(t.Protocol.Budget))
			continue
		}
		if t.Kind == record.Attribution {
			t.fit(list[i:])
		}
		var err error
		switch ph.Kind {
		case protocol.Idle:
			err = t.idle(ctx, ph, record.StateIdle)
		case protocol.IdleAgain:
			err = t.idle(ctx, ph, record.StateFloor)
		case protocol.WarmUp:
			err = t.warmUp(ctx, ph)
		case protocol.Wave:
			err = t.waves(ctx, ph)
		case protocol.Hold:
			if !counted {
				err, counted = t.countM(ctx), true
			}
			if err == nil {
				err = t.hold(ctx, ph)
			}
		case protocol.Repeat:
			err = t.repeat(ctx, ph)
		case protocol.Folders:
			err = t.fold(ctx, ph)
		case protocol.Free:
			err = t.free(ctx, ph)
		}
		if err == nil {
			err = t.rec.failure()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// open announces a phase; close records it.
func (t *trial) open(name string, ph *protocol.Phase, j job) *record.Phase {
	p := &record.Phase{Name: name, Kind: ph.Kind, Start: t.Clock.Now(), Files: j.files, FileSize: j.size, Folders: j.folders, Repeat: j.repeat}
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
			if err := sleep(ctx, pause); err != nil {
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
	p.Failed, err = t.finishWave(ctx, r)
	t.count(ctx, since)
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

// count adds to the trial's work what was done since the mark.
func (t *trial) count(ctx context.Context, since mark) {
	now := t.mark(ctx)
	if since.seen == nil || now.seen == nil {
		return
	}
	t.rec.update(func(r *record.Trial) {
		r.Work.Files += now.seen.FilesDone - since.seen.FilesDone
		r.Work.Bytes += now.seen.BytesDone - since.seen.BytesDone
		r.Work.Seconds += now.time.Sub(since.time).Seconds()
		r.Work.CPU += max(0, now.cpu-since.cpu)
	})
}

// warmUp fills the subject's pools and caches with work that is measured for its rate.
func (t *trial) warmUp(ctx context.Context, ph *protocol.Phase) error {
	if _, err := t.do(ctx, ph.Name, ph, t.filesJob(slices.Clone(ph.Files))); err != nil {
		return err
	}
	if t.Kind != record.Attribution {
		return nil
	}
	return t.floor(ctx, ph.Name, record.StateFloor)
}

// fit scales the numbers of files of the phases to come so that they fit into what is left of the budget, by the rate
// and the cost of a snapshot so far. Equal waves stay equal: they are one phase.
func (t *trial) fit(rest []protocol.Phase) {
	var work record.Work
	t.rec.update(func(r *record.Trial) { work = r.Work })
	if work.Seconds <= 0 || t.snaps == 0 {
		return
	}
	// Small files cost by their number and large ones by their size: charge the time to both.
	pace := protocol.Pace{
		Files: 2 * float64(work.Files) / work.Seconds, Bytes: 2 * float64(work.Bytes) / work.Seconds,
		Snapshot: t.snapTime / time.Duration(t.snaps), Settle: time.Duration(t.Protocol.Settle),
	}
	before := t.scale
	t.scale = protocol.Scale(rest, t.m, pace, time.Duration(t.Protocol.Budget)-time.Since(t.begun))
	if t.scale < 1 && before == 1 {
		t.rec.warn("from phase %s on numbers of files are scaled down to fit into %s: the subject does about %.0f small files/s", rest[0].Name, time.Duration(t.Protocol.Budget), pace.Files)
	}
}

// waves runs equal waves of fresh work, each followed by a floor, as many as the rule asks for.
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
		if t.Kind == record.Attribution {
			if err := t.floor(ctx, name, record.StateFloor); err != nil {
				return err
			}
		}
		switch {
		case i < ph.Times || time.Since(begun) < t.Duration:
		case t.Duration > 0 || i >= ph.TimesMost || time.Since(t.begun) > time.Duration(t.Protocol.Budget) || !protocol.Undecided(t.floors):
			return nil
		}
	}
}

// floorsPerRun is about how many floors a run of a given duration gets, however long it is.
const floorsPerRun = 500

// stretch runs one wave, and in a very long run as many as fit between two floors; they are one phase.
func (t *trial) stretch(ctx context.Context, name string, ph *protocol.Phase) error {
	begun := time.Now()
	p, err := t.do(ctx, name, ph, t.filesJob(slices.Clone(ph.Files)))
	if err != nil || time.Since(begun) >= t.Duration/floorsPerRun {
		return err
	}
	for time.Since(begun) < t.Duration/floorsPerRun {
		j := t.filesJob(slices.Clone(ph.Files))
		p.Files += j.files
		since := t.mark(ctx)
		r, err := t.begin(ctx, j)
		if err != nil {
			return err
		}
		p.Failed, err = t.finishWave(ctx, r)
		t.count(ctx, since)
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
	if !ok {
		t.rec.warn("phase %s was left out: %s has not run", ph.Name, ph.Of)
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
		if t.Kind == record.Attribution {
			if err := t.floor(ctx, name, record.StateFloor); err != nil {
				return err
			}
		}
	}
	return nil
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
	defer restore()
	since := t.mark(ctx)
	r, err := t.begin(waveCtx, j)
	if err != nil {
		return err
	}
	p.Files = r.root.Files
	<-r.done
	t.count(ctx, since)
	if r.err == errCutOff && ctx.Err() == nil {
		t.rec.warn("phase %s was broken off after %s, its time", ph.Name, time.Duration(ph.AtMost))
		if err := t.hung(ctx); err != nil {
			return err
		}
		return t.afterFree(ctx, ph)
	}
	if p.Failed, err = t.finishWave(ctx, r); err != nil {
		return err
	}
	return t.afterFree(ctx, ph)
}

// slow makes the sink as slow as the phase wants it, in place of the trial's own plan of faults, which restore puts back.
func (t *trial) slow(ctx context.Context, ph *protocol.Phase) (restore func(), err error) {
	if ph.SinkRate == 0 {
		return func() {}, nil
	}
	sink := t.rig.sink()
	if sink == nil {
		return func() {}, nil
	}
	own, err := t.ownFaults()
	if err != nil {
		return nil, err
	}
	if err := sink.SetFaults(ctx, fmt.Appendf(nil, "bandwidth: {total: %d}", int64(ph.SinkRate))); err != nil {
		return nil, t.cause(ctx, err)
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err := sink.ClearFaults(ctx)
		if own != nil {
			err = sink.SetFaults(ctx, own)
		}
		if err != nil {
			t.rec.warn("the sink is still as slow as in phase %s: %v", ph.Name, err)
		}
	}, nil
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
	return &ended{outcome: record.Timeout, reason: fmt.Sprintf("hung at its limit of %s: no answer for %s", units.FormatBytes(limit), hungAfter)}
}

// afterFree takes a floor after an attribution trial's free run.
func (t *trial) afterFree(ctx context.Context, ph *protocol.Phase) error {
	if t.Kind != record.Attribution {
		return nil
	}
	return t.floor(ctx, ph.Name, record.StateFloor)
}

// errCutOff is the cause of a wave's end when its time is up.
var errCutOff = errors.New("the phase's time is up")

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
