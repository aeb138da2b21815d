package trial

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/fakes"
	"github.com/memsoak/memsoak/soak/internal/gateway"
	"github.com/memsoak/memsoak/soak/internal/load"
	"github.com/memsoak/memsoak/soak/internal/protocol"
	"github.com/memsoak/memsoak/soak/internal/sampler"
	"github.com/memsoak/memsoak/soak/internal/subject"
)

// serviceRig is the rig of a service: a load through the gate before the subject, and gates before all that it calls.
type serviceRig struct {
	*fakes.Gates
	t      *trial
	engine *load.Engine // nil for a command and a consumer
	names  []string     // of the upstreams
	proc   *subject.Process
	// keepConns leaves the load's connections open after a wave.
	keepConns atomic.Bool

	mu       sync.Mutex
	holding  string                  // the gate that holds, or held last
	gens     map[uint64]bool         // the generations given: one that is given again brings no new keys
	distinct int64                   // keys given so far
	largest  int64                   // size of an item so far
	size     int64                   // of the items of the wave under way
	before   map[string]gateway.Seen // what the gates had seen before the wave under way
	calls    callRates
}

// callRates says how many requests to each upstream an item makes, from the waves that nothing held.
type callRates struct {
	items int64
	calls map[string]int64
}

// of is the number of requests to an upstream per item, 0 when unknown.
func (c callRates) of(upstream string) float64 {
	if c.items == 0 {
		return 0
	}
	return float64(c.calls[upstream]) / float64(c.items)
}

// startGates starts the gates that the trial's subject needs.
func newServiceRig(ctx context.Context, t *trial) (rig, error) {
	s := &serviceRig{t: t, gens: map[uint64]bool{}, calls: callRates{calls: map[string]int64{}}}
	s.names = slices.Sorted(maps.Keys(t.Subject.Upstreams))
	c := gateway.Config{Gates: []gateway.Gate{{Name: subject.Front}}, Remote: t.Remote}
	for _, name := range s.names {
		g, err := gateOf(name, t.Subject.Upstreams[name], t.Settings)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSetup, err)
		}
		c.Gates = append(c.Gates, g)
	}
	var err error
	if len(t.Subject.Load.Targets) > 0 {
		if s.engine, err = load.NewEngine(t.Subject.Load); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSetup, err)
		}
	}
	fo := t.Fakes
	fo.Dir, fo.Env = t.temp, append(fo.Env, t.Env...)
	if s.Gates, err = fakes.StartGates(ctx, fo, c); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSetup, err)
	}
	t.rec.update(func(r *record.Trial) { r.Item = record.ItemRequest })
	return s, nil
}

// gateOf is the gate of an upstream.
func gateOf(name string, u load.Upstream, settings map[string]string) (gateway.Gate, error) {
	if u.Reply == nil {
		to, err := subject.Expand(u.Address, settings)
		if err != nil {
			return gateway.Gate{}, fmt.Errorf("upstreams.%s: %w", name, err)
		}
		return gateway.Gate{Name: name, Target: to}, nil
	}
	r, err := madeReply(name, u.Reply, settings, 0)
	return gateway.Gate{Name: name, Make: &r}, err
}

// madeReply is what a gate answers while the size of the work is size.
func madeReply(name string, r *load.Reply, settings map[string]string, size int64) (gateway.Reply, error) {
	out := gateway.Reply{Status: r.Status, Headers: r.Headers, Body: r.Body, Delay: r.Delay}
	if r.Size == "" {
		return out, nil
	}
	values := maps.Clone(settings)
	values["size"] = strconv.FormatInt(size, 10)
	text, err := subject.Expand(r.Size, values)
	if err == nil {
		out.Size, err = parseSize(text)
	}
	if err != nil {
		return out, fmt.Errorf("upstreams.%s.reply.size: %w", name, err)
	}
	return out, nil
}

func (s *serviceRig) values() map[string]string {
	out := map[string]string{"ca_file": s.Addr.CAFile}
	for _, name := range s.names {
		out[subject.UpstreamValue(name)] = s.Addr.Gates[name]
	}
	return out
}

func (s *serviceRig) caFile() string { return s.Addr.CAFile }

func (s *serviceRig) watch(sam *sampler.Sampler) { sam.Seen = s.covariates }

// controls are those of the gates, that before the subject first.
func (s *serviceRig) controls() []*fault.Client {
	out := []*fault.Client{s.Gate(subject.Front)}
	for _, name := range s.names {
		out = append(out, s.Gate(name))
	}
	return out
}

// holder is the gate that the phase names. The gate before the subject holds no raw bytes, and one of raw TCP nothing else.
func (s *serviceRig) holder(ph *protocol.Phase) *fault.Client {
	if ph.Gate == subject.Front && s.t.Subject.Load.Consume != nil || s.raw(ph.Gate) != (ph.Point == fault.GateBytes) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holding = ph.Gate
	return s.Gate(ph.Gate)
}

// weather has a share of the requests to the upstreams fail. A service takes in no bytes at a rate.
func (s *serviceRig) weather(ctx context.Context, w weather) (restore func() error, err error) {
	plan := fmt.Appendf(nil, `{"rules": [{"probability": %g, "error": {"status": 503, "reason": "unavailable"}}]}`, w.fail)
	for _, name := range s.names {
		if w.fail == 0 || s.raw(name) {
			continue
		}
		if err := s.Gate(name).SetFaults(ctx, plan); err != nil {
			return nil, s.t.cause(ctx, err)
		}
	}
	return func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), adminTimeout)
		defer cancel()
		var all error
		for _, name := range s.names {
			all = errors.Join(all, s.Gate(name).ClearFaults(ctx))
		}
		return all
	}, nil
}

// raw says whether the gate is one of raw TCP.
func (s *serviceRig) raw(name string) bool { return !strings.Contains(s.Addr.Gates[name], "://") }

// keep has nothing to keep: requests leave nothing to be checked later.
func (s *serviceRig) keep([]*running) {}

func (s *serviceRig) stop() {
	if s.engine != nil {
		s.engine.CloseIdle()
	}
	s.Gates.Stop()
}

// attach leads the gate before the subject to it, once it has started.
func (s *serviceRig) attach(ctx context.Context, proc *subject.Process) error {
	s.proc = proc
	if s.t.Subject.Load.Consume != nil {
		return nil
	}
	if err := s.SetTarget(ctx, subject.Front, proc.FrontTarget()); err != nil {
		return fmt.Errorf("%w: %w", ErrSetup, err)
	}
	return nil
}

// give makes the job a wave of requests.
func (s *serviceRig) give(ctx context.Context, j job, _ string) (work, error) {
	w, err := s.wave(j)
	if err != nil {
		return work{}, fmt.Errorf("%w: %w", ErrSetup, err)
	}
	if err := s.begin(ctx, j, w); err != nil {
		return work{}, err
	}
	return work{items: w.Requests, do: func(ctx context.Context) error { return s.work(ctx, j, w) }}, nil
}

// freeRequests is the number of requests of a free run, which its phase cuts off.
const freeRequests = math.MaxInt32

// wave is the job as a load takes it.
func (s *serviceRig) wave(j job) (load.Wave, error) {
	concurrency, rate, err := subject.LoadValues(s.t.Subject.Load, s.proc.Values())
	if err != nil {
		return load.Wave{}, err
	}
	w := load.Wave{Requests: j.items(), Size: largestOf(j), Keys: fmt.Sprintf("k%d", j.gen)}
	if w.Concurrency, err = strconv.Atoi(concurrency); err != nil || w.Concurrency < 1 {
		return w, fmt.Errorf("load.concurrency: want a whole number of at least 1, not %q", concurrency)
	}
	if rate != "" {
		if w.Rate, err = strconv.ParseFloat(rate, 64); err != nil || w.Rate <= 0 {
			return w, fmt.Errorf("load.rate: want requests per second above 0, not %q", rate)
		}
	}
	if j.corpus {
		w.Requests = freeRequests
		if len(s.t.Subject.Load.Command) > 0 {
			w.Requests = 10_000
		}
	}
	if j.held { // all are offered, or what is behind those that are held would not come
		w.Concurrency, w.Rate = int(w.Requests), 0
	}
	return w, nil
}

func largestOf(j job) int64 {
	var n int64
	for _, g := range j.groups {
		n = max(n, int64(g.Size))
	}
	return n
}

// begin notes where the counters stand before a wave, and sets the size of the replies that are made.
func (s *serviceRig) begin(ctx context.Context, j job, w load.Wave) error {
	for _, name := range s.names {
		u := s.t.Subject.Upstreams[name]
		if u.Reply == nil || u.Reply.Size == "" {
			continue
		}
		r, err := madeReply(name, u.Reply, s.proc.Values(), w.Size)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSetup, err)
		}
		if err := s.SetReply(ctx, name, r); err != nil {
			return s.t.cause(ctx, err)
		}
	}
	seen, err := s.Seen(ctx)
	if err != nil {
		return s.t.cause(ctx, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = seen
	s.size, s.largest = w.Size, max(s.largest, w.Size)
	if !s.t.Subject.Load.Uses("key") {
		s.distinct = 1
	} else if !s.gens[j.gen] && !j.corpus {
		s.gens[j.gen] = true
		s.distinct += w.Requests
	}
	return nil
}

// work carries the wave out and waits until the subject has come to rest.
func (s *serviceRig) work(ctx context.Context, j job, w load.Wave) error {
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
	if err != nil {
		return err
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
	items := after[subject.Front].Finished - before[subject.Front].Finished
	if items == 0 && s.t.Subject.Load.Consume == nil && ctx.Err() == nil {
		return errors.New("the load sent nothing through {{.addr}}: its address must be the gate's, {{.addr}} or MEMSOAK_ADDR")
	}
	if !j.repeat && !j.held {
		s.mu.Lock()
		s.calls.items += items
		for _, name := range s.names {
			s.calls.calls[name] += after[name].Started - before[name].Started
		}
		s.mu.Unlock()
	}
	return nil
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
	own := map[string]string{"addr": addr, "n": strconv.FormatInt(w.Requests, 10), "key": w.Keys, "size": strconv.FormatInt(w.Size, 10),
		"seed": strconv.FormatInt(s.t.Seed, 10), "concurrency": strconv.Itoa(w.Concurrency)}
	maps.Copy(values, own)
	run := load.Run{Env: []string{"MEMSOAK_ADDR=" + addr, "MEMSOAK_REQUESTS=" + own["n"], "MEMSOAK_CONCURRENCY=" + own["concurrency"],
		"MEMSOAK_SEED=" + own["seed"], "MEMSOAK_KEY=" + w.Keys, "MEMSOAK_SIZE=" + own["size"]}}
	for _, a := range s.t.Subject.Load.Command {
		v, err := subject.Expand(a, values)
		if err != nil {
			return fmt.Errorf("load.command: %w", err)
		}
		run.Args = append(run.Args, v)
	}
	return load.Command(ctx, run)
}

// consume waits until the subject has done so many items, or for the longest that a wave may last.
func (s *serviceRig) consume(ctx context.Context, c *load.Consume, w load.Wave) error {
	first, err := s.consumed(ctx, c)
	if err != nil {
		return err
	}
	for end := time.Now().Add(time.Duration(c.For)); time.Now().Before(end); {
		if err := sleep(ctx, consumeStep); err != nil {
			return err
		}
		now, err := s.consumed(ctx, c)
		if err != nil || now-first >= w.Requests {
			return err
		}
	}
	return nil
}

const consumeStep = 50 * time.Millisecond

// consumed is how many items the subject has done so far.
func (s *serviceRig) consumed(ctx context.Context, c *load.Consume) (int64, error) {
	if c.Upstream != "" {
		seen, err := s.Seen(ctx)
		return seen[c.Upstream].Finished, err
	}
	v := s.t.sam.Metric(ctx, c.Counter)
	if math.IsNaN(v) {
		return 0, fmt.Errorf("the subject's metrics have no %s", c.Counter)
	}
	return int64(v), nil
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
		return fmt.Errorf("upstream %s at %s did not answer %d requests: %s", name, s.t.Subject.Upstreams[name].Address, lost, why)
	}
	return nil
}

// How a subject at rest is told: no gate sees anything move or in flight, it uses next to no CPU time and waits for none. A subject may
// answer before it has worked; if it works on for too long, that is its outcome.
const (
	restStep  = 20 * time.Millisecond
	restLooks = 3
	restCPU   = 0.10 // of one CPU
)

// errAtWork is the failure of a wave whose subject did not come to rest.
var errAtWork = errors.New("the subject was still at work long after its last reply: it answers before it has worked; " +
	"`wave: {start: ..., poll: ...}` waits for such work")

// restTimeout is the patience with a subject that has answered and works on: a quarter of that with a wave.
func (t *trial) restTimeout() time.Duration { return time.Duration(t.Protocol.WaveTimeout) / 4 }

// rest waits until the subject has come to rest. The connections of the load are closed first: those that stay are not
// the load's.
func (s *serviceRig) rest(ctx context.Context) error {
	if s.t.Subject.Load.Consume != nil {
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
		if err := sleep(ctx, restStep); err != nil {
			return err
		}
		now, err := s.Seen(ctx)
		if err != nil {
			return err
		}
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
		if v.InFlight > 0 || v.Requests != was.Requests || v.Bytes != was.Bytes || v.BytesIn != was.BytesIn || v.ConnsOpen != was.ConnsOpen {
			return true
		}
	}
	return false
}

// cpuTick is the step in which the kernel counts CPU time, in seconds.
const cpuTick = 0.01

// parseSize reads a number of bytes, with or without a unit.
func parseSize(text string) (int64, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		return n, nil
	}
	return units.ParseBytes(text)
}

// connections makes requests over a connection each, all at once so that none is used twice, and takes a snapshot while
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
	if err := t.releaseAll(ctx, front); err != nil {
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
