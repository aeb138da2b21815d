package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
)

// fullest makes real the moment that a free run meets by chance or not: each worker has a file whole, of a size that as
// many files of the corpus have at least. A limit that survived three free runs was killed in the fourth without it.
type fullest struct {
	sizes []int64 // of the corpus' files, largest first
	off   bool    // the subject can't be brought there, which was said
}

// survives reports whether the subject that was run survives it, with the run's settings and limit. Where it can't be
// brought there it does, and says is why.
func (f *fullest) survives(ctx context.Context, free *soak.Runner) (survived bool, says string, err error) {
	step := free.Plan.Trials[0]
	workers, err := strconv.Atoi(step.Settings[cmp.Or(free.Plan.Subject.Concurrency, "workers")])
	if f.off || err != nil || workers < 1 || free.Plan.Subject.Load != nil {
		return true, "", nil
	}
	h := soak.Held{Workers: workers, Limit: int64(free.Plan.Config.Limit)}
	if h.FileSize, err = f.size(free.Plan.Config.Corpus, workers); err != nil || h.FileSize == 0 {
		return true, "", err
	}
	run, err := record.ReadRun(free.Dir)
	if err != nil {
		return false, "", err
	}
	plan, err := soak.HeldPlan(run, h)
	if err != nil {
		f.off = true
		return true, err.Error(), nil
	}
	t, err := soak.RunHeld(ctx, &soak.Runner{Plan: plan, Dir: free.Dir + "-held", Fakedrive: free.Fakedrive}, h)
	switch {
	case t.Outcome == record.OOMKilled:
		return false, "", nil
	case err != nil && t.Outcome == record.OK:
		f.off = true
		return true, err.Error(), nil
	}
	return err == nil, "", err
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

// held tries the fullest moment after a free run that survived.
func (f *limitFlags) held(ctx context.Context, cmd *cobra.Command, free *soak.Runner, what string) (bool, error) {
	survived, says, err := f.full.survives(ctx, free)
	if says != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "free runs alone decide: %s\n", says)
	}
	if err == nil && !survived && !f.json {
		fmt.Fprintf(cmd.OutOrStdout(), "%-22s %-12s with a whole file in each worker\n", what, record.OOMKilled)
	}
	return survived, err
}
