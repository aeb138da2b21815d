package migrator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/memsoak/memsoak/migrator/internal/pace"
)

// Copier copies one tree. Its methods may be called by one goroutine; Stop by any.
type Copier struct {
	cfg   Config
	src   Source
	sink  Sink
	queue Queue
	pace  *pace.Limiter
	bytes *pace.Bytes
	stats *Stats
	now   func() time.Time

	namer  Namer
	prefix string
	// fresh: nothing was stored below the prefix when the run began, so the sink isn't asked file by file.
	fresh bool
	// contended serializes items whose key is taken already, by a hash of the key.
	contended [64]sync.Mutex

	stopOnce sync.Once
	stopping chan struct{}
}

// New returns a Copier. The queue may hold work of an earlier run, which is continued.
func New(cfg Config, src Source, sink Sink, q Queue) (*Copier, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Copier{
		cfg: cfg, src: src, sink: sink, queue: q,
		pace: pace.New(cfg.CallRate, time.Now), bytes: pace.NewBytes(cfg.Bandwidth),
		stats: cfg.Stats, now: time.Now, namer: Namer{cfg.Exports}, prefix: rootPrefix(cfg.Prefix),
		stopping: make(chan struct{}),
	}
	if c.stats == nil {
		c.stats = &Stats{}
	}
	return c, nil
}

// Stats returns the counters of this process.
func (c *Copier) Stats() *Stats { return c.stats }

// ErrStopped is what Run returns when Stop ended it before the work was done.
var ErrStopped = errors.New("stopped before the end; the same command goes on from here")

// Stop lets the transfers in progress end and takes no more work. The rest stays in the queue.
func (c *Copier) Stop() { c.stopOnce.Do(func() { close(c.stopping) }) }

// Start checks both sides and seeds the queue with the root. resumed says that the queue holds the tree already.
func (c *Copier) Start(ctx context.Context, resumed bool) error {
	if resumed {
		return c.Join(ctx, false)
	}
	root, err := c.Root(ctx)
	if err != nil {
		return err
	}
	return c.queue.Push(ctx, root)
}

// Join checks the sink and takes part in a migration that is in the queue already. fresh says that nothing was stored
// below the prefix when the migration began.
func (c *Copier) Join(ctx context.Context, fresh bool) error {
	if err := c.check(ctx); err != nil {
		return err
	}
	c.fresh = fresh
	return nil
}

// Fresh says that nothing was stored below the prefix when the migration began, as far as Root or Join know.
func (c *Copier) Fresh() bool { return c.fresh }

// Root checks both sides and returns the item that a migration begins with. Only a queue that several processes may
// begin at the same time needs it; for others there is Start.
func (c *Copier) Root(ctx context.Context) (Item, error) {
	if err := c.check(ctx); err != nil {
		return Item{}, err
	}
	id := c.cfg.Root
	if id != SharedWithMe {
		root, err := c.statEntry(ctx, id)
		if err != nil {
			return Item{}, fmt.Errorf("root folder %s: %w", id, err)
		}
		if !root.Folder {
			return Item{}, &Error{Op: "stat", Object: id, Reason: "notAFolder", Class: Fatal,
				Err: fmt.Errorf("%q is no folder: give the id of the folder to copy", root.Name)}
		}
		id = root.ID
	}
	return Item{Kind: Folder, ID: id, Key: c.prefix, Ancestors: []uint64{hashID(id)}}, nil
}

// check asks the sink whether it can be written to, and whether anything is below the prefix.
func (c *Copier) check(ctx context.Context) error {
	ch, ok := c.sink.(Checker)
	if !ok {
		return nil
	}
	var empty bool
	err := c.sinkCall(ctx, func(ctx context.Context) (err error) { empty, err = ch.Check(ctx, c.prefix); return err })
	c.fresh = empty
	return err
}

// Run lists and copies until the queue is at its end. Files that can't be copied don't fail it: they are in the
// queue's totals. It returns ErrStopped after Stop, and an error when nothing could go on.
func (c *Copier) Run(ctx context.Context) error {
	return c.work(ctx, c.cfg.DiscoveryWorkers, c.cfg.Workers)
}

// Discover lists until no folder is left, and copies nothing.
func (c *Copier) Discover(ctx context.Context) error { return c.work(ctx, c.cfg.DiscoveryWorkers, 0) }

// Upload copies until no file is left and none can come any more.
func (c *Copier) Upload(ctx context.Context) error { return c.work(ctx, 0, c.cfg.Workers) }

func (c *Copier) work(ctx context.Context, listers, copiers int) error {
	g, ctx := errgroup.WithContext(ctx)
	// take ends by Stop, work in hand only by ctx.
	take, cancel := context.WithCancel(ctx)
	defer cancel()
	g.Go(func() error {
		select {
		case <-c.stopping:
			cancel()
		case <-take.Done():
		}
		return nil
	})
	var workers errgroup.Group
	// What ends one worker ends all: the others finish what they have in hand.
	run := func(k Kind, handle func(context.Context, *Lease) (Result, error)) func() error {
		return func() error {
			err := c.worker(ctx, take, k, handle)
			if err != nil {
				cancel()
			}
			return err
		}
	}
	for range listers {
		workers.Go(run(Folder, c.list))
	}
	for range copiers {
		workers.Go(run(File, c.handle))
	}
	g.Go(func() error {
		defer cancel()
		return workers.Wait()
	})
	err := g.Wait()
	select {
	case <-c.stopping:
		if err == nil || errors.Is(err, context.Canceled) {
			return ErrStopped
		}
	default:
	}
	return err
}

// worker takes items and settles them until there are none.
func (c *Copier) worker(ctx, take context.Context, k Kind, handle func(context.Context, *Lease) (Result, error)) error {
	for {
		l, err := c.queue.Take(take, k)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case take.Err() != nil && ctx.Err() == nil:
			return nil
		case err != nil:
			return err
		}
		res, err := handle(ctx, l)
		if err != nil && (ctx.Err() != nil || ClassOf(err) == Fatal) {
			// The item isn't to blame: it goes back. The settle must get through though ctx has ended. Where it doesn't,
			// the item comes back by the end of its lease, and the first error says why the run ends.
			_ = c.queue.Settle(context.WithoutCancel(ctx), l, Result{})
			return err
		}
		if err != nil {
			res = c.fail(l, err)
		}
		if err := c.queue.Settle(context.WithoutCancel(ctx), l, res); err != nil {
			return err
		}
	}
}

// fail gives an item up.
func (c *Copier) fail(l *Lease, err error) Result {
	p := Parked{ID: l.Item.ID, Path: l.Item.Key, Outcome: outcomeOf(err), Reason: ReasonOf(err), Detail: err.Error()}
	if l.Item.Kind == File {
		p.Bytes = max(l.Item.Size, 0)
	}
	c.parked(&p)
	return Result{Outcome: p.Outcome, Parked: []Parked{p}}
}

// outcomeOf tells what the source refuses from what went wrong. A folder that can't be listed is no small matter: all
// below it is missing.
func outcomeOf(err error) Outcome {
	var e *Error
	if errors.As(err, &e) && (e.Class == Refused || e.Class == Missing) {
		switch e.Op {
		case "download", "export", "stat", "follow":
			return Unavailable
		}
	}
	return Failed
}

// parked counts and tells what won't be copied.
func (c *Copier) parked(p *Parked) {
	switch p.Outcome {
	case Failed:
		c.stats.Failed.Add(1)
	case Unavailable:
		c.stats.Unavailable.Add(1)
	default:
		c.stats.Filtered.Add(1)
	}
	c.event(Event{Type: p.Outcome.String(), ID: p.ID, Key: p.Path, Reason: p.Reason, Detail: p.Detail})
}

func (c *Copier) event(e Event) {
	if c.cfg.OnEvent != nil {
		e.Time = c.now()
		c.cfg.OnEvent(e)
	}
}
