package trial

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/attach"
	"github.com/memsoak/memsoak/soak/internal/protocol"
	"github.com/memsoak/memsoak/soak/internal/sampler"
)

// Recording says how to record a process that runs already, here or in a pod: it is read and never steered.
type Recording struct {
	Dir    string
	Name   string // of the subject
	Module string
	// Target is the process.
	Target  *attach.Target
	Metrics string
	// Work are names of metrics that count finished work; their sum over all labels is the unit of slopes.
	Work  []string
	Every time.Duration
	For   time.Duration // 0: until ctx ends
	// ForceGC has two collections forced before each profile: floors are sharper and the process pays for it.
	ForceGC bool
	// Floor asks for a floor now: the load has been taken away. Without it one is made when the load stops by itself.
	Floor <-chan struct{}
	// OnSnapshot receives each snapshot; may be nil.
	OnSnapshot func(record.Snapshot)
}

// mostFailures is how many readings in a row may fail until the process counts as gone.
const mostFailures = 3

const (
	// recordLook is the time between two cheap readings: resident size and CPU time.
	recordLook = time.Second
	// recordHigh is by how much the resident size has to exceed its highest at a snapshot for one out of turn.
	recordHigh = 1.15
	// nearLimit is the part of the cgroup's limit from which a snapshot is taken: it may be the last one.
	nearLimit = 0.85
)

// recording is a recording under way.
type recording struct {
	Recording
	rec    *recorder
	s      *sampler.Sampler
	idle   idleWatch
	high   int64 // highest resident size at a snapshot
	press  time.Time
	before *record.Snapshot // the newest
	failed int
	lost   int
	ended  bool
}

// Record reads the process until the time is over, it ends, or ctx ends, which is no error. A process that can't be
// read at all is one; readings that fail later are counted in the record's warnings.
func Record(ctx context.Context, o Recording) (*record.Trial, error) {
	c := sampler.StartClock()
	begun := c.Now()
	rec, err := newRecorder(o.Dir, record.Trial{
		Schema: record.TrialSchema, Kind: record.Passive, Cell: record.Cell{}, Settings: map[string]string{}, Index: 1,
		Started:   begun,
		Subject:   record.Subject{Name: o.Name, Module: o.Module, Pprof: o.Target.Pprof},
		Isolation: record.Isolation{Kind: "none", Why: "recorded from outside"},
	}, c)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSetup, err)
	}
	r := &recording{Recording: o, rec: rec, s: &sampler.Sampler{Clock: c, Pprof: o.Target.Pprof, Metrics: o.Metrics,
		PID: o.Target.PID}}
	if r.byCPU() {
		r.idle.least = leastCPU
	}
	defer r.s.Close()
	if err := r.snapshot(ctx, record.StateFree); err != nil {
		rec.finish(err)
		return nil, err
	}
	r.loop(ctx)
	if !r.ended {
		r.last(context.WithoutCancel(ctx))
	}
	if r.lost > 0 {
		rec.warn("%s failed", units.Count(r.lost, "reading"))
	}
	rec.phase(record.Phase{Name: protocol.Free, Kind: protocol.Free, Start: begun, End: c.Now()})
	if !r.ended {
		return rec.finish(nil)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordLook*10)
	defer cancel()
	return r.died(ctx)
}

// loop takes snapshots until something ends it.
func (r *recording) loop(ctx context.Context) {
	tick, look := time.NewTicker(r.Every), time.NewTicker(recordLook)
	defer tick.Stop()
	defer look.Stop()
	var over <-chan time.Time
	if r.For > 0 {
		t := time.NewTimer(r.For)
		defer t.Stop()
		over = t.C
	}
	for !r.ended && r.rec.failure() == nil {
		state, due := record.StateFree, false
		select {
		case <-ctx.Done():
			return
		case <-over:
			return
		case <-r.Target.Done:
			r.ended = ctx.Err() == nil
			return
		case <-r.Floor:
			state, due = record.StateFloor, true
		case <-tick.C:
			due = true
		case <-look.C:
			state, due = r.look()
		}
		if due {
			r.take(ctx, state)
		}
	}
}

// lastWait bounds the reading at the end: a process that ends with its recording has no more to say.
const lastWait = 10 * time.Second

// last reads the process once more where it made no collection since the snapshot before: what it allocated since the
// collection before that is in no profile yet, so that one is forced. It costs the process what its own next collection
// would. A process that is gone, or answers too late, leaves the record as it was.
func (r *recording) last(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastWait)
	defer cancel()
	if r.gone() || r.before == nil || r.before.Runtime == nil || r.before.ForcedGC > 0 {
		return
	}
	now := r.s.Read(ctx, true)
	if now.Runtime == nil || now.Runtime.NumGC != r.before.Runtime.NumGC {
		return
	}
	r.ForceGC = true
	if err := r.snapshot(ctx, record.StateFree); err != nil {
		r.rec.warn("the last profile is that of the last collection, and what was allocated since isn't in it")
	}
}

// gone reports whether the process has ended.
func (r *recording) gone() bool {
	select {
	case <-r.Target.Done:
		return true
	default:
		return false
	}
}

// take takes a snapshot and counts failures.
func (r *recording) take(ctx context.Context, state record.State) {
	if state == record.StateFree && r.byCPU() && r.idle.resting() {
		state = record.StateFloor // as long as the load stays away, readings are without it
	}
	err := r.snapshot(ctx, state)
	if r.byCPU() {
		r.idle.skip(time.Now(), r.s.CPU())
	}
	switch {
	case err == nil:
		r.failed = 0
	case ctx.Err() == nil:
		r.failed++
		r.lost++
		r.ended = r.failed >= mostFailures
	}
}

// byCPU reports whether the load is watched by the CPU time of a process on this machine.
func (r *recording) byCPU() bool { return r.Target.PID != 0 && len(r.Work) == 0 }

// look takes the cheap readings of a process on this machine, and says whether a snapshot is due and why.
func (r *recording) look() (record.State, bool) {
	if r.Target.PID == 0 {
		return "", false
	}
	if r.byCPU() && r.idle.observe(time.Now(), r.s.CPU()) {
		return record.StateFloor, true
	}
	rss, err := r.s.RSS()
	if err != nil {
		return "", false
	}
	if limit := attach.MemoryLimit(r.Target.PID); limit > 0 && float64(rss) > nearLimit*float64(limit) &&
		time.Since(r.press) > r.Every/4 {
		r.press = time.Now()
		return record.StatePress, true
	}
	if r.high > 0 && float64(rss) > recordHigh*float64(r.high) {
		return record.StateHigh, true
	}
	return "", false
}

// snapshot reads heap and goroutines together.
func (r *recording) snapshot(ctx context.Context, state record.State) error {
	v := record.Snapshot{Phase: protocol.Free, State: state}
	kinds := []string{"heap"}
	if r.ForceGC || state == record.StateFloor {
		kinds = []string{"heap?gc=1", "heap?gc=1"}
		v.ForcedGC = 2
	}
	var heap []byte
	for _, k := range kinds {
		var err error
		if heap, err = r.s.Profile(ctx, k); err != nil {
			return err
		}
	}
	if v.ForcedGC > 0 {
		v.Sample, v.Exact = r.s.ReadCollected(ctx)
	} else {
		v.Sample = r.s.Read(ctx, true)
	}
	routines, err := r.s.Profile(ctx, "goroutine")
	if err != nil {
		routines = nil // a heap profile alone is worth keeping
	}
	if v.Process != nil {
		r.high = max(r.high, v.Process.RSS)
	}
	if done, ok := r.work(v.Sample); ok {
		v.Covariates = &record.Covariates{FilesDone: int64(done), Requests: int64(done), Distinct: int64(done)}
	}
	if state != record.StateFloor && r.loadStopped(v.Sample) {
		r.rec.sample(v.Sample)
		return r.snapshot(ctx, record.StateFloor)
	}
	r.rec.sample(v.Sample)
	r.rec.snapshot(v, heap, routines)
	r.before = &v
	if r.OnSnapshot != nil {
		r.OnSnapshot(v)
	}
	return nil
}

// work is the sum of the metrics that count it.
func (r *recording) work(s record.Sample) (sum float64, ok bool) {
	for name, v := range s.Metrics {
		base, _, _ := strings.Cut(name, "{")
		if slices.Contains(r.Work, base) {
			sum += v
			ok = true
		}
	}
	return sum, ok
}

// loadStopped reports whether the load has stopped and not come back, by the counters of work, or, of a process
// elsewhere, by what it allocates.
func (r *recording) loadStopped(s record.Sample) bool {
	if done, ok := r.work(s); ok {
		return r.idle.observe(s.Time, done) || r.idle.resting()
	}
	if r.Target.PID == 0 && len(r.Work) == 0 && s.Runtime != nil {
		return r.idle.observe(s.Time, float64(s.Runtime.TotalAlloc)) || r.idle.resting()
	}
	return false
}

// died closes the record of a process that ended, with how it did where that is known.
func (r *recording) died(ctx context.Context) (*record.Trial, error) {
	end := r.Target.End(ctx)
	r.rec.update(func(t *record.Trial) { t.Exit = end.Exit })
	if end.Outcome == "" || end.Outcome == record.OK {
		r.rec.warn("the process ended while it was recorded: %s. The last profile is of before", end.Reason)
		return r.rec.finish(nil)
	}
	return r.rec.finish(&ended{outcome: end.Outcome, reason: end.Reason})
}
