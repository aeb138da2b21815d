package tui

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/memsoak/memsoak/internal/screen"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/report"
)

func headStyle(h record.Headline) screen.Style {
	switch h {
	case record.Healthy:
		return screen.Good
	case record.HeadLeak:
		return screen.Bad
	case "", record.Inconclusive:
		return screen.Faint
	}
	return screen.Warn
}

// view is the table as lines that fit the terminal, with one line below free for later output.
func (m *model) view() []string {
	var lines []string
	add := func(l string) { lines = append(lines, screen.Cut(l, m.width)) }
	m.head(add)
	rows := m.visible(max(1, m.height-7))
	cols := m.columns()
	add(screen.Faint.Render(cols.header()))
	for _, r := range rows {
		add(m.renderRow(cols, r))
	}
	if hidden := len(m.rows) - len(rows); hidden > 0 {
		add(screen.Faint.Render(fmt.Sprintf("  … %d more cells", hidden)))
	}
	if n := len(m.notes); n > 0 {
		add(screen.Warn.Render("! " + plain(m.notes[n-1])))
	}
	return lines[:min(len(lines), m.height-1)]
}

// head is what runs and how far it is.
func (m *model) head(add func(string)) {
	what := screen.Bold.Render(plain(m.start.Subject)) + screen.Faint.Render(fmt.Sprintf("  %s · %s design · %s",
		plain(cmp.Or(m.start.Corpus, m.start.Protocol)), m.start.Design, units.Count(m.start.Cells, "cell")))
	if m.start.Limit > 0 && m.width > 70 {
		what += screen.Faint.Render(" · limit " + report.Bytes(m.start.Limit))
	}
	add(what)
	state := fmt.Sprintf(" %d/%s", m.doneN, units.Count(m.start.Trials, "trial"))
	if !m.began.IsZero() {
		state += "  " + short(m.now().Sub(m.began))
	}
	switch left := m.left(); {
	case m.over != nil && m.over.Interrupted:
		state += "  interrupted"
	case m.over != nil:
		state += "  done"
	case left > 0:
		state += "  about " + short(left) + " left"
	}
	room := max(6, min(40, m.width-screen.Width(state)-1))
	share := 0.0
	if m.start.Trials > 0 {
		share = float64(m.doneN) / float64(m.start.Trials)
	}
	full := int(math.Round(share * float64(room)))
	add(screen.Blue.Render(strings.Repeat("━", full)) + screen.Faint.Render(strings.Repeat("─", room-full)) + state)
}

// columns are the widths of the table's columns; 0 leaves one out.
type columns struct{ cell, status, elapsed, rss, spark, floors, headline int }

// columns fits the table to the terminal: what says least goes first.
func (m *model) columns() columns {
	c := columns{cell: 4, status: 12, elapsed: 7, rss: 9, spark: 12, floors: 9, headline: 12}
	for _, r := range m.rows {
		c.cell = max(c.cell, screen.Width(r.title))
		c.status = max(c.status, min(24, screen.Width(r.status())))
	}
	for _, drop := range []*int{&c.floors, &c.elapsed, &c.spark} {
		if c.total() <= m.width {
			break
		}
		*drop = 0
	}
	for _, shrink := range []struct {
		col   *int
		least int
	}{{&c.status, 10}, {&c.cell, 8}, {&c.headline, 0}, {&c.status, 0}} {
		if over := c.total() - m.width; over > 0 {
			*shrink.col = max(shrink.least, *shrink.col-over)
		}
	}
	return c
}

func (c columns) total() int {
	sum := 2
	for _, w := range c.all() {
		if w > 0 {
			sum += w + 2
		}
	}
	return sum - 2
}

func (c columns) all() []int {
	return []int{c.cell, c.status, c.elapsed, c.rss, c.spark, c.floors, c.headline}
}

func (c columns) header() string {
	return "  " + c.join([]string{"cell", "phase", "time", "rss", "", "floors", "headline"})
}

// join puts texts into the columns that there are, sizes to the right.
func (c columns) join(texts []string) string {
	var out []string
	for i, w := range c.all() {
		if w == 0 {
			continue
		}
		text := screen.Cut(texts[i], w)
		pad := strings.Repeat(" ", max(0, w-screen.Width(text)))
		if i == 2 || i == 3 {
			out = append(out, pad+text)
		} else {
			out = append(out, text+pad)
		}
	}
	return strings.Join(out, "  ")
}

func (m *model) renderRow(c columns, r *row) string {
	mark := screen.Faint.Render("·")
	status := screen.Faint
	switch {
	case r.running:
		mark, status = screen.Blue.Render("▸"), screen.Blue
	case r.ended > 0 && r.outcome == record.OK && r.ended >= r.trials:
		mark, status = screen.Good.Render("✓"), screen.Good
	case r.ended > 0 && r.outcome != record.OK:
		mark, status = screen.Bad.Render("✗"), screen.Bad
	}
	size, head := "", ""
	switch {
	case r.running && r.rss > 0:
		size = report.Bytes(r.rss)
	case r.peak > 0:
		size = report.Bytes(r.peak)
	}
	if r.ended > 0 && r.headline != "" {
		head = r.headline.String()
	}
	elapsed := ""
	if r.running || r.ended > 0 {
		elapsed = short(r.elapsed(m.now()))
	}
	return mark + " " + c.join([]string{
		plain(r.title), status.Render(screen.Cut(plain(r.status()), max(1, c.status))), elapsed, size,
		screen.Blue.Render(spark(r.rssPast, c.spark)), spark(r.floors, c.floors), headStyle(r.headline).Render(head),
	})
}

// spark draws the last values as bars, in at most width columns, from 0 to the highest; each column is the highest of
// its stretch.
func spark(v []float64, width int) string {
	if len(v) == 0 || width <= 0 {
		return ""
	}
	bars := []rune("▁▂▃▄▅▆▇█")
	top := 0.0
	for _, x := range v {
		top = max(top, x)
	}
	n := min(width, len(v))
	var b strings.Builder
	for i := range n {
		high := 0.0
		for _, x := range v[i*len(v)/n : (i+1)*len(v)/n] {
			high = max(high, x)
		}
		level := 0
		if top > 0 {
			level = min(len(bars)-1, int(high/top*float64(len(bars))))
		}
		b.WriteRune(bars[level])
	}
	return b.String()
}

// plain drops what could steer the terminal.
func plain(s string) string { return report.Printable(s) }

func short(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}
