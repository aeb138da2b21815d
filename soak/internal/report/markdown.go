package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
)

// Markdown writes the short report of a run to w: the answer, the cells, what holds the memory, the warnings. It is
// meant for the summary of a CI job or a pull request.
func Markdown(w io.Writer, run *Run) error {
	d := outline(run)
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "# %s: %s\n\n", md(d.Title()), md(words(d.Headline)))
	for _, l := range d.Deaths {
		fmt.Fprintf(b, "%s\n\n", md(l))
	}
	fmt.Fprintf(b, "**%s**\n", md(d.Lead))
	for _, l := range []struct{ head, text string }{{"What to do.", d.Todo}, {"What was looked for.", d.Seen}} {
		if l.text != "" {
			fmt.Fprintf(b, "\n%s %s\n", l.head, md(l.text))
		}
	}
	if len(d.More) > 0 {
		fmt.Fprintln(b)
	}
	for _, l := range d.More {
		fmt.Fprintf(b, "- %s\n", md(l))
	}
	markdownCells(b, d)
	markdownFindings(b, d)
	markdownCapacity(b, run.Verdict)
	if len(d.Warnings) > 0 {
		fmt.Fprint(b, "\n## Warnings\n\n")
	}
	for _, l := range d.Warnings {
		fmt.Fprintf(b, "- %s\n", md(l))
	}
	h := run.Record.Host
	if h.OS == "" {
		return b.Flush() // profiles of others, from an unknown machine
	}
	fmt.Fprintf(b, "\nRun %s, %s, %s, %s/%s, %d CPUs, %s, %s.\n", md(run.Record.ID), clockTime(run.Record.Started),
		duration(run.Took()),
		md(h.OS), md(h.Arch), h.CPUs, md(h.Go), md(h.Cgroup))
	return b.Flush()
}

// outline is the page's data without what needs profiles or drawing.
func outline(run *Run) *pageData {
	d := &pageData{Run: run}
	for i, c := range run.Cells {
		v := &cellView{ID: fmt.Sprintf("cell-%d", i+1), Cell: c, Title: cellText(run.Record, c.Cell), Outcome: c.Outcome(),
			Verdict: run.VerdictOf(c), Peak: c.Peak(), Trial: c.Main()}
		if v.Verdict != nil {
			v.Headline = v.Verdict.Headline
			for _, f := range v.Verdict.Findings {
				v.Findings = append(v.Findings, findingView{Finding: f})
			}
		}
		d.Views = append(d.Views, v)
	}
	d.answer()
	d.Culprits = d.gather()
	d.Warnings = run.Warnings()
	return d
}

func markdownCells(w io.Writer, d *pageData) {
	fmt.Fprint(w, "\n| cell | outcome | headline | peak | peak live heap | largest finding |\n|---|---|---|--:|--:|---|\n")
	for _, v := range d.Views {
		largest := ""
		var most int64 = -1
		_, kind := v.Peak.Memory()
		for _, f := range v.Findings {
			if f.BytesAtPeak > most {
				most, largest = f.BytesAtPeak, fmt.Sprintf("%s at %s, %s", f.Class, where(f.Site.Function), Bytes(f.BytesAtPeak))
			}
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n", md(v.Title), md(cmp.Or(words(v.Outcome), "not ended")),
			md(words(v.Headline)),
			measured(v.Peak.Bytes())+kind.Mark(), measured(v.Peak.HeapLive), largest)
	}
}

func markdownFindings(w io.Writer, d *pageData) {
	if len(d.Culprits) == 0 {
		return
	}
	fmt.Fprint(w, "\n## What holds the memory\n\n| class | where | slope | most at a peak | cells |\n"+
		"|---|---|---|--:|--:|\n")
	for _, c := range d.Culprits {
		fmt.Fprintf(w, "| %s | %s %s | %s | %s | %d |\n", md(string(c.Class)), where(c.Site.Function), md(place(c.Site)),
			md(slopeText(c.Slope)), Bytes(c.BytesAtPeak), c.Cells)
	}
}

func markdownCapacity(w io.Writer, v *record.RunVerdict) {
	if v == nil || v.Capacity == nil || v.Capacity.MaxWorkers == 0 {
		return
	}
	c := v.Capacity
	fmt.Fprintf(w, "\n## Capacity\n\n%s", md(room(c)))
	if set := setting(c); set != "" {
		fmt.Fprintf(w, " Set `%s`.", set)
	}
	if len(c.Assumes) > 0 {
		fmt.Fprintf(w, " Assumes %s.", md(strings.Join(c.Assumes, ", ")))
	}
	fmt.Fprintln(w)
}

// room is how many workers fit, and what binds first.
func room(c *record.Capacity) string {
	what := "How many " + many(c.Words) + " fit in " + Bytes(c.Limit) + " is not known"
	switch in := " in " + Bytes(c.Limit); {
	case c.AtLeast:
		what = "At least " + fits(c.MaxWorkers, c.Words) + in
	case c.Perhaps > 0:
		what = fmt.Sprintf("At least %s, and at most %d%s", fits(max(c.MaxWorkers, 0), c.Words), c.Perhaps, in)
	case c.MaxWorkers > 0:
		what = "At most " + fits(c.MaxWorkers, c.Words) + in
	case c.MaxWorkers < 0:
		what = "No number of " + many(c.Words) + " fits" + in
		if c.Fits != nil || c.FitsUnknown != "" {
			what = fmt.Sprintf("For %s %s no number of %s fits%s", units.Comma(c.Files), itemsOf(c.Words), many(c.Words), in)
		}
	}
	if c.Binds != "" && !c.AtLeast {
		what += "; what binds first: " + c.Binds
	}
	return what + "."
}

// setting is what to set for the workers that fit; empty where none does: the work would not survive with it.
func setting(c *record.Capacity) string {
	if c.GOMEMLIMIT <= 0 || c.MaxWorkers <= 0 && c.Perhaps == 0 {
		return ""
	}
	return "GOMEMLIMIT=" + units.Bytes(c.GOMEMLIMIT).String()
}

// place is "file:line", empty for an unknown file.
func place(s record.Site) string {
	if s.File == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", s.File, s.Line)
}

func measured(n int64) string {
	if n <= 0 {
		return "not measured"
	}
	return Bytes(n)
}

// md makes text safe in a line or a table of Markdown: no markup, no second line.
func md(s string) string {
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "<", "&lt;", ">", "&gt;", "&", "&amp;", "`", "\\`", "*", `\*`, "_",
		`\_`, "[", `\[`, "]", `\]`, "#", `\#`).
		Replace(Printable(s))
}

// where is a function as a code span; memory outside the Go heap may have none.
func where(function string) string {
	if function == "" {
		return "no known line of Go"
	}
	return "`" + strings.NewReplacer("`", "'", "|", `\|`).Replace(Printable(shortName(function))) + "`"
}
