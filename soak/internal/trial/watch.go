package trial

import (
	"context"
	"sync"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/protocol"
)

// watcher samples once a second, and between the samples looks at the cgroup's usage alone, so that a profile is at
// hand from shortly before a kill. All its readings stop while a snapshot is taken.
type watcher struct {
	t      *trial
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu    sync.Mutex // held while a snapshot or a sample is taken
	phase string
	kind  string
	blind bool      // nothing is read in this phase
	high  int64     // memory at the newest high-water profile
	count int       // goroutines in the newest sample
	press time.Time // when the newest profile under pressure was taken
	free  time.Time // when the newest light profile of a free run was taken
}

// The rules of unrequested profiles. They make up the promise that the watcher never causes the kill it
// watches for: it keeps off when the memory for a profile isn't there.
const (
	lookEvery   = 10 * time.Millisecond
	peakEvery   = 20 * time.Millisecond // between readings of the charge: the peak asks for 20 a second
	freeEvery   = 2 * time.Second       // between light profiles of a free run
	freePassive = time.Second           // of a passive trial, which has nothing else
	freeSpeed   = 5 * time.Second       // and of a speed trial, which is measured and not judged
	highStep    = 1.25                  // a new high-water profile at so many times the memory of the one before
	highMin     = 16 << 20              // and at least so many bytes more,
	highPart    = 16                    // or this part of a small limit, below which a subject dies within a few looks
	pressShare  = 0.70                  // of the limit, above which there is pressure
	pressEvery  = time.Second           // between profiles under pressure
	profileCost = 6 << 20               // what a profile may take of the subject's memory
	routineCost = 512                   // what a goroutine may take in a profile of goroutines, bytes
)

func startWatcher(t *trial) *watcher {
	// A reading under way holds the trial up: none lasts beyond the cap.
	ctx, cancel := context.WithDeadline(context.Background(), t.begun.Add(t.cap()))
	w := &watcher{t: t, cancel: cancel}
	if t.Every > 0 {
		if t.group != nil {
			w.done.Go(func() { w.peak(ctx) })
		}
		first := make(chan struct{})
		w.done.Go(func() { w.sample(ctx, first) })
		w.done.Go(func() {
			<-first // a profile of a subject in a hurry may take until it is killed
			w.look(ctx)
		})
	}
	return w
}

// stop ends the readings and waits for the one under way.
func (w *watcher) stop() {
	w.cancel()
	w.done.Wait()
}

func (w *watcher) pause()  { w.mu.Lock() }
func (w *watcher) resume() { w.mu.Unlock() }

func (w *watcher) enter(phase, kind string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.phase, w.kind = phase, kind
	w.blind = w.t.Unwatched != nil && w.t.Unwatched(phase)
}

// sample takes a sample immediately, after which it closes first, and then each Every.
func (w *watcher) sample(ctx context.Context, first chan<- struct{}) {
	tick := time.NewTicker(w.t.Every)
	defer tick.Stop()
	w.sampleOnce(ctx)
	close(first)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		w.sampleOnce(ctx)
	}
}

func (w *watcher) sampleOnce(ctx context.Context) {
	w.mu.Lock()
	if w.blind {
		w.mu.Unlock()
		return
	}
	s := w.t.sam.Read(ctx, false)
	s.PhaseName = w.phase
	if s.Runtime != nil {
		w.count = s.Runtime.Goroutines
	}
	// A subject at its limit may answer nothing until it is killed: what the kernel said of it is kept then.
	if ctx.Err() == nil || s.Process != nil && s.Cgroup != nil {
		w.t.rec.sample(s)
	}
	w.mu.Unlock()
	if w.t.OnSample != nil && ctx.Err() == nil {
		w.t.OnSample(s)
	}
}

// usage is the subject's memory now and its limit, 0 for none: what the cgroup is charged, or else the resident size.
func (w *watcher) usage() (now, limit int64, err error) {
	if w.t.group == nil {
		now, err = w.t.sam.RSS()
		return now, 0, err
	}
	now, err = w.t.group.Usage()
	return now, w.t.group.Limit(), err
}

// peak follows the charge of the subject's cgroup, also while a snapshot is taken and in phases that are not watched:
// it asks the kernel alone. Only a usage above the peak so far is worth the longer reading that tells pages of files.
func (w *watcher) peak(ctx context.Context) {
	tick := time.NewTicker(peakEvery)
	defer tick.Stop()
	for {
		if now, err := w.t.group.Usage(); err == nil && w.t.rec.usage(now) {
			if c, err := w.t.group.Read(); err == nil {
				w.t.rec.charged(c)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look follows the subject's memory and takes profiles at new heights and near the limit.
func (w *watcher) look(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		w.lookOnce(ctx)
	}
}

func (w *watcher) lookOnce(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.blind {
		w.passOver()
		return
	}
	usage, limit, err := w.usage()
	if err != nil {
		return
	}
	if state := w.worth(usage, limit); state != "" {
		w.profile(ctx, state, usage, limit)
		if state == record.StatePress {
			w.t.lookAt(ctx, "near its limit in phase "+w.phase, usage)
		}
	}
}

// passOver lets the time of a light profile go by in a phase that is not watched, so that those that are don't get its
// profiles as well.
func (w *watcher) passOver() {
	if w.kind == protocol.Free && time.Since(w.free) >= w.freeEvery() {
		w.free = time.Now()
	}
}

// worth says whether usage calls for a profile, and of which state. A held state has snapshots of its own, once it is
// reached: on the way there the subject may die as well.
func (w *watcher) worth(usage, limit int64) record.State {
	if limit > 0 && limit-usage < profileCost {
		return ""
	}
	if limit > 0 && float64(usage) > pressShare*float64(limit) && time.Since(w.press) >= pressEvery {
		return record.StatePress
	}
	least := int64(highMin)
	if limit > 0 {
		least = min(least, limit/highPart)
	}
	if w.kind != protocol.Idle && float64(usage) > highStep*float64(w.high) && usage > w.high+least && !w.t.frozen.Load() {
		return record.StateHigh
	}
	if w.kind == protocol.Free && time.Since(w.free) >= w.freeEvery() {
		return record.StateFree
	}
	return ""
}

// freeEvery is the time between light profiles of a free run.
func (w *watcher) freeEvery() time.Duration {
	switch w.t.Kind {
	case record.Speed:
		return freeSpeed
	case record.Passive:
		return freePassive
	}
	return freeEvery
}

// last takes a light profile of a passive trial when its work is done: the only one of a subject at rest.
func (w *watcher) last(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.t.Kind != record.Passive || w.blind {
		return
	}
	if usage, limit, err := w.usage(); err == nil {
		w.profile(ctx, record.StateFree, usage, limit)
	}
}

// profile takes a profile, and at heights and near the limit one of the goroutines, if it has
// room: memory in stacks shows nowhere else. Near the limit of an attribution trial a collection is forced first: what
// is live after it says whether the limit is too low or too much is kept. No other trial has collections forced on it.
func (w *watcher) profile(ctx context.Context, state record.State, usage, limit int64) {
	kind, forced := "heap", 0
	if state == record.StatePress && w.t.Kind == record.Attribution {
		kind, forced = "heap?gc=1", 1
	}
	heap, err := w.t.sam.Profile(ctx, kind)
	if err != nil {
		return
	}
	if state != record.StateFree {
		w.high = max(w.high, usage)
	}
	switch state {
	case record.StatePress:
		w.press = time.Now()
	case record.StateFree:
		w.free = time.Now()
	}
	s := record.Snapshot{Phase: w.phase, State: state, ForcedGC: forced, Sample: w.t.sam.Read(ctx, false)}
	var routines []byte
	if room := limit - usage - profileCost; state != record.StateFree && (limit == 0 ||
		int64(w.count)*routineCost < room) {
		routines, _ = w.t.sam.Profile(ctx, "goroutine") // the heap alone is worth keeping
	}
	w.t.rec.snapshot(s, heap, routines)
}
