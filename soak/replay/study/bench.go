package study

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/record"
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
	// Budget caps the time of the states before the corpus; no work is cut down to it.
	Budget  time.Duration
	Repeats int
	Seed    int64
	// Resume keeps recordings in Out with the same settings.
	Resume bool
	// Soak is the path of the soak program; empty: bin/soak.
	Soak string
	// Fakedrive is the path of the fakedrive program; empty: looked for.
	Fakedrive string
	// Warn is called with what a reader should know; may be nil.
	Warn func(string)

	schedule *schedule
}

// ErrMissing is returned, wrapped, for a row whose program is not installed.
var ErrMissing = errors.New("not installed")

// every is the time between samples: the last before a kill has to be near.
const every = 200 * time.Millisecond

// wholeAtMost bounds the copy of a corpus that is copied to its end: a multiple of what a slow machine needs.
const wholeAtMost = 3 * time.Minute

// Cell runs a row on a corpus and judges the recording. kept says that it was recorded before.
func (b *Bench) Cell(ctx context.Context, row Row, c Corpus) (cell *Cell, kept bool, err error) {
	if err := row.installed(); err != nil {
		return nil, false, err
	}
	dir := filepath.Join(b.Out, slug(row.Name)+"--"+c.Name)
	w, err := b.work(row, c)
	if err != nil {
		return nil, false, err
	}
	if kept, err = b.record(ctx, w, dir, options(c)); err != nil {
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

// ownScale is the scale of the subject's own sizes, around which files are held: only the history's service can be
// scaled.
func (r Row) ownScale(scale int) int {
	if r.Scaled && r.Set["scale"] != "" {
		return scale
	}
	return 1
}

// free is how long a corpus is copied at most: a cap, at which a copy that is not decided is inconclusive.
func (b *Bench) free(c Corpus) time.Duration {
	if c.Cut && b.Free > wholeAtMost {
		return b.Free
	}
	return wholeAtMost
}

// listed is how long after all is listed a copy continues, 0 for one that continues to its end: by then a subject that
// gathers what it lists has begun its uploads.
func (b *Bench) listed(row Row, c Corpus) time.Duration {
	switch {
	case !c.Cut:
		return 0
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
	// its subject wants the one that make installs
	if _, err := exec.LookPath(r.Needs); err != nil || r.Needs == "rclone" {
		return fmt.Errorf("%s: %w", r.Needs, ErrMissing)
	}
	return nil
}

// work writes the corpus and the protocol of a cell and returns what to run.
func (b *Bench) work(row Row, c Corpus) (work, error) {
	inputs := filepath.Join(b.Out, "inputs")
	if err := os.MkdirAll(inputs, 0o755); err != nil {
		return work{}, err
	}
	base := fmt.Sprintf("%s-%d", c.Name, b.Scale)
	w := work{
		Subject: row.Subject, Limit: row.Limit, Node: row.Node, Repeats: max(1, b.Repeats), Seed: max(1, b.Seed),
		Corpus:   filepath.Join(inputs, base+".yaml"),
		Protocol: filepath.Join(inputs, slug(row.Name)+"-"+base+"-protocol.yaml"),
		Set:      map[string]string{"transport": c.Transport},
	}
	maps.Copy(w.Set, row.Set)
	if err := os.WriteFile(w.Corpus, c.Spec(), 0o644); err != nil {
		return work{}, err
	}
	text := c.Protocol(row, row.ownScale(b.Scale), b.Budget, b.free(c), b.listed(row, c))
	return w, os.WriteFile(w.Protocol, text, 0o644)
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
	if err := record.ReadSamples(dir, func(s record.Sample) bool {
		samples = append(samples, s)
		return true
	}); err != nil && !errors.Is(err, os.ErrNotExist) {
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
