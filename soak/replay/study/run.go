package study

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Selection is what of the matrix to run.
type Selection struct {
	Rows    []string // name patterns, as of path.Match; none: all
	Corpora []string // names; none: those of each row
	Quick   bool     // fewer corpora
	// Matrix, FullSize and Rclone are the parts of a replay.
	Matrix, FullSize, Rclone bool
}

// job is a cell to run.
type job struct {
	row    Row
	corpus Corpus
}

// Run runs the selected cells, one after the other, and the parts asked for beside them. said is called for each piece
// as it ends. A cancelled context ends it with the results so far and the context's error.
func (b *Bench) Run(ctx context.Context, s Selection, said func(Progress)) (*Result, error) {
	begun := time.Now()
	res := &Result{Schema: Schema, Scale: b.Scale, Free: b.Free, Out: b.Out, Cells: []*Cell{}}
	rows, err := selectRows(Rows(b.Scale), s.Rows)
	if err != nil {
		return nil, err
	}
	jobs, err := b.jobs(rows, s, res)
	if err != nil {
		return nil, err
	}
	b.schedule = &schedule{said: said, clock: time.Now}
	for _, j := range jobs {
		b.schedule.add(b.expect(j.row, j.corpus))
	}
	if s.FullSize {
		b.schedule.add(fullSizeExpected()...)
	}
	if s.Rclone {
		if err := rcloneRow("", nil).installed(); err != nil {
			res.Skipped, s.Rclone = append(res.Skipped, err.Error()), false
		} else {
			b.schedule.add(rcloneExpected()...)
		}
	}
	err = b.parts(ctx, s, jobs, res)
	return res.finish(rows, begun), errors.Join(err, ctx.Err())
}

// parts runs the jobs and the parts beside the matrix into res.
func (b *Bench) parts(ctx context.Context, s Selection, jobs []job, res *Result) (err error) {
	for _, j := range jobs {
		cell, err := b.scheduled(ctx, j.row, j.corpus)
		if err != nil {
			return err
		}
		res.Cells = append(res.Cells, cell)
		res.Predicted = res.Predicted || cell.Predicted
	}
	if s.FullSize {
		if res.FullSize, err = b.FullSize(ctx); err != nil {
			return err
		}
	}
	if s.Rclone {
		if res.Rclone, err = b.Rclone(ctx); err != nil {
			return err
		}
	}
	return nil
}

// jobs are the cells of the rows. What can't be run for want of a program is noted in res.
func (b *Bench) jobs(rows []Row, s Selection, res *Result) ([]job, error) {
	corpora, err := selectCorpora(s.Corpora)
	if err != nil || !s.Matrix {
		return nil, err
	}
	var jobs []job
	for _, r := range rows {
		if err := r.installed(); err != nil {
			res.Skipped = append(res.Skipped, fmt.Sprintf("%s: %v", r.Name, err))
			continue
		}
		own := r.corpora(s.Quick)
		for _, c := range corpora {
			if len(s.Corpora) == 0 && own != nil && !slices.Contains(own, c.Name) {
				continue
			}
			jobs = append(jobs, job{r, c.At(b.Scale)})
		}
	}
	return jobs, nil
}

func (r *Result) finish(rows []Row, begun time.Time) *Result {
	r.Expected, r.Took = expectations(rows, r.Cells, r.Scale), time.Since(begun)
	return r
}

// ErrSelection is returned, wrapped, for a selection that selects nothing.
var ErrSelection = errors.New("nothing to run")

func selectRows(all []Row, patterns []string) ([]Row, error) {
	if len(patterns) == 0 {
		return all, nil
	}
	var out []Row
	for _, r := range all {
		for _, p := range patterns {
			ok, err := filepath.Match(p, r.Name)
			if err != nil {
				return nil, fmt.Errorf("%w: pattern %q: %w", ErrSelection, p, err)
			}
			if ok || p == r.Group {
				out = append(out, r)
				break
			}
		}
	}
	if len(out) == 0 {
		var names []string
		for _, r := range all {
			names = append(names, r.Name)
		}
		return nil, fmt.Errorf("%w: no row fits %s; there are %s", ErrSelection, strings.Join(patterns, ", "),
			strings.Join(names, "; "))
	}
	return out, nil
}

func selectCorpora(names []string) ([]Corpus, error) {
	all := Corpora()
	if len(names) == 0 {
		return all, nil
	}
	var out []Corpus
	for _, n := range names {
		i := slices.IndexFunc(all, func(c Corpus) bool { return c.Name == n })
		if i < 0 {
			var known []string
			for _, c := range all {
				known = append(known, c.Name)
			}
			return nil, fmt.Errorf("%w: no corpus %q; there are %s", ErrSelection, n, strings.Join(known, ", "))
		}
		out = append(out, all[i])
	}
	return out, nil
}
