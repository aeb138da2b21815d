package study

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
)

// textWidth is how many columns of a terminal are used.
const textWidth = 100

// WriteText writes the result for a terminal: what comes of it, and then a table of three lines a cell.
func (r *Result) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, s := range r.conclusion() {
		wrap(&b, "", s)
	}
	fmt.Fprintf(&b, "\nScale 1:%d: sizes are divided by it; workers, pools and times are not.\n\n", r.Scale)
	r.cells(&b)
	b.WriteString("\n")
	for _, e := range r.Expected {
		wrap(&b, "", fmt.Sprintf("%s, by the history: %s; here %s", e.Row, e.Happened, e.suffered()))
	}
	if r.FullSize != nil {
		r.FullSize.markdown(&b)
	}
	if r.Rclone != nil {
		r.Rclone.markdown(&b)
	}
	for _, s := range r.Skipped {
		wrap(&b, "", "skipped: "+s)
	}
	_, err := io.WriteString(w, strings.ReplaceAll(b.String(), "`", ""))
	return err
}

// cells writes a line for each cell, and below it how it ended and what held the most.
func (r *Result) cells(b *strings.Builder) {
	if len(r.Cells) > 0 {
		fmt.Fprintf(b, "%-50s %-13s %-13s %s\n", "version, corpus", "outcome", "headline", "peak")
	}
	for _, c := range r.Cells {
		fmt.Fprintf(b, "%-50s %-13s %-13s %s\n", shorten(c.Row+", "+c.Corpus, 47), c.Outcome, string(c.Headline)+c.star(),
			units.FormatBytes(c.Peak)+" of "+units.FormatBytes(c.Limit))
		end := c.OutcomeText()
		if s := c.Stable; s != nil {
			end += fmt.Sprintf("; the headline in %d of %d runs", s.Headlines, s.Runs)
		}
		wrap(b, "    ", end)
		if c.Culprit != nil {
			wrap(b, "    ", fmt.Sprintf("held the most: %s, %s; holds: %s", c.culpritText(), c.slopeText(), c.holdsText()))
		}
	}
}

// wrap writes words in lines that fit the terminal, those after the first with a deeper indent.
func wrap(b *strings.Builder, indent, text string) {
	line := indent
	for _, word := range strings.Fields(text) {
		if strings.TrimSpace(line) != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > textWidth {
			b.WriteString(line + "\n")
			line = indent + "  "
		}
		if strings.TrimSpace(line) != "" {
			line += " "
		}
		line += word
	}
	b.WriteString(line + "\n")
}

// conclusion is what comes of the cells, in sentences.
func (r *Result) conclusion() []string {
	if len(r.Cells) == 0 {
		return nil
	}
	var died, survived, undecided, failed, differ int
	holds := map[Hypothesis]int{}
	for _, c := range r.Cells {
		switch c.Outcome {
		case Killed, NodeCrashed:
			died++
			holds[c.Holds]++
		case Survived:
			survived++
		case Inconclusive:
			undecided++
		default:
			failed++
		}
		if c.star() != "" {
			differ++
		}
	}
	var because []string
	for _, h := range append(Hypotheses(), NoneOf) {
		if n := holds[h]; n > 0 {
			because = append(because, fmt.Sprintf("%s in %d", h, n))
		}
	}
	s := fmt.Sprintf("%d of %d cells were killed", died, len(r.Cells))
	if died > 0 {
		s += ", and what holds is " + strings.Join(because, ", ")
	}
	out := []string{fmt.Sprintf("%s; %d survived.", s, survived)}
	if undecided > 0 {
		out = append(out, fmt.Sprintf("%d inconclusive: ended before all was listed, so a larger backlog was still to come.",
			undecided))
	}
	if failed > 0 {
		out = append(out, fmt.Sprintf("%d failed, which says nothing about memory.", failed))
	}
	if differ > 0 {
		out = append(out, fmt.Sprintf("In %s, marked *, the headline is not of what held the most: a headline names what "+
			"grows with the work, however small it is here; what held the most is by its size at this peak.",
			units.Count(differ, "cell")))
	}
	return out
}

// star marks a cell whose headline is not of the class that held the most.
func (c *Cell) star() string {
	if c.Culprit == nil || ofHeadline(c.Headline, c.Culprit.Class) {
		return ""
	}
	return " *"
}

// ofHeadline reports whether a headline is of the class; healthy, headroom and inconclusive claim none.
func ofHeadline(h record.Headline, c record.Class) bool {
	none := []record.Headline{"", record.Inconclusive, record.Healthy, record.HeadHeadroom}
	return slices.Contains(none, h) || c.Headline() == h
}
