package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
)

// limitFlags are the flags of soak limit.
type limitFlags struct {
	run             runFlags
	max, step       units.Bytes
	workers         bool
	tries           int
	maxWorkers      int64
	busy            int64 // workers that the corpus keeps busy
	peak            int64 // the most memory of a trial that survived, bytes
	full            fullest
	keep, fakedrive string
	json            bool
}

func newLimitCmd() *cobra.Command {
	f := limitFlags{max: 4 << 30, step: 4 << 20}
	cmd := &cobra.Command{
		Use:   "limit",
		Short: "Find the smallest memory limit that survives, or the most workers below one",
		Long: `Find by bisection, with real kills in a real cgroup, the smallest memory limit under which the subject
survives a speed trial with its settings; or with --workers the largest worker count that survives under --limit. A
trial that leaves work survives anything and is an error. What a copier survives freely is tried again with a file whole
in each worker, of a size that as many files of the corpus have: whether a free run meets that moment is chance.

The peak of a process depends on when its collector runs. So the answer has to survive --tries times, is 6 % clear of
every value that was killed, and no smaller than the peak of any trial, since without a GOMEMLIMIT that follows the
limit (--set gomemlimit=90%) a process does not know of it.

The answer holds for the corpus that is copied and for this machine. 'soak plan' predicts for work that wasn't run.`,
		Example: `  soak limit --set workers=25
  soak limit --set workers=25 --set gomemlimit=90%
  soak limit --workers --limit 256MiB --corpus mixed`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.search(cmd) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.run.file, "file", "", "soak.yaml with the configuration; its matrix is not used")
	fl.StringVar(&f.run.subject, "subject", "", "subject's name or file (default migrator)")
	fl.StringVar(&f.run.corpus, "corpus", "", "preset or spec file of the tree that is copied (default mixed)")
	fl.StringVar(&f.run.protocol, "protocol", "", "default or a file; its speed trial is run")
	fl.StringArrayVar(&f.run.sets, "set", nil, "a fixed setting, name=value; may be repeated")
	fl.BoolVar(&f.workers, "workers", false, "search for the worker count instead of the limit")
	fl.StringVar(&f.run.limit, "limit", "", "the limit for --workers (default 2Gi)")
	fl.Var(&f.max, "max", "the largest limit to try")
	fl.Var(&f.step, "step", "how exact the limit is wanted")
	fl.Int64Var(&f.maxWorkers, "max-workers", 512, "the largest worker count to try")
	fl.IntVar(&f.tries, "tries", 8,
		"how often the answer has to survive; where it is killed once, the next on the safe side is tried")
	fl.StringVar(&f.keep, "out", "", "keep the trials in this directory")
	fl.StringVar(&f.fakedrive, "fakedrive", "", "path of the fakedrive program")
	fl.BoolVar(&f.json, "json", false, "print the result as JSON")
	return cmd
}

// clearOfKills is how far an answer is from every value that was killed. Of seven answers right beside one, five were
// killed in three more runs.
const clearOfKills = 0.06

// check refuses flags of the other search, which would say nothing.
func (f *limitFlags) check(cmd *cobra.Command, set soak.Cell) error {
	for name, ofWorkers := range map[string]bool{"limit": true, "max-workers": true, "max": false, "step": false} {
		if cmd.Flags().Changed(name) && f.workers != ofWorkers {
			return fmt.Errorf("--%s is for the search of %s", name, map[bool]string{true: "workers: add --workers",
				false: "a limit: leave --workers out"}[ofWorkers])
		}
	}
	if _, fixed := set["workers"]; fixed && f.workers {
		return errors.New("--workers searches the setting workers: leave --set workers out")
	}
	return nil
}

func (f *limitFlags) search(cmd *cobra.Command) error {
	cfg, err := f.run.config()
	if err == nil {
		err = f.check(cmd, cfg.Set)
	}
	if err != nil {
		return exitcode.Usage(err)
	}
	cfg.Axes, cfg.Cells, cfg.Center, cfg.Only, cfg.Trials = nil, nil, nil, "", []record.TrialKind{record.Speed}
	cfg.Repeats = 1
	most, step := int64(f.max), int64(f.step)
	dir := f.keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "memsoak-limit-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	s := &soak.Search{Step: step, Clear: clearOfKills, Try: f.try(cmd, cfg, dir)}
	var answer int64
	if f.workers {
		s.Step = 1
		most := f.maxWorkers
		if _, err = s.Largest(cmd.Context(), 1, min(1, most)); err == nil && f.busy > 0 {
			most = min(most, f.busy)
		}
		if err == nil {
			answer, err = s.Largest(cmd.Context(), 1, most)
		}
		if err == nil {
			answer, err = s.Settle(cmd.Context(), answer, -1, 1, f.tries)
		}
	} else if answer, err = s.Smallest(cmd.Context(), step, most); err == nil {
		if _, follows := shareOfLimit(cfg.Set); !follows {
			s.Least = func() int64 { return int64((1 + clearOfKills) * float64(f.peak)) }
		}
		answer, err = s.Settle(cmd.Context(), answer, 1, most, f.tries)
	}
	if errors.Is(err, soak.ErrConfig) {
		return exitcode.Usage(err)
	}
	if err != nil {
		return err
	}
	return f.print(cmd, s, answer, int64(cfg.Limit))
}

// try runs one speed trial with the value that is searched for.
func (f *limitFlags) try(cmd *cobra.Command, cfg soak.Config, dir string) soak.Try {
	tried := map[int64]int{} // a value that is tried again is a run of its own
	return func(ctx context.Context, n int64) (bool, error) {
		tried[n]++
		name := strconv.FormatInt(n, 10)
		if tried[n] > 1 {
			name = fmt.Sprintf("%d-%d", n, tried[n])
		}
		what := "limit " + units.FormatBytes(n)
		if f.workers {
			what = units.Count(n, "worker")
		}
		plan, err := soak.NewPlan(f.at(cfg, n), soak.Shard{})
		if err != nil {
			return false, err
		}
		r := &soak.Runner{Plan: plan, Dir: filepath.Join(dir, name), Fakedrive: f.fakedrive}
		res, err := r.Run(ctx)
		if len(res.Trials) == 0 || err != nil && !errors.Is(err, soak.ErrNothingRan) {
			return false, err
		}
		t := res.Trials[0]
		if t.Isolated == "none" {
			return false, errors.New("this machine lets us set no memory limit, so nothing can be searched for")
		}
		recorded, err := record.ReadTrial(filepath.Join(r.Dir, plan.Trials[0].Dir()))
		if err != nil {
			return false, err
		}
		f.busy = busy(recorded)
		if err := worked(recorded); err != nil {
			return false, exitcode.With(exitcode.Inconclusive, fmt.Errorf("with %s %w", what, err))
		}
		if !f.json {
			fmt.Fprintf(cmd.OutOrStdout(), "%-22s %-12s peak %s\n", what, t.Outcome, t.Peak)
		}
		switch t.Outcome {
		case record.OK:
			if memory, kind := t.Peak.Memory(); kind == record.PeakCharged {
				f.peak = max(f.peak, memory)
			}
			survived, err := f.full.survives(ctx, r)
			if err == nil && !survived && !f.json {
				fmt.Fprintf(cmd.OutOrStdout(), "%-22s %-12s with a whole file in each worker\n", what, record.OOMKilled)
			}
			return survived, err
		case record.OOMKilled:
			return false, nil
		default:
			return false, fmt.Errorf("with %s the trial ended as %s, which says nothing about memory: %s", what, t.Outcome,
				t.Reason)
		}
	}
}

// at are the settings of a trial with the value n: GOMEMLIMIT may be a share of the limit, as operators set it.
func (f *limitFlags) at(cfg soak.Config, n int64) soak.Config {
	set := soak.Cell{}
	maps.Copy(set, cfg.Set)
	cfg.Set = set
	if f.workers {
		cfg.Set["workers"] = strconv.FormatInt(n, 10)
	} else {
		cfg.Limit = units.Bytes(n)
	}
	if share, ok := shareOfLimit(cfg.Set); ok {
		cfg.Set["gomemlimit"] = fmt.Sprintf("%dB", int64(share*float64(cfg.Limit)))
	}
	return cfg
}

// shareOfLimit reads a GOMEMLIMIT such as 90%.
func shareOfLimit(set soak.Cell) (float64, bool) {
	text, ok := strings.CutSuffix(set["gomemlimit"], "%")
	percent, err := strconv.ParseFloat(text, 64)
	return percent / 100, ok && err == nil && percent > 0 && percent <= 100
}

// worked says why a survival is none: work was left.
func worked(t *record.Trial) error {
	effort, done, planned := t.DidWork()
	switch {
	case t.Outcome != record.OK || effort == record.AllWork:
		return nil
	case effort == record.NoWork:
		return errors.New("the subject finished no file, which says nothing about memory")
	}
	return fmt.Errorf("the subject finished %d of %d files, which says nothing about memory", done, planned)
}

// busy is how many workers a trial's largest wave can keep busy: more of them are idle, and survive anything.
func busy(t *record.Trial) int64 {
	var most int64
	for _, p := range t.Phases {
		most = max(most, p.Files)
	}
	return most
}

func (f *limitFlags) print(cmd *cobra.Command, s *soak.Search, answer, limit int64) error {
	w := cmd.OutOrStdout()
	border := s.Border(answer)
	if f.json {
		key := "smallest_limit"
		if f.workers {
			key = "most_workers"
		}
		out := map[string]any{key: answer, "tried": s.Tried}
		if border > 0 {
			out["killed_at"] = border
		}
		if f.full.unseen != "" {
			out["free_runs_alone"] = f.full.unseen
		}
		if err := json.NewEncoder(w).Encode(out); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(w, f.sentence(answer, border, limit))
		if f.full.unseen != "" {
			fmt.Fprintf(w, "by free runs alone, whose peaks hang on chance: %s\n", f.full.unseen)
		}
	}
	if answer == 0 && !f.workers {
		return exitcode.Quiet(exitcode.Inconclusive, errors.New("no limit that was tried survives"))
	}
	return nil
}

// sentence states the result: only limits that were tried.
func (f *limitFlags) sentence(answer, border, limit int64) string {
	size := units.FormatBytes
	switch {
	case f.workers && answer == 0:
		return fmt.Sprintf("not even one worker survives under %s", size(limit))
	case f.workers && border == 0:
		return fmt.Sprintf("workers that survive under %s: %d, the most that were tried; none was killed", size(limit),
			answer)
	case f.workers:
		return fmt.Sprintf("workers that survive under %s: %d; with %d the limit kills", size(limit), answer, border)
	case answer == 0:
		return fmt.Sprintf("no limit up to %s is clear of every kill and peak that was seen; try a larger --max", f.max)
	case border == 0:
		return fmt.Sprintf("survives at %s, the smallest limit that was tried; none killed it: try a smaller --step",
			size(answer))
	}
	return fmt.Sprintf("survives at %s, is killed at %s", size(answer), size(border))
}
