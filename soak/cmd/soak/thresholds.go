package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/gate"
)

// abortOnFail ends a run after the first cell that fails a threshold with abort_on_fail. A cell is judged when each
// kind of trial has been recorded as often as the others; missing ones do not end a run.
func abortOnFail(plan *soak.Plan, dir string) (func(soak.TrialEnded) error, error) {
	var ts []gate.Threshold
	for _, t := range plan.Config.Thresholds {
		if t.AbortOnFail || t.Without != "" {
			ts = append(ts, t)
		}
	}
	checks, err := gate.CompileAll(ts)
	if err != nil || !slices.ContainsFunc(checks, func(c *gate.Check) bool { return c.AbortOnFail }) {
		return nil, err
	}
	return func(e soak.TrialEnded) error {
		if e.Index%len(plan.Protocol.Trials) != 0 {
			return nil
		}
		cell, _, err := gate.LoadCell(dir, e.Cell)
		if err != nil {
			return err
		}
		_, results, err := gate.JudgeCell(cell, checks)
		for _, r := range results {
			if r.Outcome == gate.Fail {
				return exitcode.With(exitcode.GateFailed, fmt.Errorf("threshold with abort_on_fail failed in cell %s: %s", e.Cell,
					r.Sentence()))
			}
		}
		return err
	}, nil
}

// judgeThresholds holds a recorded run against the thresholds of its soak.yaml and prints those that failed. Only a
// failure is an error; an inconclusive one is printed, and 'soak gate' refuses it.
func judgeThresholds(out io.Writer, plan *soak.Plan, dir string) error {
	checks, err := gate.CompileAll(plan.Config.Thresholds)
	if err != nil || !slices.ContainsFunc(checks, func(c *gate.Check) bool { return c.Without == "" }) {
		return err
	}
	run, err := gate.LoadRun(dir)
	if err != nil {
		return err
	}
	rep, err := gate.Judge(run, gate.Options{Checks: checks})
	if err != nil {
		return exitcode.Usage(err)
	}
	fmt.Fprintln(out)
	if err := rep.WriteText(out); err != nil {
		return err
	}
	if rep.Outcome == gate.Fail {
		return exitcode.Quiet(exitcode.GateFailed, errors.New("a threshold failed"))
	}
	return nil
}
