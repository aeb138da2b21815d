package replay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/report"
)

// Bench runs cells and keeps their recordings. Its fields are set before use.
type Bench struct {
	// Out is the directory in which every run is recorded.
	Out   string
	Scale int
	// Free is after how long the copy of a corpus is ended that is not copied to its end.
	Free time.Duration
	// Dies replaces a shorter Free for what has all files in memory: it is to have listed them by then, and to be dead.
	Dies time.Duration
	// Budget is the time for the states before the corpus, to which their work is cut down.
	Budget  time.Duration
	Repeats int
	Seed    int64
	// Resume keeps what is recorded in Out with the same settings.
	Resume bool
	// Fakedrive is the path of the fakedrive program; empty: looked for.
	Fakedrive string
	// Warn is told what a reader should know; may be nil.
	Warn func(string)

	schedule *schedule
}

// ErrMissing is returned, wrapped, for a row whose program is not installed.
var ErrMissing = errors.New("not installed")

// every is the time between samples: the last before a kill has to be near.
const every = 200 * time.Millisecond

// wholeAtMost bounds the copy of a corpus that is copied to its end: a multiple of what a slow machine needs.
const wholeAtMost = 3 * time.Minute

// Cell runs a row on a corpus and judges what was recorded. kept says that it was recorded before.
func (b *Bench) Cell(ctx context.Context, row Row, c Corpus) (cell *Cell, kept bool, err error) {
	if err := row.installed(); err != nil {
		return nil, false, err
	}
	dir := filepath.Join(b.Out, slug(row.Name)+"--"+c.Name)
	cfg, err := b.config(row, c)
	if err != nil {
		return nil, false, err
	}
	if kept, err = b.record(ctx, cfg, dir, options(c)); err != nil {
		return nil, false, err
	}
	cell, err = b.read(row, c, dir)
	return cell, kept, err
}

// scheduled runs a cell as a piece of the schedule.
func (b *Bench) scheduled(ctx context.Context, row Row, c Corpus) (cell *Cell, err error) {
	err = b.schedule.piece(row.Name+", "+c.Name, b.expect(row, c), func() (string, bool, error) {
		var kept bool
		var err error
		if cell, kept, err = b.Cell(ctx, row, c); err != nil {
			return "", false, fmt.Errorf("%s on %s: %w", row.Name, c.Name, err)
		}
		return cell.OutcomeText() + ": " + string(cell.Holds), kept, nil
	})
	return cell, err
}

// expect is about how long a cell takes with all of its repeats.
func (b *Bench) expect(row Row, c Corpus) time.Duration {
	return time.Duration(max(1, b.Repeats)) * expect(row, c, b.Free)
}

// options are the planned work of a diagnosis: the corpus itself.
func options(c Corpus) profiles.Options {
	return profiles.Options{PlannedFiles: c.Files, LargestFile: c.Largest()}
}

// ownScale is the scale of the subject's own sizes, around which files are held: only the history's service can be scaled.
func (r Row) ownScale(scale int) int {
	if r.Scaled && r.Set["scale"] != "" {
		return scale
	}
	return 1
}

// free is how long a corpus is copied at most.
func (b *Bench) free(row Row, c Corpus) time.Duration {
	switch {
	case !c.Cut:
		return wholeAtMost
	case row.gathers():
		return max(b.Free, b.Dies)
	}
	return b.Free
}

// installed says whether the program that the row needs is there.
func (r Row) installed() error {
	if r.Needs == "" {
		return nil
	}
	if _, err := os.Stat(filepath.Join(".tools", r.Needs)); err == nil {
		return nil
	}
	if _, err := exec.LookPath(r.Needs); err != nil || r.Needs == "rclone" { // its subject wants the one that make installs
		return fmt.Errorf("%s: %w", r.Needs, ErrMissing)
	}
	return nil
}

// config writes the corpus and the protocol of a cell and returns its configuration.
func (b *Bench) config(row Row, c Corpus) (soak.Config, error) {
	cfg := soak.DefaultConfig()
	work := filepath.Join(b.Out, "inputs")
	if err := os.MkdirAll(work, 0o755); err != nil {
		return cfg, err
	}
	base := fmt.Sprintf("%s-%d", c.Name, b.Scale)
	cfg.Corpus = filepath.Join(work, base+".yaml")
	if err := os.WriteFile(cfg.Corpus, c.Spec(), 0o644); err != nil {
		return cfg, err
	}
	cfg.Protocol = filepath.Join(work, slug(row.Name)+"-"+base+"-protocol.yaml")
	if err := os.WriteFile(cfg.Protocol, c.Protocol(row, row.ownScale(b.Scale), b.Budget, b.free(row, c)), 0o644); err != nil {
		return cfg, err
	}
	cfg.Subject, cfg.Limit, cfg.Node, cfg.Repeats, cfg.Seed = row.Subject, units.Bytes(row.Limit), units.Bytes(row.Node), max(1, b.Repeats), max(1, b.Seed)
	cfg.Set = soak.Cell{"transport": c.Transport}
	for k, v := range row.Set {
		cfg.Set[k] = v
	}
	return cfg, nil
}

// record runs the configuration into dir, anew, or what is missing of it with Resume. kept says that nothing was missing.
func (b *Bench) record(ctx context.Context, cfg soak.Config, dir string, o profiles.Options) (kept bool, err error) {
	plan, err := soak.NewPlan(cfg, soak.Shard{})
	if err != nil {
		return false, err
	}
	r := &soak.Runner{
		Plan: plan, Dir: dir, Fakedrive: b.Fakedrive, Every: every,
		Judge: func(dir string) (*record.Verdict, error) { return profiles.DiagnoseTrial(dir, o) },
		Events: func(e soak.Event) {
			if w, ok := e.(soak.Warned); ok && b.Warn != nil {
				b.Warn(w.Text)
			}
		},
	}
	kept, err = b.run(ctx, r)
	if err != nil || kept {
		return kept, err
	}
	v, err := profiles.DiagnoseRun(dir, o)
	if err != nil {
		return false, err
	}
	if err := record.Write(filepath.Join(dir, record.VerdictFile), v); err != nil {
		return false, err
	}
	return false, report.Generate(ctx, dir)
}

// run carries out the runner's plan. A recording with other settings, or one that can't be read, is replaced.
func (b *Bench) run(ctx context.Context, r *soak.Runner) (kept bool, err error) {
	_, err = os.Stat(filepath.Join(r.Dir, record.RunFile))
	r.Resume = b.Resume && err == nil
	if r.Resume {
		_, err = os.Stat(filepath.Join(r.Dir, report.HTMLFile)) // the last that is written
		complete := err == nil
		res, err := r.Run(ctx)
		if !errors.Is(err, soak.ErrConfig) {
			return complete && err == nil && len(res.Trials) == 0, ignoreNotReady(err)
		}
		r.Resume = false
	}
	if err := os.RemoveAll(r.Dir); err != nil {
		return false, err
	}
	_, err = r.Run(ctx)
	return false, ignoreNotReady(err)
}

// ignoreNotReady drops the error of a run whose subject never got ready: its outcome says so.
func ignoreNotReady(err error) error {
	if errors.Is(err, soak.ErrNothingRan) {
		return nil
	}
	return err
}

// read judges the trials of a recorded run: the first is the cell's, the others say how stable it is.
func (b *Bench) read(row Row, c Corpus, dir string) (*Cell, error) {
	run, err := record.ReadRun(dir)
	if err != nil {
		return nil, err
	}
	var all []Cell
	for _, st := range run.Status {
		for _, ts := range st.Trials {
			trialDir := filepath.Join(dir, filepath.FromSlash(st.Dir), fmt.Sprintf("trial-%d", ts.Index))
			cell, err := readTrial(row, c, b.free(row, c), trialDir)
			if err != nil {
				return nil, err
			}
			cell.Dir = dir
			all = append(all, *cell)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no trial was recorded", dir)
	}
	if len(all) > 1 {
		all[0].Stable = stability(all)
	}
	return &all[0], nil
}

func readTrial(row Row, c Corpus, free time.Duration, dir string) (*Cell, error) {
	t, err := record.ReadTrial(dir)
	if err != nil {
		return nil, err
	}
	v, err := record.ReadVerdict(dir)
	if err != nil {
		return nil, err
	}
	var samples []record.Sample
	if err := record.ReadSamples(dir, func(s record.Sample) bool { samples = append(samples, s); return true }); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	cell := judgeCell(row, c, free, t, v, samples)
	return &cell, nil
}

// slug makes a name fit for a directory.
func slug(name string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r == ' ':
			return '-'
		}
		return -1
	}, name), "-")
}
