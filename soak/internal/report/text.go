package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
)

// Bytes is a size as a person says it: "1.8 GiB".
func Bytes(n int64) string { return units.FormatBytes(n) }

// exact is the size in full, for the hover.
func exact(n int64) string { return units.Comma(n) + " bytes" }

// size is a size with its exact value on hover.
func size(n int64) template.HTML {
	return template.HTML(fmt.Sprintf(`<span class="n" title="%s">%s</span>`, exact(n), Bytes(n)))
}

// peakText is a peak, and what it was read from where that isn't the charge.
func peakText(p record.Peak) template.HTML {
	n, kind := p.Memory()
	if kind == record.PeakNone {
		return `<span class="muted">not measured</span>`
	}
	if mark := strings.TrimSpace(kind.Mark()); mark != "" {
		return size(n) + template.HTML(" <small>"+mark+"</small>")
	}
	return size(n)
}

// quantity is a coefficient in bytes, which may be a fraction of a byte.
func quantity(v float64) string {
	if v != 0 && math.Abs(v) < 0.01 { // of a byte, as of each byte copied
		return strconv.FormatFloat(v, 'g', 2, 64) + " B"
	}
	if math.Abs(v) < 100 {
		return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", v), "0"), ".") + " B"
	}
	return Bytes(int64(math.Round(v)))
}

// per is a slope's unit in words.
func per(unit string) string { return "per " + strings.ReplaceAll(unit, "-", " ") }

// slopeText is a slope with its interval in one line.
func slopeText(s *record.Slope) string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf("%s %s", quantity(s.Bytes), per(s.Per))
}

func interval(ci [2]float64) string { return quantity(ci[0]) + " to " + quantity(ci[1]) }

// percent is a share of 0 to 1 as a percentage.
func percent(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.1f", 100*v), "0"), ".") + " %"
}

// duration rounds to what a person reads.
func duration(d time.Duration) string {
	if d >= time.Minute {
		return d.Round(time.Second).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

func clockTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// plural is "1 cell", "3 cells".
func plural(n int, one string) string { return units.Count(n, one) }

// fits is "1 worker fits", "3 workers fit".
func fits(n int, w record.Words) string {
	if n == 1 {
		return atOnce(n, w) + " fits"
	}
	return atOnce(n, w) + " fit"
}

// atOnce is a number of workers, or of requests in flight where no setting counts workers.
func atOnce(n int, w record.Words) string {
	if w.InFlight {
		return plural(n, "request") + " in flight"
	}
	return plural(n, "worker")
}

// many are workers, or what stands for them.
func many(w record.Words) string {
	if w.InFlight {
		return "requests in flight"
	}
	return "workers"
}

// itemsOf is what a plan counts.
func itemsOf(w record.Words) string {
	if w.Item == record.ItemRequest {
		return "requests"
	}
	return "files"
}

// words makes a name of the records readable: "live-heap" is "live heap".
func words(s any) string { return strings.ReplaceAll(fmt.Sprint(s), "-", " ") }

// noAxes is the title of a cell without axes.
const noAxes = "the only cell"

// cellText is a cell as its axes' values in the run's order: "25 workers, pool 40" would be wrong for unknown axes, so
// it is always "workers 25".
func cellText(r *record.Run, c record.Cell) string {
	var parts []string
	for _, name := range axisNames(r, c) {
		parts = append(parts, name+" "+c[name])
	}
	if len(parts) == 0 {
		if recorded(r) {
			return "the process"
		}
		return noAxes
	}
	return strings.Join(parts, " · ")
}

// axisNames are the cell's axes in the run's order, unknown ones last.
func axisNames(r *record.Run, c record.Cell) []string {
	var names []string
	for _, a := range r.Axes {
		if _, ok := c[a.Name]; ok {
			names = append(names, a.Name)
		}
	}
	var rest []string
	for n := range c {
		if !slices.Contains(names, n) {
			rest = append(rest, n)
		}
	}
	slices.Sort(rest)
	return append(names, rest...)
}

// shellQuote quotes a word for a POSIX shell where it needs it.
func shellQuote(s string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("@%+=:,./-_", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !safe(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Printable is text on one line without control characters, which could steer a terminal or hide text.
func Printable(s string) string {
	return strings.Map(visible, strings.NewReplacer("\n", " ", "\r", " ", "\t", " ").Replace(s))
}

// visible replaces control characters and those that reverse the direction of text. Line ends and tabs stay.
func visible(r rune) rune {
	switch {
	case r == '\n', r == '\t':
		return r
	case r < ' ', r >= 0x7f && r < 0xa0, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return '\uFFFD'
	}
	return r
}
