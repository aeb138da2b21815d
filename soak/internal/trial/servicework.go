package trial

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/internal/waiting"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/gateway"
	"github.com/memsoak/memsoak/soak/internal/load"
	"github.com/memsoak/memsoak/soak/internal/protocol"
	"github.com/memsoak/memsoak/soak/internal/subject"
)

// work carries the wave out and waits until the subject has come to rest.
func (s *serviceRig) work(ctx context.Context, j job, w load.Wave) error {
	begun := time.Now()
	before, err := s.Seen(ctx)
	if err != nil {
		return err
	}
	switch l := s.t.Subject.Load; {
	case l.Consume != nil:
		err = s.consume(ctx, l.Consume, w)
	case len(l.Command) > 0:
		err = s.command(ctx, w)
	default:
		err = s.requests(ctx, w)
	}
	if errors.Is(context.Cause(ctx), errCutOff) {
		s.drain(ctx)
	}
	if err != nil {
		return err
	}
	answered, err := s.Seen(ctx)
	if err != nil {
		return err
	}
	if j.replied != nil {
		if err := j.replied(ctx); err != nil {
			return err
		}
	}
	if err := s.rest(ctx); err != nil {
		return err
	}
	after, err := s.Seen(ctx)
	if err != nil {
		return err
	}
	if err := s.upstreamFailures(before, after); err != nil {
		return err
	}
	items := after[s.source()].Finished - before[s.source()].Finished
	if items == 0 && s.t.Subject.Load.Consume == nil && ctx.Err() == nil {
		return errors.New("the load sent nothing to memsoak's gate: its address must be {{.addr}} or MEMSOAK_ADDR")
	}
	if !j.repeat && !j.held && j.inFlight == 0 {
		s.mu.Lock()
		s.pace = max(s.pace, float64(items)/time.Since(begun).Seconds())
		s.late = s.late || s.finished(after)-s.finished(answered) > lateShare*(s.finished(after)-s.finished(before))
		s.calls.items += items
		if passed := float64(after[subject.Front].Bytes - before[subject.Front].Bytes); w.Size > 0 && items > 0 {
			s.replyShare = passed / float64(items*w.Size)
		}
		for _, name := range s.names {
			s.calls.calls[name] += after[name].Started - before[name].Started
		}
		s.mu.Unlock()
	}
	return nil
}

// lateShare is the share of a wave's requests to upstreams that end after the last reply where a subject works on then.
const lateShare = 0.2

// finished is the number of requests to upstreams that have ended.
func (s *serviceRig) finished(seen map[string]gateway.Seen) float64 {
	n := int64(0)
	for _, name := range s.names {
		n += seen[name].Finished
	}
	return float64(n)
}

// drainTimeout bounds how long a free run that was cut off is waited for.
const drainTimeout = time.Minute

// drain lets the subject finish what a free run left under way. What comes of it shows at the next floor.
func (s *serviceRig) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	go func() {
		select {
		case <-s.proc.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	_ = s.rest(ctx) // its failure is that of the next wave
}

// requests makes the wave's requests.
func (s *serviceRig) requests(ctx context.Context, w load.Wave) error {
	values := s.proc.Values()
	values["addr"] = hostOf(s.Addr.Gates[subject.Front])
	res, err := s.engine.Run(ctx, w, values)
	if err != nil {
		return err
	}
	return res.Err()
}

func hostOf(url string) string {
	_, host, _ := strings.Cut(url, "://")
	return host
}

// command runs the load command.
func (s *serviceRig) command(ctx context.Context, w load.Wave) error {
	values := s.proc.Values()
	addr := hostOf(s.Addr.Gates[subject.Front])
	own := map[string]string{
		"addr": addr, "n": strconv.FormatInt(w.Requests, 10), "key": w.Keys, "size": strconv.FormatInt(w.Size, 10),
		"seed": strconv.FormatInt(s.t.Seed, 10), "concurrency": strconv.Itoa(w.Concurrency),
	}
	maps.Copy(values, own)
	var run load.Run
	for _, k := range slices.Sorted(maps.Keys(load.CommandEnv)) {
		run.Env = append(run.Env, load.CommandEnv[k]+"="+own[k])
	}
	for _, a := range s.t.Subject.Load.Command {
		v, err := subject.Expand(a, values)
		if err != nil {
			return fmt.Errorf("load.command: %w", err)
		}
		run.Args = append(run.Args, v)
	}
	return load.Command(ctx, run)
}

// upstreamFailures is the failure of a wave whose upstreams did not answer.
func (s *serviceRig) upstreamFailures(before, after map[string]gateway.Seen) error {
	for _, name := range s.names {
		lost := after[name].Unreached - before[name].Unreached
		if lost == 0 {
			continue
		}
		why := "no answer"
		if e := after[name].Errors; len(e) > 0 {
			why = e[len(e)-1].Why
		}
		at := s.t.Subject.Upstreams[name].Address
		return fmt.Errorf("upstream %s at %s did not answer %d requests: %s", name, at, lost, why)
	}
	return nil
}

// The signs of a subject at rest: no gate sees anything move or in flight, it uses next to no CPU time and waits for
// none. A subject may answer before it has worked; if it works on for too long, that is its outcome.
const (
	restStep  = 20 * time.Millisecond
	restLooks = 3
	restCPU   = 0.10 // of one CPU
)

// errAtWork is the failure of a wave whose subject did not come to rest.
var errAtWork = errors.New("the subject was still at work long after its last reply: " +
	"it answers before it has worked; " +
	"`wave: {start: ..., poll: ...}` waits for such work")

// restTimeout is the patience with a subject that has answered and works on: a quarter of that with a wave.
func (t *trial) restTimeout() time.Duration { return time.Duration(t.Protocol.WaveTimeout) / 4 }

// rest waits until the subject has come to rest. The connections of the load are closed first: those that stay are not
// the load's.
func (s *serviceRig) rest(ctx context.Context) error {
	if s.t.Subject.Load.Consume != nil && s.queue() == "" {
		return nil // it never does: its work is not ours to stop
	}
	if s.engine != nil && !s.keepConns.Load() {
		s.engine.CloseIdle()
	}
	last, err := s.Seen(ctx)
	if err != nil {
		return err
	}
	quiet := 0
	for end := time.Now().Add(s.t.restTimeout()); time.Now().Before(end); {
		cpu, begun := s.t.sam.CPU(), time.Now()
		if err := waiting.For(ctx, restStep); err != nil {
			return err
		}
		now, err := s.Seen(ctx)
		if err != nil {
			return err
		}
		s.atQueue(now)
		busy := s.t.sam.Runnable() || s.t.sam.CPU()-cpu > restCPU*time.Since(begun).Seconds()+cpuTick
		quiet++
		if moves(last, now) {
			quiet, end = 0, time.Now().Add(s.t.restTimeout()) // what moves has all the time that it takes
		} else if busy {
			quiet = 0
		}
		if last = now; quiet == restLooks {
			return nil
		}
	}
	return errAtWork
}

// moves says whether anything is under way, or was between two readings.
func moves(last, now map[string]gateway.Seen) bool {
	for name, v := range now {
		was := last[name]
		passed := v.Requests != was.Requests || v.Bytes != was.Bytes || v.BytesIn != was.BytesIn
		if v.InFlight > 0 || passed || v.ConnsOpen != was.ConnsOpen {
			return true
		}
	}
	return false
}

// cpuTick is the step in which the kernel counts CPU time, in seconds.
const cpuTick = 0.01

// connections makes requests over a connection each, in parallel so that none is used twice, and takes a snapshot while
// the connections are open and nothing is under way.
func (t *trial) connections(ctx context.Context, ph *protocol.Phase) error {
	s, ok := t.rig.(*serviceRig)
	if !ok || s.engine == nil {
		t.leaveOut(ph, record.LeftOutPoint)
		return nil
	}
	j := t.fresh(ph.Files...)
	j.held = true
	p := t.open(ph.Name, ph, j)
	defer t.close(p)
	front := s.Gate(subject.Front)
	h, err := front.Hold(ctx, fault.Hold{Point: fault.GateRequest})
	if err != nil {
		return t.cause(ctx, err)
	}
	s.keepConns.Store(true)
	defer s.keepConns.Store(false)
	r, err := t.begin(ctx, j)
	if err != nil {
		return err
	}
	_, _, reachErr := t.reach(ctx, front, h.ID, r, int(j.items()))
	if err := t.release(ctx, front, h.ID); err != nil {
		return err
	}
	if p.Failed, err = t.finishWave(ctx, r); err != nil || reachErr != nil {
		return errors.Join(err, reachErr)
	}
	n := int(j.items())
	p.Hold = &record.Hold{Point: protocol.Connections, Asked: n, Held: n}
	if _, err := t.snapshot(ctx, ph.Name, record.StateReply, p.Hold); err != nil {
		return err
	}
	s.engine.CloseIdle()
	return t.floorAfter(ctx, ph.Name)
}
