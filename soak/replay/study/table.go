package study

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/replay/history"
)

// WriteMarkdown writes the result as Markdown, for a page: the cells stand as in a terminal.
func (r *Result) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	wrap(&b, "", fmt.Sprintf("Scale 1:%d. Limits, nodes, GOMEMLIMIT, buffers, parts and windows are divided by %d, and "+
		"of "+
		"the corpora what makes them large; workers, pools and times are not. The copy of %s was ended %s after all was "+
		"listed, all others went on to the end. Peaks are as measured, at this scale, without pages of files, which a "+
		"limit takes back.", r.Scale, r.Scale, Decisive, r.Free))
	b.WriteString("\n")
	if r.Predicted {
		b.WriteString("**No memory cgroup can be made here: outcomes are predicted from the peaks, not suffered, in every " +
			"row.**\n\n")
	}
	if len(r.Cells) > 0 {
		wrap(&b, "", "**"+strings.Join(r.conclusion(), " ")+"**")
		b.WriteString("\n```text\n")
		r.cells(&b)
		b.WriteString("```\n\n" + stableText(r.Cells))
	}
	r.expected(&b)
	if r.FullSize != nil {
		r.FullSize.markdown(&b)
	}
	if r.Rclone != nil {
		r.Rclone.markdown(&b)
	}
	for _, s := range r.Skipped {
		wrap(&b, "", "skipped: "+s)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// stableText counts the cells of which all repeats said the same; it is empty without repeats.
func stableText(cells []*Cell) string {
	var n, headlines, culprits, outcomes int
	for _, c := range cells {
		if s := c.Stable; s != nil {
			n++
			headlines += all(s, s.Headlines)
			culprits += all(s, s.Culprits)
			outcomes += all(s, s.Outcomes)
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("The same in all repeats: the headline in %d of %d cells, headline and culprit in %d, the "+
		"outcome in %d.\n\n", headlines, n, culprits, outcomes)
}

// all is 1 if that many repeats are all of them.
func all(s *Stability, same int) int {
	if same == s.Runs {
		return 1
	}
	return 0
}

// OutcomeText is the outcome with its time and its files.
func (c *Cell) OutcomeText() string {
	var s string
	after := c.After.Round(100 * time.Millisecond)
	switch {
	case c.Early && c.Outcome != Failed:
		s = c.Outcome + " in the states before the corpus"
	case c.Outcome == Survived && c.Peak == 0:
		s = fmt.Sprintf("survived %s, of which no reading could be taken", after)
	case c.Outcome == Survived && c.Cut && c.Listed >= c.Of:
		s = fmt.Sprintf("survived %s with all %d files listed, %d copied", after, c.Of, c.Files)
	case c.Outcome == Inconclusive:
		s = fmt.Sprintf("inconclusive: ended after %s with %d of %d files listed, %d copied", after, c.Listed, c.Of, c.Files)
	case c.Outcome == Survived:
		s = fmt.Sprintf("survived, %d files in %s", c.Files, after)
	case c.Outcome == Failed:
		s = "failed: " + shorten(c.Why, 120)
	case c.Hung:
		s = fmt.Sprintf("%s: hung at the limit after %s, %d of %d files listed, %d copied", c.Outcome, after, c.Listed, c.Of,
			c.Files)
	default:
		s = fmt.Sprintf("%s after %s, %d of %d files listed, %d copied", c.Outcome, after, c.Listed, c.Of, c.Files)
	}
	if c.Predicted {
		s = "predicted: " + s
	}
	return strings.ReplaceAll(s, "|", "/")
}

func shorten(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "..."
}

func (c *Cell) culpritText() string {
	if c.Culprit == nil {
		return "-"
	}
	s := fmt.Sprintf("%s: %s", c.Culprit.Class, c.Culprit.Line())
	if c.Stable != nil {
		s += fmt.Sprintf(" (%d of %d runs)", c.Stable.Culprits, c.Stable.Runs)
	}
	return s
}

func (c *Cell) slopeText() string {
	if c.Culprit == nil || c.Culprit.Slope == nil {
		return "-"
	}
	s := c.Culprit.Slope
	per := strings.ReplaceAll(s.Per, "-", " ")
	if s.Bytes < 100 {
		return fmt.Sprintf("%.2g B per %s", s.Bytes, per)
	}
	return fmt.Sprintf("%s per %s", units.FormatBytes(int64(s.Bytes)), per)
}

func (c *Cell) holdsText() string {
	if len(c.Shares) == 0 || c.Headline == record.Healthy {
		return "-"
	}
	if c.Part == 0 {
		return fmt.Sprintf("not told: less than %.0f %% of the peak is explained", 100*explainedShare)
	}
	return fmt.Sprintf("%s (%.0f %%)", c.Holds, 100*c.Part)
}

func (r *Result) expected(b *strings.Builder) {
	if len(r.Expected) == 0 {
		return
	}
	wrap(b, "", fmt.Sprintf("Expected by the history: %s to %s a worker, %s to %s in all, %s to %s a second. Measured on "+
		"%s, memory multiplied by %d:", mb(history.ExpectedPerWorkerMin), mb(history.ExpectedPerWorkerMax),
		mb(history.ExpectedTotalMin), mb(history.ExpectedTotalMax), mb(history.ExpectedRateMin),
		mb(history.ExpectedRateMax), huge, r.Scale))
	b.WriteString("\n| version | per worker | in all | a second, here | by the history | suffered here |\n" +
		"|---|---|---|---|---|---|\n")
	for _, e := range r.Expected {
		agrees := e.suffered()
		if r.Predicted {
			agrees = "predicted: " + agrees
		}
		perWorker, total, rate := "not run", "not run", "not run"
		if _, ok := e.Outcomes[huge]; ok {
			perWorker, total, rate = mb(history.Size(e.PerWorker)), mb(history.Size(e.Total)), mb(history.Size(e.Rate))
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", e.Row, perWorker, total, rate, e.Happened, agrees)
	}
	b.WriteString("\n")
}

// suffered lists what became of the version, corpora in the order of the matrix.
func (e Expectation) suffered() string {
	var out []string
	for _, c := range Corpora() {
		if o := e.Outcomes[c.Name]; o != "" && o != Survived {
			out = append(out, o+" on "+c.Name)
		}
	}
	s := strings.Join(out, ", ")
	if s == "" {
		s = "survived every corpus that was run"
	}
	switch {
	case e.Agrees == nil:
		return s
	case *e.Agrees:
		return "the same: " + s
	}
	return "something else: " + s
}

// mb writes a size in the history's unit.
func mb(n history.Size) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }
