// Package figure judges the figures of a benchmark by those asked for: a figure is met or missed only where the whole
// interval says so, and History shows when it became worse. It runs nothing.
package figure

import (
	"fmt"
	"slices"

	"golang.org/x/perf/benchmath"
)

// confidence is that of the intervals.
const confidence = 0.95

// Interval is a median with the interval that it lies in.
type Interval struct{ Median, Lo, Hi float64 }

// Summarize assumes nothing of how the values are distributed. Fewer than six leave at least one side open.
func Summarize(values []float64) Interval {
	s := benchmath.AssumeNothing.Summary(sample(values), confidence)
	return Interval{Median: s.Center, Lo: s.Lo, Hi: s.Hi}
}

func sample(values []float64) *benchmath.Sample {
	return benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds)
}

// Percent is the interval of shares in words.
func (v Interval) Percent() string {
	return fmt.Sprintf("%+.1f %% (95 %%: %+.1f to %+.1f %%)", 100*v.Median, 100*v.Lo, 100*v.Hi)
}

// Mebibytes is the interval of sizes in words.
func (v Interval) Mebibytes() string {
	return fmt.Sprintf("%+.1f MiB (95 %%: %+.1f to %+.1f MiB)", v.Median, v.Lo, v.Hi)
}

// Ratio is the interval of ratios in words.
func (v Interval) Ratio() string {
	return fmt.Sprintf("%.3f (95 %%: %.3f to %.3f)", v.Median, v.Lo, v.Hi)
}

// Verdict says whether a figure meets the one asked for.
type Verdict int

// The zero verdict passes nothing.
const (
	Untold Verdict = iota // the interval has the limit within it
	Met
	Missed
)

func (v Verdict) String() string {
	return [...]string{"CAN'T BE TOLD", "met", "MISSED"}[v]
}

// AtMost judges the interval by an upper limit.
func (v Interval) AtMost(limit float64) Verdict {
	switch {
	case v.Hi <= limit:
		return Met
	case v.Lo > limit:
		return Missed
	default:
		return Untold
	}
}

// AtLeast judges the interval by a lower limit.
func (v Interval) AtLeast(limit float64) Verdict {
	return Interval{Median: -v.Median, Lo: -v.Hi, Hi: -v.Lo}.AtMost(-limit)
}
