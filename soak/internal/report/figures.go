package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
	"github.com/memsoak/memsoak/soak/internal/report/chart"
)

// Sizes of the two drawings of a chart, in CSS pixels, and the points kept of a curve.
const (
	wideWidth, slimWidth   = 1010, 330
	halfWidth              = 500
	chartHeight            = 230
	widePoints, slimPoints = 160, 70
	tips                   = 36
)

// draw draws a chart for wide and for narrow pages.
func draw(wide, slim chart.Chart, width float64, key []keyEntry) *figure {
	slim.Tips = nil
	return &figure{Wide: wide.SVG(width, chartHeight), Slim: slim.SVG(slimWidth, chartHeight*0.85), Key: key}
}

// curve is one quantity of the samples over time.
type curve struct {
	ink, text string
	charge    bool // to a cgroup, whose limit kills
	of        func(record.Sample) (int64, bool)
}

var curves = []curve{
	{"cgroup", "charged to the cgroup", true, func(s record.Sample) (int64, bool) {
		if s.Cgroup == nil {
			return 0, false
		}
		return s.Cgroup.Usage, true
	}},
	{"rss", "of it without pages of files", true, func(s record.Sample) (int64, bool) {
		return s.Held(),
			s.Cgroup != nil
	}},
	{"rss", "resident (RSS)", false, func(s record.Sample) (int64, bool) {
		return s.Held(), s.Cgroup == nil && s.Process != nil
	}},
	{"heap", "heap in use", false, func(s record.Sample) (int64, bool) {
		if s.Runtime == nil {
			return 0, false
		}
		return s.Runtime.HeapAlloc, true
	}},
}

// lived are the samples up to the last in which the process was there: what a cgroup holds after a death belongs to
// none, and a line to it would show memory that sinks for as long as the harness took to look again.
func lived(samples []record.Sample) []record.Sample {
	for i, s := range slices.Backward(samples) {
		if s.Process != nil && s.Process.RSS > 0 {
			return samples[:i+1]
		}
	}
	return samples
}

// untilDeath is a charge's way from its last sample to the kill by its own limit. No sample falls into that moment, but
// the peak, which is read more often, is from it where no sample is higher.
func untilDeath(t *Trial, c curve, start time.Time, x, y []float64) ([]float64, []float64) {
	if t.Record == nil || t.Record.OOM == nil || t.Record.OOM.Node || !c.charge || len(x) == 0 {
		return x, y
	}
	n, kind := t.Record.Peak.Memory()
	at := chart.Seconds(start, t.Record.OOM.Time)
	if kind != record.PeakCharged || float64(n) < slices.Max(y) || at < x[len(x)-1] {
		return x, y
	}
	return append(x, at), append(y, float64(n))
}

// timeline draws a trial over time: memory, phases, events. limit is the memory limit, 0 for none.
func timeline(t *Trial, limit int64) *figure {
	start := t.Samples[0].Time
	if t.Record != nil {
		start = t.Record.Started
	}
	wide := chart.Chart{
		Label:  fmt.Sprintf("Memory of %s over time, with phases and events", t.Dir),
		YTicks: chart.BytesTicks(5), XTicks: chart.SecondsTicks(10),
	}
	slim := wide
	slim.XTicks = chart.SecondsTicks(5)
	var key []keyEntry
	var highest int64
	for _, c := range curves {
		var x, y []float64
		for _, s := range lived(t.Samples) {
			if v, ok := c.of(s); ok {
				x, y = append(x, chart.Seconds(start, s.Time)), append(y, float64(v))
				highest = max(highest, v)
			}
		}
		x, y = untilDeath(t, c, start, x, y)
		if len(x) < 2 {
			continue
		}
		key = append(key, keyEntry{c.ink, c.text})
		for _, d := range []struct {
			c *chart.Chart
			n int
		}{{&wide, widePoints}, {&slim, slimPoints}} {
			tx, ty := chart.Thin(x, y, d.n)
			d.c.Lines = append(d.c.Lines, chart.Line{Ink: chart.Ink(c.ink), X: tx, Y: ty})
		}
	}
	if limit > 0 && highest*3 > limit {
		key = append(key, keyEntry{"limit", "limit " + Bytes(limit)})
		wide.Levels = []chart.Level{{Ink: "limit", Y: float64(limit)}}
		slim.Levels = wide.Levels
	}
	phases(&wide, t, &key)
	slim.Bands = wide.Bands
	events(&wide, t, &key)
	for _, m := range wide.Marks {
		if m.Ink != "snap" {
			slim.Marks = append(slim.Marks, m)
		}
	}
	if wide.Ticks = collections(t, start); len(wide.Ticks) > 0 {
		slim.Ticks = wide.Ticks
		key = append(key, keyEntry{"ticks", "collections, by number"})
	}
	wide.Tips = sampleTips(t, func(s record.Sample) float64 { return chart.Seconds(start, s.Time) })
	return draw(wide, slim, wideWidth, key)
}

// phases shades the phases, by kind.
func phases(c *chart.Chart, t *Trial, key *[]keyEntry) {
	if t.Record == nil {
		return
	}
	names := []struct{ ink, text string }{{"b-wave", "wave"}, {"b-hold", "held"}, {"b-floor", "quiesce (floor)"},
		{"b-free", "free run"}}
	seen := map[string]bool{}
	for _, p := range t.Record.Phases {
		ink := ""
		switch p.Kind {
		case "wave", "repeat", "folders", "warm-up":
			ink = "b-wave"
		case "hold":
			ink = "b-hold"
		case "quiesce", "drain", "idle-again":
			ink = "b-floor"
		case "free":
			ink = "b-free"
		default:
			continue
		}
		seen[ink] = true
		c.Bands = append(c.Bands, chart.Band{Ink: chart.Ink(ink), From: chart.Seconds(t.Record.Started, p.Start),
			To: chart.Seconds(t.Record.Started, p.End), Text: Printable(p.Name)})
	}
	for _, n := range names {
		if seen[n.ink] {
			*key = append(*key, keyEntry{n.ink, n.text})
		}
	}
}

// events marks kills, failures and snapshots.
func events(c *chart.Chart, t *Trial, key *[]keyEntry) {
	if t.Record == nil {
		return
	}
	at := t.Record.Started
	for _, s := range t.Record.Snapshots {
		text := fmt.Sprintf("snapshot %d: %s", s.Seq, words(string(s.State)))
		if s.ForcedGC > 0 {
			text += fmt.Sprintf(", after %d forced collections", s.ForcedGC)
		}
		c.Marks = append(c.Marks, chart.Mark{Ink: "snap", X: chart.Seconds(at, s.Time), Text: text})
	}
	if len(t.Record.Snapshots) > 0 {
		*key = append(*key, keyEntry{"snap", "snapshot"})
	}
	fails := false
	var last int64
	for _, s := range t.Samples {
		if s.Covariates == nil {
			continue
		}
		if n := s.Covariates.Failed; n > last {
			fails = true
			c.Marks = append(c.Marks, chart.Mark{Ink: "fault", X: chart.Seconds(at, s.Time), Text: plural(int(n-last),
				"transfer") + " failed"})
			last = n
		}
	}
	if fails {
		*key = append(*key, keyEntry{"fault", "failed transfers"})
	}
	if o := t.Record.OOM; o != nil {
		c.Marks = append(c.Marks, chart.Mark{Ink: "oom", X: chart.Seconds(at, o.Time), Text: "killed at the limit of " +
			Bytes(o.Limit)})
		*key = append(*key, keyEntry{"oom", "OOM kill"})
	}
}

// collections are the garbage collections between samples, the highest stroke where most of them were.
func collections(t *Trial, start time.Time) []chart.Tick {
	var out []chart.Tick
	var last int64 = -1
	most := 1.0
	for _, s := range t.Samples {
		if s.Runtime == nil {
			continue
		}
		if n := float64(s.Runtime.NumGC - last); last >= 0 && n > 0 {
			out = append(out, chart.Tick{X: chart.Seconds(start, s.Time), Height: n})
			most = max(most, n)
		}
		last = s.Runtime.NumGC
	}
	for i := range out {
		out[i].Height /= most
	}
	if len(out) > widePoints {
		return nil // a stroke for each would be a solid bar: the hover has the numbers
	}
	return out
}

// sampleTips are the values at up to tips moments, for the hover.
func sampleTips(t *Trial, x func(record.Sample) float64) []chart.Tip {
	var out []chart.Tip
	step := max(1, len(t.Samples)/tips)
	var gcs int64
	for i, s := range t.Samples {
		if i%step != 0 {
			continue
		}
		var b strings.Builder
		fmt.Fprintf(&b, "%.0f s, %s", x(s), Printable(s.PhaseName))
		for _, c := range curves {
			if v, ok := c.of(s); ok {
				fmt.Fprintf(&b, "\n%s: %s (%s)", c.text, Bytes(v), exact(v))
			}
		}
		if s.Runtime != nil {
			fmt.Fprintf(&b, "\ncollections: %d", s.Runtime.NumGC-gcs)
			gcs = s.Runtime.NumGC
		}
		if s.Covariates != nil {
			fmt.Fprintf(&b, "\n%d in flight, %d done", s.Covariates.InFlight, s.Covariates.FilesDone)
		}
		out = append(out, chart.Tip{X: x(s), Text: b.String()})
	}
	return out
}

// floors draws the live heap at each quiesce over the items done, and says how it moves.
func floors(v *record.Verdict, item string) (*figure, string) {
	fl := slices.Clone(v.Floors)
	slices.SortStableFunc(fl, func(a, b record.Floor) int { return cmp.Compare(a.Files, b.Files) })
	var x, y []float64
	wide := chart.Chart{
		Label: "Live heap at each floor over " + item + "s done", YTicks: chart.BytesTicks(4), XTicks: chart.CountTicks(6),
	}
	for i, f := range fl {
		x, y = append(x, float64(f.Files)), append(y, float64(f.HeapLive))
		wide.Tips = append(wide.Tips, chart.Tip{X: x[i],
			Text: fmt.Sprintf("floor %d, after %s\nlive heap: %s (%s)\nresident: %s\n%s",
				i+1, units.Count(f.Files, item), Bytes(f.HeapLive), exact(f.HeapLive), Bytes(f.RSS),
				units.Count(f.Routines, "goroutine"))})
	}
	wide.Lines = []chart.Line{{Ink: "heap", X: x, Y: y, Dots: true, NoLine: true}}
	key := []keyEntry{{"heap", "live heap after two collections"}}
	text := ""
	if line := trend.TheilSen(x, y); line.OK {
		ends := []float64{x[0], x[len(x)-1]}
		wide.Lines = append(wide.Lines, chart.Line{Ink: "trend", X: ends, Y: []float64{line.Intercept + line.Slope*ends[0],
			line.Intercept + line.Slope*ends[1]}})
		key = append(key, keyEntry{"trend", "median slope"})
		grown := float64(fl[len(fl)-1].HeapLive - fl[0].HeapLive)
		text = fmt.Sprintf("%s per %s over %s; %s from the first to the last, which holds %s.",
			signed(line.Slope), item, plural(len(fl), "floor"), signed(grown), Bytes(fl[len(fl)-1].HeapLive))
	}
	// A rise of some percent would be flat on an axis from 0: then the axis begins below the lowest floor, and says so.
	if lo, hi := slices.Min(y), slices.Max(y); hi-lo < lo/4 {
		wide.YMin = max(0, math.Floor((lo-max(hi-lo, lo/50))/1024)*1024)
		key = append(key, keyEntry{"note", "the axis begins at " + Bytes(int64(wide.YMin))})
	}
	slim := wide
	slim.XTicks = chart.CountTicks(4)
	return draw(wide, slim, halfWidth, key), text
}

// signed is a quantity with its sign.
func signed(v float64) string {
	if v > 0 {
		return "+" + quantity(v)
	}
	return quantity(v)
}

// capacity draws the predicted peak over the number of workers, with its interval and the limit.
func capacity(c *record.Capacity, kills []kill, tried int) *figure {
	if c == nil || len(c.At) < 2 {
		return nil
	}
	var area chart.Area
	line := chart.Line{Ink: "rss"}
	wide := chart.Chart{YTicks: chart.BytesTicks(5), XTicks: chart.CountTicks(10),
		Label: "Predicted peak over " + many(c.Words) + ", with its 95 % interval"}
	for _, s := range c.At {
		w := float64(s.Workers)
		line.X, line.Y = append(line.X, w), append(line.Y, float64(s.Peak))
		area.X, area.Lo, area.Hi = append(area.X, w), append(area.Lo, float64(s.PI95[0])), append(area.Hi, float64(s.PI95[1]))
		wide.Tips = append(wide.Tips, chart.Tip{X: w, Text: fmt.Sprintf("%s: %s (%s)\n95 %%: %s to %s",
			atOnce(s.Workers, c.Words), Bytes(s.Peak), exact(s.Peak), Bytes(s.PI95[0]), Bytes(s.PI95[1]))})
	}
	area.Ink = "interval"
	wide.Areas, wide.Lines = []chart.Area{area}, []chart.Line{line}
	key := []keyEntry{{"rss", "predicted peak"}, {"interval", "95 % interval"}}
	if c.Limit > 0 {
		wide.Levels = []chart.Level{{Ink: "limit", Y: float64(c.Limit)}}
		key = append(key, keyEntry{"limit", "limit " + Bytes(c.Limit)})
	}
	if c.MaxWorkers > 0 {
		wide.Marks = []chart.Mark{{Ink: "fit", X: float64(c.MaxWorkers), Text: fits(c.MaxWorkers, c.Words)}}
		key = append(key, keyEntry{"fit", fits(c.MaxWorkers, c.Words)})
	}
	for _, k := range kills {
		if k.workers > c.At[len(c.At)-1].Workers {
			continue
		}
		wide.Marks = append(wide.Marks, chart.Mark{Ink: "oom", X: float64(k.workers), Text: atOnce(k.workers, c.Words) +
			" killed at " + Bytes(k.peak)})
	}
	if len(kills) > 0 {
		key = append(key, keyEntry{"oom", "killed for memory"})
	}
	if tried > 0 && tried < c.At[len(c.At)-1].Workers {
		wide.Marks = append(wide.Marks, chart.Mark{Ink: "note", X: float64(tried), Text: fmt.Sprintf("tried up to %d",
			tried)})
		key = append(key, keyEntry{"note", fmt.Sprintf("beyond %s: not tried", atOnce(tried, c.Words))})
	}
	slim := wide
	slim.XTicks = chart.CountTicks(5)
	return draw(wide, slim, halfWidth, key)
}

// kill is a cell that died of its limit.
type kill struct {
	workers int
	peak    int64
}

// workersTried are the kills by number of workers, and the most workers that any cell had.
func workersTried(views []*cellView) (kills []kill, most int) {
	for _, v := range views {
		if v.Trial == nil || v.Trial.Record == nil {
			continue
		}
		cell := v.Cell.Cell
		n, err := strconv.Atoi(cmp.Or(cell["workers"], v.Trial.Record.Settings["workers"], cell["concurrency"]))
		if err != nil {
			continue
		}
		most = max(most, n)
		if v.Outcome == record.OOMKilled {
			kills = append(kills, kill{n, v.Peak.Bytes()})
		}
	}
	return kills, most
}
