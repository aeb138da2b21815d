package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/remote"
	"github.com/memsoak/memsoak/soak/internal/report"
	"github.com/memsoak/memsoak/soak/internal/tui"
)

// runFlags are the flags of soak run as given; config lays them over the file and the defaults.
type runFlags struct {
	file, subject, ref, corpus, design, protocol, trials, cells, limit, node, shard, out, parallel string
	axes, sets                                                                                     []string
	repeats                                                                                        int
	seed                                                                                           int64
	budget, duration, every                                                                        time.Duration
	resume, dryRun, json, verbose, whoHolds, force                                                 bool
	remote                                                                                         []string
	draft                                                                                          draftFlags
	attach                                                                                         string
	// nil without attach
	detach                      func()
	fakedrive, upload, endpoint string
	watch                       watchFlags
}

func newRunCmd() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run a matrix of settings over a subject and record it",
		Long: `Run a matrix of settings over a subject, one process per trial inside a memory cgroup of its own, and record
heap profiles, samples and a verdict per trial, and a report of the run.

Settings come from soak.yaml (-f), flags win over it. Without axes and cells the default matrix is run: workers 1, 3,
10, 25, 50, GOMEMLIMIT off and 1800MiB, pool 4 and 40, as a star around 10 workers.

It exits 0 once the trials are recorded, whatever they found: an OOM kill is a result. Only a threshold of soak.yaml
that fails makes it exit 99, at once where it has abort_on_fail. 'soak gate' does the rest of passing and failing.`,
		Example: `  soak run
  soak run --axis workers=1,50 --axis gomemlimit=256MiB,1800MiB --design full --limit 2Gi
  soak run --subject my.yaml --corpus deep --cells 'workers >= 10' --dry-run
  soak run -f soak.yaml --resume --out soak-results/nightly
  soak run -- ./app --listen 127.0.0.1:8080
  soak run --url 'http://127.0.0.1:8080/v1/items/{{.key}}' -- ./app --listen 127.0.0.1:8080
  soak run --attach 4711 --url 'http://127.0.0.1:8080/v1/items/{{.key}}'
  soak run --attach http://10.0.0.7:6060/debug/pprof --subject my.yaml --allow-remote 10.0.0.7`,
		Args: usageArgs(afterDash),
		RunE: func(cmd *cobra.Command, args []string) error { return runMatrix(cmd, &f, args) },
	}
	f.register(cmd.Flags())
	f.draft.register(cmd)
	f.watch.register(cmd.Flags())
	return cmd
}

func (f *runFlags) register(fl *pflag.FlagSet) {
	fl.StringVarP(&f.file, "file", "f", "", "soak.yaml with the configuration")
	fl.StringVar(&f.subject, "subject", "", "subject's name or file (default migrator)")
	fl.StringVar(&f.ref, "subject-ref", "", "git revision to build the subject from")
	fl.StringVar(&f.corpus, "corpus", "", "preset or spec file of the free run's tree (default mixed)")
	fl.StringArrayVar(&f.axes, "axis", nil, "an axis, name=v1,v2,...; may be repeated")
	fl.StringArrayVar(&f.sets, "set", nil, "a fixed setting, name=value; may be repeated")
	fl.StringVar(&f.design, "design", "", "star, full or pairs (default star)")
	fl.StringVar(&f.cells, "cells", "",
		"only the cells for which this condition holds: 'workers >= 10 and pool = 4'; a limit that is off\nis above every "+
			"number: 'gomemlimit >= 1GiB' keeps it")
	fl.StringVar(&f.protocol, "protocol", "", "default, quick, many-files, passive or a file")
	fl.StringVar(&f.trials, "trials", "",
		"kinds of trial per cell, comma-separated: attribution, speed, passive (default: the protocol's)")
	fl.StringVar(&f.limit, "limit", "", "memory limit of the subject, or off (default 2Gi)")
	fl.StringVar(&f.node, "node", "", "memory limit of the parent cgroup, as large as a node")
	fl.IntVar(&f.repeats, "repeats", 0, "how often each cell is run, interleaved (default 1)")
	fl.Int64Var(&f.seed, "seed", 0, "seed of work and order (default 1)")
	fl.DurationVar(&f.budget, "budget", 0,
		"cap of one trial's time, to which no work is cut down (default: the protocol's)")
	fl.DurationVar(&f.duration, "duration", 0, "repeat the equal waves for so long in each attribution trial")
	fl.DurationVar(&f.every, "every", time.Second, "time between samples")
	fl.StringVar(&f.shard, "shard", "", "run only shard i/n of the cells; 'soak merge' joins the shards")
	fl.StringVar(&f.parallel, "parallel", "auto",
		"attribution trials that run beside each other, each with processors, cgroup and fakes of its own: auto (as many "+
			"as\nmemory and processors allow) or a number; speed trials run alone")
	fl.StringVar(&f.out, "out", "", "directory of the run (default soak-results/<time>-<subject>)")
	fl.BoolVar(&f.whoHolds, "who-holds", false,
		"stop the subject of each attribution trial in its largest hold, near its limit and at the end, and find out who\n"+
			"holds its objects: the path from a root")
	fl.BoolVar(&f.resume, "resume", false, "go on with the interrupted run in --out")
	fl.BoolVar(&f.dryRun, "dry-run", false, "print the plan and the estimated time, run nothing")
	fl.BoolVar(&f.json, "json", false, "print progress as JSON, one event a line")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "print phases as well")
	fl.StringVar(&f.fakedrive, "fakedrive", "", "path of the fakedrive program")
	fl.StringVar(&f.upload, "upload", "",
		"store the recorded run at s3://bucket/prefix afterwards, a shard below it by its number")
	fl.StringVar(&f.endpoint, "s3-endpoint", "", "base URL of the S3 service of --upload, default AWS")
	fl.BoolVar(&f.force, "force", false, "run a subject whose check fails all the same; the run says so")
	fl.StringArrayVar(&f.remote, "allow-remote", nil,
		"a `host` outside this machine that an upstream or --attach may name; may be repeated")
	fl.StringVar(&f.attach, "attach", "",
		"a `process` that runs already, by its id or the URL of its pprof: it is given the load of --url or of the "+
			"subject\nfile, neither restarted nor set, and held in front alone")
}

func runMatrix(cmd *cobra.Command, f *runFlags, command []string) error {
	cfg, err := f.config()
	if err != nil {
		return exitcode.Usage(err)
	}
	shard, err := f.checkShard()
	if err != nil {
		return exitcode.Usage(err)
	}
	parallel, err := soak.ParseParallel(f.parallel)
	if err != nil {
		return exitcode.Usage(err)
	}
	plan, err := f.plan(cmd, cfg, shard, command)
	if err != nil {
		return err
	}
	if f.detach != nil {
		defer f.detach()
	}
	dir, err := f.outDir(plan)
	if err == nil {
		err = soak.CheckOut(dir, f.resume)
	}
	if err != nil {
		return exitcode.Usage(err)
	}
	if f.dryRun {
		return printPlan(cmd.OutOrStdout(), plan, f.json)
	}
	if err := f.refuse(cmd, plan); err != nil {
		return err
	}
	halt, err := abortOnFail(plan, dir)
	if err != nil {
		return exitcode.Usage(err)
	}
	w, err := f.watch.start(cmd, dir, f.json, f.verbose)
	if err != nil {
		return err
	}
	var judge profiles.Judge
	r := &soak.Runner{
		Halt: halt,
		Plan: plan, Dir: dir, Resume: f.resume, Fakedrive: f.fakedrive, Every: f.every, WhoHolds: f.whoHolds,
		Judge: judge.Trial, Events: w.event, Parallel: parallel,
	}
	res, runErr := r.Run(cmd.Context())
	runErr = errors.Join(runErr, w.end())
	if errors.Is(runErr, soak.ErrConfig) {
		return exitcode.Usage(runErr)
	}
	if _, err := os.Stat(filepath.Join(res.Dir, record.RunFile)); err != nil {
		return runErr
	}
	return f.conclude(cmd, plan, shard, &judge, res, runErr)
}

// checkShard reads --shard, and refuses an --upload that could take no shard after hours of trials.
func (f *runFlags) checkShard() (soak.Shard, error) {
	if f.upload != "" {
		if _, _, err := remote.Split(f.upload); err != nil {
			return soak.Shard{}, fmt.Errorf("--upload: %w", err)
		}
	}
	return soak.ParseShard(f.shard)
}

// conclude judges, stores and shows what a run has recorded, also after an interruption; runErr is how it ended.
func (f *runFlags) conclude(cmd *cobra.Command, plan *soak.Plan, shard soak.Shard, judge *profiles.Judge,
	res *soak.Result, runErr error) error {
	ctx, dir := context.WithoutCancel(cmd.Context()), res.Dir
	if f.out == "" {
		link(dir)
	}
	runErr = errors.Join(runErr, conclude(ctx, dir, judge))
	if f.upload != "" {
		runErr = errors.Join(runErr, f.store(ctx, dir, shard))
	}
	if !f.json {
		fmt.Fprintln(cmd.OutOrStdout())
		runErr = errors.Join(runErr, tui.Summary(ctx, cmd.OutOrStdout(), dir))
	}
	if runErr == nil {
		said := cmd.OutOrStdout()
		if f.json {
			said = cmd.ErrOrStderr()
		}
		runErr = judgeThresholds(said, plan, dir)
	}
	if res.Interrupted {
		return fmt.Errorf("interrupted; what was recorded is in %s, --resume --out %s goes on with it", dir, dir)
	}
	return runErr
}

// store uploads the recorded run.
func (f *runFlags) store(ctx context.Context, dir string, shard soak.Shard) error {
	to := strings.TrimRight(f.upload, "/")
	if shard.N > 0 {
		to += fmt.Sprintf("/shard-%d-of-%d", shard.I, shard.N)
	}
	return remote.Upload(ctx, dir, to, remote.Options{Endpoint: f.endpoint})
}

// conclude writes the run's verdict and its reports. The judge may have judged the trials already.
func conclude(ctx context.Context, dir string, judge *profiles.Judge) error {
	v, err := judge.Run(dir)
	if err == nil {
		err = record.Write(filepath.Join(dir, record.VerdictFile), v)
	}
	return errors.Join(err, report.Generate(ctx, dir))
}

// config lays the flags over the file and the defaults.
func (f *runFlags) config() (soak.Config, error) {
	c := soak.DefaultConfig()
	if f.file != "" {
		var err error
		if c, err = soak.LoadConfig(f.file); err != nil {
			return c, err
		}
	}
	for to, v := range map[*string]string{&c.Subject: f.subject, &c.SubjectRef: f.ref, &c.Corpus: f.corpus,
		(*string)(&c.Design): f.design, &c.Protocol: f.protocol, &c.Only: f.cells} {
		if v != "" {
			*to = v
		}
	}
	for to, v := range map[*units.Bytes]string{&c.Limit: f.limit, &c.Node: f.node} {
		if v == "" {
			continue
		}
		n, err := units.ParseBytes(v)
		if err != nil {
			return c, err
		}
		*to = units.Bytes(n)
	}
	if f.repeats != 0 {
		c.Repeats = f.repeats
	}
	if f.seed != 0 {
		c.Seed = f.seed
	}
	if f.budget != 0 {
		c.Budget = soak.Duration(f.budget)
	}
	if f.duration != 0 {
		c.Duration = soak.Duration(f.duration)
	}
	if f.trials != "" {
		c.Trials = nil
		for _, k := range strings.Split(f.trials, ",") {
			c.Trials = append(c.Trials, record.TrialKind(strings.TrimSpace(k)))
		}
	}
	return c, f.settings(&c)
}

// settings reads --axis and --set. Flags of axes replace the file's axes.
func (f *runFlags) settings(c *soak.Config) error {
	if len(f.axes) > 0 {
		c.Axes, c.Center = nil, nil
	}
	for _, a := range f.axes {
		name, values, ok := strings.Cut(a, "=")
		if !ok || name == "" || values == "" {
			return fmt.Errorf("--axis %q: write name=value1,value2", a)
		}
		c.Axes = append(c.Axes, soak.Axis{Name: name, Values: strings.Split(values, ",")})
	}
	if len(c.Axes) == 0 && len(c.Cells) == 0 && f.file == "" && len(f.sets) == 0 && f.subject == "" && f.attach == "" {
		c.Axes = soak.DefaultAxes()
	}
	for _, s := range f.sets {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return fmt.Errorf("--set %q: write name=value", s)
		}
		if c.Set == nil {
			c.Set = soak.Cell{}
		}
		c.Set[name] = value
	}
	return nil
}

// outDir is the run's directory.
func (f *runFlags) outDir(p *soak.Plan) (string, error) {
	if f.out != "" {
		return filepath.Clean(f.out), nil
	}
	if f.resume {
		return "", errors.New("--resume needs --out, the directory of the run to go on with")
	}
	return filepath.Join("soak-results", time.Now().Format("20060102-150405")+"-"+p.Subject.Name), nil
}

// link points soak-results/latest at dir. A file system without links is no reason to fail.
func link(dir string) {
	at := filepath.Join(filepath.Dir(dir), "latest")
	tmp := at + ".new"
	_ = os.Remove(tmp)
	if os.Symlink(filepath.Base(dir), tmp) == nil {
		_ = os.Rename(tmp, at)
	}
}

// printPlan writes what a run would do.
func printPlan(w io.Writer, p *soak.Plan, asJSON bool) error {
	if asJSON {
		type step struct {
			Cell     soak.Cell         `json:"cell"`
			Settings map[string]string `json:"settings"`
			Kind     record.TrialKind  `json:"kind"`
			Index    int               `json:"index"`
			Seconds  float64           `json:"estimate_seconds"`
		}
		steps := []step{}
		for _, s := range p.Trials {
			steps = append(steps, step{s.Cell, s.Settings, s.Kind, s.Index, p.Estimate(s).Seconds()})
		}
		return printJSON(w, map[string]any{"subject": p.Subject.Name, "shard": p.Shard.String(), "trials": steps,
			"estimate_seconds": p.Total().Seconds()})
	}
	fmt.Fprintf(w, "%s: %s, %s, protocol %s, shard %s, %s or more\n", p.Subject.Name, units.Count(len(p.Cells), "cell"),
		units.Count(len(p.Trials), "trial"), p.Protocol.Name, p.Shard, p.Total().Round(time.Second))
	for _, s := range p.Trials {
		fmt.Fprintf(w, "  %-12s %5.1fs  %s\n", s.Kind, p.Estimate(s).Seconds(), s.Cell)
	}
	for _, warn := range p.Warnings {
		fmt.Fprintln(w, "warning:", warn)
	}
	return nil
}
