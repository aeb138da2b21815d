package service

import (
	"context"
	"errors"
	"io"

	"golang.org/x/sync/errgroup"

	"memsoak/migrator"
)

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
			res = migrator.Result{Outcome: migrator.Failed, Parked: []migrator.Parked{{ID: f.id, Path: f.path, Outcome: migrator.Failed, Reason: "copy"}}}
		}
		if err := q.Settle(context.WithoutCancel(ctx), l, res); err != nil {
			return err
		}
	}
}
