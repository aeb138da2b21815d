package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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
	// withheld is the hold of a consumer's fetches between its waves, 0 for none.
	withheld atomic.Int64

	mu       sync.Mutex
	holding  string                  // the gate that holds, or held last
	gens     map[uint64]bool         // the generations given: one that is given again brings no new keys
	distinct int64                   // keys given before the last work
	fresh    bool                    // each request of the last work has a key of its own
	largest  int64                   // size of an item so far
	size     int64                   // of the items of the wave under way
	before   map[string]gateway.Seen // what the gates had seen before the wave under way
	calls    callRates
	pace     float64 // items a second, of waves with all that came after their replies
	late     bool    // it works after its replies
	// replyShare is the number of bytes of a reply per byte of an item's size, from the waves that nothing held: it gives
	// the bytes in flight of a reply that does not declare its length.
	replyShare float64
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
	c := gateway.Config{Gates: []gateway.Gate{{Name: subject.Front, TLS: t.Subject.FrontTLS()}}, Remote: t.Remote}
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
	if t.Subject.Load.Consume != nil {
		t.rec.warn("%s", s.consumerNote())
	}
	if err = s.withholdWork(ctx); err != nil {
		s.Gates.Stop()
		return nil, err
	}
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

// holder is the gate that the phase names. The gate before the subject holds no raw bytes, and one of raw TCP nothing
// else. A consumer that is held before its queue has no work.
func (s *serviceRig) holder(ph *protocol.Phase) *fault.Client {
	consumer := s.t.Subject.Load.Consume != nil
	if ph.Gate == "" || consumer && (ph.Gate == subject.Front || ph.Gate == s.queue() && ph.Point == fault.GateRequest) ||
		s.raw(ph.Gate) != (ph.Point == fault.GateBytes) {
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
func (s *serviceRig) raw(name string) bool { return s.t.Subject.Upstreams[name].Raw() }

// GatesFile is what the gates of a trial saw, beside trial.json.
const GatesFile = "gates.json"

// GateRecord is what a gate saw, and where it stood.
type GateRecord struct {
	Address string `json:"address"` // what its clients were given
	gateway.Seen
}

// keep records what the gates saw.
func (s *serviceRig) keep([]*running) {
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	seen, err := s.Seen(ctx)
	if err != nil {
		s.t.rec.warn("what the gates saw could not be read: %v", err)
		return
	}
	all := map[string]GateRecord{}
	for name, v := range seen {
		all[name] = GateRecord{s.Addr.Gates[name], v}
	}
	if err := record.Write(filepath.Join(s.t.Dir, GatesFile), all); err != nil {
		s.t.rec.warn("what the gates saw could not be kept: %v", err)
	}
}

// ReadGates reads what the gates of the trial in dir saw.
func ReadGates(dir string) (map[string]GateRecord, error) {
	b, err := os.ReadFile(filepath.Join(dir, GatesFile))
	if err != nil {
		return nil, err
	}
	var all map[string]GateRecord
	return all, json.Unmarshal(b, &all)
}

func (s *serviceRig) ended(within time.Duration) error { return s.Gates.Ended(within) }

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
	if s.t.Subject.Load.Consume != nil {
		concurrency = "1"
	}
	if w.Concurrency, err = strconv.Atoi(concurrency); err != nil || w.Concurrency < 1 {
		return w, fmt.Errorf("load.concurrency: want a whole number of at least 1, not %q", concurrency)
	}
	if rate != "" {
		if w.Rate, err = strconv.ParseFloat(rate, 64); err != nil || w.Rate <= 0 {
			return w, fmt.Errorf("load.rate: want requests per second above 0, not %q", rate)
		}
	}
	if j.corpus {
		w.Requests, w.Rate = freeRequests, s.freeRate(w.Rate)
		if len(s.t.Subject.Load.Command) > 0 {
			w.Requests = 10_000
		}
	}
	if j.inFlight > 0 {
		w.Concurrency, w.Rate = j.inFlight, 0
	}
	if j.held { // all are offered, or those behind the held ones would not come
		w.Concurrency, w.Rate = int(w.Requests), 0
	}
	return w, nil
}

// freeRate is the rate of a free run. Of a subject that works after its replies it is what it was seen to get done, or
// the run would be a queue that grows for as long as it lasts, and takes many times as long to drain.
func (s *serviceRig) freeRate(own float64) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.late && s.pace > 0 && (own == 0 || own > s.pace) {
		return s.pace
	}
	return own
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
	s.distinct = s.keys(seen[subject.Front])
	s.before = seen
	s.size, s.largest = w.Size, max(s.largest, w.Size)
	if s.fresh = !s.gens[j.gen]; !s.t.Subject.Load.Uses("key") {
		s.distinct, s.fresh = 1, false
	}
	s.gens[j.gen] = true
	return nil
}

// keys is how many have been given, those of the last work by the requests that have begun since it did.
func (s *serviceRig) keys(front gateway.Seen) int64 {
	if !s.fresh {
		return s.distinct
	}
	return s.distinct + front.Started - s.before[subject.Front].Started
}

// parseSize reads a number of bytes, with or without a unit.
func parseSize(text string) (int64, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		return n, nil
	}
	return units.ParseBytes(text)
}
