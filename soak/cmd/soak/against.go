package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/gate"
)

// refAxis tells the two revisions of a recording against another one apart.
const refAxis = "subject_ref"

// against records the run's cells again, at the revision ref and as they were, in turns, and returns both.
func against(ctx context.Context, r recorder, run *gate.Run, ref string, repeats int) (base *gate.Baseline,
	head *gate.Run, err error) {
	commit, err := revision(ctx, ref)
	if err != nil {
		return nil, nil, exitcode.Usage(fmt.Errorf("--against: %w", err))
	}
	if slices.ContainsFunc(run.Run.Axes, func(a record.Axis) bool { return a.Name == refAxis }) {
		return nil, nil, exitcode.Usage(fmt.Errorf("--against: run %s has an axis %s of its own", run.Run.ID, refAxis))
	}
	plan, err := soak.PlanAgain(run.Run, func(c *soak.Config) {
		c.Axes, c.Center, c.Only, c.Cells = nil, nil, "", bothRefs(run.Run, commit)
		c.Thresholds = nil
		c.Repeats = repeats
	})
	if err != nil {
		return nil, nil, exitcode.Usage(fmt.Errorf("--against: %w", err))
	}
	dir := filepath.Join(run.Dir, "against", time.Now().UTC().Format("20060102-150405")+"-"+commit)
	both, err := r.record(ctx, plan, dir, false)
	if err != nil {
		return nil, nil, fmt.Errorf("--against %s: %w", ref, err)
	}
	before, after := both.Split(refAxis, commit)
	if base, err = gate.NewBaseline(before); err != nil {
		return nil, nil, exitcode.With(exitcode.Inconclusive, fmt.Errorf("--against %s: %w", ref, err))
	}
	if was, is := buildID(run), buildID(after); was != "" && is != "" && was != is {
		r.say.Write([]byte("warning: the subject's binary is another than the one that the run was recorded with\n"))
	}
	return base, after, nil
}

// bothRefs are the run's cells, each at the commit and as it was. They stand side by side, so that the machine's drift
// hits both alike.
func bothRefs(run *record.Run, commit string) []soak.Cell {
	var out []soak.Cell
	for _, c := range run.Status {
		at := maps.Clone(c.Cell)
		if at == nil {
			at = soak.Cell{}
		}
		at[refAxis] = commit
		out = append(out, at, maps.Clone(c.Cell))
	}
	return out
}

// revision is the short hash of a revision of the repository in the working directory.
func revision(ctx context.Context, ref string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", "rev-parse", "--verify", "--end-of-options", ref+"^{commit}")
	out, err := cmd.Output()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return "", fmt.Errorf("no revision %q here: %s", ref, strings.TrimSpace(string(exit.Stderr)))
	case err != nil:
		return "", err
	}
	return strings.TrimSpace(string(out))[:12], nil
}

func buildID(r *gate.Run) string {
	for _, c := range r.Cells {
		for _, t := range c.Trials {
			if id := t.Trial.Subject.BuildID; id != "" {
				return id
			}
		}
	}
	return ""
}
