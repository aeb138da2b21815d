package heldout2

import (
	"context"
	"path"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/memsoak/memsoak/soak/specimens/copier"
)

// backlog is a queue without a bound, as a channel of slices or a list that stands in for a broker.
type backlog struct {
	mu     sync.Mutex
	jobs   []*job
	closed bool
	wake   chan struct{} // of one: there is a job, or the queue is closed
}

type job struct {
	file    copier.File
	headers [976]byte
}

func newBacklogs(*copier.Engine) copier.Hooks {
	return copier.Hooks{Queue: func() copier.Queue { return &backlog{wake: make(chan struct{}, 1)} }}
}

func newJob(f copier.File) *job {
	return &job{file: f} // fault:meta-backlog
}

func (b *backlog) Put(_ context.Context, f copier.File) error {
	j := newJob(f)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.jobs = append(b.jobs, j)
	b.signal()
	return nil
}

func (b *backlog) Get(ctx context.Context) (copier.File, bool, error) {
	for {
		if f, ok, end := b.take(); ok || end {
			return f, ok, nil
		}
		select {
		case <-b.wake:
		case <-ctx.Done():
			return copier.File{}, false, context.Cause(ctx)
		}
	}
}

// take removes the first job, and wakes the next worker where there is more to say.
func (b *backlog) take() (f copier.File, ok, end bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.jobs) == 0 {
		if b.closed {
			b.signal()
		}
		return f, false, b.closed
	}
	f = b.jobs[0].file
	b.jobs[0] = nil
	b.jobs = b.jobs[1:]
	if len(b.jobs) > 0 || b.closed {
		b.signal()
	}
	return f, true, false
}

func (b *backlog) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.signal()
}

func (b *backlog) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// dispatcher starts a goroutine for each listed file, which waits until a worker is free.
type dispatcher struct {
	out     chan copier.File
	slots   chan struct{} // nil: as many goroutines as there are files
	ended   chan struct{} // closed when the wave has ended
	waiting sync.WaitGroup
}

func newDispatchers(*copier.Engine) copier.Hooks {
	return dispatching(func() chan struct{} { return nil })
}

// newBoundedDispatchers starts no more goroutines than there are workers.
func newBoundedDispatchers(e *copier.Engine) copier.Hooks {
	return dispatching(func() chan struct{} { return make(chan struct{}, e.Config().Workers) })
}

func dispatching(slots func() chan struct{}) copier.Hooks {
	var d *dispatcher // of the wave that runs
	return copier.Hooks{
		Queue: func() copier.Queue {
			d = &dispatcher{out: make(chan copier.File), slots: slots(), ended: make(chan struct{})}
			return d
		},
		WaveEnd: func() { close(d.ended) },
	}
}

func (d *dispatcher) Put(ctx context.Context, f copier.File) error {
	if d.slots != nil {
		select {
		case d.slots <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	d.waiting.Go(func() { d.deliver(f) })
	return nil
}

func (d *dispatcher) deliver(f copier.File) {
	select { // fault:meta-dispatch
	case d.out <- f:
	case <-d.ended:
	}
	if d.slots != nil {
		<-d.slots
	}
}

func (d *dispatcher) Get(ctx context.Context) (copier.File, bool, error) {
	select {
	case f, ok := <-d.out:
		return f, ok, nil
	case <-ctx.Done():
		return copier.File{}, false, context.Cause(ctx)
	}
}

func (d *dispatcher) Close() {
	go func() {
		d.waiting.Wait()
		close(d.out)
	}()
}

// index has a row per file that was ever stored, by its id.
type index struct {
	mu   sync.Mutex
	rows map[string]*row
}

type row struct {
	file  copier.File
	attrs [848]byte
}

func newIndex(*copier.Engine) copier.Hooks {
	x := &index{rows: map[string]*row{}}
	return onDone(x.note)
}

func (x *index) note(f copier.File) {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.rows[f.ID]
	if r == nil {
		r = newRow()
		x.rows[f.ID] = r
	}
	r.file = f
}

func newRow() *row {
	return new(row) // fault:meta-index
}

// plan is what a wave is going to do: a step per listed file. It is dropped at the wave's end.
type plan struct {
	mu    sync.Mutex
	steps []*step
}

type step struct {
	file   copier.File
	checks [1232]byte
}

func newPlans(*copier.Engine) copier.Hooks {
	p := &plan{}
	return copier.Hooks{
		Listed: func(_ context.Context, f copier.File) { p.add(newStep(f)) },
		WaveEnd: func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.steps = nil
		},
	}
}

func newStep(f copier.File) *step {
	return &step{file: f} // fault:meta-plan
}

func (p *plan) add(s *step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steps = append(p.steps, s)
}

// sizes is a histogram of sizes with 24 buckets, by some label.
type sizes struct{ vec *prometheus.HistogramVec }

func newSizes(label string) sizes {
	return sizes{prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "stored_bytes", Help: "Sizes of stored files.", Buckets: prometheus.ExponentialBuckets(1<<10, 2, 24),
	}, []string{label})}
}

// newHistograms labels the histogram by the file, so that each file has one.
func newHistograms(*copier.Engine) copier.Hooks { return onDone(newSizes("file").observeFile) }

func (s sizes) observeFile(f copier.File) {
	s.vec.WithLabelValues(f.ID).Observe(float64(f.Size)) // fault:meta-histogram
}

// newKindHistograms labels the histogram by the extension of the name.
func newKindHistograms(*copier.Engine) copier.Hooks { return onDone(newSizes("kind").observeKind) }

func (s sizes) observeKind(f copier.File) {
	kind := path.Ext(f.Name)
	switch kind {
	case ".bin", ".txt", ".pdf", ".jpg":
	default:
		kind = "other"
	}
	s.vec.WithLabelValues(kind).Observe(float64(f.Size))
}
