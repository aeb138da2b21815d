package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"memsoak/migrator"
	"memsoak/migrator/wire"
)

func newCopyCmd() *cobra.Command {
	s := newSettings()
	var restart bool
	cmd := &cobra.Command{
		Use:   "copy --bucket BUCKET [flags] FOLDER",
		Short: "Copy one Drive folder with everything below it",
		Long: "Copy the Drive folder with the id FOLDER ('root', or 'shared-with-me') to a bucket.\n" +
			"Interrupted, even by kill -9, the same command goes on where it stopped.\n" +
			"Run again after the end, it copies what has changed.",
		Example: "  migrator copy --bucket archive --prefix 2026 1AbCdEfGhIjKlMnOpQrStUvWxYz",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := s.load(c); err != nil {
				return err
			}
			s.copy.Root = args[0]
			return s.runCopy(c, restart)
		},
	}
	s.addSides(cmd.Flags())
	s.addWork(cmd.Flags())
	cmd.Flags().StringVar(&s.copy.Prefix, "prefix", "", "what keys begin with")
	cmd.Flags().BoolVar(&restart, "restart", false, "forget the unfinished work of an earlier run and list anew")
	return cmd
}

func (s *settings) runCopy(c *cobra.Command, restart bool) error {
	if err := s.copy.Validate(); err != nil {
		return usageError{err}
	}
	if s.stateDir == "" {
		dir, err := defaultStateDir()
		if err != nil {
			return err
		}
		s.stateDir = dir
	}
	e, err := wire.Open(c.Context(), s.wire)
	if err != nil {
		return usageError{err}
	}
	defer e.Close()
	j := job{ID: jobID(s, s.copy.Root, s.copy.Prefix), Root: s.copy.Root, Bucket: s.wire.Bucket, Endpoint: s.wire.S3Endpoint,
		Prefix: s.copy.Prefix, Started: time.Now().UTC()}
	dir := filepath.Join(s.stateDir, j.ID)
	if restart {
		if err := os.RemoveAll(filepath.Join(dir, queueDir)); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	ctx, cancel := hardStop(c.Context(), s.stopTimeout)
	defer cancel()
	s.copy.Stats = &migrator.Stats{}
	j, err = runJob(ctx, c.Context().Done(), dir, e, s.copy, j)
	t := j.Totals
	fmt.Fprintf(c.OutOrStdout(), "%s: %d files copied (%d bytes), %d unchanged, %d left out, %d failed\n",
		j.State, t.Copied, t.Bytes, t.Skipped, t.Filtered, t.Failed)
	if err == nil && t.Failed > 0 {
		err = fmt.Errorf("%d files weren't copied: see %s", t.Failed, filepath.Join(dir, parkedFile))
	}
	return err
}

// hardStop returns a context that ends a while after ctx does, so that work in progress can end first.
func hardStop(ctx context.Context, after time.Duration) (context.Context, context.CancelFunc) {
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(after, cancel) })
	return hard, func() { stop(); cancel() }
}
