package trial

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/memsoak/memsoak/internal/waiting"
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
// replies is there then, as far as it isn't done already. So that it isn't, the subject is short of processor time
// until then, and has many requests in flight: replies, which are quick, go before the work behind them.
func (t *trial) answered(ctx context.Context, ph *protocol.Phase) error {
	j := t.fresh(ph.Files...)
	j.inFlight = answeredRounds * t.m
	n := int(j.items())
	share, end := t.starve(answeredShare)
	defer end()
	j.replied = func(ctx context.Context) error {
		defer end()
		_, err := t.snapshot(ctx, ph.Name, record.StateHeader, &record.Hold{Point: protocol.Answered, Asked: n, Held: n,
			Share: share})
		return err
	}
	if _, err := t.do(ctx, ph.Name, ph, j); err != nil {
		return err
	}
	return t.floorAfter(ctx, ph.Name)
}

const (
	// answeredShare is the part of a processor that a subject has while it answers, and answeredRounds how many times as
	// many requests as elsewhere are in flight.
	answeredShare  = 0.3
	answeredRounds = 4
)

// starve holds the subject to a share of a processor until end, which may be called again. A process that memsoak did
// not start is left alone. It returns the share that the subject has, 0 for all that it can get.
func (t *trial) starve(share float64) (has float64, end func()) {
	own := t.cpuLimit()
	switch {
	case own > 0 && own <= share:
		return own, func() {}
	case t.Subject.Attach != nil:
		return 0, func() {}
	}
	t.throttle.Load().stop() // its own limit is wider
	h := startThrottle(t.proc.PID(), share, t.sam.CPU)
	t.throttle.Store(h)
	return share, sync.OnceFunc(func() {
		h.stop()
		h = nil
		if own > 0 {
			h = startThrottle(t.proc.PID(), own, t.sam.CPU)
		}
		t.throttle.Store(h)
	})
}

// stepped keeps a number of requests in flight and takes a snapshot amid them. How many of them the subject works on,
// and how many wait for it, can't be seen.
func (t *trial) stepped(ctx context.Context, s *serviceRig, ph *protocol.Phase) error {
	n := ph.Held(t.m)
	s.mu.Lock()
	count := min(int64(s.pace*steppedFor.Seconds()), mostStepped, steppedBytes/max(1, int64(ph.Size)))
	s.mu.Unlock()
	count = max(count, steppedRounds*int64(n))
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
		if err := waiting.For(ctx, steppedLook); err != nil {
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

// A stepped wave lasts for about so long, by the pace of the waves before it, with at most mostStepped requests and
// steppedBytes, but so many requests at least for each that is in flight.
const (
	steppedFor    = 2 * time.Second
	steppedRounds = 8
	mostStepped   = 20_000
	steppedBytes  = 512 << 20
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
