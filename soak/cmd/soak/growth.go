package main

import (
	"cmp"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
)

// writeFirstScreen prints a verdict so that the suspects and what would make them sure are on the first screen: a death
// and what the rules found, since a heap that stayed says nothing of what killed; then growth, where the profiles were
// not steered.
func writeFirstScreen(out io.Writer, v *record.Verdict) {
	if v.Growth == nil {
		writeVerdict(out, v)
		return
	}
	if v.Outcome != "" && v.Outcome != record.OK {
		fmt.Fprintf(out, "%s: what follows was seen before the end\n", strings.ToUpper(string(v.Outcome)))
	}
	if v.Headline != "" && v.Headline != record.Inconclusive {
		rest := *v
		rest.Warnings = nil
		writeVerdict(out, &rest)
		fmt.Fprintln(out)
	}
	writeGrowth(out, v.Growth)
	for _, w := range v.Warnings {
		fmt.Fprintf(out, "warning: %s\n", w)
	}
}

// writeGrowth prints what a series of profiles says.
func writeGrowth(out io.Writer, g *record.Growth) {
	writeOutside(out, g)
	writeTotal(out, g)
	writeMemory(out, g)
	if len(g.Causes) > 0 {
		fmt.Fprintf(out, "\n%s\n", causesTitle(g))
		for i := range g.Causes {
			writeCause(out, i+1, &g.Causes[i], g)
		}
	}
	writeRoutines(out, g)
	if len(g.Stayed) > 0 {
		fmt.Fprintln(out, "\nStayed:")
		for i := range g.Stayed {
			c := &g.Stayed[i]
			fmt.Fprintf(out, "  %10s  %s%s, %s%s\n", bytesText(c.Last), place(c.Site), calledFrom(c), shapeText(&c.Curve,
				bytesText), objectsText(c))
		}
	}
	fmt.Fprintf(out, "\nTo be sure: %s\n  %s\n", g.Next, g.Command)
	if g.Profiler > 0 {
		fmt.Fprintf(out, "(%s of the profiler itself are not counted)\n", bytesText(float64(g.Profiler)))
	}
}

func bytesText(b float64) string {
	if b < 0 {
		return "-" + units.FormatBytes(int64(-b))
	}
	return units.FormatBytes(int64(b))
}

// countText writes a number of goroutines.
func countText(n float64) string { return units.Comma(int64(n)) }

// writeTotal prints the headline: what the live heap did, how sure, and what it would be in a day.
func writeTotal(out io.Writer, g *record.Growth) {
	t := &g.Total
	switch {
	case g.Difference:
		fmt.Fprintf(out, "A DIFFERENCE of two profiles: %s in all\n", bytesText(t.Last))
	case g.Allocated:
		fmt.Fprintf(out, "ALLOCATED, freed or not: %s since the process began\n", bytesText(t.Last))
	case g.Profiles == 0:
		fmt.Fprintln(out, "NO HEAP PROFILE: goroutines only")
	case g.Profiles == 1:
		fmt.Fprintf(out, "ONE PROFILE: %s live\n", bytesText(t.Last))
	default:
		fmt.Fprintf(out, "%s: live heap %s -> %s", strings.ToUpper(shapeWord(t)), bytesText(t.First), bytesText(t.Last))
		if span := g.To.Sub(g.From); t.Slope != nil {
			fmt.Fprintf(out, " in %s", spanText(span))
		}
		fmt.Fprintf(out, ", up in %d of %d steps", t.Up, t.Steps)
		writeRate(out, t)
		fmt.Fprintln(out)
	}
	writeHowSure(out, g)
}

// writeOutside prints, above all, growth that no heap profile has.
func writeOutside(out io.Writer, g *record.Growth) {
	for i := range g.Memory {
		m := &g.Memory[i]
		if m.Name != record.OutsidePart || m.State != record.Found {
			continue
		}
		fmt.Fprintf(out, "GROWING %s: %s", strings.ToUpper(m.Name[:1])+m.Name[1:], shapeText(&m.Curve, bytesText))
		writeRate(out, &m.Curve)
		fmt.Fprintf(out, "\nfound: it grows (%.0f %% sure). No profile has it: its line is what calls mmap, C or an "+
			"off-heap cache\n\n", 100*m.Confidence)
	}
}

// writeMemory prints the parts of the memory that are in no heap profile, in a line.
func writeMemory(out io.Writer, g *record.Growth) {
	var parts []string
	for i := range g.Memory {
		m := &g.Memory[i]
		parts = append(parts, fmt.Sprintf("%s %s -> %s", m.Name, bytesText(m.First), bytesText(m.Last)))
	}
	if len(parts) > 0 {
		fmt.Fprintf(out, "in no heap profile: %s\n", strings.Join(parts, "; "))
	}
}

func writeRate(out io.Writer, t *record.Curve) {
	if t.Slope == nil || t.Shape == record.Steady || t.Shape == record.Stepped {
		return
	}
	const hour, day = 3600, 24 * 3600
	if w := t.PerWork; w != nil {
		fmt.Fprintf(out, "; %s a request (95 %%: %s to %s)", bytesText(w.Bytes), bytesText(w.CI95[0]), bytesText(w.CI95[1]))
	}
	fmt.Fprintf(out, "; %s an hour (95 %%: %s to %s)", bytesText(t.Slope.Bytes*hour), bytesText(t.Slope.CI95[0]*hour),
		bytesText(t.Slope.CI95[1]*hour))
	if t.Shape == record.Growing || t.Shape == record.Rising {
		fmt.Fprintf(out, "; in a day %s", bytesText(t.Last+t.Slope.Bytes*day))
	}
}

// writeHowSure prints the state of the total by the evidence contract, and what bounds it.
func writeHowSure(out io.Writer, g *record.Growth) {
	t := &g.Total
	const hour = 3600
	switch {
	case t.State == record.Found:
		fmt.Fprintf(out, "found: it grows (%.0f %% sure; sampling and ups and downs make %s). Leak, cache that isn't full, "+
			"or work that piles up: not decided\n",
			100*t.Confidence, bytesText(t.Noise))
	case t.State == record.Excluded && t.Limit > 0:
		seen := bytesText(t.Limit * g.To.Sub(g.From).Seconds())
		fmt.Fprintf(out, "excluded: growth of %s or more in this time (%s an hour) would have been seen, 95 times in 100\n",
			seen, bytesText(t.Limit*hour))
	case t.State == record.Excluded:
		fmt.Fprintln(out, "excluded: growth far above what sampling makes would have been seen; without times it has no rate")
	default:
		fmt.Fprintf(out, "open: %s", g.Reason)
		if g.Profiles > 1 {
			fmt.Fprintf(out, " (%s more; sampling and ups and downs make %s)", bytesText(t.Grew()), bytesText(t.Noise))
		}
		fmt.Fprintln(out)
	}
	if g.Lives > 1 {
		fmt.Fprintf(out, "%d processes are in these %d profiles (restarts, or several pods); the one with the most "+
			"profiles is shown\n", g.Lives, g.Profiles)
	}
}

func shapeWord(t *record.Curve) string {
	if (t.Shape == record.Steady || t.Shape == record.Falling) && t.State != record.Excluded {
		return "no growth seen, too little to say" // a shape is a claim, and this is none
	}
	switch t.Shape {
	case record.ShapeUnknown:
		return "unknown"
	case record.Rising:
		return "rising, not sure"
	}
	return string(t.Shape)
}

// causesTitle says what the list of causes is.
func causesTitle(g *record.Growth) string {
	switch {
	case g.Profiles == 1 || g.Allocated || g.Difference:
		return "By place:"
	case g.Total.State == record.Found:
		return "Suspects, by what grew together:"
	case g.Total.State == record.Excluded && (g.Total.Shape == record.Levelled || g.Total.Shape == record.Stepped):
		return "Places that rose, by what grew together; the total rose and then stayed:"
	case g.Total.State == record.Excluded:
		return "Places that rose while the total did not:"
	}
	return "Suspects, none of them sure yet unless it says so:"
}

// writeCause prints a suspect in two or three lines.
func writeCause(out io.Writer, i int, c *record.Cause, g *record.Growth) {
	if g.Profiles == 1 || g.Allocated || g.Difference {
		fmt.Fprintf(out, "%2d. %10s (%.0f %%)  %s%s\n", i, bytesText(c.Last), 100*c.Share, place(c.Site), calledFrom(c)+
			objectsText(c))
		return
	}
	sure := "not sure"
	if c.State == record.Found {
		sure = "sure"
	}
	fmt.Fprintf(out, "%2d. %10s (%.0f %%)  %s\n", i, "+"+bytesText(c.Grew()), 100*c.Share, place(c.Site))
	if from := calledFrom(c); from != "" {
		fmt.Fprintf(out, "%19s%s\n", "", strings.TrimPrefix(from, ", "))
	}
	fmt.Fprintf(out, "%19s%s; %s%s\n", "", sure, shapeText(&c.Curve, bytesText), objectsText(c)+keptText(c))
	if len(c.Sites) > 1 {
		var with []string
		for _, s := range c.Sites[1:min(4, len(c.Sites))] {
			if s.Bytes > 0 {
				with = append(with, fmt.Sprintf("%s +%s", place(s.Site), bytesText(float64(s.Bytes))))
			}
		}
		if len(with) > 0 {
			fmt.Fprintf(out, "%19swith %s\n", "", strings.Join(with, ", "))
		}
	}
}

// objectsText says how many objects there are and of which size, and whether each goroutine of an entry has one.
func objectsText(c *record.Cause) string {
	if c.Objects < 1 || c.Objects < 2 && c.ObjectBytes < leastObject {
		return ""
	}
	if c.PerGoroutine != "" {
		return fmt.Sprintf("; %s objects of %s, as many as goroutines of %s", countText(c.Objects), bytesText(c.ObjectBytes),
			c.PerGoroutine)
	}
	return fmt.Sprintf("; about %s objects, %s on average", countText(c.Objects), bytesText(c.ObjectBytes))
}

// leastObject is the size in bytes from which a single object is worth a word: smaller ones are one sample.
const leastObject = 1 << 20

// keptText says how much of all allocations stayed, and how much was left without load.
func keptText(c *record.Cause) string {
	text := ""
	if c.PerWork != nil {
		text = fmt.Sprintf("; %s a request", bytesText(c.PerWork.Bytes))
	}
	if c.Kept >= 0 {
		text += fmt.Sprintf("; %.0f %% of what it allocated was kept", 100*c.Kept)
	}
	if c.Rest != nil {
		text += fmt.Sprintf("; without load %s of it were left", bytesText(float64(*c.Rest)))
		if float64(*c.Rest) < c.Grew()/2 {
			text += ": work in progress"
		}
	}
	return text
}

// shapeText is a curve in words.
func shapeText(c *record.Curve, amount func(float64) string) string {
	text := fmt.Sprintf("%s -> %s, up in %d of %d", amount(c.First), amount(c.Last), c.Up, c.Steps)
	switch c.Shape {
	case record.Levelled:
		text += ", rose and then stayed"
		if c.Final > 0 {
			text += fmt.Sprintf(" (it would end at %s)", amount(c.Final))
		}
	case record.Stepped:
		text += ", rose once and stayed"
	case record.Steady:
		text = fmt.Sprintf("%s -> %s", amount(c.First), amount(c.Last))
	}
	return text
}

func place(s record.Site) string {
	if s.File == "" {
		return s.Function
	}
	return fmt.Sprintf("%s %s:%d", s.Function, path.Base(s.File), s.Line) // the function's name has the package's path
}

// calledFrom is the user's place that leads to a cause.
func calledFrom(c *record.Cause) string {
	if c.User == nil {
		return ""
	}
	via := ""
	if len(c.Via) > 0 {
		via = "by " + strings.Join(c.Via, ", ") + " "
	}
	return fmt.Sprintf(", called %sfrom %s", via, place(*c.User))
}

// writeRoutines prints groups of goroutines that grew, and with a single profile the largest.
func writeRoutines(out io.Writer, g *record.Growth) {
	if len(g.Routines) > 0 {
		fmt.Fprintln(out, "\nGoroutines that became more:")
	}
	for i := range g.Routines {
		r := &g.Routines[i]
		state := "not sure"
		if r.State == record.Found {
			state = "found, " + string(r.Class)
		}
		fmt.Fprintf(out, "  %10s  %s [%s] at %s\n", "+"+countText(r.Grew()), r.Root, r.Wait, place(r.At))
		fmt.Fprintf(out, "%14s%s; %s", "", state, shapeText(&r.Curve, countText))
		if r.Creator != "" {
			fmt.Fprintf(out, "; started by %s", r.Creator)
		}
		if r.Peak > 0 {
			fmt.Fprintf(out, "; a queue without a bound: at each look more, up to %s, and fewer since",
				countText(r.Peak))
		}
		if r.Remain {
			fmt.Fprint(out, "; they remained when the load had stopped")
		}
		fmt.Fprintf(out, "; at least %s of stacks\n", bytesText(float64(r.Stack)))
	}
	if len(g.Resting) == 0 {
		return
	}
	fmt.Fprintln(out, "\nGoroutines:")
	for i := range g.Resting[:min(3, len(g.Resting))] {
		r := &g.Resting[i]
		by := ""
		if r.Creator != "" {
			by = ", started by " + r.Creator
		}
		if r.Grew() >= 1 && r.Steps > 0 {
			by += "; " + shapeText(&r.Curve, countText)
		}
		fmt.Fprintf(out, "  %10s  %s [%s] at %s%s\n", countText(r.Last), r.Root, r.Wait, place(r.At), by)
	}
}

// spanText writes a span of time in its two largest units.
func spanText(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	case d >= time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
	return cmp.Or(d.Round(time.Second), d).String()
}
