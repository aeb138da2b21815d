package migration

import (
	"bytes"
	"context"
	"io"
	"sync"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/wire"
	"github.com/memsoak/memsoak/soak/specimens/copier"
	"github.com/memsoak/memsoak/soak/specimens/specimen"
)

// All returns the package's specimens.
func All() []specimen.Specimen {
	return []specimen.Specimen{
		{Name: "ok-migrator", Engine: with(func() seams { return seams{} })},
		{Name: "leak-source", Engine: with(func() seams { return seams{source: newTracking(false)} })},
		{Name: "ok-source", Engine: with(func() seams { return seams{source: newTracking(true)} })},
		{Name: "file-sink", Engine: with(func() seams { return seams{sink: newWhole} })},
		{Name: "routine-sink", Engine: with(func() seams { return seams{sink: newNotifying(false)} })},
		{Name: "ok-sink", Engine: with(func() seams { return seams{sink: newNotifying(true)} })},
		{Name: "meta-settled", Engine: with(func() seams { return seams{queue: newRemembering} })},
	}
}

// with makes an engine with fresh seams.
func with(s func() seams) func(copier.Config) (specimen.Engine, error) {
	return func(cfg copier.Config) (specimen.Engine, error) { return newEngine(cfg, s()) }
}

// tracking is a Source that remembers each body it opened. Fixed, it forgets it when the body is closed.
type tracking struct {
	migrator.Source
	fixed bool

	mu   sync.Mutex
	open map[*body]bool
}

// body is an open download.
type body struct {
	io.ReadCloser
	of      *tracking
	history [1000]byte
}

func newTracking(fixed bool) func(migrator.Source) migrator.Source {
	return func(s migrator.Source) migrator.Source {
		return &tracking{Source: s, fixed: fixed, open: map[*body]bool{}}
	}
}

// Open implements migrator.Source.
func (t *tracking) Open(ctx context.Context, c migrator.Content, offset int64) (io.ReadCloser, error) {
	r, err := t.Source.Open(ctx, c, offset)
	if err != nil {
		return nil, err
	}
	b := &body{ReadCloser: r, of: t} // fault:leak-source
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open[b] = true
	return b, nil
}

// Close implements io.Closer.
func (b *body) Close() error {
	if b.of.fixed {
		b.of.mu.Lock()
		defer b.of.mu.Unlock()
		delete(b.of.open, b)
	}
	err := b.ReadCloser.Close()
	b.ReadCloser = nil
	return err
}

// whole is a Sink that reads each body before it sends it.
type whole struct{ migrator.Sink }

func newWhole(s migrator.Sink) migrator.Sink { return whole{s} }

// Put implements migrator.Sink.
func (w whole) Put(ctx context.Context, o migrator.Object, r io.Reader, create bool) error {
	all, err := io.ReadAll(r) // fault:file-sink
	if err != nil {
		return err
	}
	return w.Sink.Put(ctx, o, bytes.NewReader(all), create)
}

// notifying is a Sink that tells of each object on a channel; a listener is there only when fixed.
type notifying struct {
	migrator.Sink
	stored chan string
}

func newNotifying(fixed bool) func(migrator.Sink) migrator.Sink {
	return func(s migrator.Sink) migrator.Sink {
		n := &notifying{Sink: s, stored: make(chan string)}
		if fixed {
			go func() {
				for range n.stored { // to the end of the process
				}
			}()
		}
		return n
	}
}

// Put implements migrator.Sink.
func (n *notifying) Put(ctx context.Context, o migrator.Object, r io.Reader, create bool) error {
	err := n.Sink.Put(ctx, o, r, create)
	go n.tell(o.Key)
	return err
}

func (n *notifying) tell(key string) {
	n.stored <- key // fault:routine-sink
}

// remembering is a Queue that keeps what each settled folder produced until the migration ends.
type remembering struct {
	migrator.Queue

	mu       sync.Mutex
	produced []*record
}

type record struct {
	item  migrator.Item
	notes [600]byte
}

func newRemembering(q wire.Queue) migrator.Queue { return &remembering{Queue: q} }

// Settle implements migrator.Queue.
func (q *remembering) Settle(ctx context.Context, l *migrator.Lease, r migrator.Result) error {
	q.mu.Lock()
	for _, it := range r.Produced {
		q.produced = append(q.produced, remember(it))
	}
	q.mu.Unlock()
	return q.Queue.Settle(ctx, l, r)
}

func remember(it migrator.Item) *record {
	return &record{item: it} // fault:meta-settled
}
