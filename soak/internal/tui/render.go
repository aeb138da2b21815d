package tui

import (
	"fmt"
	"math"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/report"
)

// The colours are the terminal's own sixteen, which its user has chosen to be read on its background.
var (
	bold  = lipgloss.NewStyle().Bold(true)
	faint = lipgloss.NewStyle().Faint(true)
	good  = lipgloss.NewStyle().Foreground(lipgloss.Color("2"))
	bad   = lipgloss.NewStyle().Foreground(lipgloss.Color("1")).Bold(true)
	warn  = lipgloss.NewStyle().Foreground(lipgloss.Color("3"))
	blue  = lipgloss.NewStyle().Foreground(lipgloss.Color("4"))
)

func headStyle(h record.Headline) lipgloss.Style {
	switch h {
	case record.Healthy:
		return good
	case record.HeadLeak:
		return bad
	case "", record.Inconclusive:
		return faint
	}
	return warn
}

// View implements tea.Model.
func (m *model) View() tea.View {
	var b strings.Builder
	m.head(&b)
	rows := m.visible(max(1, m.height-7))
	cols := m.columns()
	line(&b, m.width, faint.Render(cols.header()))
	for _, r := range rows {
		line(&b, m.width, m.renderRow(cols, r))
	}
	if hidden := len(m.rows) - len(rows); hidden > 0 {
		line(&b, m.width, faint.Render(fmt.Sprintf("  … %d more cells", hidden)))
	}
	if n := len(m.notes); n > 0 {
		line(&b, m.width, warn.Render("! "+plain(m.notes[n-1])))
	}
	return tea.NewView(b.String()) // the last line stays empty: output after the table begins there
}

// head is what runs and how far it is.
func (m *model) head(b *strings.Builder) {
	what := bold.Render(plain(m.start.Subject)) + faint.Render(fmt.Sprintf("  %s · %s design · %s",
		plain(m.start.Corpus), m.start.Design, units.Count(m.start.Cells, "cell")))
	if m.start.Limit > 0 && m.width > 70 {
		what += faint.Render(" · limit " + report.Bytes(m.start.Limit))
	}
	line(b, m.width, what)
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
	room := max(6, min(40, m.width-lipgloss.Width(state)-1))
	share := 0.0
	if m.start.Trials > 0 {
		share = float64(m.doneN) / float64(m.start.Trials)
	}
	full := int(math.Round(share * float64(room)))
	line(b, m.width, blue.Render(strings.Repeat("━", full))+faint.Render(strings.Repeat("─", room-full))+state)
}

// columns are the widths of the table's columns; 0 leaves one out.
type columns struct{ cell, status, elapsed, rss, spark, floors, headline int }

// columns fits the table to the terminal: what says least goes first.
func (m *model) columns() columns {
	c := columns{cell: 4, status: 12, elapsed: 7, rss: 9, spark: 12, floors: 9, headline: 12}
	for _, r := range m.rows {
		c.cell = max(c.cell, lipgloss.Width(r.title))
		c.status = max(c.status, min(24, lipgloss.Width(r.status())))
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
		text := cut(texts[i], w)
		pad := strings.Repeat(" ", max(0, w-lipgloss.Width(text)))
		if i == 2 || i == 3 {
			out = append(out, pad+text)
		} else {
			out = append(out, text+pad)
		}
	}
	return strings.Join(out, "  ")
}

func (m *model) renderRow(c columns, r *row) string {
	mark := faint.Render("·")
	status := faint
	switch {
	case r.running:
		mark, status = blue.Render("▸"), blue
	case r.ended > 0 && r.outcome == record.OK && r.ended >= r.trials:
		mark, status = good.Render("✓"), good
	case r.ended > 0 && r.outcome != record.OK:
		mark, status = bad.Render("✗"), bad
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
		plain(r.title), status.Render(cut(plain(r.status()), max(1, c.status))), elapsed, size,
		blue.Render(spark(r.rssPast, c.spark)), spark(r.floors, c.floors), headStyle(r.headline).Render(head),
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

// line writes a line that is no wider than the terminal.
func line(b *strings.Builder, width int, s string) {
	b.WriteString(lipgloss.NewStyle().MaxWidth(width).Render(s))
	b.WriteByte('\n')
}

// cut shortens text, which may be styled, to a width.
func cut(s string, width int) string {
	if lipgloss.Width(s) <= width {
		return s
	}
	if width <= 1 {
		return lipgloss.NewStyle().MaxWidth(width).Render(s)
	}
	return lipgloss.NewStyle().MaxWidth(width-1).Render(s) + "…"
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
