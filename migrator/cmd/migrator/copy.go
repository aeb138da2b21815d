package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/command"
	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/wire"
)

// oneShot are the flags of commands that run one migration and end.
type oneShot struct {
	*settings
	json    bool
	every   time.Duration
	restart bool
	dryRun  bool
	report  string
}

func (o *oneShot) addFlags(c *cobra.Command) {
	o.addSides(c.Flags())
	o.addWork(c.Flags())
	f := c.Flags()
	f.StringVar(&o.copy.Prefix, "prefix", "", "what keys begin with")
	f.BoolVar(&o.json, "json", false, "print events and the summary as lines of JSON")
	f.DurationVar(&o.every, "progress-interval", 10*time.Second, "time between lines of progress without a terminal")
	f.StringVar(&o.report, "report", "", "file to write the summary to, as JSON")
}

func newCopyCmd() *cobra.Command {
	o := &oneShot{settings: newSettings()}
	cmd := &cobra.Command{
		Use:   "copy --bucket BUCKET [flags] FOLDER",
		Short: "Copy one Drive folder with everything below it",
		Long: "Copy the Drive folder with the id FOLDER ('root', or 'shared-with-me') to a bucket.\n" +
			"Interrupted, even by kill -9, the same command goes on where it stopped.\n" +
			"Run again after the end, it copies what has changed.\n" +
			"Files that Drive doesn't give (forbidden, too large to export) are listed and don't make it fail.",
		Example: "  migrator copy --bucket archive --prefix 2026 1AbCdEfGhIjKlMnOpQrStUvWxYz\n" +
			"  migrator copy --bucket archive --include '**/*.pdf' --dry-run root",
		Args: command.Args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if o.dryRun {
				o.copy.Mode = migrator.ModeDryRun
			}
			return o.run(c, args[0])
		},
	}
	o.addFlags(cmd)
	cmd.Flags().BoolVar(&o.restart, "restart", false, "forget the unfinished work of an earlier run and list anew")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what would be copied; nothing is read or written")
	return cmd
}

func newVerifyCmd() *cobra.Command {
	o := &oneShot{settings: newSettings()}
	cmd := &cobra.Command{
		Use:   "verify --bucket BUCKET [flags] FOLDER",
		Short: "Compare what is stored with a Drive folder",
		Long: "List the Drive folder anew and compare each file's size, checksum and time with the object under its key.\n" +
			"Missing and different objects are listed, and make the command end with exit code 1.",
		Example: "  migrator verify --bucket archive --prefix 2026 1AbCdEfGhIjKlMnOpQrStUvWxYz",
		Args:    command.Args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			o.copy.Mode = migrator.ModeVerify
			return o.run(c, args[0])
		},
	}
	o.addFlags(cmd)
	return cmd
}

// run runs one migration to its end.
func (o *oneShot) run(c *cobra.Command, root string) error {
	if err := o.load(c); err != nil {
		return err
	}
	o.copy.Root = root
	if err := o.copy.Validate(); err != nil {
		return exitcode.Usage(err)
	}
	e, err := wire.Open(c.Context(), o.wire)
	if err != nil {
		return exitcode.Usage(err)
	}
	defer e.Close()
	stopProfiles, err := o.profile()
	if err != nil {
		return exitcode.Usage(err)
	}
	defer stopProfiles()
	dir, cleanup, err := o.directory(root)
	if err != nil {
		return err
	}
	defer cleanup()

	ctx, cancel := hardStop(c.Context(), o.stopTimeout)
	defer cancel()
	o.copy.Stats = &migrator.Stats{}
	shown := c.ErrOrStderr()
	if o.json {
		shown = c.OutOrStdout()
	}
	p := newProgress(shown, o.json, o.every, o.copy.Stats, o.silence)
	o.copy.OnEvent = o.teller(c.OutOrStdout(), p)
	j, err := runJob(ctx, c.Context().Done(), dir, e, o.copy, o.newJob(root, o.copy.Prefix))
	p.Close()
	return o.finish(c, j, dir, err)
}

// teller returns the function that handles events.
func (o *oneShot) teller(out io.Writer, p *progress) func(migrator.Event) {
	if o.json || !o.dryRun {
		return p.event
	}
	return func(e migrator.Event) {
		p.event(e)
		if e.Type == "would-copy" {
			p.fromMu.Lock()
			defer p.fromMu.Unlock()
			fmt.Fprintf(out, "%s\t%d\n", e.Key, e.Bytes)
		}
	}
}

// silence says how long a service may say nothing.
func (s *settings) silence() string {
	return fmt.Sprintf("Drive has %v (--idle-timeout) and the store %v (--sink-timeout) for each answer, %d tries "+
		"(--attempts)",
		s.copy.IdleTimeout, s.copy.SinkTimeout, s.copy.Attempts)
}

// directory returns where the queue and the job's record go. Only a copy is kept between runs.
func (o *oneShot) directory(root string) (dir string, cleanup func(), err error) {
	if o.copy.Mode != migrator.ModeCopy {
		dir, err = os.MkdirTemp("", "migrator-")
		return dir, func() { os.RemoveAll(dir) }, err
	}
	if o.stateDir == "" {
		if o.stateDir, err = defaultStateDir(); err != nil {
			return "", nil, err
		}
	}
	dir = filepath.Join(o.stateDir, jobID(o.settings, root, o.copy.Prefix))
	if o.restart {
		if err := os.RemoveAll(filepath.Join(dir, queueDir)); err != nil {
			return "", nil, err
		}
	}
	return dir, func() {}, os.MkdirAll(dir, 0o700)
}

// finish prints and writes the summary and makes files that failed an error.
func (o *oneShot) finish(c *cobra.Command, j job, dir string, err error) error {
	parked := filepath.Join(dir, parkedFile)
	if j.State != "done" {
		parked = filepath.Join(dir, queueDir, parkedFile)
	}
	var perr error
	if j.Reasons, perr = reasons(parked); perr != nil {
		err = errors.Join(err, perr)
	}
	b, merr := json.Marshal(j)
	if merr != nil {
		return merr
	}
	if o.report != "" {
		if werr := os.WriteFile(o.report, append(b, '\n'), 0o644); werr != nil {
			err = errors.Join(err, werr)
		}
	}
	if o.json {
		fmt.Fprintf(c.OutOrStdout(), "{\"event\":\"summary\",\"job\":%s}\n", b)
	} else if j.State != "" {
		err = errors.Join(err, j.summary(c.ErrOrStderr(), parked))
	}
	if err == nil && j.Totals.Failed > 0 {
		what := "weren't copied"
		if j.Kind == kindVerify {
			what = "aren't there as they should be"
		}
		err = fmt.Errorf("%d files %s", j.Totals.Failed, what)
	}
	return err
}

// hardStop returns a context that ends a while after ctx does, so that work in progress can end first.
func hardStop(ctx context.Context, after time.Duration) (context.Context, context.CancelFunc) {
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(after, cancel) })
	return hard, func() { stop(); cancel() }
}
