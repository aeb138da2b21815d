package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
)

// tries is how often a value has to survive to count as safe: kills depend on timing.
const tries = 3

// mostTried bounds the search for a count of workers that is killed, and beyondBound that above a lower bound, as a
// multiple of it.
const (
	mostTried   = 256
	beyondBound = 2
)

// score is an answer beside what happened below one limit. Counts of workers or files, or bytes of a limit.
type score struct {
	Name    string `json:"name"`
	Asks    asks   `json:"asks"`
	Limit   int64  `json:"limit"`
	Subject string `json:"subject"`
	Size    int64  `json:"size"` // of a file, bytes
	// Build is what the answer's recording was made by; other says that it is not this build.
	Build string `json:"build,omitempty"`
	other bool
	// Answer is 0 where there is none, and why not is in Said; -1: not even one worker. AtLeast says that it is a lower
	// bound, and Perhaps above 0 up to where it may be more, of files the end of the interval of where they break.
	Answer  int64    `json:"answer"`
	AtLeast bool     `json:"at_least,omitempty"`
	Perhaps int64    `json:"perhaps,omitempty"`
	Said    []string `json:"said"`
	// Truth is the most that survives tries of tries; of files the fewest that were done when a trial was killed.
	Truth int64 `json:"truth"`
	// Killed is how many of tries real runs at the answer were killed.
	Killed int `json:"killed"`
	// KilledBelow, of a limit, is how many of tries were killed at a limit that is a tenth lower.
	KilledBelow int          `json:"killed_below,omitempty"`
	Tried       []soak.Tried `json:"tried,omitempty"`
}

type bench struct {
	bin, out string
	recorded bool
	say      io.Writer
}

// all measures the questions in turn; what fails is said and left out, and ends no other.
func (b *bench) all(ctx context.Context, chosen []question) ([]score, error) {
	var out []score
	var errs []error
	for _, q := range chosen {
		for _, limit := range q.limits {
			s, err := b.one(ctx, q, limit)
			if errors.Is(err, context.Canceled) || errors.Is(err, soak.ErrNoCgroup) {
				return out, errors.Join(append(errs, err)...)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("%s in %s: %w", q.name, units.FormatBytes(limit), err))
			}
			if s != nil {
				build, err := b.buildOf(q)
				s.other = err != nil || s.Build != build
				fmt.Fprintln(b.say, s)
				out = append(out, *s)
			}
		}
	}
	return out, errors.Join(errs...)
}

func (b *bench) runner(p *soak.Plan, dir string) *soak.Runner {
	return &soak.Runner{Plan: p, Dir: dir, Fakedrive: filepath.Join(b.bin, "fakedrive"), Soak: filepath.Join(b.bin,
		"soak")}
}

// matrix records the subject with a few counts of workers, without a limit that could bind. One that ended is kept
// where this build recorded it with this subject: another may have another protocol, and other rules for how long a
// trial goes.
func (b *bench) matrix(ctx context.Context, q question, dir string, counts ...string) error {
	build, err := b.buildOf(q)
	if err != nil {
		return err
	}
	if run, err := record.ReadRun(dir); err == nil && !run.Ended.IsZero() && !run.Interrupted {
		if recordedBy(dir) == build {
			return nil
		}
		fmt.Fprintf(b.say, "%s: recorded again, since %s is of another build or subject\n", q.name, dir)
	}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(filepath.Dir(dir), 0o755)); err != nil {
		return err
	}
	c := soak.DefaultConfig()
	c.Subject, c.Corpus, c.Protocol, c.Set, c.Design = q.subject, "tiny", q.protocol, q.set, soak.Full
	c.Trials = []record.TrialKind{record.Attribution}
	c.Center, c.Axes = nil, soak.Axes{{Name: "workers", Values: counts}}
	plan, err := soak.NewPlan(c, soak.Shard{})
	if err != nil {
		return err
	}
	if _, err := b.runner(plan, dir).Run(ctx); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, buildFile), []byte(build), 0o644)
}

// answer asks soak plan, from a matrix of this build; with recorded from the one that is there, or the kept answer
// stays.
func (b *bench) answer(ctx context.Context, q question, dir string, s *score) (*record.Capacity, error) {
	matrix := filepath.Join(dir, "matrix")
	if b.recorded && recordedBy(matrix) == "" {
		return nil, nil
	}
	p := costs.Plan{Limit: s.Limit, LargestFile: q.size}
	counts := []string{"4"}
	if q.asks == workers {
		p.Files, counts = 1000, []string{"2", "4", "8"}
	}
	if !b.recorded {
		if err := b.matrix(ctx, q, matrix, counts...); err != nil {
			return nil, err
		}
	}
	c, err := profiles.Capacity(matrix, p, profiles.Options{})
	if err != nil {
		return nil, err
	}
	now := int64(c.MaxWorkers)
	if q.asks == files {
		now, s.AtLeast, s.Perhaps = 0, false, 0
		if fit := c.Fits; fit != nil {
			now, s.AtLeast = int64(fit.Files), fit.AtLeast
			if len(fit.Range) > 1 {
				s.Perhaps = int64(fit.Range[1] * fit.Files / fit.Most)
			}
		}
	}
	if now != s.Answer {
		s.Answer, s.Killed = now, 0
	}
	s.Said, s.Build = c.Answer, recordedBy(matrix)
	if q.asks == workers {
		s.AtLeast, s.Perhaps = c.AtLeast, int64(c.Perhaps)
	}
	return c, nil
}

// kill finds by real kills what the answer is held to.
func (b *bench) kill(ctx context.Context, q question, dir string, s *score, c *record.Capacity) error {
	run, err := record.ReadRun(filepath.Join(dir, "matrix"))
	if err != nil {
		return err
	}
	if q.asks == files {
		return b.killFiles(ctx, q, run, c, dir, s)
	}
	return b.killWorkers(ctx, q, run, c, dir, s)
}

// killWorkers searches the most workers that survive with a file in each.
func (b *bench) killWorkers(ctx context.Context, q question, run *record.Run, c *record.Capacity, dir string,
	s *score) error {
	once := func(ctx context.Context, n int64) (bool, error) {
		h := soak.Held{Workers: int(n), FileSize: q.size, Limit: s.Limit, GOMEMLIMIT: c.GOMEMLIMIT}
		at := filepath.Join(dir, "held")
		if err := os.RemoveAll(at); err != nil {
			return false, err
		}
		plan, err := soak.HeldPlan(run, h)
		if err != nil {
			return false, err
		}
		t, err := soak.RunHeld(ctx, b.runner(plan, at), h)
		return t.Outcome == record.OK, err
	}
	search := &soak.Search{Step: 1, Try: once}
	most := int64(mostTried)
	if s.AtLeast { // right where it is safe: how much more there is changes no score
		most = beyondBound * s.Answer
	}
	var err error
	if s.Truth, err = search.Largest(ctx, 1, most); err != nil {
		return err
	}
	if s.Truth, err = search.Settle(ctx, s.Truth, -1, 1, tries); err != nil {
		return err
	}
	for i := 0; s.Answer > s.Truth && i < tries; i++ { // a bound from below needs no trial of its own
		ok, err := once(ctx, s.Answer)
		if err != nil {
			return err
		}
		if !ok {
			s.Killed++
		}
	}
	s.Tried = search.Tried
	return nil
}

// killFiles lets more files through than are said to fit, until the limit kills.
func (b *bench) killFiles(ctx context.Context, q question, run *record.Run, c *record.Capacity, dir string,
	s *score) error {
	corpus := filepath.Join(dir, "corpus.yaml")
	if err := os.WriteFile(corpus, fmt.Appendf(nil, "files: %d\nsize: %d\n", 3*s.Answer, q.size), 0o644); err != nil {
		return err
	}
	cfg := soak.DefaultConfig()
	set := soak.Cell{"workers": strconv.Itoa(c.Fits.Workers), "gomemlimit": fmt.Sprintf("%dMiB", c.Fits.GOMEMLIMIT>>20)}
	kept, _ := run.Config["set"].(map[string]any)
	for k, v := range kept {
		set[k] = fmt.Sprint(v)
	}
	cfg.Subject, cfg.Corpus, cfg.Protocol, cfg.Limit, cfg.Set, cfg.Axes, cfg.Center = q.subject, corpus, "passive",
		units.Bytes(c.Limit), set, nil, nil
	plan, err := soak.NewPlan(cfg, soak.Shard{})
	if err != nil {
		return err
	}
	s.Tried = nil
	for i := range tries {
		t, err := b.filesAtDeath(ctx, plan, filepath.Join(dir, "killed-"+strconv.Itoa(i+1)), c.Fits.Per)
		if err != nil {
			return err
		}
		s.Tried = append(s.Tried, t)
	}
	return nil
}

// filesAtDeath is how many files a run had copied, or listed where that is what they cost, when its limit killed it.
func (b *bench) filesAtDeath(ctx context.Context, plan *soak.Plan, dir, per string) (soak.Tried, error) {
	if err := os.RemoveAll(dir); err != nil {
		return soak.Tried{}, err
	}
	if _, err := b.runner(plan, dir).Run(ctx); err != nil {
		return soak.Tried{}, err
	}
	dir = filepath.Join(dir, plan.Trials[0].Dir())
	t, err := record.ReadTrial(dir)
	switch {
	case err != nil:
		return soak.Tried{}, err
	case t.Outcome != record.OK && t.OOM == nil:
		return soak.Tried{}, fmt.Errorf("after %d files it ended as %s, which says nothing about memory", t.Work.Files,
			t.Outcome)
	case t.OOM == nil:
		return soak.Tried{Value: t.Work.Files, Survived: true}, nil
	}
	most := t.OOM.FilesDone
	if slices.Contains([]string{"listed-file", "backlog-item", "distinct-item"}, per) {
		err = record.ReadSamples(dir, func(x record.Sample) bool {
			if x.Covariates != nil {
				most = max(most, x.Covariates.FilesListed)
			}
			return true
		})
	}
	return soak.Tried{Value: most}, err
}

// settle holds the answer to the files of each death.
func (s *score) settle() {
	s.Truth, s.Killed = 0, 0
	for _, t := range s.Tried {
		if !t.Survived && t.Value <= s.Answer {
			s.Killed++
		}
		if s.Truth == 0 || t.Value < s.Truth {
			s.Truth = t.Value
		}
	}
}

// smallest asks soak limit, then tries its answer again, and a limit that is a tenth lower.
func (b *bench) smallest(ctx context.Context, q question, dir string, s *score) error {
	if b.recorded {
		return nil
	}
	build, err := b.buildOf(q)
	if err != nil || s.Build == build {
		return err
	}
	corpus := filepath.Join(dir, "corpus.yaml") // enough that all workers have a file again and again
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(corpus, fmt.Appendf(nil, "files: 48\nsize: %d\n",
		q.size), 0o644)); err != nil {
		return err
	}
	answer, tried, err := b.soakLimit(ctx, q, corpus, "--max", "2GiB", "--step", "1MiB")
	if err != nil {
		return err
	}
	s.Answer, s.Tried, s.Build, s.Killed, s.KilledBelow = answer, tried, build, 0, 0
	if answer == 0 {
		return nil
	}
	for n, killed := range map[int64]*int{answer: &s.Killed, int64(float64(answer)/1.1) &^ 4095: &s.KilledBelow} {
		size := fmt.Sprintf("%dB", n)
		_, again, err := b.soakLimit(ctx, q, corpus, "--max", size, "--step", size, "--tries", strconv.Itoa(tries))
		if err != nil {
			return err
		}
		for _, t := range again {
			if !t.Survived {
				*killed++
			}
		}
	}
	return nil
}

// soakLimit runs the command.
func (b *bench) soakLimit(ctx context.Context, q question, corpus string, more ...string) (int64, []soak.Tried, error) {
	args := append([]string{"limit", "--json", "--set", "workers=6", "--subject", q.subject, "--corpus",
		corpus, "--fakedrive", filepath.Join(b.bin, "fakedrive")}, more...)
	for k, v := range q.set {
		args = append(args, "--set", k+"="+v)
	}
	text, code, err := output(ctx, filepath.Join(b.bin, "soak"), args...)
	if err != nil && code != exitcode.Inconclusive {
		return 0, nil, err
	}
	var got struct {
		Smallest int64        `json:"smallest_limit"`
		Tried    []soak.Tried `json:"tried"`
	}
	if err := json.Unmarshal(text, &got); err != nil {
		return 0, nil, fmt.Errorf("soak limit: %w: %s", err, text)
	}
	return got.Smallest, got.Tried, nil
}

// near reports whether two counts are within a share of the second, or one.
func near(a, b int64, share float64) bool {
	d := math.Abs(float64(a - b))
	return d <= 1 || d <= share*float64(b)
}
