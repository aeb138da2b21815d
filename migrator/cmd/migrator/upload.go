package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/command"
	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/wire"
)

func newUploadCmd() *cobra.Command {
	p := &part{settings: newSettings()}
	var stay bool
	cmd := &cobra.Command{
		Use:   "upload --queue URL --bucket BUCKET [flags]",
		Short: "Copy the files that 'migrator discover' puts into a queue",
		Long: "Copy files from a queue on a broker until none is left and none can come any more. Any number of these may " +
			"run at\n" +
			"once, before, during and after discovery; what one leaves behind, even by kill -9, others take over.",
		Example: "  migrator upload --queue redis://127.0.0.1:6379/0 --bucket archive --workers 16\n" +
			"  migrator upload --queue redis://127.0.0.1:6379/0 --bucket archive --stay --listen :8080",
		Args: command.Args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := p.load(c); err != nil {
				return err
			}
			check := p.copy
			check.Root = "root"
			if err := check.Validate(); err != nil {
				return exitcode.Usage(err)
			}
			p.broker.options.Prefetch = p.copy.Workers
			if stay {
				p.others = 0
			}
			return p.run(c, func(w *working) error { return w.uploads(stay) })
		},
	}
	p.addFlags(cmd, "discovery-workers", "page-size", "include", "exclude", "min-size", "max-size", "modified-after",
		"shortcut-depth")
	cmd.Flags().BoolVar(&stay, "stay", false,
		"at the end wait for the next migration instead of ending, as a Deployment needs it")
	return cmd
}

// A process that has nothing to do looks for a migration again soon at first, since parts are often started together,
// and then as often as people don't notice.
const (
	lookFirst = 10 * time.Millisecond
	lookAgain = 200 * time.Millisecond
)

// uploads works on one migration, or on one after the other.
func (w *working) uploads(stay bool) error {
	for {
		m, err := w.await(func(st *wire.BrokerStatus) bool { return !stay || !st.Done() })
		if err == nil {
			err = w.upload(m)
		}
		if err != nil {
			return err
		}
		if !stay {
			return w.failures()
		}
	}
}

// failures makes files that failed, in whatever process, an error.
func (w *working) failures() error {
	t, err := w.queue.Totals(context.WithoutCancel(w.c.Context()))
	if err == nil && t.Failed > 0 {
		err = fmt.Errorf("%d files weren't copied", t.Failed)
	}
	return err
}

// await waits for a migration that pleases, and not for ever for a process that would see to it.
func (w *working) await(pleases func(*wire.BrokerStatus) bool) (wire.Migration, error) {
	alone := time.Now()
	for pause := lookFirst; ; pause = min(2*pause, lookAgain) {
		st, err := w.queue.Status(w.c.Context())
		switch {
		case w.c.Context().Err() != nil:
			return wire.Migration{}, migrator.ErrStopped
		case err == nil && pleases(&st):
			return st.Migration, nil
		case err != nil && !errors.Is(err, wire.ErrNoMigration):
			return wire.Migration{}, err
		}
		if err == nil && st.Workers > 1 { // this one may count as one
			alone = time.Now()
		}
		if w.others > 0 && time.Since(alone) > w.others {
			return wire.Migration{}, fmt.Errorf("no other process came within %v (--others-within): %s", w.others,
				left(&st, err))
		}
		select {
		case <-time.After(pause):
		case <-w.c.Context().Done():
			return wire.Migration{}, migrator.ErrStopped
		}
	}
}

// upload copies files until the migration is at its end.
func (w *working) upload(m wire.Migration) error {
	if m.Bucket != w.wire.Bucket || m.Endpoint != w.wire.S3Endpoint {
		return fmt.Errorf("queue %s holds a migration to bucket %q (endpoint %q), not to %q (%q): give the same --bucket "+
			"and --s3-endpoint as discovery",
			w.broker.options.Name, m.Bucket, m.Endpoint, w.wire.Bucket, w.wire.S3Endpoint)
	}
	w.copy.Root, w.copy.Prefix = m.Root, m.Prefix
	c, release, err := w.copier()
	if err != nil {
		return err
	}
	defer release()
	if err := c.Join(w.hard, m.Fresh); err != nil {
		return err
	}
	return c.Upload(w.hard)
}
