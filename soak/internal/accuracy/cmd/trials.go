package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/accuracy"
)

// trials runs the plan, and of the quick part again what went wrong. firsts are the scores of the plan itself.
func (f *flags) trials(ctx context.Context, progress io.Writer, bench *accuracy.Bench, plan []accuracy.Trial) (firsts,
	scores []accuracy.Score, err error) {
	run := func(plan []accuracy.Trial) ([]accuracy.Score, error) {
		n := 0
		bench.Done = func(s accuracy.Score) {
			n++
			fmt.Fprintf(progress, "%4d/%d %s\n", n, len(plan), s)
		}
		return bench.Run(ctx, plan)
	}
	fmt.Fprintf(progress, "%d trials, %d at once, recorded in %s\n", len(plan), f.parallel, f.out)
	if firsts, err = run(plan); err != nil || !f.quick {
		return firsts, firsts, err
	}
	scores = firsts
	last := firsts
	for range accuracy.QuickTries - 1 {
		if plan = accuracy.Again(plan, last); len(plan) == 0 {
			break
		}
		fmt.Fprintf(progress, "%d wrong; once more with another seed, since any one trial may be odd\n", len(plan))
		if last, err = run(plan); err != nil {
			return nil, nil, err
		}
		scores = accuracy.Settle(scores, last)
	}
	return firsts, scores, nil
}

// capacities predicts how many workers fit and finds out by real kills. Where no limit can be set it is left out, and
// the figures say that it was not measured.
func (f *flags) capacities(ctx context.Context, progress io.Writer, bench *accuracy.Bench,
	cases []accuracy.CapacityCase) ([]accuracy.CapacityScore, error) {
	var out []accuracy.CapacityScore
	for _, c := range cases {
		s, err := bench.Capacity(ctx, c)
		switch {
		case errors.Is(err, soak.ErrNoCgroup):
			fmt.Fprintln(progress, "capacity is left out:", err)
			return nil, nil
		case err != nil:
			return nil, err
		case s != nil:
			fmt.Fprintf(progress, "capacity of %s: %d workers predicted, %d survive each time\n", s.Specimen, s.Predicted,
				s.Survived)
			out = append(out, *s)
		}
	}
	return out, nil
}
