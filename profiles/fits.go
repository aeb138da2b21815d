package profiles

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/record"
)

// fits says how much work fits beside the most workers that a sound trial had, or fewer where the limit has no room for
// so many, where rows of the cost table grow with it; nil where none does, or where one worker needs all of the limit.
func (m *peakModel) fits(p Plan, g grounds) *record.Fit {
	var rows []record.Cost
	var low, mid, high float64 // bytes a file
	for _, c := range m.costs {
		if n, ok := m.rates.perFile(c.Per); ok && !c.Bounded && n > 0 {
			rows = append(rows, c)
			low, mid, high = low+n*c.CI95[0], mid+n*c.Bytes, high+n*(c.CI95[1]+collectorFloats*share(c, partLive))
		}
	}
	if len(rows) == 0 || mid <= 0 || g.seen == 0 {
		return nil
	}
	beside := math.Max(0, m.perFile(p)-mid)
	low, mid, high = low+beside, mid+beside, high+beside
	top := slices.MaxFunc(rows, func(a, b record.Cost) int {
		x, _ := m.rates.perFile(a.Per)
		y, _ := m.rates.perFile(b.Per)
		return cmp.Compare(x*a.Bytes, y*b.Bytes)
	})
	without := p
	without.Files = 0
	workers := m.largest(without, g.seen)
	if workers == 0 {
		return nil
	}
	f := m.forecast(without, workers)
	need, most := f.needs()
	least := math.Max(0, need-f.spread)
	per, _ := m.rates.perFile(top.Per)
	files := func(need, bytes float64) float64 {
		return math.Max(0, math.Floor((float64(p.Limit)-need)/math.Max(bytes, 1e-9)))
	}
	safe := math.Min(files(most, high), m.unseen(p, workers))
	return &record.Fit{Workers: workers, Per: top.Per, Most: safe * per, Files: safe, Range: [2]float64{safe * per,
		files(least, low) * per},
		Tried: top.Tried[1], PerFile: mid, Cost: top}
}

// perFile is what each of many files adds to the need by the whole model: stacks, spans partly used and memory outside
// the heap come with files as well, beyond what rows of the cost table say.
func (m *peakModel) perFile(p Plan) float64 {
	const many = 1 << 40
	p.Files = many
	with, _ := m.forecast(p, 1).needs()
	p.Files = 0
	without, _ := m.forecast(p, 1).needs()
	return (with - without) / many
}

// refuted says which kill of the run says otherwise: as many workers or fewer were killed by a limit as large after no
// more files than fit. "" for none.
func (e *evidenceOfRun) refuted(f *record.Fit, p Plan) string {
	for i := range e.trials {
		t := &e.trials[i]
		if t.outcome == record.OOMKilled && t.killed >= p.Limit && t.workers <= f.Workers && t.files > 0 &&
			float64(t.files) <= f.Files {
			return fmt.Sprintf("by the memory model %s with %s, but a run of %s was killed by a limit as large with %s "+
				"listed or done",
				workText(f.Most, f.Per), count(f.Workers, "worker"), count(t.workers, "worker"),
				workText(float64(t.files), "file"))
		}
	}
	return ""
}

// mended is how many workers would fit, up to a number of them, without the row of the cost table that is largest for
// the planned work; 0 where the table has no row.
func (m *peakModel) mended(p Plan, most int) int {
	if len(m.costs) == 0 {
		return 0
	}
	size := func(c record.Cost) float64 {
		n, ok := m.rates.planned(c.Per, c.Bound, p, 1)
		if c.Per == "worker" {
			n, ok = 1, true
		}
		if !ok {
			return 0
		}
		return n * c.Bytes
	}
	top := slices.MaxFunc(m.costs, func(a, b record.Cost) int { return cmp.Compare(size(a), size(b)) })
	n := 0
	for n < most {
		_, high := m.forecast(p, n+1).needs()
		units, ok := m.rates.planned(top.Per, top.Bound, p, float64(n+1))
		if top.Per == "worker" {
			units, ok = float64(n+1), true
		}
		if !ok || high-units*top.CI95[0] > float64(p.Limit) {
			break
		}
		n++
	}
	return n
}

// costText is a row in a clause: "3.3 KiB per listed file at drive.(*Walker).walk".
func costText(c record.Cost) string {
	text := bytesText(c.Bytes) + " per " + itemText(c.Per)
	if c.Site.Function != "" {
		text += " at " + short(c.Site.Function)
	}
	return text
}

// fitText says it in a sentence.
func fitText(f *record.Fit, limit int64) string {
	s := fmt.Sprintf("%s fit in %s with %s, to %s (95 %%): %s stays", workText(f.Most, f.Per),
		bytesText(float64(limit)), count(f.Workers, "worker"),
		workText(f.Range[1], f.Per), costText(f.Cost))
	if f.PerFile > 1.05*f.Cost.Bytes && f.Per != "second" {
		s += fmt.Sprintf(", %s a file with all that grows", bytesText(f.PerFile))
	}
	if f.Tried > 0 && f.Most > f.Tried {
		s += fmt.Sprintf("; extrapolated from %s", workText(f.Tried, f.Per))
	}
	return s
}

// workText is an amount of work as a person says it: 610,000 files, 12.5 hours, 3.1 GiB.
func workText(n float64, per string) string {
	switch per {
	case "second":
		if n >= 3600 {
			return fmt.Sprintf("%.1f hours", n/3600)
		}
		return fmt.Sprintf("%.0f seconds", n)
	case "byte":
		return bytesText(n) + " copied"
	}
	unit := map[string]string{"file": "files", "listed-file": "listed files", "backlog-item": "waiting files",
		"distinct-item": "distinct files",
		"request":       "requests", "page": "pages", "wave": "waves", "error": "errors"}[per]
	return thousands(n) + " " + cmp.Or(unit, per)
}

// thousands is a number with its thousands apart, rounded down to three digits.
func thousands(n float64) string {
	if n >= 1000 {
		step := math.Pow(10, math.Floor(math.Log10(n))-2)
		n = math.Floor(n/step) * step
	}
	text := fmt.Sprintf("%.0f", n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
