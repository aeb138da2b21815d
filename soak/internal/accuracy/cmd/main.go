// Command cmd is the accuracy bench: specimens with known faults, run as subjects, their verdicts compared with the
// truth. `make accuracy` and `make accuracy-quick` call it.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"memsoak/profiles/record"
	"memsoak/soak/exitcode"
	"memsoak/soak/internal/accuracy"
	"memsoak/soak/internal/accuracy/truth"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
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
	seeds, parallel           int
	budget                    time.Duration
	quick, keep, update, json bool
	list, recorded            bool
}

func newCmd() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "accuracy [PATTERN...]",
		Short: "Run specimens with known faults and compare the verdicts with the truth",
		Long: `Run specimens with known faults as subjects of soak and compare the verdicts with the truth. Without patterns all
specimens run. It needs bin/soak, bin/fakedrive and bin/specimens.

Exit codes: 0 all figures are met, 99 one is missed, 1 and 2 as for every command.`,
		Example: `  accuracy --seeds 5
  accuracy 'leak-*' 'ok-*' --seeds 1 --keep --out trials
  accuracy 'leak-*' 'ok-*' --seeds 1 --recorded --out trials
  accuracy --quick`,
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(c *cobra.Command, patterns []string) error { return f.run(c, patterns) },
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return exitcode.Usage(err) })
	fl := cmd.Flags()
	fl.StringVar(&f.root, "root", ".", "the checkout")
	fl.StringVar(&f.out, "out", "", "where trials are recorded (default a temporary directory)")
	fl.StringVar(&f.protocol, "protocol", "quick", "the runner's protocol, by name or file")
	fl.DurationVar(&f.budget, "budget", time.Minute, "time of a trial before phases are left out")
	fl.IntVar(&f.seeds, "seeds", 5, "trials per specimen, each with a worker count of its own")
	fl.IntVar(&f.parallel, "parallel", 0, "trials at once (default half of the CPUs)")
	fl.BoolVar(&f.quick, "quick", false, "the stratified subset for CI, one seed; what is wrong is tried once more")
	fl.BoolVar(&f.recorded, "recorded", false, "judge again what --keep recorded in --out, and run nothing")
	fl.BoolVar(&f.keep, "keep", false, "keep every trial's directory, not only the wrong ones")
	fl.BoolVar(&f.update, "update", false, "write the results to profiles/baselines/accuracy.json")
	fl.BoolVar(&f.json, "json", false, "print the report as JSON, progress goes to stderr")
	fl.BoolVar(&f.list, "list", false, "print the plan and run nothing")
	return cmd
}

func (f *flags) run(c *cobra.Command, patterns []string) error {
	all, err := truth.Load(filepath.Join(f.root, "soak", "specimens"))
	if err != nil {
		return exitcode.Usage(err)
	}
	chosen, err := accuracy.Select(all, patterns)
	if err != nil {
		return exitcode.Usage(err)
	}
	if f.seeds < 1 {
		return exitcode.Usage(fmt.Errorf("--seeds %d: want at least 1", f.seeds))
	}
	if f.update && (f.quick || len(patterns) > 0) {
		return exitcode.Usage(fmt.Errorf("--update wants all specimens: leave out --quick and patterns"))
	}
	if f.recorded && f.out == "" {
		return exitcode.Usage(fmt.Errorf("--recorded wants --out, where the trials were recorded"))
	}
	if f.quick {
		chosen, f.seeds = accuracy.Quick(chosen), 1
	}
	can, skipped := accuracy.Runnable(chosen)
	plan := accuracy.Plan(can, f.seeds)
	if f.list {
		for _, t := range plan {
			fmt.Fprintf(c.OutOrStdout(), "%s workers=%d seed=%d\n", t.Truth.Name, t.Workers, t.Seed)
		}
		return nil
	}
	return f.measure(c, all, plan, skipped)
}

func (f *flags) measure(c *cobra.Command, all []*truth.Truth, plan []accuracy.Trial, skipped []string) error {
	progress := c.OutOrStdout()
	if f.json {
		progress = c.ErrOrStderr()
	}
	if f.out == "" {
		dir, err := os.MkdirTemp("", "accuracy-")
		if err != nil {
			return err
		}
		f.out = dir
	}
	if f.parallel == 0 {
		f.parallel = max(1, runtime.NumCPU()/2)
	}
	fmt.Fprintf(progress, "%d trials, %d at once, recorded in %s\n", len(plan), f.parallel, f.out)
	begun, n, total := time.Now(), 0, len(plan)
	bench := &accuracy.Bench{Root: f.root, Out: f.out, Protocol: f.protocol, Budget: f.budget, Parallel: f.parallel, KeepAll: f.keep, Recorded: f.recorded, All: all,
		Done: func(s accuracy.Score) {
			n++
			fmt.Fprintf(progress, "%4d/%d %s\n", n, total, s)
		}}
	scores, err := bench.Run(c.Context(), plan)
	if err != nil {
		return err
	}
	firsts := scores
	if again := accuracy.Again(plan, scores); f.quick && len(again) > 0 {
		fmt.Fprintf(progress, "%d wrong; once more with another seed, since any one trial may be odd\n", len(again))
		n, total = 0, len(again)
		second, err := bench.Run(c.Context(), again)
		if err != nil {
			return err
		}
		scores = accuracy.Settle(firsts, second)
	}
	r := accuracy.Summarize(scores)
	r.Seeds, r.Protocol, r.Skipped = f.seeds, f.protocol, skipped
	r.Host = record.Host{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version()}
	if f.quick {
		r.Figures = accuracy.QuickFigures(firsts, scores)
	}
	if f.json {
		if err := json.NewEncoder(c.OutOrStdout()).Encode(r); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(progress)
		r.Print(progress)
		for _, s := range scores {
			if !s.Right {
				fmt.Fprintf(progress, "kept: %s\n", filepath.Join(s.Dir))
			}
		}
		fmt.Fprintf(progress, "%d trials in %s\n", len(plan), time.Since(begun).Round(time.Second))
	}
	if f.update {
		if err := record.Write(filepath.Join(f.root, "profiles", "baselines", "accuracy.json"), r); err != nil {
			return err
		}
	}
	return missed(r.Figures)
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
