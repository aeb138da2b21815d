package trial

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/attach"
	"github.com/memsoak/memsoak/soak/internal/cgroup"
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
	// GC says when collections are forced.
	GC Collections
	// Floor asks for a floor now: the load has been taken away. Without it one is made when the load stops by itself.
	Floor <-chan struct{}
	// OnSnapshot receives each snapshot; may be nil.
	OnSnapshot func(record.Snapshot)
}

// Collections says when a recording forces collections: between two a heap profile stays the same. At floors two are
// forced whatever it says, since a floor is asked for.
type Collections string

// The ways to force collections.
const (
	// CollectRarely forces one where the process made none for a while: few enough that it costs next to nothing and the
	// memory that the process has by itself stays visible. It is the zero value.
	CollectRarely Collections = "rarely"
	// CollectEach forces two before each profile: what grows is sharper, and the process pays for it.
	CollectEach Collections = "each"
	// CollectNever forces none.
	CollectNever Collections = "never"
)

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
	stale  staleHeap
	failed int
	lost   int
	ended  bool
	// counted says that the metrics of work were seen.
	counted bool
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
		PID: o.Target.PID, Work: o.Work}}
	r.stale.after = r.staleAfter()
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
	if len(o.Work) > 0 && !r.counted {
		rec.warn("%s has no metric %s: nothing is said per request", o.Metrics, strings.Join(o.Work, ", "))
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
	owed := false // a snapshot, until it is known whether there is load
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
			owed = true
		case <-look.C:
			state, due = r.look(ctx)
		}
		if due || owed && !(r.watched() && r.idle.unsure()) {
			owed = false
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
	if r.gone() || r.GC == CollectNever || r.before.Runtime == nil {
		return
	}
	now := r.s.Read(ctx, true)
	if now.Runtime == nil || now.Runtime.NumGC != r.before.Runtime.NumGC ||
		r.before.ForcedGC > 0 && now.Time.Sub(r.before.Time) < leastStale {
		return
	}
	r.GC = CollectEach
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
	if state == record.StateFree && r.idle.resting() {
		state = record.StateFloor // as long as the load stays away, readings are without it
	}
	err := r.snapshot(ctx, state)
	if r.byCPU() {
		r.idle.skip(r.used())
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

// watched reports whether the load is watched between snapshots.
func (r *recording) watched() bool { return r.byCPU() || len(r.Work) > 0 }

// used is the CPU time of a process on this machine.
func (r *recording) used() usage {
	ran, waited := r.s.Schedule()
	return usage{time.Now(), ran, waited}
}

// stopped reports whether the load has just stopped, by the counters of work or the CPU time.
func (r *recording) stopped(ctx context.Context) bool {
	if r.byCPU() {
		return r.idle.observe(r.used())
	}
	if len(r.Work) == 0 {
		return false
	}
	done, ok := r.s.Done(ctx)
	return ok && r.idle.observe(usage{at: time.Now(), work: done})
}

// look takes the cheap readings, and says whether a snapshot is due and why.
func (r *recording) look(ctx context.Context) (record.State, bool) {
	if r.stopped(ctx) {
		return record.StateFloor, true
	}
	if r.Target.PID == 0 {
		return "", false
	}
	rss, err := r.s.RSS()
	if err != nil {
		return "", false
	}
	if limit := cgroup.Limit(r.Target.PID); limit > 0 && float64(rss) > nearLimit*float64(limit) &&
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
	heap, err := r.heap(ctx, &v)
	if err != nil {
		return err
	}
	routines, err := r.s.Profile(ctx, "goroutine")
	if err != nil {
		routines = nil // a heap profile alone is worth keeping
	}
	if v.Process != nil {
		r.high = max(r.high, v.Process.RSS)
	}
	if done, ok := r.s.DoneIn(v.Metrics); ok {
		r.counted = true
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

// heap reads the heap profile and, after it, everything else, into v.
func (r *recording) heap(ctx context.Context, v *record.Snapshot) (heap []byte, err error) {
	if r.GC == CollectEach || v.State == record.StateFloor {
		for range 2 {
			if heap, err = r.s.Profile(ctx, "heap?gc=1"); err != nil {
				return nil, err
			}
		}
		v.ForcedGC = 2
		v.Sample, v.Exact = r.s.ReadCollected(ctx)
		r.stale.collected(v.Sample)
		return heap, nil
	}
	begun := time.Now()
	if heap, err = r.s.Profile(ctx, "heap"); err != nil {
		return nil, err
	}
	plain := time.Since(begun)
	v.Sample = r.s.Read(ctx, true)
	if r.GC == CollectNever || !r.stale.due(v.Sample) {
		return heap, nil
	}
	begun = time.Now()
	before := r.used()
	fresh, err := r.s.Profile(ctx, "heap?gc=1")
	if err != nil {
		return heap, nil // the older one is worth keeping
	}
	r.stale.cost = time.Since(begun) - plain
	if r.Target.PID != 0 { // its own CPU time: others may have had the CPU
		r.stale.cost = time.Duration(1e9 * (r.used().work - before.work))
	}
	v.ForcedGC, v.HeapBefore = 1, v.Runtime.HeapAlloc
	v.Sample = r.s.Read(ctx, true)
	r.stale.collected(v.Sample)
	return fresh, nil
}

// loadStopped reports whether the load of a process elsewhere, whose work nothing counts, has stopped and not come
// back, by what it allocates.
func (r *recording) loadStopped(s record.Sample) bool {
	if r.Target.PID != 0 || len(r.Work) > 0 || s.Runtime == nil {
		return false
	}
	return r.idle.observe(usage{at: s.Time, work: float64(s.Runtime.TotalAlloc)}) || r.idle.resting()
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
