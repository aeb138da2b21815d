package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles"
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
	Name  string `json:"name"`
	Asks  asks   `json:"asks"`
	Limit int64  `json:"limit"`
	// Answer is 0 where there is none, and why not is in Said; -1: not even one worker. AtLeast says that it is a lower
	// bound.
	Answer  int64    `json:"answer"`
	AtLeast bool     `json:"at_least,omitempty"`
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
				fmt.Fprintln(b.say, s)
				out = append(out, *s)
			}
		}
	}
	return out, errors.Join(errs...)
}

// one measures a question below a limit, or reads the kept answer.
func (b *bench) one(ctx context.Context, q question, limit int64) (*score, error) {
	name := strings.NewReplacer(" ", "-", "(", "", ")", "").Replace(q.name)
	dir := filepath.Join(b.out, name)
	file := fmt.Sprintf("%dMiB.json", limit/mib)
	kept := filepath.Join(dir, file)
	s := &score{Name: q.name, Asks: q.asks, Limit: limit}
	text, err := os.ReadFile(kept)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = kills.ReadFile(path.Join("kills", name, file))
	}
	if err == nil {
		if err = json.Unmarshal(text, s); err == nil && q.asks == workers {
			if err = b.again(ctx, q, filepath.Join(dir, matrixDir), s); err == nil && !b.recorded {
				err = record.Write(kept, s)
			}
		}
		return s, err
	}
	if !errors.Is(err, fs.ErrNotExist) || b.recorded {
		return nil, ignoreAbsent(err)
	}
	switch q.asks {
	case workers:
		err = b.workers(ctx, q, dir, s)
	case files:
		err = b.files(ctx, q, dir, s)
	case smallestLimit:
		err = b.smallest(ctx, q, s)
	}
	if err != nil {
		return nil, err
	}
	return s, record.Write(kept, s)
}

// kills are scores of this machine's kind that came with the source: the kills and the survivals, so that rules
// that have changed are judged without killing again. They need a matrix of the subject alone.
//
//go:embed kills
var kills embed.FS

// again answers a question whose kills are known, from the subject's matrix. Without one, and where nothing may run, the
// recorded answer stays.
func (b *bench) again(ctx context.Context, q question, matrix string, s *score) error {
	if _, err := os.Stat(matrix); errors.Is(err, fs.ErrNotExist) && b.recorded {
		return nil
	}
	if !b.recorded {
		if _, err := b.matrix(ctx, q, matrix, "2", "4", "8"); err != nil {
			return err
		}
	}
	_, err := s.answer(q, matrix)
	return err
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (b *bench) runner(p *soak.Plan, dir string) *soak.Runner {
	return &soak.Runner{Plan: p, Dir: dir, Fakedrive: filepath.Join(b.bin, "fakedrive"), Soak: filepath.Join(b.bin,
		"soak")}
}

// matrix records the subject with a few counts of workers, without a limit that could bind; one that ended is kept.
func (b *bench) matrix(ctx context.Context, q question, dir string, workers ...string) (*record.Run, error) {
	if run, err := record.ReadRun(dir); err == nil && !run.Ended.IsZero() && !run.Interrupted {
		return run, nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	c := soak.DefaultConfig()
	c.Subject, c.Corpus, c.Protocol, c.Set, c.Design = q.subject, "tiny", "quick", q.set, soak.Full
	c.Trials = []record.TrialKind{record.Attribution}
	c.Center, c.Axes = nil, soak.Axes{{Name: "workers", Values: workers}}
	plan, err := soak.NewPlan(c, soak.Shard{})
	if err != nil {
		return nil, err
	}
	if _, err := b.runner(plan, dir).Run(ctx); err != nil {
		return nil, err
	}
	return record.ReadRun(dir)
}

// matrixDir is where a subject's matrix is below its directory.
const matrixDir = "matrix"

// answer asks soak plan how many workers fit, from a recorded matrix: again for a score that was kept, since the rules
// may have changed. The recorded kills stay.
func (s *score) answer(q question, matrix string) (*record.Capacity, error) {
	c, err := profiles.Capacity(matrix, profiles.Plan{Limit: s.Limit, LargestFile: q.size, Files: 1000},
		profiles.Options{})
	if err != nil {
		return nil, err
	}
	if now := int64(c.MaxWorkers); now != s.Answer {
		s.Answer, s.Killed = now, 0
	}
	s.AtLeast, s.Said = c.AtLeast, c.Answer
	return c, nil
}

// workers asks soak plan, then searches the most workers that survive with a file in each.
func (b *bench) workers(ctx context.Context, q question, dir string, s *score) error {
	matrix := filepath.Join(dir, matrixDir)
	run, err := b.matrix(ctx, q, matrix, "2", "4", "8")
	if err != nil {
		return err
	}
	c, err := s.answer(q, matrix)
	if err != nil {
		return err
	}
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

// files asks soak plan how many files fit, then lets more than that through until the limit kills.
func (b *bench) files(ctx context.Context, q question, dir string, s *score) error {
	matrix := filepath.Join(dir, matrixDir)
	run, err := b.matrix(ctx, q, matrix, "4")
	if err != nil {
		return err
	}
	c, err := profiles.Capacity(matrix, profiles.Plan{Limit: s.Limit, LargestFile: q.size}, profiles.Options{})
	if err != nil {
		return err
	}
	s.Said = c.Answer
	if c.Fits == nil {
		return nil
	}
	s.Answer = int64(c.Fits.Files)
	corpus := filepath.Join(dir, "corpus.yaml")
	if err := os.WriteFile(corpus, fmt.Appendf(nil, "files: %d\nsize: %d\n", 3*s.Answer, q.size), 0o644); err != nil {
		return err
	}
	for i := range tries {
		done, err := b.filesAtDeath(ctx, run, c, corpus, filepath.Join(dir, "killed-"+strconv.Itoa(i+1)))
		if err != nil {
			return err
		}
		s.Tried = append(s.Tried, soak.Tried{Value: done})
		if done <= s.Answer {
			s.Killed++
		}
		if s.Truth == 0 || done < s.Truth {
			s.Truth = done
		}
	}
	return nil
}

// filesAtDeath is how many files a run had copied when its limit killed it.
func (b *bench) filesAtDeath(ctx context.Context, run *record.Run, c *record.Capacity, corpus, dir string) (int64,
	error) {
	if err := os.RemoveAll(dir); err != nil {
		return 0, err
	}
	cfg := soak.DefaultConfig()
	set := soak.Cell{"workers": "4", "gomemlimit": fmt.Sprintf("%dMiB", c.GOMEMLIMIT>>20)}
	kept, _ := run.Config["set"].(map[string]any)
	for k, v := range kept {
		set[k] = fmt.Sprint(v)
	}
	cfg.Subject, cfg.Corpus, cfg.Protocol, cfg.Limit, cfg.Set, cfg.Axes, cfg.Center = specimens, corpus, "passive",
		units.Bytes(c.Limit), set, nil, nil
	plan, err := soak.NewPlan(cfg, soak.Shard{})
	if err != nil {
		return 0, err
	}
	if _, err := b.runner(plan, dir).Run(ctx); err != nil {
		return 0, err
	}
	t, err := record.ReadTrial(filepath.Join(dir, plan.Trials[0].Dir()))
	switch {
	case err != nil:
		return 0, err
	case t.OOM == nil:
		return 0, fmt.Errorf("%d files ended as %s: the limit of %s did not kill", t.Work.Files, t.Outcome,
			units.FormatBytes(c.Limit))
	}
	return t.OOM.FilesDone, nil
}

// smallest asks soak limit, then tries its answer again, and a limit that is a tenth lower.
func (b *bench) smallest(ctx context.Context, q question, s *score) error {
	answer, tried, err := b.soakLimit(ctx, q, "--max", "512MiB", "--step", "1MiB")
	if err != nil {
		return err
	}
	s.Answer, s.Tried = answer, tried
	for n, killed := range map[int64]*int{answer: &s.Killed, int64(float64(answer)/1.1) &^ 4095: &s.KilledBelow} {
		size := fmt.Sprintf("%dB", n)
		_, again, err := b.soakLimit(ctx, q, "--max", size, "--step", size)
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
func (b *bench) soakLimit(ctx context.Context, q question, more ...string) (int64, []soak.Tried, error) {
	args := append([]string{"limit", "--json", "--subject", q.subject, "--corpus", "tiny", "--fakedrive",
		filepath.Join(b.bin, "fakedrive")}, more...)
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
