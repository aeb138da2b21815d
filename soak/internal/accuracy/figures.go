package accuracy

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/internal/stat"
	"github.com/memsoak/memsoak/profiles/record"
)

// Schema is that of accuracy.json.
const Schema = "memsoak/accuracy/v2"

// Report is accuracy.json: what the README shows and the next run is compared with.
type Report struct {
	Schema   string      `json:"schema"`
	Host     record.Host `json:"host"`
	Protocol string      `json:"protocol"`
	Seeds    int         `json:"seeds"`
	Trials   int         `json:"trials"`
	// Planned is how many trials the plan has, and Build the program whose rules judged them.
	Planned int    `json:"planned"`
	Build   string `json:"build"`
	// Conditions are the results by condition, the errors apart.
	Conditions []Tally  `json:"conditions"`
	Figures    []Figure `json:"figures"`
	// Confusion counts trials by what the class was and what the verdict said.
	Confusion map[string]map[string]int `json:"confusion"`
	// Wrong names the specimens that were ever wrong, with how often and why.
	Wrong []Wrong `json:"wrong"`
	// Capacity are the predictions of how many workers fit, beside real kills.
	Capacity []CapacityScore `json:"capacity,omitempty"`
	// Skipped are the specimens that could not run here.
	Skipped []string `json:"skipped,omitempty"`
}

// Wrong is a specimen that was wrong in some trials.
type Wrong struct {
	Specimen string `json:"specimen"`
	Wrong    int    `json:"wrong"`
	Of       int    `json:"of"`
	Why      string `json:"why"`
}

// Figure is one measured quantity against its goal.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"` // "%", "s", "trials" ...
	// N is the number of observations; without any the figure is missed.
	N    int     `json:"n"`
	Goal float64 `json:"goal"`
	// AtMost says that Value must not exceed Goal; else it must reach it.
	AtMost bool `json:"at_most,omitempty"`
	// Info marks a figure without a goal.
	Info bool `json:"info,omitempty"`
}

// Met reports whether the goal is reached. A figure without observations is not met.
func (f Figure) Met() bool {
	switch {
	case f.Info:
		return true
	case f.N == 0 || math.IsNaN(f.Value):
		return false
	case f.AtMost:
		return f.Value <= f.Goal
	}
	return f.Value >= f.Goal
}

// Summarize makes the report of a run. Figures count live verdicts alone, and but for those of conditions and alarms
// the quiet condition. Conditions that did not run have the tallies of before, if it has any of them.
func Summarize(all []Score, capacity []CapacityScore, before []Tally) *Report {
	r := &Report{Schema: Schema, Confusion: map[string]map[string]int{}, Wrong: wrong(all),
		Capacity: capacity, Conditions: tallies(all, before)}
	for _, t := range r.Conditions {
		r.Trials += t.Trials + t.Again
	}
	scores := filter(all, func(s Score) bool { return s.Condition == Quiet && !s.Again })
	for _, s := range scores {
		row := r.Confusion[s.Want]
		if row == nil {
			row = map[string]int{}
			r.Confusion[s.Want] = row
		}
		row[s.Got]++
	}
	known := filter(scores, func(s Score) bool { return !s.HeldOut })
	held := filter(scores, func(s Score) bool { return s.HeldOut })
	add := func(f ...Figure) { r.Figures = append(r.Figures, f...) }
	add(conditionFigures(r.Conditions)...)
	add(share("once held out, seen since: class and culprit right", held, 95, func(s Score) bool { return s.Right }))
	add(share("culprit line right", filter(known, func(s Score) bool { return s.Kind == Fault && wantsLine(s) }), 95,
		func(s Score) bool { return s.Line != nil && *s.Line }))
	add(slopeFigures(known)...)
	add(share("two faults: both found", filter(known, kind(Combination)), 95, func(s Score) bool { return s.Function }))
	add(detection(known)...)
	add(CapacityFigures(capacity)...)
	add(timing(known), effort(known))
	add(remainders(known))
	for i := range r.Figures {
		if r.Figures[i].Goal == 0 && !r.Figures[i].AtMost {
			r.Figures[i].Info = true
		}
	}
	return r
}

// ServiceGoal is how often verdicts on services whose faults are known have to be right, in percent.
const ServiceGoal = 98

// ServiceFigures are those of services: the copiers' specimens and capacity cases are no part of them.
func ServiceFigures(scores []Score) []Figure {
	comfort := Figure{Name: "services: wrong comfort", Unit: "trials", AtMost: true, N: len(filter(scores, kind(Fault)))}
	alarm := Figure{Name: "services: wrong alarms on healthy ones", Unit: "trials", AtMost: true,
		N: len(filter(scores, kind(Look)))}
	comfort.Value = float64(len(filter(scores, func(s Score) bool { return s.Result == Comfort })))
	alarm.Value = float64(len(filter(scores, func(s Score) bool { return s.Result == Alarm })))
	took := timing(scores)
	took.Info = true // nothing was asked for: the trials hold many more states than a copier's quick ones
	return []Figure{share("services: class and culprit right", scores, ServiceGoal, func(s Score) bool { return s.Right }),
		comfort, alarm, took}
}

// wantsLine reports whether the truth names a line: a trial whose function was missed counts as a missed line.
func wantsLine(s Score) bool { return s.Line != nil || !s.Function }

func kind(k Kind) func(Score) bool { return func(s Score) bool { return s.Kind == k } }

func filter(scores []Score, keep func(Score) bool) []Score {
	return slices.DeleteFunc(slices.Clone(scores), func(s Score) bool { return !keep(s) })
}

func share(name string, scores []Score, goal float64, ok func(Score) bool) Figure {
	f := Figure{Name: name, Unit: "%", Goal: goal, N: len(scores), Value: math.NaN()}
	if len(scores) > 0 {
		f.Value = 100 * float64(len(filter(scores, ok))) / float64(len(scores))
	} else {
		f.Value = 0
	}
	return f
}

// slopeFigures are how exact slopes are and how honest their intervals.
func slopeFigures(scores []Score) []Figure {
	with := filter(scores, func(s Score) bool { return s.Slope != nil })
	large := filter(with, func(s Score) bool { return s.Slope.Large })
	var errs []float64
	for _, s := range large {
		errs = append(errs, 100*math.Abs(s.Slope.Error))
	}
	return []Figure{
		share("whole cost within 10 %, from ten times the limit on", filter(with, farAbove), 95,
			func(s Score) bool { return math.Abs(s.Slope.Error) <= 0.1 }),
		share("slope within 5 % (findings above 4.5 MB)", large, 95,
			func(s Score) bool { return math.Abs(s.Slope.Error) <= s.Slope.Tolerance }),
		{Name: "slope error, median (findings above 4.5 MB)", Value: median(errs), Unit: "%", N: len(errs), Info: true},
		share("slope's 95 % interval covers the truth", with, 90, func(s Score) bool { return s.Slope.Covered }),
	}
}

// farAbove reports whether a truth per item is ten times what the trial would have seen, or more. The limit is that per
// file; items listed, queued or different have one of the same size.
func farAbove(s Score) bool {
	items := []string{"file", "listed-file", "distinct-item", "backlog-item"}
	return s.Limit > 0 && slices.Contains(items, s.Slope.Unit) && s.Slope.Want >= 10*s.Limit
}

// The least effort for a limit: of samples that come at random, as many have to be kept as reach a t statistic of 4.5
// (a count of 21) in 95 of 100 trials, which takes a mean of 29.1; the protocols of the figures take one in 4 KiB.
const leastSamples, samplePeriod = 29.1, 4096

// effort is how many files a trial took over the least that sampling asks for the limit that it reached.
func effort(scores []Score) Figure {
	var of []float64
	for _, s := range scores {
		if s.Limit > 0 {
			of = append(of, float64(s.Files)*s.Limit/(leastSamples*samplePeriod))
		}
	}
	return Figure{Name: "files over the least for the limit reached, median", Value: median(of), Unit: "x", N: len(of),
		Goal: 1.5, AtMost: true}
}

// DetectionSpecimen leaks as many bytes a file as the detection limit allows.
const (
	DetectionSpecimen = "leak-tiny"
	detectionFiles    = 5000
)

func detection(scores []Score) []Figure {
	tiny := filter(scores, func(s Score) bool { return s.Specimen == DetectionSpecimen })
	var files float64
	for _, s := range tiny {
		files = max(files, float64(s.Files))
	}
	return []Figure{
		share("64 B a file seen as a leak", tiny, 95, func(s Score) bool { return s.Right }),
		{Name: "files needed for that", Value: files, Unit: "files", N: len(tiny), Goal: detectionFiles, AtMost: true},
	}
}

// CapacityFigures are how well the memory model predicts configurations that were not run.
func CapacityFigures(scores []CapacityScore) []Figure {
	worst := Figure{Name: "memory held by an unseen worker count, worst error", Unit: "%", Goal: 5, AtMost: true}
	right := Figure{Name: "capacity within one worker or 5 % of real kills", Unit: "%", N: len(scores), Goal: 100}
	for _, s := range scores {
		if s.Held > 0 {
			worst.N, worst.Value = worst.N+1, max(worst.Value, 100*math.Abs(s.HeldError()))
		}
		if s.Right() {
			right.Value += 100 / float64(len(scores))
		}
	}
	return []Figure{worst, right}
}

func timing(scores []Score) Figure {
	var seconds []float64
	for _, s := range scores {
		seconds = append(seconds, s.Seconds)
	}
	return Figure{Name: "time per trial, median", Value: median(seconds), Unit: "s", N: len(seconds), Goal: 30,
		AtMost: true}
}

func remainders(scores []Score) Figure {
	return share("waterfall's remainder within 3 % or 4 MiB", filter(scores,
		func(s Score) bool { return s.Outcome == record.OK }), 95,
		func(s Score) bool { return s.Remainder != nil && s.Remainder.Small() })
}

// median is 0 of none: a tally without trials is written as such.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	return stat.Median(v)
}

// wrong groups what went wrong by specimen, the worst first.
func wrong(scores []Score) []Wrong {
	by := map[string]*Wrong{}
	for _, s := range scores {
		key := s.Specimen
		if s.Condition != Quiet {
			key += ", " + s.Condition
		}
		w := by[key]
		if w == nil {
			w = &Wrong{Specimen: key}
			by[key] = w
		}
		w.Of++
		if !s.Right {
			w.Wrong++
			if w.Why == "" || s.Result == Comfort {
				w.Why = strings.TrimPrefix(string(s.Result)+": "+s.Why, ": ")
			}
		}
	}
	out := []Wrong{}
	for _, name := range slices.Sorted(maps.Keys(by)) {
		if by[name].Wrong > 0 {
			out = append(out, *by[name])
		}
	}
	slices.SortStableFunc(out, func(a, b Wrong) int { return cmp.Compare(b.Wrong, a.Wrong) })
	return out
}

// quickError is the share of trials that may go wrong on a busy machine without anybody's fault: of some four hundred
// first trials four were. QuickTries is how often a specimen of the quick part is tried until it is right; that one is
// wrong each time by chance happens in one of two thousand runs of fifty specimens, so none is allowed to be. A rule
// that is broken for one specimen alone is wrong each time and fails the run. One that became less certain is right in
// the end, so the first trials are counted as well: as many may be wrong as come by chance in more than quickChance of
// all runs. Comfort is no such chance: of the first trials none may give it.
const (
	quickError  = 0.02
	quickChance = 0.001
	QuickTries  = 3
)

// stands reports whether a score is as asked for: right on a quiet machine; under a hard condition right, or
// inconclusive, which is honest there. The table of the conditions counts the two apart.
func (s Score) stands() bool {
	return s.Right || s.hard() && s.Result == Inconclusive
}

func (s Score) hard() bool { return s.Condition != "" && s.Condition != Quiet }

// QuickFigures are the goals of the part that CI runs, from the scores of the first trials and those that Settle left.
func QuickFigures(firsts, settled []Score) []Figure {
	n := len(settled)
	alarms := len(filter(settled, func(s Score) bool { return s.Kind == Look && s.Result == Alarm }))
	comfort := len(filter(firsts, func(s Score) bool { return s.Result == Comfort }))
	hard := filter(settled, func(s Score) bool { return s.hard() && s.Faulty })
	told := filter(hard, func(s Score) bool { return s.Right })
	out := []Figure{
		{Name: "wrong comfort in a first trial", Value: float64(comfort), Unit: "specimens",
			N: len(filter(firsts, func(s Score) bool { return s.Faulty })), AtMost: true},
		{Name: "specimens that stand in the first trial", Value: float64(len(filter(firsts, Score.stands))),
			Unit: "specimens", N: n,
			Goal: float64(n - Allowed(n, quickError, quickChance))},
		{Name: fmt.Sprintf("specimens that stand in one of %d trials", QuickTries),
			Value: float64(len(filter(settled, Score.stands))), Unit: "specimens", N: n, Goal: float64(n)},
		{Name: "healthy ones with alarms in each trial", Value: float64(alarms), Unit: "specimens",
			N: len(filter(settled, kind(Look))), AtMost: true},
	}
	if len(hard) > 0 {
		out = append(out, Figure{Name: "faults told under hard conditions", Value: float64(len(told)), Unit: "specimens",
			N:    len(hard),
			Goal: float64((len(hard) + 1) / 2)})
	}
	return out
}

// Again is another trial, with another seed, for each that was wrong.
func Again(plan []Trial, scores []Score) []Trial {
	var out []Trial
	for i, t := range plan {
		if !scores[i].stands() {
			t.Seed += againSeed
			out = append(out, t)
		}
	}
	return out
}

// againSeed is added to the seed of a trial that is tried again; Plan numbers seeds far below it.
const againSeed = 1000

// Settle puts the scores of repeated trials in the place of those before: an answer that was wrong each time stays
// wrong.
func Settle(before, again []Score) []Score {
	out := slices.Clone(before)
	for _, b := range again {
		i := slices.IndexFunc(out, func(a Score) bool {
			return a.Specimen == b.Specimen && a.Condition == b.Condition && a.Seed+againSeed == b.Seed
		})
		if i >= 0 {
			out[i] = b
		}
	}
	return out
}

// Allowed is the least k such that more than k of n trials fail with at most the probability beyond, when each fails
// by itself with probability p.
func Allowed(n int, p, beyond float64) int {
	term := math.Pow(1-p, float64(n)) // P(exactly k fail)
	tail := 1 - term
	k := 0
	for tail > beyond && k < n {
		k++
		term *= float64(n-k+1) / float64(k) * p / (1 - p)
		tail -= term
	}
	return k
}
