package main

import (
	"fmt"
	"slices"

	"golang.org/x/perf/benchmath"
)

// confidence is that of the intervals.
const confidence = 0.95

// interval is a median with the interval that it lies in.
type interval struct{ median, lo, hi float64 }

// summarize assumes nothing of how the values are distributed.
func summarize(values []float64) interval {
	s := benchmath.AssumeNothing.Summary(benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds),
		confidence)
	return interval{median: s.Center, lo: s.Lo, hi: s.Hi}
}

func (v interval) percent() string {
	return fmt.Sprintf("%+.1f %% (95 %%: %+.1f to %+.1f %%)", 100*v.median, 100*v.lo, 100*v.hi)
}

func (v interval) mebibytes() string {
	return fmt.Sprintf("%+.1f MiB (95 %%: %+.1f to %+.1f MiB)", v.median, v.lo, v.hi)
}

// verdict is what a figure says of what was asked for.
type verdict int

// The zero verdict passes nothing.
const (
	untold verdict = iota // the interval has the limit within it
	met
	missed
)

func (v verdict) String() string {
	return [...]string{"CAN'T BE TOLD", "met", "MISSED"}[v]
}

// atMost judges the interval by a limit.
func (v interval) atMost(limit float64) verdict {
	switch {
	case v.hi <= limit:
		return met
	case v.lo > limit:
		return missed
	default:
		return untold
	}
}
