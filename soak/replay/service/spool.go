package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/wire"
)

// spooled is the remedy for discovery: the migrator lists the tree into its queue on disk, and workers take files from
// it. Nothing else is changed: still no upload begins before the last listing.
func (r *run) spooled(ctx context.Context, root string) (err error) {
	dir, err := os.MkdirTemp(r.cfg.TempDir, "replay-spool-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	q, _, err := wire.OpenQueue(filepath.Join(dir, "queue"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	c, err := r.lister(root, q)
	if err != nil {
		return err
	}
	if err := c.Start(ctx, false); err != nil {
		return err
	}
	if err := c.Discover(ctx); err != nil {
		return fmt.Errorf("discovery: %w", err)
	}
	return r.drain(ctx, q)
}

// brokered is the other remedy for discovery: the queue is on a broker. A broker has memory of its own, so the queue
// has a bound above which listing waits for uploads, and both run concurrently.
func (r *run) brokered(ctx context.Context, root string) (err error) {
	o := wire.DefaultBrokerOptions()
	o.Name, o.Prefetch = "replay", r.cfg.Traits.Workers
	q, err := wire.OpenBroker(ctx, r.cfg.Broker, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	c, err := r.lister(root, q)
	if err != nil {
		return err
	}
	item, err := c.Root(ctx)
	if err != nil {
		return err
	}
	m := wire.Migration{ID: r.prefix, Root: root, Bucket: r.cfg.Bucket, Prefix: r.prefix, Fresh: c.Fresh(),
		Started: time.Now().UTC()}
	if _, err := q.Begin(ctx, m, item, true); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := c.Discover(ctx); err != nil {
			return fmt.Errorf("discovery: %w", err)
		}
		return nil
	})
	g.Go(func() error { return r.drain(ctx, q) })
	return g.Wait()
}

// lister is the part of the migrator that lists the tree into a queue.
func (r *run) lister(root string, q migrator.Queue) (*migrator.Copier, error) {
	cfg := migrator.DefaultConfig()
	cfg.Root, cfg.Prefix, cfg.DiscoveryWorkers = root, r.prefix, r.cfg.Traits.DiscoveryWorkers
	return migrator.New(cfg, r.engine.Source, r.engine.Sink, q)
}

// drain copies the files of the queue with as many workers as there are places.
func (r *run) drain(ctx context.Context, q migrator.Queue) error {
	g, ctx := errgroup.WithContext(ctx)
	for range r.cfg.Traits.Workers {
		g.Go(func() error { return r.take(ctx, q) })
	}
	return g.Wait()
}

// take copies files until none is left.
func (r *run) take(ctx context.Context, q migrator.Queue) error {
	for {
		l, err := q.Take(ctx, migrator.File)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		f := &file{id: l.Item.ID, path: l.Item.Key, size: l.Item.Size, whole: true}
		res := migrator.Result{Outcome: migrator.Copied, Bytes: f.size}
		if !r.copy(ctx, f) {
			res = migrator.Result{Outcome: migrator.Failed, Parked: []migrator.Parked{{ID: f.id, Path: f.path,
				Outcome: migrator.Failed, Reason: "copy"}}}
		}
		if err := q.Settle(context.WithoutCancel(ctx), l, res); err != nil {
			return err
		}
	}
}
