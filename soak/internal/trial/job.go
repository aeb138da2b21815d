package trial

import (
	"context"
	"fmt"
	"time"

	"github.com/memsoak/memsoak/internal/waiting"
	"github.com/memsoak/memsoak/soak/internal/protocol"
)

// job is a piece of work: equal items in groups, folders without files, or the corpus of a free run. The same job with
// the same generation is the same work again.
type job struct {
	groups  []protocol.Group
	folders int64
	corpus  bool
	gen     uint64
	repeat  bool
	held    bool // some of it is to be held: all of it is offered together
	// inFlight is how many requests of a service's wave are in flight; 0 leaves it to the subject's load.
	inFlight int
	// replied is called when the last reply of a service's wave has come, before the subject is waited for.
	replied func(context.Context) error
}

// items is the number of items of the job, 0 for a corpus, whose number its source knows.
func (j job) items() int64 {
	var n int64
	for _, g := range j.groups {
		n += g.Count
	}
	return n
}

// size is that of each item, 0 when they differ.
func (j job) size() int64 {
	if len(j.groups) == 0 {
		return 0
	}
	for _, g := range j.groups {
		if g.Size != j.groups[0].Size {
			return 0
		}
	}
	return int64(j.groups[0].Size)
}

// running is a wave that the subject works on.
type running struct {
	job  job
	work work
	// prefix is where the subject has to put its output.
	prefix string
	done   chan struct{}
	err    error // set before done is closed
}

// run gives the work in a goroutine and closes done with its end. The cause of the context's end stands for what a
// client made of it.
func (r *running) run(ctx context.Context) {
	go func() {
		defer close(r.done)
		if r.err = r.work.do(ctx); r.err != nil && context.Cause(ctx) != nil {
			r.err = context.Cause(ctx)
		}
	}()
}

// ended says whether the wave is over.
func (r *running) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// fresh is a job of new items.
func (t *trial) fresh(groups ...protocol.Group) job {
	t.gen++
	return job{groups: groups, gen: t.gen}
}

// heldJob is the job of a hold: n items to be held, those that are done before and a backlog behind them, or among them
// small ones that never reach the point and are done when the others are held.
func (t *trial) heldJob(ph *protocol.Phase, n int) job {
	held := protocol.Group{Count: int64(n) + ph.Backlog + ph.After, Size: ph.Size}
	j := t.fresh(append(append([]protocol.Group{}, ph.Files...), held)...)
	j.held = true
	return j
}

// corpusJob is a free run's job.
func (t *trial) corpusJob() job {
	t.gen++
	return job{corpus: true, gen: t.gen}
}

// foldersJob is the job of a folders phase.
func (t *trial) foldersJob(n int64) job {
	t.gen++
	return job{folders: n, gen: t.gen}
}

// prepare has a job made into work, as the next wave.
func (t *trial) prepare(ctx context.Context, j job) (*running, error) {
	t.begunWaves++
	prefix := fmt.Sprintf("t%d-w%d", t.Index, t.begunWaves)
	w, err := t.rig.give(ctx, j, prefix)
	if err != nil {
		return nil, err
	}
	r := &running{job: j, work: w, prefix: prefix, done: make(chan struct{})}
	if t.Duration == 0 { // of a run around the clock it would be too much to keep
		t.given = append(t.given, r)
	}
	return r, nil
}

// movement is what changes while a subject works.
type movement struct{ requests, bytes, listed, finished, conns int64 }

// moved reads how much the controls have seen.
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

// gapStep is the time between two looks at the controls' counters while the subject's pace is measured.
const gapStep = 10 * time.Millisecond

// measurePace notes the longest time in which nothing moved while the wave ran: a subject far away or on a busy machine
// pauses for longer than one nearby, and a pause is not yet a held state.
func (t *trial) measurePace(ctx context.Context, r *running) {
	last, err := t.moved(ctx)
	since := time.Now()
	for err == nil && !r.ended() && waiting.For(ctx, gapStep) == nil {
		var now movement
		if now, err = t.moved(ctx); now != last {
			last, since = now, time.Now()
		}
		t.gap = max(t.gap, time.Since(since))
	}
}
