package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/foreign"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/pyroscope"
	"github.com/memsoak/memsoak/soak/internal/report"
)

type pushFlags struct {
	url         string
	shown       pyroscope.Shown
	check, json bool
}

func newPushCmd() *cobra.Command {
	var f pushFlags
	cmd := &cobra.Command{
		Use:   "push RUN --pyroscope URL",
		Short: "Send a run's profiles to Pyroscope",
		Long: `Send the recorded profiles of a run to a Pyroscope server: one service per trial with
its peak, memsoak.SUBJECT.AXES.RUN.tN, and one service below it for each phase and each floor, at the times they were
taken. A service holds one profile, so that no range of time sums several. A profile is never stored twice, however
often a push is repeated or interrupted, or from which machine: the run's directory records what was sent, and the
server is asked for the rest.

A server refuses profiles older than an hour unless it runs with -validation.reject-older-than=0.`,
		Example: `  soak push soak-results/latest --pyroscope http://127.0.0.1:4040
  soak push soak-results/latest --pyroscope http://127.0.0.1:4040 --grafana http://127.0.0.1:3000 --check`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return runPush(cmd, filepath.Clean(args[0]), f) },
	}
	cmd.Flags().StringVar(&f.url, "pyroscope", "", "`URL` of the server (required)")
	shownFlags(cmd.Flags(), &f.shown)
	cmd.Flags().BoolVar(&f.check, "check", false, "read the totals back through the server's query API")
	cmd.Flags().BoolVar(&f.json, "json", false, "print what was sent as JSON")
	return cmd
}

// shownFlags are those of the addresses that the report's links have.
func shownFlags(fl *pflag.FlagSet, s *pyroscope.Shown) {
	fl.StringVar(&s.Grafana, "grafana", "", "`URL` of the Grafana that shows the profiles, for the links of the report")
	fl.StringVar(&s.Server, "pyroscope-shown", "",
		"`URL` at which people open Pyroscope, for those links, where it isn't that of --pyroscope")
}

// pushReport is what soak push prints.
type pushReport struct {
	pyroscope.Result
	Seconds    float64              `json:"seconds"` // that sending took
	Checked    int                  `json:"checked,omitempty"`
	Mismatches []pyroscope.Mismatch `json:"mismatches,omitempty"`
}

func runPush(cmd *cobra.Command, dir string, f pushFlags) error {
	if f.url == "" {
		return exitcode.Usage(errors.New("--pyroscope URL is missing"))
	}
	if _, err := record.ReadRun(dir); err != nil {
		return exitcode.Usage(fmt.Errorf("%s is not a run: %w", dir, err))
	}
	c, err := pyroscope.NewClient(f.url)
	if err != nil {
		return exitcode.Usage(err)
	}
	p, err := pyroscope.NewPusher(c, dir, f.shown)
	if err != nil {
		return err
	}
	defer p.Close()
	p.Waiting = func(reason string) { fmt.Fprintln(cmd.ErrOrStderr(), foreign.Line(reason, 0)) }
	begun := time.Now()
	runErr := p.Run(cmd.Context())
	rep := pushReport{Result: p.Result(), Seconds: time.Since(begun).Seconds()}
	if runErr == nil && f.check {
		rep.Checked, rep.Mismatches, runErr = p.Check(cmd.Context(), time.Minute)
	}
	// The links of the report lead to the server from now on.
	runErr = errors.Join(runErr, report.Generate(context.WithoutCancel(cmd.Context()), dir))
	if err := rep.print(cmd.OutOrStdout(), f); err != nil {
		return err
	}
	switch {
	case runErr != nil:
		return runErr
	case len(rep.Problems) > 0:
		return fmt.Errorf("not sent: %s", units.Count(len(rep.Problems), "profile"))
	case len(rep.Mismatches) > 0:
		return fmt.Errorf("%s not as in the run", units.CountIs(len(rep.Mismatches), "total"))
	case f.check && rep.Checked == 0:
		return errors.New("nothing was checked: the run has no profiles on this server")
	}
	return nil
}

func (r pushReport) print(w io.Writer, f pushFlags) error {
	if f.json {
		return json.NewEncoder(w).Encode(r)
	}
	fmt.Fprintf(w, "%s sent, %d there already, %s, %d sent again, %.1f s\n", units.Count(r.Stored, "profile"),
		r.Already, units.Count(r.Services, "service"), r.Retries, r.Seconds)
	const shown = 5
	for i, p := range r.Problems {
		if i == shown {
			fmt.Fprintf(w, "and %d more\n", len(r.Problems)-shown)
			break
		}
		fmt.Fprintln(w, "not sent:", p)
	}
	if f.check {
		fmt.Fprintf(w, "%s checked, totals that differ: %d\n", units.Count(r.Checked, "profile"), len(r.Mismatches))
	}
	for i, m := range r.Mismatches {
		if i == shown {
			break
		}
		fmt.Fprintf(w, "differs: %s %s: the run has %d, the server %d\n", m.Profile, m.Type, m.Want, m.Got)
	}
	return nil
}

// follower pushes each trial of a run as it ends, one at a time. Its problems become warnings of the end.
type follower struct {
	pusher *pyroscope.Pusher
	dir    string
	trials chan string
	done   chan error
	out    atomic.Pointer[io.Writer] // that takes the reason of a wait; nil while the run itself is shown
}

// follow starts a follower for the run that is recorded into dir.
func follow(ctx context.Context, url string, shown pyroscope.Shown, dir string) (*follower, error) {
	c, err := pyroscope.NewClient(url)
	if err != nil {
		return nil, exitcode.Usage(err)
	}
	f := &follower{dir: dir, trials: make(chan string, 4096), done: make(chan error, 1)}
	go func() { f.done <- f.run(ctx, c, shown) }()
	return f, nil
}

func (f *follower) run(ctx context.Context, c *pyroscope.Client, shown pyroscope.Shown) error {
	for trial := range f.trials {
		if f.pusher == nil { // the run's directory is there from the first trial on
			p, err := pyroscope.NewPusher(c, f.dir, shown)
			if err != nil {
				return err
			}
			p.Waiting = func(reason string) {
				if w := f.out.Load(); w != nil {
					fmt.Fprintln(*w, foreign.Line(reason, 0))
				}
			}
			f.pusher = p
			defer p.Close()
		}
		run, err := record.ReadRun(f.dir)
		if err != nil {
			return err
		}
		if err := f.pusher.Trial(ctx, run, trial); err != nil {
			return err
		}
	}
	return nil
}

// event takes an event of the run.
func (f *follower) event(e soak.Event) {
	if e, ok := e.(soak.TrialEnded); ok {
		select {
		case f.trials <- "cells/" + e.Cell.Dir() + fmt.Sprintf("/trial-%d", e.Index):
		default: // thousands are waiting for a server that is away: soak push sends them later
		}
	}
}

// wait sends the rest and reports all that was sent.
func (f *follower) wait(w io.Writer) error {
	f.out.Store(&w)
	close(f.trials)
	err := <-f.done
	if f.pusher != nil {
		r := f.pusher.Result()
		fmt.Fprintf(w, "pyroscope: %s sent to %s\n", units.Count(r.Stored, "profile"), units.Count(r.Services, "service"))
		for _, p := range r.Problems[:min(1, len(r.Problems))] {
			fmt.Fprintf(w, "pyroscope: %d not sent, the first: %s\n", len(r.Problems), p)
		}
	}
	if err != nil {
		return fmt.Errorf("push to pyroscope: %w; 'soak push %s --pyroscope URL' goes on", err, f.dir)
	}
	return nil
}
