package accuracy

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/memsoak/memsoak/profiles/record"
)

// Tally is what came of a condition's trials. Counts are of live verdicts alone: those of recordings that were judged
// again stand in Again.
type Tally struct {
	Condition string `json:"condition"`
	Trials    int    `json:"trials"`
	// Faults are the trials of subjects with a fault by nature, and Healthy those of subjects without any.
	Faults  int `json:"faults"`
	Healthy int `json:"healthy"`

	Right        int `json:"right"`
	FaultsRight  int `json:"faults_right"`
	Comfort      int `json:"wrong_comfort"`
	Alarm        int `json:"wrong_alarm"`
	HealthyAlarm int `json:"wrong_alarm_on_healthy"`
	Inconclusive int `json:"inconclusive"`
	Misnamed     int `json:"misnamed"`
	NoVerdict    int `json:"no_verdict"`
	// NamedFirst counts the faults whose culprit is the first finding, whatever the headline.
	NamedFirst int `json:"named_first"`
	// Killed counts the trials that ended by the memory limit.
	Killed int `json:"killed"`
	// Files, Seconds and Limit are medians: files copied, time, and the limit reached for what gathers per file, bytes.
	Files   float64 `json:"files"`
	Seconds float64 `json:"seconds"`
	Limit   float64 `json:"limit_per_file"`

	Again        int `json:"judged_again"`
	AgainRight   int `json:"judged_again_right"`
	AgainComfort int `json:"judged_again_comfort"`

	// Older says that the trials were judged by an older build of the rules than that of the report.
	Older bool `json:"older,omitempty"`
}

// Bound is the rate of wrong comfort that zero of so many faults still allows at 95 %: three over their number; 1 where
// there is nothing to say. With any wrong comfort it is the rate itself.
func (t Tally) Bound() float64 {
	switch {
	case t.Faults == 0:
		return 1
	case t.Comfort > 0:
		return float64(t.Comfort) / float64(t.Faults)
	}
	return min(1, 3/float64(t.Faults))
}

// tallies counts the scores by condition, in the order of Conditions. Of a condition without any the tally before
// stays, as an older one.
func tallies(scores []Score, before []Tally) []Tally {
	var out []Tally
	for _, c := range Conditions {
		of := filter(scores, func(s Score) bool { return s.Condition == c.Name })
		if len(of) > 0 {
			out = append(out, tally(c.Name, of))
			continue
		}
		if i := slices.IndexFunc(before, func(t Tally) bool { return t.Condition == c.Name }); i >= 0 {
			t := before[i]
			t.Older = true
			out = append(out, t)
		}
	}
	return out
}

func tally(name string, scores []Score) Tally {
	t := Tally{Condition: name}
	var files, seconds, limits []float64
	for _, s := range scores {
		if s.Again {
			t.again(s)
			continue
		}
		t.count(s)
		files, seconds = append(files, float64(s.Files)), append(seconds, s.Seconds)
		if s.Limit > 0 {
			limits = append(limits, s.Limit)
		}
	}
	t.Files, t.Seconds, t.Limit = median(files), median(seconds), median(limits)
	return t
}

func (t *Tally) again(s Score) {
	t.Again++
	switch s.Result {
	case Right:
		t.AgainRight++
	case Comfort:
		t.AgainComfort++
	}
}

func (t *Tally) count(s Score) {
	t.Trials++
	if s.Faulty {
		t.Faults++
		if s.NamedFirst {
			t.NamedFirst++
		}
	}
	if s.Kind == Look {
		t.Healthy++
	}
	if s.Outcome == record.OOMKilled {
		t.Killed++
	}
	switch s.Result {
	case Right:
		t.Right++
		if s.Faulty {
			t.FaultsRight++
		}
	case Comfort:
		t.Comfort++
	case Alarm:
		t.Alarm++
		if s.Kind == Look {
			t.HealthyAlarm++
		}
	case Inconclusive:
		t.Inconclusive++
	case Misnamed:
		t.Misnamed++
	default:
		t.NoVerdict++
	}
}

// The goals of conditions.
const (
	hardRight   = 85 // % of the faults in a hard condition in which work can be held
	passiveName = 80 // % of the faults, named first, where nothing can be held
	quietRight  = 99 // % of all
	quietOpen   = 2  // % of all that may be inconclusive
)

// conditionFigures are the goals of the conditions that ran.
func conditionFigures(all []Tally) []Figure {
	var out []Figure
	for _, t := range all {
		i := slices.IndexFunc(Conditions, func(c Condition) bool { return c.Name == t.Condition })
		c := Conditions[i]
		out = append(out, Figure{Name: t.Condition + ": wrong comfort", Value: float64(t.Comfort), Unit: "trials",
			N: t.Faults, AtMost: true})
		switch {
		case c.Name == Quiet:
			out = append(out,
				Figure{Name: "quiet: class and culprit right", Value: percent(t.Right, t.Trials), Unit: "%", N: t.Trials,
					Goal: quietRight},
				Figure{Name: "quiet: inconclusive", Value: percent(t.Inconclusive, t.Trials), Unit: "%", N: t.Trials,
					Goal: quietOpen, AtMost: true})
		case c.Passive:
			out = append(out, Figure{Name: t.Condition + ": culprit named first", Value: percent(t.NamedFirst, t.Faults),
				Unit: "%", N: t.Faults, Goal: passiveName})
		default:
			out = append(out, Figure{Name: t.Condition + ": faults right", Value: percent(t.FaultsRight, t.Faults), Unit: "%",
				N: t.Faults, Goal: hardRight})
		}
	}
	alarms := Figure{Name: "wrong alarms on healthy subjects, all conditions", Unit: "trials", AtMost: true}
	for _, t := range all {
		alarms.N += t.Healthy
		alarms.Value += float64(t.HealthyAlarm)
	}
	return append(out, alarms)
}

// tallyColumns are the columns of the table of conditions: a heading and its cell.
var tallyColumns = []struct {
	name string
	cell func(Tally) string
}{
	{"condition", func(t Tally) string { return t.Condition + map[bool]string{true: " (older)"}[t.Older] }},
	{"trials", func(t Tally) string { return fmt.Sprint(t.Trials) }},
	{"right", func(t Tally) string { return fmt.Sprint(t.Right) }},
	{"comfort", func(t Tally) string { return fmt.Sprintf("%d of %d", t.Comfort, t.Faults) }},
	{"rate", func(t Tally) string { return number(100*t.Bound()) + " %" }},
	{"alarm", func(t Tally) string { return fmt.Sprint(t.Alarm) }},
	{"open", func(t Tally) string { return fmt.Sprint(t.Inconclusive) }},
	{"misnamed", func(t Tally) string { return fmt.Sprint(t.Misnamed + t.NoVerdict) }},
	{"culprit", func(t Tally) string { return fmt.Sprintf("%d of %d", t.NamedFirst, t.Faults) }},
	{"killed", func(t Tally) string { return fmt.Sprint(t.Killed) }},
	{"files", func(t Tally) string { return number(t.Files) }},
	{"s", func(t Tally) string { return number(t.Seconds) }},
	{"limit", func(t Tally) string { return dash(t.Limit) }},
	{"again", func(t Tally) string {
		if t.Again == 0 {
			return "-"
		}
		return fmt.Sprintf("%d of %d right, %d comfort", t.AgainRight, t.Again, t.AgainComfort)
	}},
}

func dash(v float64) string {
	if v == 0 {
		return "-"
	}
	return number(v)
}

// printTallies writes the table for a person; files, seconds and limits are medians.
func printTallies(w io.Writer, all []Tally) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range tallyColumns {
		fmt.Fprint(tw, c.name, "\t")
	}
	fmt.Fprintln(tw)
	for _, t := range all {
		for _, c := range tallyColumns {
			fmt.Fprint(tw, c.cell(t), "\t")
		}
		fmt.Fprintln(tw)
	}
	tw.Flush()
	fmt.Fprintln(w)
}

// markdownTallies is the table for the README.
func markdownTallies(all []Tally) string {
	var b strings.Builder
	for _, c := range tallyColumns {
		fmt.Fprintf(&b, "| %s ", c.name)
	}
	b.WriteString("|\n" + strings.Repeat("|---", len(tallyColumns)) + "|\n")
	for _, t := range all {
		for _, c := range tallyColumns {
			fmt.Fprintf(&b, "| %s ", c.cell(t))
		}
		b.WriteString("|\n")
	}
	return b.String()
}

func percent(n, of int) float64 { return 100 * float64(n) / float64(max(1, of)) }
