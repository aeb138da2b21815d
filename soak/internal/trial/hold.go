package trial

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/protocol"
)

func numbered(name string, i int) string { return fmt.Sprintf("%s-%d", name, i) }

// defaultM is how many transfers a subject is taken to run at once until a hold has counted them.
const defaultM = 8

// findM takes M from the subject's setting; counted says whether it has one.
func (t *trial) findM() (counted bool) {
	t.m = defaultM
	if n, err := strconv.Atoi(t.Settings[t.Subject.Concurrency]); err == nil && n > 0 {
		t.m = n
		return true
	}
	return false
}

// maxM bounds the M that is found by counting.
const maxM = 64

// countM finds M for a subject without such a setting: more files than it could run at once are held at the upload's
// reply, and those that arrive are counted.
func (t *trial) countM(ctx context.Context) error {
	t.m = maxM
	ph := &protocol.Phase{Name: "count", Kind: protocol.Hold, Point: fault.UploadReply, Transfers: "M", Size: 1 << 10}
	return t.held(ctx, ph, func(status fault.HoldStatus, _ *fault.Client, _ *running) error {
		t.m = max(1, status.Waiting)
		return nil
	})
}

// hold stops transfers at a point, takes a snapshot of the frozen subject, lets some go and takes another, as the
// phase asks for, and then lets the wave end.
func (t *trial) hold(ctx context.Context, ph *protocol.Phase) error {
	want := ph.Held(t.m)
	return t.held(ctx, ph, func(status fault.HoldStatus, fake *fault.Client, r *running) error {
		if status.Waiting == 0 {
			t.rec.warn("phase %s: no transfer ever reached %s", ph.Name, ph.Point)
			return nil
		}
		if status.Waiting < want {
			t.rec.warn("phase %s: %d transfers held, %d asked for", ph.Name, status.Waiting, want)
		}
		return t.frozen(ctx, fake, status, ph, r)
	})
}

// held runs a wave with a hold, calls look once the state is reached, and lets the wave end.
func (t *trial) held(ctx context.Context, ph *protocol.Phase, look func(fault.HoldStatus, *fault.Client, *running) error) error {
	n := ph.Held(t.m)
	j := t.heldJob(ph, n)
	p := t.open(ph.Name, ph, j)
	defer t.close(p)
	fake := t.rig.holder(ph)
	h, err := fake.Hold(ctx, fault.Hold{Point: ph.Point, Offset: int64(ph.Offset)})
	if err != nil {
		return t.cause(ctx, fmt.Errorf("hold: %w", err))
	}
	t.work[ph.Name] = j
	r, err := t.begin(ctx, j)
	if err != nil {
		return err
	}
	status, lookErr := t.reach(ctx, fake, h.ID, r, n)
	if lookErr == nil {
		lookErr = look(status, fake, r)
	}
	t.sam.Held.Store(nil)
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := fake.ReleaseAll(release); err != nil && lookErr == nil {
		lookErr = t.cause(ctx, fmt.Errorf("release: %w", err))
	}
	failed, err := t.finishWave(ctx, r)
	p.Failed = failed
	if err != nil {
		return err
	}
	return lookErr
}

// frozen takes the snapshots of a hold.
func (t *trial) frozen(ctx context.Context, fake *fault.Client, status fault.HoldStatus, ph *protocol.Phase, r *running) error {
	t.sam.Held.Store(&status)
	if err := t.snapshot(ctx, ph.Name, ph.State()); err != nil {
		return err
	}
	for _, then := range ph.Then {
		release := status.Waiting - then.Of(t.m)
		if release <= 0 {
			continue
		}
		if _, err := fake.Release(ctx, status.ID, release); err != nil {
			return t.cause(ctx, fmt.Errorf("release: %w", err))
		}
		var err error
		if status, err = t.calm(ctx, fake, status.ID, r); err != nil {
			return err
		}
		t.sam.Held.Store(&status)
		if err := t.snapshot(ctx, ph.Name, ph.State()); err != nil {
			return err
		}
	}
	return nil
}

// reachTimeout bounds how long a held state may take to come about.
const reachTimeout = 20 * time.Second

// reach waits until want transfers are held and nothing moves any more. A subject that runs fewer at once comes to a
// stop earlier, which Settle tells; so does one whose queue is bounded, before all is listed. As long as none is held,
// that nothing moves means nothing: a subject on a busy machine may not have begun.
func (t *trial) reach(ctx context.Context, fake *fault.Client, id int64, r *running, want int) (fault.HoldStatus, error) {
	deadline := time.Now().Add(reachTimeout)
	for !r.ended() {
		status, err := fake.WaitArrived(ctx, id, want, time.Duration(t.Protocol.Settle))
		if err != nil {
			return status, t.cause(ctx, err)
		}
		if status.Waiting >= want || time.Now().After(deadline) {
			break
		}
		still, err := t.still(ctx, time.Duration(t.Protocol.Settle))
		if err != nil {
			return status, err
		}
		if still && status.Waiting > 0 {
			break
		}
	}
	return t.calm(ctx, fake, id, r)
}

// calmStep is the time between two looks at the fakes' counters when the end of movement is awaited.
const calmStep = 15 * time.Millisecond

// calm waits until the fakes see no byte, page or request move, and returns the hold's status then.
func (t *trial) calm(ctx context.Context, fake *fault.Client, id int64, r *running) (fault.HoldStatus, error) {
	deadline := time.Now().Add(reachTimeout)
	for quiet := 0; quiet < 2 && !r.ended() && time.Now().Before(deadline); {
		still, err := t.still(ctx, calmStep)
		if err != nil {
			return fault.HoldStatus{}, err
		}
		if still {
			quiet++
		} else {
			quiet = 0
		}
	}
	status, err := fake.WaitArrived(ctx, id, 0, 0)
	if err != nil {
		return status, t.cause(ctx, err)
	}
	return status, nil
}

// still says whether the fakes' counters are the same after the pause.
func (t *trial) still(ctx context.Context, pause time.Duration) (bool, error) {
	before, err := t.moved(ctx)
	if err != nil {
		return false, err
	}
	if err := sleep(ctx, pause); err != nil {
		return false, err
	}
	after, err := t.moved(ctx)
	return before == after, err
}

// movement is what changes while a subject works.
type movement struct{ requests, bytes, listed, finished, conns int64 }

func (t *trial) moved(ctx context.Context) (movement, error) {
	var m movement
	for _, c := range t.rig.controls() {
		v, err := c.Counters(ctx)
		if err != nil {
			return m, t.cause(ctx, err)
		}
		m.requests += v.Requests
		m.bytes += v.Bytes
		m.listed += v.FilesListed + v.FoldersListed
		m.finished += v.Finished + v.Failed
		m.conns += v.ConnsTotal
	}
	return m, nil
}

// cause prefers the reason why the context ended to what a call made of it.
func (t *trial) cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: %w", ErrSetup, err)
}

// floor brings the subject to rest: connections are counted and the heap with its garbage is read first, then idle
// connections are closed, then two collections are forced. Closing connections cures a leak of transports, so the count
// comes before.
func (t *trial) floor(ctx context.Context, phase string, state record.State) error {
	seen, runtime := t.sam.ReadHeap(ctx)
	for _, c := range t.rig.controls() {
		if _, err := c.CloseIdle(ctx); err != nil {
			return t.cause(ctx, err)
		}
	}
	if seen != nil {
		t.connsBefore = seen.ConnsOpen
	}
	if runtime != nil {
		t.heapBefore = runtime.HeapAlloc
	}
	defer func() { t.connsBefore, t.heapBefore = 0, 0 }()
	return t.snapshot(ctx, phase, state)
}

// snapshot forces two collections, reads everything and takes both profiles. Two are needed, for pools and finalizers,
// and they come by asking twice for the profile, which is the cheapest way to have them. A subject that doesn't answer
// pprof is no error: the snapshot is recorded without profiles.
func (t *trial) snapshot(ctx context.Context, phase string, state record.State) error {
	t.watch.pause()
	defer t.watch.resume()
	begun := time.Now()
	s := record.Snapshot{Phase: phase, State: state, HeapBefore: t.heapBefore}
	var heap []byte
	for range 2 {
		b, err := t.sam.Profile(ctx, "heap?gc=1")
		if err != nil {
			t.noAnswer(ctx, phase, err)
			continue
		}
		heap = b
		s.ForcedGC++
	}
	s.Sample, s.Exact = t.sam.ReadCollected(ctx)
	routines, err := t.sam.Profile(ctx, "goroutine")
	if err != nil {
		t.noAnswer(ctx, phase, err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.Covariates != nil {
		s.Covariates.ConnsBeforeClose = t.connsBefore
	}
	if state == record.StateFloor && s.Runtime != nil {
		t.floors = append(t.floors, s.Runtime.HeapAlloc)
	}
	t.rec.snapshot(s, heap, routines)
	t.snaps++
	t.snapTime += time.Since(begun)
	return nil
}

// noAnswer warns that a profile is missing, unless the trial is at its end anyway.
func (t *trial) noAnswer(ctx context.Context, phase string, err error) {
	if ctx.Err() == nil {
		t.rec.warn("snapshot in %s: %v", phase, err)
	}
}
