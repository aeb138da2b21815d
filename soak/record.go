package soak

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/trial"
)

// Recording is how Record reads a process that runs already.
type Recording = trial.Recording

// Collections says when a recording forces collections.
type Collections = trial.Collections

// The ways to force collections.
const (
	CollectRarely = trial.CollectRarely
	CollectEach   = trial.CollectEach
	CollectNever  = trial.CollectNever
)

// Record records a process that runs already into the run's directory dir, as a run of one passive trial, until ctx
// ends or the time is over.
func Record(ctx context.Context, dir string, o Recording) (*record.Run, error) {
	if err := CheckOut(dir, false); err != nil {
		return nil, err
	}
	cell := record.Cell{}
	status := record.CellStatus{Cell: cell, Dir: "cells/" + cell.Dir(), Trials: []record.TrialStatus{{Index: 1,
		Kind: record.Passive}}}
	run := &record.Run{
		Schema: record.RunSchema, ID: newID(), Started: time.Now(), Subject: o.Name, Design: string(Star), Protocol: "record",
		Repeats: 1, Axes: []record.Axis{}, Host: host(), Config: map[string]any{"pprof": o.Target.Pprof, "metrics": o.Metrics,
			"every": o.Every.String()},
		Status: []record.CellStatus{status},
	}
	run.Host.Cgroup = "none"
	o.Dir = filepath.Join(dir, "cells", cell.Dir(), "trial-1")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, record.RunFile)
	if err := record.Write(path, run); err != nil {
		return nil, err
	}
	t, err := trial.Record(ctx, o)
	if err != nil {
		os.RemoveAll(filepath.Join(dir, "cells"))
		os.Remove(path)
		return nil, err
	}
	run.Ended = time.Now()
	s := &run.Status[0].Trials[0]
	s.Outcome, s.Seconds = t.Outcome, run.Ended.Sub(run.Started).Seconds()
	return run, record.Write(path, run)
}
