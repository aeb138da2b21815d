package trial

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/internal/waiting"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/cgroup"
	"github.com/memsoak/memsoak/soak/internal/protocol"
)

func numbered(name string, i int) string { return fmt.Sprintf("%s-%d", name, i) }

// defaultM is the assumed number of concurrent transfers of a subject until a hold has counted them.
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

// countM finds M for a subject without such a setting: more items than it could transfer in parallel are held at the
// upload's reply, and those that arrive are counted.
func (t *trial) countM(ctx context.Context) error {
	t.m = maxM
	ph := &protocol.Phase{Name: "count", Kind: protocol.Hold, Point: fault.UploadReply, Transfers: "M", Size: 1 << 10}
	if s, ok := t.rig.(*serviceRig); ok {
		if ph.Gate, ph.Point = s.queue(), fault.GateReply; s.raw(ph.Gate) {
			ph.Point = fault.GateBytes
		}
		if ph.Gate == "" {
			t.m = defaultM
			return nil
		}
	}
	return t.heldWork(ctx, ph, func(status fault.HoldStatus, _ *record.Hold, _ *running) error {
		t.m = max(1, status.Waiting)
		return nil
	})
}

// hold stops items at a point, takes a snapshot of the frozen subject, lets some go and takes another, as the phase
// asks for, lets the wave end and takes a floor: what the state left behind is measured and not allowed for.
func (t *trial) hold(ctx context.Context, ph *protocol.Phase) error {
	switch {
	case t.rig.holder(ph) == nil:
		t.leaveOut(ph, record.LeftOutPoint)
		return nil
	case !t.affordable(ph):
		t.leaveOut(ph, record.LeftOutLimit)
		return nil
	}
	err := t.heldWork(ctx, ph, func(status fault.HoldStatus, h *record.Hold, r *running) error {
		if status.Waiting == 0 {
			return nil // the phase says so: none held of those asked for
		}
		return t.freeze(ctx, status, ph, h, r)
	})
	if err != nil {
		return err
	}
	return t.floorAfter(ctx, ph.Name)
}

// heldNumber is how many items a hold stops: what the phase asks for, and where causes are looked for, of items whose
// size it names no more than half of the memory limit has room for. A trial that asks whether so many survive holds so
// many.
func (t *trial) heldNumber(ph *protocol.Phase) int {
	n := ph.Held(t.m)
	if limit := t.memoryLimit(); limit > 0 && ph.Size >= large && t.Kind == record.Attribution {
		n = min(n, max(1, int(limit/2/int64(ph.Size))))
	}
	return n
}

// large is the size from which half of the limit bounds how many items are held: smaller ones are what any subject is
// meant to hold.
const large = 16 << 20

// affordable says that one item of the phase's size is at most half of the limit. A kill by a single item would say
// nothing that half of the limit doesn't.
func (t *trial) affordable(ph *protocol.Phase) bool {
	limit := t.memoryLimit()
	return t.Kind != record.Attribution || limit == 0 || ph.Size <= large || int64(ph.Size) <= limit/2
}

// memoryLimit is what bounds the subject's memory, 0 for nothing.
func (t *trial) memoryLimit() int64 {
	switch {
	case t.Subject.Attach != nil:
		return cgroup.Limit(t.Subject.Attach.PID)
	case t.group == nil:
		return 0
	case t.Limit == 0 || t.NodeSize > 0 && t.NodeSize < t.Limit:
		return t.NodeSize
	}
	return t.Limit
}

// heldWork runs a wave with a hold, calls look once the state is reached, and lets the wave end.
func (t *trial) heldWork(ctx context.Context, ph *protocol.Phase, look func(fault.HoldStatus, *record.Hold,
	*running) error) error {
	n := t.heldNumber(ph)
	j := t.heldJob(ph, n)
	p := t.open(ph.Name, ph, j)
	defer t.close(p)
	since := t.sam.Covariates(ctx)
	party := t.rig.holder(ph)
	h, err := party.Hold(ctx, fault.Hold{Point: ph.Point, Skip: int(ph.After), Offset: int64(ph.Offset)})
	if err != nil {
		return t.cause(ctx, fmt.Errorf("hold: %w", err))
	}
	t.work[ph.Name] = j
	r, err := t.begin(ctx, j)
	if err != nil {
		return err
	}
	status, restless, lookErr := t.reach(ctx, party, h.ID, r, n)
	p.Hold = &record.Hold{Point: string(ph.Point), Size: int64(ph.Size), Asked: n, Held: status.Waiting,
		Restless: restless}
	if lookErr == nil {
		t.frozen.Store(true)
		lookErr = look(status, p.Hold, r)
	}
	t.sam.Held.Store(nil)
	if err := t.release(ctx, party, h.ID); err != nil && lookErr == nil {
		lookErr = t.cause(ctx, fmt.Errorf("release: %w", err))
	}
	t.frozen.Store(false)
	failed, err := t.finishWave(ctx, r)
	p.Failed = failed
	t.arrived(p, since, t.sam.Covariates(ctx))
	if err != nil {
		return err
	}
	return lookErr
}

// release ends a hold and lets its items go, also when the trial is at its end.
func (t *trial) release(ctx context.Context, party *fault.Client, id int64) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), adminTimeout)
	defer cancel()
	_, err := party.Release(ctx, id, 0)
	return err
}

// freeze takes the snapshots of a hold.
func (t *trial) freeze(ctx context.Context, status fault.HoldStatus, ph *protocol.Phase, h *record.Hold,
	r *running) error {
	party := t.rig.holder(ph)
	all, err := t.heldSnapshot(ctx, status, ph, h)
	if err != nil {
		return err
	}
	t.lookAtHeld(ctx, ph, all)
	for _, then := range ph.Then {
		keep := min(then.Of(t.m), (status.Waiting+1)/2)
		if status.Waiting <= keep {
			continue
		}
		if _, err := party.Release(ctx, status.ID, status.Waiting-keep); err != nil {
			return t.cause(ctx, fmt.Errorf("release: %w", err))
		}
		before := status.Waiting
		if status, _, err = t.calm(ctx, party, status.ID, r); err != nil {
			return err
		}
		fewer, err := t.heldSnapshot(ctx, status, ph, &record.Hold{
			Point: h.Point, Size: h.Size, Asked: keep, Held: status.Waiting, Restless: h.Restless,
		})
		if err != nil {
			return err
		}
		if n := int64(before - status.Waiting); n > 0 {
			t.held[ph.Size] = (all - fewer) / n
		}
		all = fewer
	}
	return nil
}

// heldSnapshot takes a snapshot of a hold and returns the subject's memory in it.
func (t *trial) heldSnapshot(ctx context.Context, status fault.HoldStatus, ph *protocol.Phase, h *record.Hold) (int64,
	error) {
	t.sam.Held.Store(&status)
	s, err := t.snapshot(ctx, ph.Name, ph.State(), h)
	return kept(s), err
}

// reach waits until want items are held and nothing moves any more. A subject that runs fewer comes to a stop
// earlier, seen by a pause that is longer than those it makes at work; so does one whose queue is bounded, before
// all is listed. As long as none is held, that nothing moves means nothing: a subject on a busy machine may not have
// begun. A slow subject takes as long as it moves.
func (t *trial) reach(ctx context.Context, party *fault.Client, id int64, r *running, want int) (fault.HoldStatus, bool,
	error) {
	pause := t.pause(time.Duration(t.Protocol.Settle))
	for !r.ended() {
		status, err := party.WaitArrived(ctx, id, want, pause)
		if err != nil {
			return status, false, t.cause(ctx, err)
		}
		if status.Waiting >= want {
			break
		}
		still, err := t.still(ctx, pause)
		if err != nil {
			return status, false, err
		}
		if still && status.Waiting > 0 {
			break
		}
	}
	return t.calm(ctx, party, id, r)
}

// calmStep is the least time between two looks at the parties' counters when the end of movement is awaited, and
// restless how long it is awaited of a subject that never comes to rest, such as one that asks for news every second.
const (
	calmStep = 15 * time.Millisecond
	restless = 30 * time.Second
)

// calm waits until the parties see no byte, page or request move, and returns the hold's status then. Work that arrives
// counts as progress, however slow; requests alone do not.
func (t *trial) calm(ctx context.Context, party *fault.Client, id int64, r *running) (fault.HoldStatus, bool, error) {
	progress, since := movement{}, time.Now()
	step := t.pause(calmStep)
	over := false
	for quiet := 0; quiet < 2 && !r.ended() && !over; {
		before, err := t.moved(ctx)
		if err != nil {
			return fault.HoldStatus{}, false, err
		}
		still, err := t.still(ctx, step)
		if err != nil {
			return fault.HoldStatus{}, false, err
		}
		quiet++
		if !still {
			quiet = 0
		}
		before.requests, before.conns = 0, 0
		if before != progress {
			progress, since = before, time.Now()
		}
		over = time.Since(since) > max(restless, 2*step)
	}
	status, err := party.WaitArrived(ctx, id, 0, 0)
	if err != nil {
		return status, over, t.cause(ctx, err)
	}
	return status, over, nil
}

// still says whether the fakes' counters are the same after the pause.
func (t *trial) still(ctx context.Context, pause time.Duration) (bool, error) {
	before, err := t.moved(ctx)
	if err != nil {
		return false, err
	}
	if err := waiting.For(ctx, pause); err != nil {
		return false, err
	}
	after, err := t.moved(ctx)
	return before == after, err
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
	_, err := t.snapshot(ctx, phase, state, nil)
	return err
}

// snapshot forces two collections, reads everything and takes both profiles. Two are needed, for pools and finalizers,
// and they come by asking twice for the profile, which is the cheapest way to have them. A subject that doesn't answer
// pprof is no error: the snapshot is recorded without profiles.
func (t *trial) snapshot(ctx context.Context, phase string, state record.State, h *record.Hold) (record.Snapshot,
	error) {
	t.watch.pause()
	defer t.watch.resume()
	s := record.Snapshot{Phase: phase, State: state, HeapBefore: t.heapBefore, Hold: h}
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
		return s, context.Cause(ctx)
	}
	if s.Covariates != nil {
		s.Covariates.ConnsBeforeClose = t.connsBefore
	}
	return t.rec.snapshot(s, heap, routines), nil
}

// kept is the memory that a snapshot's subject had for its work: the live heap, stacks, and memory outside the Go
// heap, files that it wrote among it.
func kept(s record.Snapshot) int64 {
	n := s.HeapLive
	if s.Runtime != nil {
		n += s.Runtime.StackInuse
	}
	if p := s.Process; p != nil {
		n += p.OtherAnon + p.File + p.Shmem
	}
	if c := s.Cgroup; c != nil && s.Process != nil {
		n += max(0, c.File+c.Shmem-s.Process.File-s.Process.Shmem)
	}
	return n
}

// noAnswer warns that a profile is missing, unless the trial is at its end anyway.
func (t *trial) noAnswer(ctx context.Context, phase string, err error) {
	if ctx.Err() == nil {
		t.rec.warn("snapshot in %s: %v", phase, err)
	}
}
