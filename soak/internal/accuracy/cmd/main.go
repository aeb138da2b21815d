// Command cmd is the accuracy bench: specimens with known faults, run as subjects, their verdicts compared with the
// truth. `make accuracy` and `make accuracy-quick` call it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/accuracy"
	"github.com/memsoak/memsoak/soak/internal/accuracy/truth"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	if os.Getenv(accuracy.SpinVariable) != "" {
		accuracy.Spin(os.Stdin)
		return exitcode.OK
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cmd := newCmd()
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(stderr, "accuracy:", err)
	}
	return exitcode.Of(err)
}

type flags struct {
	root, out, protocol       string
	conditions, specimens     string
	seeds, parallel           int
	budget                    time.Duration
	quick, keep, update, json bool
	list, recorded, resume    bool
	capacity, scored          bool
	plants                    int
}

func newCmd() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "accuracy [PATTERN...]",
		Short: "Run specimens with known faults and compare the verdicts with the truth",
		Long: `Run specimens with known faults as subjects of soak and compare the verdicts with the truth. Without patterns
all specimens run. It needs bin/soak, bin/fakedrive and bin/specimens.

Exit codes: 0 all figures are met, 99 one is missed, 1 and 2 as for every command.`,
		Example: `  accuracy --seeds 5
  accuracy 'leak-*' 'ok-*' --seeds 1 --keep --out trials
  accuracy 'leak-*' 'ok-*' --seeds 1 --recorded --out trials
  accuracy --quick
  accuracy --conditions killed-early,one-worker 'leak-*' 'ok-*'
  accuracy --conditions all --seeds 8 --resume --out soak-results/accuracy
  accuracy --conditions all --seeds 8 --scored --out soak-results/accuracy
  accuracy --capacity 'file-*'
  accuracy --plants 13 --resume --out soak-results/plants`,
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(c *cobra.Command, patterns []string) error { return f.run(c, patterns) },
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return exitcode.Usage(err) })
	fl := cmd.Flags()
	fl.StringVar(&f.root, "root", ".", "the checkout")
	fl.StringVar(&f.out, "out", "", "where trials are recorded (default a temporary directory)")
	fl.StringVar(&f.protocol, "protocol", "quick", "the runner's protocol, by name or file")
	fl.DurationVar(&f.budget, "budget", 0, "cap of a trial's time (default: the protocol's)")
	fl.StringVar(&f.specimens, "specimens", accuracy.Specimens,
		"folder of the specimens below --root: soak/specimens/web has those of services, for --protocol service")
	fl.StringVar(&f.conditions, "conditions", accuracy.Quiet, "conditions by name, comma-separated, or all; in all but "+
		accuracy.Quiet+" a sample of faults and look-alikes runs")
	fl.IntVar(&f.seeds, "seeds", 5, "trials per specimen on the quiet machine, each with a worker count of its own")
	fl.IntVar(&f.parallel, "parallel", 0, "trials at once (default half of the CPUs)")
	fl.BoolVar(&f.quick, "quick", false,
		"the subset for CI, and a fault and a look-alike for each fast condition; what is wrong is tried thrice")
	fl.BoolVar(&f.recorded, "recorded", false, "judge again what --keep recorded in --out, and run nothing")
	fl.BoolVar(&f.resume, "resume", false, "keep the live verdicts that this build left in --out, and run the others")
	fl.BoolVar(&f.scored, "scored", false,
		"report on the live verdicts that a run left in --out, broken off or not, and run nothing; of all conditions "+
			"those without any are the ones of "+accuracy.Baseline)
	fl.BoolVar(&f.keep, "keep", false, "keep every trial's directory, not only the wrong ones")
	fl.BoolVar(&f.update, "update", false,
		"write the results to profiles/baselines/accuracy.json and to the table in README.md")
	fl.BoolVar(&f.json, "json", false, "print the report as JSON, progress goes to stderr")
	fl.BoolVar(&f.capacity, "capacity", false,
		"no trials, but predict how many workers fit and find out by real kills; a full run does both")
	fl.IntVar(&f.plants, "plants", 0,
		"no specimens, but growth of four kinds at the limit that a trial prints and at half of it, for so many seeds")
	fl.BoolVar(&f.list, "list", false, "print the plan and run nothing")
	return cmd
}

func (f *flags) run(c *cobra.Command, patterns []string) error {
	all, err := truth.Load(filepath.Join(f.root, filepath.FromSlash(f.specimens)))
	if err != nil {
		return exitcode.Usage(err)
	}
	chosen, cases, err := f.choose(all, patterns)
	if err != nil {
		return exitcode.Usage(err)
	}
	if f.plants > 0 {
		return f.livePlants(c)
	}
	can, skipped := accuracy.Runnable(chosen)
	plan, err := f.plan(all, can, len(patterns) > 0)
	if err != nil {
		return exitcode.Usage(err)
	}
	if f.list {
		for _, t := range plan {
			fmt.Fprintf(c.OutOrStdout(), "%s %s workers=%d seed=%d\n", t.Condition.Name, t.Truth.Name, t.Workers, t.Seed)
		}
		return nil
	}
	if f.scored {
		scores, build, err := accuracy.Scored(f.out, plan)
		if err != nil {
			return exitcode.Usage(err)
		}
		before, err := f.before()
		if err != nil {
			return err
		}
		r := accuracy.Summarize(scores, nil, before)
		r.Planned, r.Build, r.Skipped = len(plan), build, skipped
		return f.report(c, r, scores, scores)
	}
	return f.measure(c, all, plan, cases, skipped)
}

// before are the committed conditions, of which those without a verdict keep their row: where all are asked for, of the
// copiers' specimens.
func (f *flags) before() ([]accuracy.Tally, error) {
	if f.conditions != "all" || filepath.Clean(f.specimens) != filepath.Clean(accuracy.Specimens) {
		return nil, nil
	}
	return accuracy.ReadTallies(f.root)
}

// livePlants plants growth into live subjects and reports how much of it was found.
func (f *flags) livePlants(c *cobra.Command) error {
	out, cleanup, err := f.outDir()
	if err != nil {
		return err
	}
	defer cleanup()
	bench := &accuracy.Bench{Root: f.root, Specimens: f.specimens, Out: out, Protocol: f.protocol, Budget: f.budget,
		Resume: f.resume, Parallel: f.parallel}
	scores, err := bench.Plants(c.Context(), f.plants, func(s accuracy.PlantScore) { fmt.Fprintln(c.OutOrStdout(), s) })
	if err != nil {
		return err
	}
	figures := accuracy.PlantFigures(scores)
	accuracy.PrintFigures(c.OutOrStdout(), figures)
	return missed(figures)
}

// plan lists the trials: in the quiet condition all of the specimens, in the others a sample, or those that patterns
// name.
func (f *flags) plan(all, can []*truth.Truth, named bool) ([]accuracy.Trial, error) {
	if f.capacity {
		return nil, nil
	}
	conditions, err := accuracy.SelectConditions(f.conditions)
	if err != nil {
		return nil, err
	}
	if f.quick {
		return accuracy.QuickPlan(all, can), nil
	}
	var out []accuracy.Trial
	for _, c := range conditions {
		switch {
		case c.Name == accuracy.Quiet:
			out = append(out, accuracy.Plan(can, c, f.seeds)...)
		case named:
			out = append(out, accuracy.Plan(can, c, 1)...)
		default:
			out = append(out, accuracy.Plan(accuracy.Sample(can, c, accuracy.HardPairs), c, 1)...)
		}
	}
	return out, nil
}

// choose checks the flags and says which specimens are run and which capacity cases.
func (f *flags) choose(all []*truth.Truth, patterns []string) (chosen []*truth.Truth, cases []accuracy.CapacityCase,
	err error) {
	switch {
	case f.seeds < 1:
		return nil, nil, fmt.Errorf("--seeds %d: want at least 1", f.seeds)
	case f.update && (f.quick || f.capacity || f.recorded || f.conditions != "all" || len(patterns) > 0):
		return nil, nil, errors.New("--update wants all specimens live: --conditions all, no patterns and no other choice")
	case f.scored && (f.quick || f.capacity || f.recorded || f.resume):
		return nil, nil, errors.New("--scored runs nothing: leave out --quick, --capacity, --recorded and --resume")
	case f.quick && f.capacity:
		return nil, nil, errors.New("--quick and --capacity exclude each other")
	case (f.recorded || f.resume || f.scored) && f.out == "":
		return nil, nil, errors.New("--recorded, --resume and --scored want --out, where the trials were recorded")
	case f.capacity:
		cases, err = accuracy.SelectCases(accuracy.CapacityCases, patterns)
		return nil, cases, err
	}
	if chosen, err = accuracy.Select(all, patterns); err != nil {
		return nil, nil, err
	}
	if f.quick {
		chosen, f.seeds = accuracy.Quick(chosen), 1
	} else if len(patterns) == 0 && f.conditions == "all" && !f.scored {
		cases = accuracy.CapacityCases
	}
	return chosen, cases, nil
}

// measure runs the plan, or judges its recordings, and reports.
func (f *flags) measure(c *cobra.Command, all []*truth.Truth, plan []accuracy.Trial, cases []accuracy.CapacityCase,
	skipped []string) error {
	progress := c.OutOrStdout()
	if f.json {
		progress = c.ErrOrStderr()
	}
	out, cleanup, err := f.outDir()
	if err != nil {
		return err
	}
	defer cleanup()
	f.out = out
	if f.parallel == 0 {
		f.parallel = max(1, runtime.NumCPU()/2)
	}
	begun := time.Now()
	build, err := accuracy.ThisBuild()
	if err != nil {
		return err
	}
	bench := &accuracy.Bench{
		Root: f.root, Specimens: f.specimens, Out: f.out, Protocol: f.protocol, Budget: f.budget, Parallel: f.parallel,
		KeepAll: f.keep, Recorded: f.recorded, Resume: f.resume,
		Build: build, All: all,
	}
	firsts, scores, err := f.trials(c.Context(), progress, bench, plan)
	if err != nil {
		return err
	}
	capacity, err := f.capacities(c.Context(), progress, bench, cases)
	if err != nil {
		return err
	}
	r := accuracy.Summarize(scores, capacity, nil)
	r.Planned, r.Build, r.Skipped = len(plan), build, skipped
	fmt.Fprintf(progress, "%d trials in %s\n", len(plan), time.Since(begun).Round(time.Second))
	return f.report(c, r, firsts, scores)
}

// outDir is where trials are recorded: --out, or a temporary directory of which nothing stays that --keep doesn't ask
// for and that did not go wrong.
func (f *flags) outDir() (dir string, cleanup func(), err error) {
	if f.out != "" {
		return f.out, func() {}, nil
	}
	if dir, err = os.MkdirTemp("", "accuracy-"); err != nil {
		return "", nil, err
	}
	return dir, func() {
		if f.plants > 0 && !f.keep {
			_ = os.RemoveAll(dir)
			return
		}
		if !f.keep {
			_ = os.RemoveAll(filepath.Join(dir, accuracy.CapacityDir))
		}
		_ = removeEmpty(dir)
	}, nil
}

// report prints the report and writes it where it is asked for.
func (f *flags) report(c *cobra.Command, r *accuracy.Report, firsts, scores []accuracy.Score) error {
	r.Seeds, r.Protocol = f.seeds, f.protocol
	r.Host = record.Host{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version()}
	switch {
	case f.quick:
		r.Figures = accuracy.QuickFigures(firsts, scores)
	case f.capacity:
		r.Figures = accuracy.CapacityFigures(r.Capacity)
	case filepath.Clean(f.specimens) != filepath.Clean(accuracy.Specimens):
		r.Figures = accuracy.ServiceFigures(scores)
	}
	if f.json {
		if err := json.NewEncoder(c.OutOrStdout()).Encode(r); err != nil {
			return err
		}
	} else {
		out := c.OutOrStdout()
		fmt.Fprintln(out)
		r.Print(out)
		printKept(out, firsts, scores)
		fmt.Fprintf(out, "%d of %d planned trials\n", r.Trials, r.Planned)
	}
	if f.update {
		if err := accuracy.Update(f.root, r); err != nil {
			return err
		}
	}
	return missed(r.Figures)
}

// printKept says where the trials are that were wrong, those that were right when tried again among them.
func printKept(w io.Writer, firsts, scores []accuracy.Score) {
	said := map[string]bool{}
	for _, s := range slices.Concat(firsts, scores) {
		if !s.Right && !said[s.Dir] {
			said[s.Dir] = true
			fmt.Fprintln(w, "kept:", s.Dir)
		}
	}
}

// removeEmpty removes a directory and its empty subdirectories; what has files in it stays.
func removeEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			_ = removeEmpty(filepath.Join(dir, e.Name())) // it is kept where it has files
		}
	}
	return os.Remove(dir)
}

// missed is the error of figures that are not met.
func missed(figures []accuracy.Figure) error {
	n := 0
	for _, f := range figures {
		if !f.Met() {
			n++
		}
	}
	if n > 0 {
		return exitcode.With(exitcode.GateFailed, fmt.Errorf("%d of %d figures are missed", n, len(figures)))
	}
	return nil
}
