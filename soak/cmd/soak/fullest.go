package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
)

// fullest makes real the moment that a free run meets by chance or not: each worker has a file whole, of a size that as
// many files of the corpus have at least. A limit that survived three free runs was killed in the fourth without it.
type fullest struct {
	sizes []int64 // of the corpus' files, largest first
	// unseen says why the moment wasn't made, of a copier; empty where it always was.
	unseen string
}

// survives reports whether a subject that survived a free run survives it, with the run's settings and limit. Where it
// can't be made the subject does, and unseen says why.
func (f *fullest) survives(ctx context.Context, free *soak.Runner) (bool, error) {
	name := cmp.Or(free.Plan.Subject.Concurrency, "workers")
	workers, err := strconv.Atoi(free.Plan.Trials[0].Settings[name])
	switch {
	case free.Plan.Subject.Load != nil:
		return true, nil
	case err != nil || workers < 1:
		f.unseen = fmt.Sprintf("how many files it has at a time is in no setting %q", name)
		return true, nil
	}
	h := soak.Held{Workers: workers, Limit: int64(free.Plan.Config.Limit)}
	if h.FileSize, err = f.size(free.Plan.Config.Corpus, workers); err != nil {
		return false, err
	}
	if h.FileSize == 0 {
		f.unseen = fmt.Sprintf("the corpus has no %s with content", units.Count(int64(workers), "file"))
		return true, nil
	}
	run, err := record.ReadRun(free.Dir)
	if err != nil {
		return false, err
	}
	plan, err := soak.HeldPlan(run, h)
	if err != nil { // of a subject that is no service that copies
		f.unseen = err.Error()
		return true, nil
	}
	t, err := soak.RunHeld(ctx, &soak.Runner{Plan: plan, Dir: free.Dir + "-held", Fakedrive: free.Fakedrive}, h)
	if err != nil && t.Outcome == record.OK {
		f.unseen = err.Error()
		return true, nil
	}
	return t.Outcome == record.OK, err
}

// size is the largest that so many files of the corpus have at least; 0 where it has fewer.
func (f *fullest) size(nameOrFile string, files int) (int64, error) {
	if f.sizes == nil {
		spec, err := corpus.Load(nameOrFile)
		if err != nil {
			return 0, err
		}
		tree, err := corpus.New(spec, 1)
		if err != nil {
			return 0, err
		}
		for it := range tree.All() {
			if it.Kind == corpus.Binary && !it.Trashed {
				f.sizes = append(f.sizes, it.Size)
			}
		}
		slices.Sort(f.sizes)
		slices.Reverse(f.sizes)
	}
	if files > len(f.sizes) {
		return 0, nil
	}
	return f.sizes[files-1], nil
}
