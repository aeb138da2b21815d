package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// writeDiff prints a comparison in the manner of benchstat: a column for each side, and the change.
func writeDiff(out io.Writer, d diff) {
	for i, c := range d.Cells {
		if i > 0 {
			fmt.Fprintln(out)
		}
		writeCellDiff(out, c)
	}
	for _, only := range []struct {
		side  string
		cells []string
	}{{"A", d.OnlyA}, {"B", d.OnlyB}} {
		if len(only.cells) > 0 {
			fmt.Fprintf(out, "only in %s: %s\n", only.side, strings.Join(only.cells, "; "))
		}
	}
}

func writeCellDiff(out io.Writer, c cellDiff) {
	fmt.Fprintf(out, "%s\n", c.Cell)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "  \tA\tB\t\n")
	fmt.Fprintf(w, "  outcome\t%s\t%s\t%s\n", strings.Join(c.A.Outcomes, ", "), strings.Join(c.B.Outcomes, ", "),
		differs(c.A.Outcomes, c.B.Outcomes))
	fmt.Fprintf(w, "  headline\t%s\t%s\t%s\n", strings.Join(c.A.Headlines, ", "), strings.Join(c.B.Headlines, ", "),
		differs(c.A.Headlines, c.B.Headlines))
	fmt.Fprintf(w, "  peak\t%s\t%s\t%s\n", peakText(c.A), peakText(c.B), peakChange(c.A, c.B))
	for _, x := range c.Costs {
		fmt.Fprintf(w, "  %s per %s\t%s\t%s\t%s\t%s\n", x.Class, x.Per, estimateText(x.A), estimateText(x.B), changeText(x),
			short(x.Function))
	}
	w.Flush()
	if len(c.Sites) == 0 {
		return
	}
	fmt.Fprintln(out, "  at the largest peak:")
	w = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range c.Sites {
		fmt.Fprintf(w, "    %s\t%s -> %s\t%s\n", signed(s.B-s.A), bytesText(float64(s.A)), bytesText(float64(s.B)),
			short(s.Function))
	}
	w.Flush()
}

func differs(a, b []string) string {
	if strings.Join(a, ", ") == strings.Join(b, ", ") {
		return "~"
	}
	return "differs"
}

func peakText(s side) string {
	if s.Peak[0] == s.Peak[1] {
		return bytesText(float64(s.Peak[0]))
	}
	return fmt.Sprintf("%s to %s", bytesText(float64(s.Peak[0])), bytesText(float64(s.Peak[1])))
}

// peakChange is the change of the largest peak: none where several trials of a side overlap with the other's.
func peakChange(a, b side) string {
	if a.Trials+b.Trials > 2 && a.Peak[0] <= b.Peak[1] && b.Peak[0] <= a.Peak[1] {
		return fmt.Sprintf("~ (%d and %d trials overlap)", a.Trials, b.Trials)
	}
	text := share(float64(a.Peak[1]), float64(b.Peak[1]))
	if a.Trials == 1 && b.Trials == 1 {
		text += " (one trial each)"
	}
	return text
}

func share(a, b float64) string {
	if a <= 0 {
		return ""
	}
	return fmt.Sprintf("%+.0f %%", 100*(b-a)/a)
}

func estimateText(e *estimate) string {
	if e == nil {
		return "-"
	}
	text := bytesText(e.Bytes)
	if e.Bytes > 0 && e.Bytes < 10 { // a byte for each byte in flight is the whole file
		text = fmt.Sprintf("%.2g B", e.Bytes)
	}
	if e.Bytes > 0 && e.CI95[1] > e.CI95[0] {
		text += fmt.Sprintf(" ± %.0f %%", 50*(e.CI95[1]-e.CI95[0])/e.Bytes)
	}
	return text
}

func changeText(c costDiff) string {
	switch {
	case c.Change == "same":
		return "~"
	case c.A != nil && c.B != nil:
		return share(c.A.Bytes, c.B.Bytes)
	case c.Change == "not seen" && c.A == nil:
		return "not seen in A"
	case c.Change == "not seen":
		return "not seen in B"
	}
	return c.Change
}

func signed(n int64) string {
	if n > 0 {
		return "+" + bytesText(float64(n))
	}
	return bytesText(float64(n))
}

// short is a function without the folders of its package's path.
func short(function string) string { return function[strings.LastIndexByte(function, '/')+1:] }
