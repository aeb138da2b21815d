package trial

import (
	"context"
	"errors"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/protocol"
)

// unheld carries out the phases of a service that calls no upstream, which can't be held at one. One that does is held
// there, which says more.
func (t *trial) unheld(ctx context.Context, ph *protocol.Phase) error {
	s, ok := t.rig.(*serviceRig)
	switch {
	case !ok || s.callsAny():
		return nil
	case s.engine == nil: // when a command's last reply comes, and how many are in flight before, isn't known
		t.leaveOut(ph, record.LeftOutPoint)
		return nil
	case ph.Kind == protocol.Running:
		return t.stepped(ctx, s, ph)
	}
	return t.answered(ctx, ph)
}

// callsAny says whether the subject has called an upstream in waves that nothing held.
func (s *serviceRig) callsAny() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range s.names {
		if s.calls.calls[name] > 0 {
			return true
		}
	}
	return false
}

// answered offers a wave as fast as it is taken and takes a snapshot right after its last reply: what waits behind
// replies is there then, as far as it isn't done already.
func (t *trial) answered(ctx context.Context, ph *protocol.Phase) error {
	j := t.fresh(ph.Files...)
	j.inFlight = t.m
	n := int(j.items())
	j.replied = func(ctx context.Context) error {
		_, err := t.snapshot(ctx, ph.Name, record.StateHeader, &record.Hold{Point: protocol.Answered, Asked: n, Held: n})
		return err
	}
	if _, err := t.do(ctx, ph.Name, ph, j); err != nil {
		return err
	}
	return t.floorAfter(ctx, ph.Name)
}

// stepped keeps a number of requests in flight and takes a snapshot amid them. How many of them the subject works on,
// and how many wait for it, can't be seen.
func (t *trial) stepped(ctx context.Context, s *serviceRig, ph *protocol.Phase) error {
	n := ph.Transfers.Of(t.m)
	s.mu.Lock()
	count := min(max(int64(s.pace*steppedFor.Seconds()), steppedRounds*int64(n)), mostStepped)
	s.mu.Unlock()
	j := t.fresh(protocol.Group{Count: count, Size: ph.Size})
	j.inFlight = n
	p := t.open(ph.Name, ph, j)
	defer t.close(p)
	since := t.mark(ctx)
	r, err := t.begin(ctx, j)
	if err != nil {
		return err
	}
	for !r.ended() {
		if c := t.sam.Covariates(ctx); c != nil && c.InFlight >= int64(n) {
			break
		}
		if err := sleep(ctx, steppedLook); err != nil {
			return err
		}
	}
	var snapErr error
	if !r.ended() {
		_, snapErr = t.snapshot(ctx, ph.Name, record.StateReply, &record.Hold{Point: protocol.Running, Asked: n, Held: n})
	}
	p.Failed, err = t.finishWave(ctx, r)
	t.count(ctx, p, since)
	if err != nil || snapErr != nil {
		return errors.Join(err, snapErr)
	}
	return t.floorAfter(ctx, ph.Name)
}

// A stepped wave lasts for about so long, by the pace of the waves before it, and has so many requests for each that is
// in flight, at most mostStepped.
const (
	steppedFor    = 2 * time.Second
	steppedRounds = 8
	mostStepped   = 20_000
	steppedLook   = 2 * time.Millisecond
)

// errors gives a wave in which a share of the requests fail at their first attempt. A subject that doesn't try again
// fails the wave, which is noted and no failure of the trial.
func (t *trial) errors(ctx context.Context, ph *protocol.Phase) error {
	if s, ok := t.rig.(*serviceRig); ok && !s.callsAny() {
		return nil // no upstream is called that could fail
	}
	restore, err := t.rig.weather(ctx, weather{fail: ph.Fail, at: ph.Point})
	if err != nil {
		return err
	}
	failed, any := t.failed, t.anyFail
	_, err = t.do(ctx, ph.Name, ph, t.fresh(ph.Files...))
	t.failed, t.anyFail = failed, any
	if rerr := restore(); rerr != nil && err == nil {
		err = t.cause(ctx, rerr)
	}
	if err != nil {
		return err
	}
	return t.floorAfter(ctx, ph.Name)
}
