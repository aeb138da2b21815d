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

	"memsoak/profiles"
	"memsoak/profiles/record"
	"memsoak/soak"
	"memsoak/soak/internal/report"
	"memsoak/soak/internal/units"
)

// Bench runs cells and keeps their recordings. Its fields are set before use.
type Bench struct {
	// Out is the directory in which every run is recorded.
	Out   string
	Scale int
	// Free is how long a corpus is copied at most, and one of many files four times as long.
	Free    time.Duration
	Repeats int
	Seed    int64
	// Fakedrive is the path of the fakedrive program; empty: looked for.
	Fakedrive string
	// Warn is told what a reader should know; may be nil.
	Warn func(string)
}

// ErrMissing is returned, wrapped, for a row whose program is not installed.
var ErrMissing = errors.New("not installed")

// every is the time between samples: the last before a kill has to be near.
const every = 200 * time.Millisecond

// manyTimes is how many times as long corpora of many files may be copied.
const manyTimes = 4

// Cell runs a row on a corpus and judges what was recorded.
func (b *Bench) Cell(ctx context.Context, row Row, c Corpus) (*Cell, error) {
	if err := row.installed(); err != nil {
		return nil, err
	}
	dir := filepath.Join(b.Out, slug(row.Name)+"--"+c.Name)
	cfg, err := b.config(row, c)
	if err != nil {
		return nil, err
	}
	if err := b.record(ctx, cfg, dir, options(c)); err != nil {
		return nil, err
	}
	return b.read(row, c, dir)
}

// options are the planned work of a diagnosis: the corpus itself.
func options(c Corpus) profiles.Options {
	return profiles.Options{PlannedFiles: c.Files, LargestFile: int64(c.Size)}
}

// ownScale is the scale of the subject's own sizes, around which files are held: only the history's service can be scaled.
func (r Row) ownScale(scale int) int {
	if r.Subject == "replay" {
		return scale
	}
	return 1
}

// free is how long a corpus is copied at most: one that is listed as a whole before anything else needs longer.
func (b *Bench) free(c Corpus) time.Duration {
	if c.Many {
		return manyTimes * b.Free
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
	protocol := c.Protocol(row.ownScale(b.Scale), b.free(c), row.Limit)
	if row.Passive {
		protocol = c.Sampled(b.free(c))
	}
	if err := os.WriteFile(cfg.Protocol, protocol, 0o644); err != nil {
		return cfg, err
	}
	cfg.Subject, cfg.Limit, cfg.Node, cfg.Repeats, cfg.Seed = row.Subject, units.Bytes(row.Limit), units.Bytes(row.Node), max(1, b.Repeats), max(1, b.Seed)
	cfg.Set = soak.Cell{"transport": c.Transport}
	for k, v := range row.Set {
		cfg.Set[k] = v
	}
	if row.Passive && c.SinkRate > 0 {
		cfg.Set["s3_faults"] = filepath.Join(work, base+"-sink.yaml")
		return cfg, os.WriteFile(cfg.Set["s3_faults"], fmt.Appendf(nil, "bandwidth: {total: %d}\n", int64(c.SinkRate)), 0o644)
	}
	return cfg, nil
}

// record runs the configuration into dir, anew.
func (b *Bench) record(ctx context.Context, cfg soak.Config, dir string, o profiles.Options) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	plan, err := soak.NewPlan(cfg, soak.Shard{})
	if err != nil {
		return err
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
	if _, err := r.Run(ctx); err != nil && !errors.Is(err, soak.ErrNothingRan) {
		return err
	}
	v, err := profiles.DiagnoseRun(dir, o)
	if err != nil {
		return err
	}
	if err := record.Write(filepath.Join(dir, record.VerdictFile), v); err != nil {
		return err
	}
	return report.Generate(ctx, dir)
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
			cell, err := readTrial(row, c, b.free(c), trialDir)
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
