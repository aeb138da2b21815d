package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/command"
	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/wire"
)

func newDiscoverCmd() *cobra.Command {
	p := &part{settings: newSettings()}
	var restart, wait bool
	cmd := &cobra.Command{
		Use:   "discover --queue URL --bucket BUCKET [flags] FOLDER",
		Short: "List a Drive folder into a queue that uploaders in other processes work on",
		Long: "List the Drive folder with the id FOLDER, with everything below it, into a queue on a broker. Any number of " +
			"these\n" +
			"may run at once: the first begins the migration, the others help, and what one leaves behind others take over.\n" +
			"'migrator upload' copies what is in the queue. While many files are queued, listing waits for uploads.\n" +
			"Filters, formats of exports and keys are decided here.",
		Example: "  migrator discover --queue redis://127.0.0.1:6379/0 --bucket archive --prefix 2026 " +
			"1AbCdEfGhIjKlMnOpQrStUvWxYz\n" +
			"  migrator upload --queue redis://127.0.0.1:6379/0 --bucket archive --workers 16",
		Args: command.Args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := p.load(c); err != nil {
				return err
			}
			p.copy.Root = args[0]
			if err := p.copy.Validate(); err != nil {
				return exitcode.Usage(err)
			}
			p.broker.options.Prefetch = p.copy.DiscoveryWorkers
			setGC(discoverGCPercent)
			return p.run(c, func(w *working) error { return w.discover(restart, wait) })
		},
	}
	p.addFlags(cmd, "workers", "multipart-threshold", "part-size", "bandwidth", "force", "spool-dir")
	f := cmd.Flags()
	f.StringVar(&p.copy.Prefix, "prefix", "", "what keys begin with")
	f.Int64Var(&p.broker.options.Limit, "queue-limit", p.broker.options.Limit,
		"files queued, above which listing waits for uploads; bounds the broker's memory")
	f.BoolVar(&wait, "wait", false, "end only when all files are copied, too, and fail if one wasn't")
	f.BoolVar(&restart, "restart", false,
		"forget what the queue holds, finished or not, and list anew; give it to one process only")
	return cmd
}

// discover begins the migration or joins it, and lists until no folder is left; wait also waits for the uploads.
func (w *working) discover(restart, wait bool) error {
	c, release, err := w.copier()
	if err != nil {
		return err
	}
	defer release()
	have, err := w.queue.Migration(w.hard)
	if err == nil && !restart {
		err = c.Join(w.hard, have.Fresh)
	} else if restart || errors.Is(err, wire.ErrNoMigration) {
		have, err = w.begin(c, restart)
	}
	if err != nil {
		return err
	}
	if have.ID != jobID(w.settings, w.copy.Root, w.copy.Prefix) {
		return fmt.Errorf("queue %s holds another migration, %s -> %s/%s: give another --queue-name, or forget that one "+
			"with --restart",
			w.broker.options.Name, have.Root, have.Bucket, have.Prefix)
	}
	if err := c.Discover(w.hard); err != nil {
		return err
	}
	if n := w.copy.Stats.Failed.Load(); n > 0 {
		return fmt.Errorf("%d entries weren't listed", n)
	}
	if !wait {
		return nil
	}
	if _, err := w.await(func(st *wire.BrokerStatus) bool { return st.Done() }); err != nil {
		return err
	}
	return w.failures()
}

// begin puts the root into the queue, unless another process was faster. The migration that is there is returned.
func (w *working) begin(c *migrator.Copier, restart bool) (wire.Migration, error) {
	root, err := c.Root(w.hard)
	if err != nil {
		return wire.Migration{}, err
	}
	m := wire.Migration{ID: jobID(w.settings, w.copy.Root, w.copy.Prefix), Root: w.copy.Root, Bucket: w.wire.Bucket,
		Endpoint: w.wire.S3Endpoint,
		Prefix:   w.copy.Prefix, Fresh: c.Fresh(), Started: time.Now().UTC()}
	return w.queue.Begin(w.hard, m, root, restart)
}
