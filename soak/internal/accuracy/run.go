package accuracy

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/memsoak/memsoak/internal/replace"
	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/accuracy/truth"
)

// Specimens is where the copiers with known faults are, in a checkout.
const Specimens = "soak/specimens"

// Bench runs trials of specimens.
type Bench struct {
	// Root is the checkout: it has soak/specimens, and bin with the programs.
	Root string
	// Out is where trials are recorded.
	Out string
	// Specimens is the folder of the specimens, below Root; default the constant of that name.
	Specimens string
	// Protocol is the runner's, by name or file.
	Protocol string
	// Budget is the cap of a trial's time, 0 for the protocol's own.
	Budget time.Duration
	// Parallel is how many trials run side by side. More than half of the CPUs disturb each other.
	Parallel int
	// KeepAll keeps every trial's directory, not only those that went wrong.
	KeepAll bool
	// Recorded judges the trials that lie in Out again, instead of running any. Resume takes the scores of live verdicts
	// that the same build left in Out, and runs the missing ones.
	Recorded, Resume bool
	// Build names the build of the rules; a score of another one is no live verdict of this.
	Build string
	// All is the truth of every specimen, for the parts of combinations.
	All []*truth.Truth
	// Done is called with each score as it comes, one at a time; may be nil.
	Done func(Score)
}

// Run runs the trials, one condition after the other, and returns their scores in the order of the plan. A trial that
// fails is a wrong one; the error is for what makes the whole bench pointless, such as programs that are missing, or a
// cancelled context.
func (b *Bench) Run(ctx context.Context, plan []Trial) ([]Score, error) {
	var scores []Score
	for len(plan) > 0 {
		n := slices.IndexFunc(plan, func(t Trial) bool { return t.Condition.Name != plan[0].Condition.Name })
		if n < 0 {
			n = len(plan)
		}
		some, err := b.under(ctx, plan[0].Condition, plan[:n])
		scores = append(scores, some...)
		if err != nil {
			return scores, err
		}
		plan = plan[n:]
	}
	return scores, nil
}

// under runs the trials of one condition.
func (b *Bench) under(ctx context.Context, c Condition, plan []Trial) (_ []Score, err error) {
	if c.Beside > 0 && !b.Recorded {
		end, err := beside(c.Beside)
		if err != nil {
			return nil, fmt.Errorf("condition %s: %w", c.Name, err)
		}
		defer end() //nolint:errcheck // they end with their standard input
	}
	return b.several(ctx, cmp.Or(c.Parallel, b.Parallel), plan)
}

// several runs trials, so many at a time.
func (b *Bench) several(ctx context.Context, parallel int, plan []Trial) ([]Score, error) {
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
	g.SetLimit(max(1, parallel))
	for i, t := range plan {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			s, err := b.kept(ctx, t)
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

// ScoresDir is where the scores of live verdicts are kept, below Bench.Out.
const ScoresDir = "scores"

// kept is the score of a live verdict that the same build left in Out, or else of a trial that runs now.
func (b *Bench) kept(ctx context.Context, t Trial) (Score, error) {
	path := scorePath(b.Out, t)
	if b.Resume && !b.Recorded {
		if text, err := os.ReadFile(path); err == nil {
			var s Score
			if json.Unmarshal(text, &s) == nil && s.Build == b.Build {
				return s, nil
			}
		}
	}
	s, err := b.trial(ctx, t)
	if err != nil || b.Recorded {
		return s, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return s, err
	}
	return s, record.Write(path, s)
}

// Scored are the scores of the plan's live verdicts that were left below out, however many of them there are, and the
// builds whose verdicts they are, joined by plus signs: a rule that came between says so there.
func Scored(out string, plan []Trial) (scores []Score, builds string, err error) {
	var of []string
	for _, t := range plan {
		text, err := os.ReadFile(scorePath(out, t))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var s Score
		if err == nil {
			err = json.Unmarshal(text, &s)
		}
		if err != nil {
			return nil, "", err
		}
		if scores = append(scores, s); !slices.Contains(of, s.Build) {
			of = append(of, s.Build)
		}
	}
	if len(scores) == 0 {
		return nil, "", fmt.Errorf("%s has no verdict of the %d planned trials", out, len(plan))
	}
	return scores, strings.Join(of, "+"), nil
}

func scorePath(out string, t Trial) string {
	return filepath.Join(out, ScoresDir, filepath.FromSlash(t.Dir())+".json")
}

// trial runs one specimen once, or judges its recording again, and scores the verdict.
func (b *Bench) trial(ctx context.Context, t Trial) (Score, error) {
	dir := filepath.Join(b.Out, filepath.FromSlash(t.Dir()))
	begun := time.Now()
	recording := b.record
	if b.Recorded {
		recording = b.recorded
	}
	v, trial, err := recording(ctx, t, dir)
	s := Judge(t.Truth, b.parts(t.Truth), v)
	s.Condition, s.Seed, s.Workers, s.Seconds, s.Dir = t.Condition.Name, t.Seed, t.Workers, time.Since(begun).Seconds(),
		dir
	s.Again, s.Build = b.Recorded, b.Build
	if trial != nil {
		s.Files, s.Outcome = copied(trial), trial.Outcome
		if b.Recorded {
			s.Seconds = trial.Ended.Sub(trial.Started).Seconds()
		}
		if trial.Outcome != record.OK && s.Why != "" {
			s.Why += fmt.Sprintf("; outcome %s: %s", trial.Outcome, trial.Reason)
		}
	}
	switch {
	case ctx.Err() != nil:
		return s, ctx.Err()
	case errors.Is(err, soak.ErrConfig):
		return s, fmt.Errorf("%s: %w", t.Truth.Name, err)
	case err != nil && v == nil:
		s.Right, s.Why = false, err.Error()
	}
	if s.Right && !b.KeepAll && !b.Recorded && (s.Line == nil || *s.Line) {
		return s, os.RemoveAll(dir)
	}
	return s, nil
}

// copied is how many files a trial copied, those of its holds among them.
func copied(t *record.Trial) int64 {
	var n int64
	for _, p := range t.Phases {
		n += p.Copied
	}
	return max(n, t.Work.Files)
}

// record runs the trial and reads the recording. Verdict and trial are nil when there are none.
func (b *Bench) record(ctx context.Context, t Trial, dir string) (*record.Verdict, *record.Trial, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, nil, err
	}
	c, err := b.trialConfig(t)
	if err != nil {
		return nil, nil, err
	}
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
	c.Subject = filepath.Join(b.Root, filepath.FromSlash(cmp.Or(b.Specimens, Specimens)), "subject.yaml")
	c.Corpus, c.Protocol, c.Budget = "tiny", b.Protocol, soak.Duration(b.Budget)
	c.Trials = []record.TrialKind{record.Attribution}
	return c
}

// trialConfig is the configuration of a trial under its condition.
func (b *Bench) trialConfig(t Trial) (soak.Config, error) {
	c := b.config()
	dir := filepath.Join(b.Out, "conditions")
	set, err := t.Condition.settings(t, dir)
	c.Seed, c.Set = t.Seed, set
	if t.Condition.Protocol != "" {
		c.Protocol = t.Condition.Protocol
	}
	if t.Condition.Passive {
		c.Trials = []record.TrialKind{record.Passive}
	}
	if err != nil || t.Condition.Corpus == "" {
		return c, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return c, err
	}
	c.Corpus = filepath.Join(dir, t.Condition.Name+"-corpus.yaml")
	return c, replace.File(c.Corpus, []byte(t.Condition.Corpus), 0o644)
}

func (b *Bench) runner(plan *soak.Plan, dir string) *soak.Runner {
	return &soak.Runner{Plan: plan, Dir: dir, Fakedrive: filepath.Join(b.Root, "bin", "fakedrive"),
		Soak: filepath.Join(b.Root, "bin", "soak")}
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
