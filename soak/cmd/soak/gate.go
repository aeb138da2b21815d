package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"memsoak/soak/exitcode"
	"memsoak/soak/gate"
)

type gateFlags struct {
	baseline   string
	thresholds []string
	json       bool
	github     bool
	markdown   string
}

func newGateCmd() *cobra.Command {
	var f gateFlags
	cmd := &cobra.Command{
		Use:   "gate RUN",
		Short: "Pass or fail a recorded run by thresholds and a baseline",
		Long: `Pass or fail a recorded run.

Thresholds come from the run's own soak.yaml and from --threshold; a baseline from --baseline. What is missing, short
or foreign is inconclusive, never a pass. The run's directory gets junit.xml, results.sarif and bench.txt.

Exit codes: 0 pass, 99 fail, 3 inconclusive, 2 wrong usage, threshold or baseline.`,
		Example: `  soak gate soak-results/latest
  soak gate soak-results/latest --threshold 'peak_rss < 256MiB' --threshold 'leak_bytes_per_file < 64'
  soak gate soak-results/latest --baseline profiles/baselines/migrator.json --github`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runGate(cmd, filepath.Clean(args[0]), f)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.baseline, "baseline", "", "compare with this baseline `FILE`")
	fl.StringArrayVar(&f.thresholds, "threshold", nil, "a condition that must hold in every cell, such as 'peak_rss < 256MiB' (repeatable)")
	fl.BoolVar(&f.json, "json", false, "print the report as JSON")
	fl.BoolVar(&f.github, "github", os.Getenv("GITHUB_ACTIONS") == "true", "print GitHub annotations and write the job summary")
	fl.StringVar(&f.markdown, "markdown", "", "write the comment's Markdown to `FILE`")
	return cmd
}

func runGate(cmd *cobra.Command, dir string, f gateFlags) error {
	run, err := gate.LoadRun(dir)
	if err != nil {
		return exitcode.Usage(err)
	}
	opts, err := f.options(run)
	if err != nil {
		return exitcode.Usage(err)
	}
	rep, err := gate.Judge(run, opts)
	if err != nil {
		return exitcode.Usage(err)
	}
	if err := writeGate(cmd, run, rep, f); err != nil {
		return err
	}
	switch rep.Outcome {
	case gate.Pass:
		return nil
	case gate.Fail:
		return exitcode.Quiet(exitcode.GateFailed, errors.New("the gate failed"))
	}
	return exitcode.Quiet(exitcode.Inconclusive, errors.New("the gate is inconclusive"))
}

// options gathers what the run is held against.
func (f gateFlags) options(run *gate.Run) (gate.Options, error) {
	ts, err := recordedThresholds(run)
	if err != nil {
		return gate.Options{}, err
	}
	for _, t := range f.thresholds {
		ts = append(ts, gate.Threshold{Expr: t})
	}
	var o gate.Options
	if o.Checks, err = gate.CompileAll(ts); err != nil {
		return o, err
	}
	if f.baseline != "" {
		if o.Baseline, err = gate.ReadBaseline(f.baseline); err != nil {
			return o, err
		}
	}
	return o, nil
}

// recordedThresholds are those of the soak.yaml that the run was made with.
func recordedThresholds(run *gate.Run) ([]gate.Threshold, error) {
	v, ok := run.Run.Config["thresholds"]
	if !ok {
		return nil, nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var ts []gate.Threshold
	if err := json.Unmarshal(raw, &ts); err != nil {
		return nil, fmt.Errorf("%s: thresholds of its configuration: %w", run.Dir, err)
	}
	return ts, nil
}

func writeGate(cmd *cobra.Command, run *gate.Run, rep *gate.Report, f gateFlags) error {
	files := map[string]func(io.Writer) error{
		filepath.Join(run.Dir, "junit.xml"):     rep.WriteJUnit,
		filepath.Join(run.Dir, "results.sarif"): rep.WriteSARIF,
		filepath.Join(run.Dir, "bench.txt"):     func(w io.Writer) error { return gate.WriteBench(w, run) },
	}
	if f.markdown != "" {
		files[f.markdown] = rep.WriteMarkdown
	}
	for path, write := range files {
		if err := writeTo(path, os.O_TRUNC, write); err != nil {
			return err
		}
	}
	if f.github {
		if summary := os.Getenv("GITHUB_STEP_SUMMARY"); summary != "" {
			if err := writeTo(summary, os.O_APPEND, rep.WriteMarkdown); err != nil {
				return err
			}
		}
		if err := rep.WriteAnnotations(cmd.ErrOrStderr()); err != nil {
			return err
		}
	}
	if f.json {
		e := json.NewEncoder(cmd.OutOrStdout())
		e.SetIndent("", " ")
		return e.Encode(rep)
	}
	return rep.WriteText(cmd.OutOrStdout())
}

func writeTo(path string, mode int, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|mode, 0o644)
	if err != nil {
		return err
	}
	err = write(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
