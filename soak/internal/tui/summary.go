package tui

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/memsoak/memsoak/internal/foreign"
	"github.com/memsoak/memsoak/internal/screen"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/report"
)

// Summary writes what a recorded run came to, in ten lines at most, the answer first.
func Summary(ctx context.Context, w io.Writer, dir string) error {
	run, err := report.Load(ctx, dir)
	if err != nil {
		return err
	}
	w = foreign.Raw(w) // what it writes is its own, or plain
	width, _ := screen.Size(w)
	for _, l := range summary(run) {
		if screen.IsTerminal(w) {
			l = screen.Wrap(l, width)
		}
		if _, err := fmt.Fprintln(w, screen.Coloured(w, l)); err != nil {
			return err
		}
	}
	return nil
}

// maxAnswers is how many lines of the answer the summary has room for.
const maxAnswers = 4

func summary(run *report.Run) []string {
	lead, more := run.Answer()
	lines := []string{screen.Bold.Render(plain(lead))}
	capacity := capacityLines(run.Verdict)
	more = slices.DeleteFunc(slices.Clone(more), func(l string) bool { return slices.Contains(capacity, l) })
	for _, l := range more[:min(len(more), maxAnswers-1)] {
		lines = append(lines, "  "+plain(l))
	}
	for _, l := range capacity {
		if l != lead {
			lines = append(lines, plain(l))
		}
	}
	lines = append(lines, cellsLine(run))
	if p := peakLine(run); p != "" {
		lines = append(lines, p)
	}
	if n := run.Warnings(); len(n) > 0 {
		lines = append(lines, screen.Warn.Render(fmt.Sprintf("%s, the first: %s", units.Count(len(n), "warning"),
			plain(n[0]))))
	}
	return append(lines,
		"report  "+filepath.Join(run.Dir, report.HTMLFile),
		"browse  soak view "+run.Dir)
}

// capacityLines are a run's capacity in its own sentences.
func capacityLines(v *record.RunVerdict) []string {
	if v == nil || v.Capacity == nil {
		return nil
	}
	return v.Capacity.Answer
}

// cellsLine counts the cells by outcome and by headline.
func cellsLine(run *report.Run) string {
	outcomes, heads := map[string]int{}, map[string]int{}
	for _, c := range run.Cells {
		outcomes[cmp.Or(string(c.Outcome()), "not ended")]++
		if v := run.VerdictOf(c); v != nil {
			heads[v.Headline.String()]++
		}
	}
	s := units.Count(len(run.Cells), "cell") + ": " + counts(outcomes)
	if len(heads) > 0 {
		s += "; " + counts(heads)
	}
	ended, all := run.Done()
	return s + fmt.Sprintf("; %d of %s in %s", ended, units.Count(all, "trial"), run.Took().Round(time.Second))
}

func counts(m map[string]int) string {
	var names []string
	for n := range m {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b)) })
	for i, n := range names {
		names[i] = fmt.Sprintf("%d %s", m[n], plain(n))
	}
	return strings.Join(names, ", ")
}

func peakLine(run *report.Run) string {
	var top *report.Cell
	for _, c := range run.Cells {
		if top == nil || c.Peak().Bytes() > top.Peak().Bytes() {
			top = c
		}
	}
	if top == nil || top.Peak().Bytes() == 0 {
		return ""
	}
	return fmt.Sprintf("highest peak %s at %s", top.Peak(), plain(top.Cell.String()))
}
