package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/soak/gate"
)

type gateFlags struct {
	baseline, against string
	repeats           int
	thresholds        []string
	without           []string
	selfCheck         bool
	bisectRun         bool
	json, github      bool
	markdown          string
	fakedrive         string
}

// defaultRepeats of each cell and revision: with fewer, a change has to be larger to stand out from noise.
const defaultRepeats = 3

func newGateCmd() *cobra.Command {
	var f gateFlags
	cmd := &cobra.Command{
		Use:   "gate RUN",
		Short: "Pass or fail a recorded run by thresholds, a baseline or another revision",
		Long: `Pass or fail a recorded run.

Thresholds come from the run's own soak.yaml and from --threshold, what the run is compared with from --baseline, a file
that 'soak baseline accept' wrote on a host of this class, or from --against, a git revision: then the run's cells are
recorded again here, at that revision and as they are, in turns. Run it in the subject's repository, with the subject
built.

Two checks are implied: that every trial ended well, and that it did its planned work; --without turns one off by name.
No threshold passes on a trial that was killed, crashed or left its work. What is missing, short or foreign is
inconclusive, never a pass. The run's directory gets junit.xml, results.sarif and bench.txt. --self-check proves on
this machine that the gate sees a leak and passes two equal recordings.

Exit codes: 0 pass, 99 fail, 3 inconclusive, 2 wrong usage, threshold or baseline. With --bisect-run those of
'git bisect run': 0 good, 1 bad, 125 skip, 255 stop.`,
		Example: `  soak gate soak-results/latest
  soak gate soak-results/latest --threshold 'peak_rss < 256MiB' --threshold 'growth_bytes_per_file < 64'
  soak gate soak-results/latest --baseline profiles/baselines/migrator.json --github
  soak gate soak-results/latest --against origin/main --self-check
  git bisect run sh -c 'make build && soak run -f soak.yaml --out /tmp/at-$$ && soak gate /tmp/at-$$ --bisect-run'`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := runGate(cmd, filepath.Clean(args[0]), f)
			if f.bisectRun {
				return bisectCode(err)
			}
			return err
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		if f.bisectRun {
			return exitcode.With(exitcode.BisectStop, err)
		}
		return exitcode.Usage(err)
	})
	fl := cmd.Flags()
	fl.StringVar(&f.baseline, "baseline", "", "compare with this baseline `FILE`")
	fl.StringVar(&f.against, "against", "", "compare with this git `REV` of the subject, recorded here beside it")
	fl.IntVar(&f.repeats, "repeats", defaultRepeats, "recordings of each cell and revision with --against")
	fl.StringArrayVar(&f.thresholds, "threshold", nil,
		"a condition that must hold in every cell, such as 'peak_rss < 256MiB' (repeatable)")
	fl.StringSliceVar(&f.without, "without", nil,
		"turn an implied check off: outcome (every trial ended well), work (the planned work was done)")
	fl.BoolVar(&f.selfCheck, "self-check", false,
		"also prove that a leak fails and two equal recordings pass, and print what this gate can detect")
	fl.BoolVar(&f.bisectRun, "bisect-run", false, "exit as 'git bisect run' wants it: 0 good, 1 bad, 125 skip")
	fl.BoolVar(&f.json, "json", false, "print the report as JSON")
	fl.BoolVar(&f.github, "github", os.Getenv("GITHUB_ACTIONS") == "true",
		"print GitHub annotations and write the job summary")
	fl.StringVar(&f.markdown, "markdown", "", "write the comment's Markdown to `FILE`")
	fl.StringVar(&f.fakedrive, "fakedrive", "", "`path` of the fakedrive program, for recordings")
	cmd.MarkFlagsMutuallyExclusive("baseline", "against")
	return cmd
}

// bisectCode turns the gate's error into the exit codes of git bisect run.
func bisectCode(err error) error {
	switch exitcode.Of(err) {
	case exitcode.OK:
		return nil
	case exitcode.GateFailed:
		return exitcode.Quiet(exitcode.BisectBad, err)
	case exitcode.UsageError:
		return exitcode.With(exitcode.BisectStop, err)
	}
	return exitcode.With(exitcode.BisectSkip, err)
}

func runGate(cmd *cobra.Command, dir string, f gateFlags) error {
	run, err := gate.LoadRun(dir)
	if errors.Is(err, fs.ErrNotExist) && f.bisectRun {
		return err // a revision that could not be recorded: to be skipped
	}
	if err != nil {
		return exitcode.Usage(err)
	}
	opts, err := f.options(cmd, run)
	if err != nil {
		return err
	}
	rep, err := gate.Judge(run, opts)
	if err != nil {
		return exitcode.Usage(err)
	}
	if f.selfCheck {
		if rep.SelfCheck, err = selfCheck(cmd.Context(), f.recorder(cmd), run, opts); err != nil {
			return err
		}
		rep.Conclude()
	}
	rep.Locate(cmd.Context())
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

func (f gateFlags) recorder(cmd *cobra.Command) recorder {
	return recorder{fakedrive: f.fakedrive, say: cmd.ErrOrStderr()}
}

// options gathers what the run is held against.
func (f gateFlags) options(cmd *cobra.Command, run *gate.Run) (gate.Options, error) {
	ts, err := recordedThresholds(run)
	if err != nil {
		return gate.Options{}, exitcode.Usage(err)
	}
	for _, t := range f.thresholds {
		ts = append(ts, gate.Threshold{Expr: t})
	}
	for _, name := range f.without {
		ts = append(ts, gate.Threshold{Without: name})
	}
	var o gate.Options
	if o.Checks, err = gate.CompileAll(ts); err != nil {
		return o, exitcode.Usage(err)
	}
	if f.baseline != "" {
		if o.Baseline, err = gate.ReadBaseline(f.baseline); err != nil {
			return o, exitcode.Usage(err)
		}
	}
	if f.against != "" {
		o.Baseline, o.Head, err = against(cmd.Context(), f.recorder(cmd), run, f.against, f.repeats)
	}
	return o, err
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
		return printJSON(cmd.OutOrStdout(), rep)
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
