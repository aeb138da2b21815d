package accuracy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/accuracy/truth"
)

// Bench runs trials of specimens.
type Bench struct {
	// Root is the checkout: it has soak/specimens, and bin with the programs.
	Root string
	// Out is where trials are recorded.
	Out string
	// Protocol is the runner's, by name or file.
	Protocol string
	// Budget is the time that a trial may take before the runner leaves phases out. It is ample on purpose: a busy
	// machine has to make the bench slower, not the verdicts worse.
	Budget time.Duration
	// Parallel is how many trials run at once. More than half of the CPUs disturb each other.
	Parallel int
	// KeepAll keeps every trial's directory, not only those that went wrong.
	KeepAll bool
	// Recorded judges the trials that lie in Out instead of running any; Resume does so with those that do, and runs the
	// others.
	Recorded, Resume bool
	// All is the truth of every specimen, for the parts of combinations.
	All []*truth.Truth
	// Done is told of each score as it comes, one at a time; nil for nobody.
	Done func(Score)
}

// Run runs the trials and returns their scores in the order of the plan. A trial that fails is a wrong one; the error
// is for what makes the whole bench pointless, such as programs that are missing, or a cancelled context.
func (b *Bench) Run(ctx context.Context, plan []Trial) ([]Score, error) {
	scores := make([]Score, len(plan))
	report := make(chan Score)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for s := range report {
			if b.Done != nil {
				b.Done(s)
			}
		}
	}()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, b.Parallel))
	for i, t := range plan {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			s, err := b.trial(ctx, t)
			scores[i] = s
			report <- s
			return err
		})
	}
	err := g.Wait()
	close(report)
	<-finished
	return scores, err
}

// trial runs one specimen once and scores the verdict.
func (b *Bench) trial(ctx context.Context, t Trial) (Score, error) {
	dir := filepath.Join(b.Out, filepath.FromSlash(t.Dir()))
	begun := time.Now()
	recording, kept := b.record, b.Recorded || b.Resume && complete(dir)
	if kept {
		recording = b.recorded
	}
	v, trial, err := recording(ctx, t, dir)
	s := Judge(t.Truth, b.parts(t.Truth), v)
	s.Seed, s.Workers, s.Seconds, s.Dir = t.Seed, t.Workers, time.Since(begun).Seconds(), dir
	if kept && trial != nil {
		s.Seconds = trial.Ended.Sub(trial.Started).Seconds()
	}
	if trial != nil {
		s.Files = trial.Work.Files
		s.Outcome = trial.Outcome
		if trial.Outcome != record.OK {
			s.Right, s.Why = false, fmt.Sprintf("outcome %s: %s", trial.Outcome, trial.Reason)
		}
	}
	switch {
	case ctx.Err() != nil:
		return s, ctx.Err()
	case errors.Is(err, soak.ErrConfig):
		return s, fmt.Errorf("%s: %w", t.Truth.Name, err)
	case err != nil:
		s.Right, s.Why = false, err.Error()
	}
	if s.Right && !b.KeepAll && !kept && (s.Line == nil || *s.Line) {
		return s, os.RemoveAll(dir)
	}
	return s, nil
}

// record runs the trial and reads what was recorded. Verdict and trial are nil when there are none.
func (b *Bench) record(ctx context.Context, t Trial, dir string) (*record.Verdict, *record.Trial, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, nil, err
	}
	c := b.config()
	c.Seed, c.Set = t.Seed, t.Settings()
	plan, err := soak.NewPlan(c, soak.Shard{})
	if err != nil {
		return nil, nil, err
	}
	plan.Subject.Command[0] = filepath.Join(b.Root, "bin", "specimens")
	var verdict *record.Verdict
	r := b.runner(plan, dir)
	r.Judge = func(dir string) (*record.Verdict, error) {
		v, err := profiles.DiagnoseTrial(dir, profiles.Options{})
		verdict = v
		return v, err
	}
	if _, err := r.Run(ctx); err != nil {
		return verdict, nil, err
	}
	trial, err := record.ReadTrial(filepath.Join(dir, filepath.FromSlash(plan.Trials[0].Dir())))
	return verdict, trial, err
}

// config is the configuration of all of the bench's runs.
func (b *Bench) config() soak.Config {
	c := soak.DefaultConfig()
	c.Subject = filepath.Join(b.Root, "soak", "specimens", "subject.yaml")
	c.Corpus, c.Protocol, c.Budget = "tiny", b.Protocol, soak.Duration(b.Budget)
	c.Trials = []record.TrialKind{record.Attribution}
	return c
}

func (b *Bench) runner(plan *soak.Plan, dir string) *soak.Runner {
	return &soak.Runner{Plan: plan, Dir: dir, Fakedrive: filepath.Join(b.Root, "bin", "fakedrive"), Soak: filepath.Join(b.Root, "bin", "soak")}
}

// trialDir is the directory of the only trial that was recorded below dir.
func trialDir(dir string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "cells", "*", "trial-*", "trial.json"))
	if err != nil {
		return "", err
	}
	if len(files) != 1 {
		return "", fmt.Errorf("%s: %d recorded trials, want one", dir, len(files))
	}
	return filepath.Dir(files[0]), nil
}

// complete reports whether a trial was recorded below dir to its end.
func complete(dir string) bool {
	d, err := trialDir(dir)
	if err != nil {
		return false
	}
	t, err := record.ReadTrial(d)
	return err == nil && t.Outcome != "" && !t.Ended.IsZero()
}

// recorded judges a trial that was recorded before.
func (b *Bench) recorded(_ context.Context, _ Trial, dir string) (*record.Verdict, *record.Trial, error) {
	dir, err := trialDir(dir)
	if err != nil {
		return nil, nil, err
	}
	v, err := profiles.DiagnoseTrial(dir, profiles.Options{})
	if err != nil {
		return nil, nil, err
	}
	if err := record.Write(filepath.Join(dir, "verdict.json"), v); err != nil {
		return nil, nil, err
	}
	trial, err := record.ReadTrial(dir)
	return v, trial, err
}

// parts are the faults of a combination.
func (b *Bench) parts(t *truth.Truth) []*truth.Truth {
	var out []*truth.Truth
	for _, name := range t.Of {
		for _, p := range b.All {
			if p.Name == name {
				out = append(out, p)
			}
		}
	}
	return out
}
