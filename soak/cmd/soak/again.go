package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/gate"
)

// recorder makes the recordings that the gate and bisect need beside a given run, telling of each trial in a line.
type recorder struct {
	fakedrive string
	say       io.Writer
}

// record carries a plan out into dir, judges it and reads it back. With resume an interrupted recording is continued,
// and a complete one is only read.
func (r recorder) record(ctx context.Context, plan *soak.Plan, dir string, resume bool) (*gate.Run, error) {
	if resume {
		if run, err := record.ReadRun(dir); err == nil && !run.Interrupted && !run.Ended.IsZero() {
			return gate.LoadRun(dir)
		}
		_, err := os.Stat(filepath.Join(dir, record.RunFile))
		resume = err == nil
	}
	var judge profiles.Judge
	runner := &soak.Runner{Plan: plan, Dir: dir, Resume: resume, Fakedrive: r.fakedrive, Judge: judge.Trial,
		Events: r.event}
	if program, err := os.Executable(); err == nil {
		runner.Soak = program
	}
	if _, err := runner.Run(ctx); err != nil {
		return nil, err
	}
	if err := conclude(ctx, dir, &judge); err != nil {
		return nil, err
	}
	return gate.LoadRun(dir)
}

func (r recorder) event(e soak.Event) {
	switch e := e.(type) {
	case soak.RunStarted:
		fmt.Fprintf(r.say, "recording %s into %s, %s or more\n", units.Count(e.Trials, "trial"), e.Dir,
			e.Estimate.Round(time.Second))
	case soak.TrialEnded:
		said := e.Outcome
		if e.Reason != "" {
			said += record.Outcome(": " + e.Reason)
		}
		fmt.Fprintf(r.say, "[%d/%d] %s %s: %s in %.0fs\n", e.N, e.Of, e.Cell, e.Kind, said, e.Seconds)
	case soak.Warned:
		fmt.Fprintln(r.say, "warning:", e.Text)
	}
}
