package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/gate"
	"github.com/memsoak/memsoak/soak/internal/bisect"
)

type bisectFlags struct {
	run        runFlags // for -f, --subject, --corpus, ...
	class, at  string
	thresholds []string
	out        string
	json       bool
}

func newBisectCmd() *cobra.Command {
	var f bisectFlags
	cmd := &cobra.Command{
		Use:   "bisect GOOD BAD",
		Short: "Find the commit of the subject that brought a finding in",
		Long: `Find the commit of the subject that brought a finding in, between two revisions of the repository in the
working directory. Each tested revision is checked out and built beside your files, recorded with the settings of
soak.yaml, and judged:

  with --class or --at      bad is a finding of that class, at that function
  with --threshold          bad is a threshold that fails
  with neither              bad is what the gate finds worse than GOOD

A revision that doesn't build, or about which nothing can be said, is skipped. The folder --out keeps a log and the
recordings; an interrupted search goes on from it when it is started again. For a search driven by git itself see
'soak gate --bisect-run'.

Exit codes: 0 found, 3 not one commit but several are left, or an end can't be judged, 2 wrong ends.`,
		Example: `  soak bisect v1.4.0 HEAD -f soak.yaml
  soak bisect HEAD~40 HEAD -f soak.yaml --class leak --at 'index.(*Index).Add'
  soak bisect v1.4.0 main --subject my.yaml --set workers=8 --threshold 'leak_bytes_per_file < 64' --json`,
		Args: usageArgs(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error { return runBisect(cmd, args[0], args[1], f) },
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.run.file, "file", "f", "", "soak.yaml with the configuration")
	fl.StringVar(&f.run.subject, "subject", "", "subject's name or file (default migrator)")
	fl.StringVar(&f.run.corpus, "corpus", "", "preset or spec file of the free run's tree (default mixed)")
	fl.StringArrayVar(&f.run.axes, "axis", nil, "an axis, name=v1,v2,...; may be repeated")
	fl.StringArrayVar(&f.run.sets, "set", nil, "a fixed setting, name=value; may be repeated")
	fl.StringVar(&f.run.protocol, "protocol", "", "default, quick, many-files, passive or a file")
	fl.StringVar(&f.run.limit, "limit", "", "memory limit of the subject, or off (default 2Gi)")
	fl.IntVar(&f.run.repeats, "repeats", 0, "recordings of each cell and revision (default 1)")
	fl.StringVar(&f.run.fakedrive, "fakedrive", "", "`path` of the fakedrive program")
	fl.StringVar(&f.class, "class", "", "bad is a finding of this class: leak, metadata, buffer-file, ...")
	fl.StringVar(&f.at, "at", "", "bad is a finding at a function whose name contains this")
	fl.StringArrayVar(&f.thresholds, "threshold", nil, "bad is when this condition fails (repeatable)")
	fl.StringVar(&f.out, "out", filepath.Join("soak-results", "bisect"), "folder of the log and the recordings")
	fl.BoolVar(&f.json, "json", false, "print the result as JSON")
	return cmd
}

func runBisect(cmd *cobra.Command, good, bad string, f bisectFlags) error {
	cfg, err := f.config()
	if err != nil {
		return exitcode.Usage(err)
	}
	j := &bisectJudge{recorder: recorder{fakedrive: f.run.fakedrive, say: cmd.ErrOrStderr()}, cfg: cfg, flags: f}
	ctx := cmd.Context()
	for _, rev := range []*string{&good, &bad} {
		full, err := revision(ctx, *rev)
		if err != nil {
			return exitcode.Usage(err)
		}
		*rev = full
	}
	if err := os.MkdirAll(f.out, 0o755); err != nil {
		return err
	}
	if err := j.prepare(ctx, good); err != nil {
		return err
	}
	res, err := bisect.Run(ctx, bisect.Options{
		Repo: ".", Good: good, Bad: bad, Log: filepath.Join(f.out, j.logName(good)), Test: j.test,
		Progress: func(s bisect.Step) {
			fmt.Fprintf(cmd.ErrOrStderr(), "%-4s  %.12s  %s\n      %s\n", s.Judgement, s.Rev, s.Subject, s.Detail)
		},
	})
	switch {
	case errors.Is(err, bisect.ErrGoodIsBad), errors.Is(err, bisect.ErrBadIsGood):
		return exitcode.Usage(err)
	case errors.Is(err, bisect.ErrUnjudged):
		return exitcode.With(exitcode.Inconclusive, err)
	case err != nil:
		return err
	}
	return writeBisect(cmd.OutOrStdout(), res, f.json)
}

// config is that of the recordings; thresholds of soak.yaml and of the flags decide together.
func (f bisectFlags) config() (soak.Config, error) {
	cfg, err := f.run.config()
	if err != nil {
		return cfg, err
	}
	for _, t := range f.thresholds {
		cfg.Thresholds = append(cfg.Thresholds, gate.Threshold{Expr: t})
	}
	if f.class != "" && record.Class(f.class).Rank() < 0 {
		return cfg, fmt.Errorf("--class: there is no class %q", f.class)
	}
	if f.run.file == "" && len(f.run.axes) == 0 {
		cfg.Axes, cfg.Cells = nil, []soak.Cell{{}} // one cell, not the default matrix
	}
	cfg.SubjectRef = "HEAD" // replaced by each tested revision; here for the check
	_, err = soak.NewPlan(cfg, soak.Shard{})
	return cfg, err
}

// bisectJudge records revisions and judges them.
type bisectJudge struct {
	recorder
	cfg    soak.Config
	flags  bisectFlags
	checks []*gate.Check
	base   *gate.Baseline // GOOD's results, when nothing else defines "bad"
}

// byFinding reports whether a finding is looked for, byGate whether a change from GOOD is.
func (j *bisectJudge) byFinding() bool { return j.flags.class != "" || j.flags.at != "" }
func (j *bisectJudge) byGate() bool    { return !j.byFinding() && len(j.cfg.Thresholds) == 0 }

// logName keeps the logs of different questions apart: a judgement holds only for the question it answers.
func (j *bisectJudge) logName(good string) string {
	parts := []string{"log", j.flags.class, j.flags.at}
	for _, t := range j.cfg.Thresholds {
		parts = append(parts, t.Expr)
	}
	if j.byGate() {
		parts = append(parts, good)
	}
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.Join(parts, "-"))
	return strings.Trim(name, "-") + ".jsonl"
}

func (j *bisectJudge) prepare(ctx context.Context, good string) error {
	var err error
	if j.checks, err = gate.CompileAll(j.cfg.Thresholds); err != nil {
		return exitcode.Usage(err)
	}
	if !j.byGate() {
		return nil
	}
	run, err := j.at(ctx, good)
	if err != nil {
		return fmt.Errorf("record the good revision: %w", err)
	}
	if j.base, err = gate.NewBaseline(run); err != nil {
		return exitcode.With(exitcode.Inconclusive, fmt.Errorf("the good revision: %w", err))
	}
	return nil
}

// at records a revision, or reads what an earlier search recorded of it.
func (j *bisectJudge) at(ctx context.Context, rev string) (*gate.Run, error) {
	cfg := j.cfg
	cfg.SubjectRef, cfg.Thresholds = rev[:12], nil
	plan, err := soak.NewPlan(cfg, soak.Shard{})
	if err != nil {
		return nil, err
	}
	return j.record(ctx, plan, filepath.Join(j.flags.out, rev[:12]), true)
}

// test judges a revision.
func (j *bisectJudge) test(ctx context.Context, rev string) (bisect.Judgement, string, error) {
	run, err := j.at(ctx, rev)
	switch {
	case ctx.Err() != nil:
		return bisect.Skip, "", ctx.Err()
	case errors.Is(err, soak.ErrBuild), errors.Is(err, soak.ErrNothingRan):
		line, _, _ := strings.Cut(err.Error(), "\n")
		return bisect.Skip, line, nil
	case err != nil:
		return bisect.Skip, "", err
	}
	if j.byFinding() {
		return j.findings(run)
	}
	rep, err := gate.Judge(run, gate.Options{Checks: j.checks, Baseline: j.base})
	if err != nil {
		return bisect.Skip, "", err
	}
	switch rep.Outcome {
	case gate.Fail:
		f := rep.Failures()[0]
		return bisect.Bad, f.Sentence(), nil
	case gate.Pass:
		return bisect.Good, "passes", nil
	}
	return bisect.Skip, "inconclusive", nil
}

// findings looks for the finding asked for: bad when a trial has it, good when every cell has a conclusive verdict
// without it.
func (j *bisectJudge) findings(run *gate.Run) (bisect.Judgement, string, error) {
	open := strings.Join(run.Damaged, "; ")
	for _, c := range run.Cells {
		seen := false
		for _, t := range c.Trials {
			if t.Verdict == nil || t.Trial.Kind == record.Speed {
				continue
			}
			seen = seen || t.Verdict.Headline.String() != string(record.Inconclusive)
			for _, f := range t.Verdict.Findings {
				if (j.flags.class == "" || string(f.Class) == j.flags.class) && strings.Contains(f.Site.Function, j.flags.at) {
					return bisect.Bad, f.Summary, nil
				}
			}
		}
		if !seen && open == "" {
			open = fmt.Sprintf("cell %s has no conclusive verdict: %s", c.Cell, c.Open())
		}
	}
	if open != "" {
		return bisect.Skip, open, nil
	}
	return bisect.Good, "no such finding", nil
}

func writeBisect(w io.Writer, res *bisect.Result, asJSON bool) error {
	if asJSON {
		if err := printJSON(w, res); err != nil {
			return err
		}
	}
	if res.First == "" {
		err := fmt.Errorf("the first bad commit is among %s; those between could not be judged", strings.Join(res.Candidates,
			", "))
		if asJSON {
			return exitcode.Quiet(exitcode.Inconclusive, err)
		}
		return exitcode.With(exitcode.Inconclusive, err)
	}
	if asJSON {
		return nil
	}
	for _, s := range res.Steps {
		if s.Rev == res.First {
			_, err := fmt.Fprintf(w, "first bad commit: %s %s\n%s\n", s.Rev, s.Subject, s.Detail)
			return err
		}
	}
	_, err := fmt.Fprintf(w, "first bad commit: %s\n", res.First)
	return err
}
