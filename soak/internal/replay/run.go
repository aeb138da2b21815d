package replay

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
	Corpora []string // names; none: all
	Quick   bool     // fewer corpora for what is no version
	// Matrix, FullSize and Rclone are the parts of a replay.
	Matrix, FullSize, Rclone bool
}

// quickCorpora are those that what is no version runs on in a quick replay.
var quickCorpora = map[string][]string{WhatIf: {"many-small", huge}, Migrator: {"many-small"}}

// Run runs the selected cells, one after the other, and what was asked for beside them. done is told of each cell as
// it ends. A cancelled context ends it with what is there and the context's error.
func (b *Bench) Run(ctx context.Context, s Selection, done func(n, of int, c *Cell)) (*Result, error) {
	begun := time.Now()
	res := &Result{Schema: Schema, Scale: b.Scale, Free: b.Free, Out: b.Out, Cells: []*Cell{}}
	rows, err := selectRows(Rows(b.Scale), s.Rows)
	if err != nil {
		return nil, err
	}
	corpora, err := selectCorpora(s.Corpora)
	if err != nil {
		return nil, err
	}
	type pair struct {
		row    Row
		corpus Corpus
	}
	var pairs []pair
	for _, r := range rows {
		if err := r.installed(); err != nil {
			res.Skipped = append(res.Skipped, fmt.Sprintf("%s: %v", r.Name, err))
			continue
		}
		for _, c := range corpora {
			if s.Quick && r.Group != Versions && len(s.Corpora) == 0 && !slices.Contains(quickCorpora[r.Group], c.Name) {
				continue
			}
			pairs = append(pairs, pair{r, c.At(b.Scale)})
		}
	}
	if !s.Matrix {
		pairs = nil
	}
	for i, p := range pairs {
		cell, err := b.Cell(ctx, p.row, p.corpus)
		if err != nil {
			return res.finish(rows, begun), fmt.Errorf("%s on %s: %w", p.row.Name, p.corpus.Name, err)
		}
		res.Cells = append(res.Cells, cell)
		res.Predicted = res.Predicted || cell.Predicted
		done(i+1, len(pairs), cell)
	}
	if s.FullSize {
		if res.FullSize, err = b.FullSize(ctx); err != nil {
			return res.finish(rows, begun), err
		}
	}
	if s.Rclone {
		if res.Rclone, err = b.Rclone(ctx); errors.Is(err, ErrMissing) {
			res.Skipped, res.Rclone, err = append(res.Skipped, err.Error()), nil, nil
		}
		if err != nil {
			return res.finish(rows, begun), err
		}
	}
	return res.finish(rows, begun), ctx.Err()
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
		return nil, fmt.Errorf("%w: no row fits %s; there are %s", ErrSelection, strings.Join(patterns, ", "), strings.Join(names, "; "))
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
