package accuracy

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Print writes the report for a person.
func (r *Report) Print(w io.Writer) {
	printTallies(w, r.Conditions)
	printConfusion(w, r.Confusion)
	PrintFigures(w, r.Figures)
	if len(r.Wrong) > 0 {
		fmt.Fprintln(w, "\nwrong at least once:")
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, x := range r.Wrong {
			fmt.Fprintf(tw, "  %s\t%d of %d\t%s\n", x.Specimen, x.Wrong, x.Of, x.Why)
		}
		tw.Flush()
	}
	for _, c := range r.Capacity {
		fmt.Fprintf(w, "capacity of %s below %d MiB with files of %d MiB: %d workers predicted, %d survive each time "+
			"(%s); %d workers hold %d MiB as predicted, %d MiB as measured\n",
			c.Specimen, c.Limit>>20, c.FileSize>>20, c.Predicted, c.Survived, c.border(), unseenWorkers, c.PredictedHeld>>20,
			c.Held>>20)
	}
	for _, s := range r.Skipped {
		fmt.Fprintln(w, "skipped:", s)
	}
}

// printConfusion writes a row per class: how often the verdict said so, and what it said otherwise.
func printConfusion(w io.Writer, m map[string]map[string]int) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "class\ttrials\tright class\tsaid otherwise")
	for _, want := range slices.Sorted(maps.Keys(m)) {
		total, others := 0, []string{}
		for _, got := range slices.Sorted(maps.Keys(m[want])) {
			n := m[want][got]
			total += n
			if got != want {
				others = append(others, fmt.Sprintf("%s %d", got, n))
			}
		}
		fmt.Fprintf(tw, "%s\t%d\t%d\t%s\n", want, total, m[want][want], strings.Join(others, ", "))
	}
	tw.Flush()
	fmt.Fprintln(w)
}

// PrintFigures writes the figures beside their goals.
func PrintFigures(w io.Writer, figures []Figure) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "figure\tmeasured\tgoal\tn\t")
	for _, f := range figures {
		verdict := ""
		if !f.Info {
			verdict = "missed"
			if f.Met() {
				verdict = "met"
			}
		}
		value := number(f.Value) + " " + f.Unit
		if f.N == 0 {
			value = "not measured"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%s\n", f.Name, value, f.goal(), f.N, verdict)
	}
	tw.Flush()
}

// goal is the goal in words, empty without one.
func (f Figure) goal() string {
	switch {
	case f.Info:
		return ""
	case f.AtMost:
		return fmt.Sprintf("<= %s %s", number(f.Goal), f.Unit)
	}
	return fmt.Sprintf(">= %s %s", number(f.Goal), f.Unit)
}

func number(v float64) string {
	s := fmt.Sprintf("%.1f", v)
	return strings.TrimSuffix(s, ".0")
}

// String is the score in a line.
func (s Score) String() string {
	mark := "ok"
	switch {
	case s.Result == Inconclusive:
		mark = "open"
	case s.Result == Comfort:
		mark = "COMFORT"
	case !s.Right:
		mark = "WRONG"
	}
	line := fmt.Sprintf("%-7s %-18s %-28s w%-3d %6.1fs %6d files", mark, s.Condition, s.Specimen, s.Workers, s.Seconds,
		s.Files)
	if s.Limit > 0 {
		line += fmt.Sprintf("  limit %s B/file", number(s.Limit))
	}
	switch {
	case s.Slope == nil:
	case s.Slope.WrongUnit:
		line += "  slope per " + s.Slope.Unit + ", which is the wrong unit"
	default:
		line += fmt.Sprintf("  slope %+.1f %%", 100*s.Slope.Error)
		if !s.Slope.Covered {
			line += " (outside its interval)"
		}
	}
	if s.Line != nil && !*s.Line {
		line += "  line wrong"
	}
	if s.Why != "" {
		line += "  " + s.Why
	}
	return line
}
