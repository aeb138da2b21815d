package capacity

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

// fits says how much work fits beside the most workers that a sound trial had, or fewer where the limit has no room for
// so many, where rows of the cost table grow with it; nil where none does, or where one worker needs all of the limit.
func (m *peakModel) fits(p costs.Plan, g grounds) *record.Fit {
	var rows []record.Cost
	var low, mid float64 // bytes a file
	for _, c := range m.costs {
		if n, ok := m.Rates.PerFile(c.Per); ok && !c.Bounded && n > 0 {
			rows = append(rows, c)
			low, mid = low+n*c.CI95[0], mid+n*c.Bytes
		}
	}
	if len(rows) == 0 || mid <= 0 || g.seen == 0 {
		return nil
	}
	beside := m.beside() // of the middle alone: a warm-up may be among it
	mid += beside
	top := slices.MaxFunc(rows, func(a, b record.Cost) int {
		x, _ := m.Rates.PerFile(a.Per)
		y, _ := m.Rates.PerFile(b.Per)
		return cmp.Compare(x*a.Bytes, y*b.Bytes)
	})
	without := p
	without.Files = 0
	workers := m.fitWorkers(without, g)
	if workers == 0 {
		return nil
	}
	f := m.Forecast(without, workers)
	need, _ := f.Needs()
	per, _ := m.Rates.PerFile(top.Per)
	safe := math.Min(m.mostFiles(p, workers), m.unseen(p, workers))
	fit := &record.Fit{Workers: workers, Per: top.Per, Most: safe * per, Files: safe, Range: []float64{safe * per},
		Tried: top.Tried[1], PerFile: mid, Cost: top, AtLeast: m.bare >= threshold.BareShare}
	breaks := math.Floor((float64(p.Limit) - math.Max(0, need-f.spread-threshold.BesideFloor)) / math.Max(low, 1e-9))
	if !fit.AtLeast && breaks <= mostOfSafe*math.Max(1, safe) {
		fit.Range = append(fit.Range, math.Max(safe, breaks)*per)
	}
	p.Files = int64(safe)
	fit.GOMEMLIMIT = goMemoryLimit(p.Limit, m.Forecast(p, workers))
	return fit
}

// mostOfSafe is the upper end of an interval over its lower end above which it says nothing.
const mostOfSafe = 10

// fitWorkers is beside how many workers files are counted: those that are asked about, else the most of a sound trial,
// or fewer where these have no room or leave the files less than half of that beside one.
func (m *peakModel) fitWorkers(without costs.Plan, g grounds) int {
	if without.Workers > 0 {
		return m.largest(without, without.Workers)
	}
	room := func(n int) float64 {
		_, high := m.Forecast(without, n).Needs()
		return float64(without.Limit) - high
	}
	return sort.Search(m.largest(without, g.seen), func(i int) bool { return room(i+1) < room(1)/2 })
}

// filesMost is the most files that are considered.
const filesMost = 1 << 40

// mostFiles is with how many files of the plan's size so many workers fit, by the same forecast as how many workers fit
// with so many files.
func (m *peakModel) mostFiles(p costs.Plan, workers int) float64 {
	return float64(first(filesMost, func(i int64) bool {
		p.Files = i + 1
		_, high := m.Forecast(p, workers).Needs()
		return high > float64(p.Limit)
	}))
}

// beside is what each of many files adds to the need beyond what rows of the cost table say: stacks, spans partly used
// and memory outside the heap come with files as well. 0 where no row grows.
func (m *peakModel) beside() float64 {
	const many = 1 << 40
	rows := costs.Growth(m.costs, m.Rates)
	if rows <= 0 {
		return 0
	}
	with, _ := m.Forecast(costs.Plan{Files: many}, 1).Needs()
	without, _ := m.Forecast(costs.Plan{}, 1).Needs()
	return math.Max(0, (with-without)/many-rows)
}

// refuted says which kill of the run says otherwise: so many workers or fewer were killed by a limit as large after no
// more files than fit. "" for none.
func (e *Evidence) refuted(f *record.Fit, workers int, p costs.Plan) string {
	for i := range e.Trials {
		t := &e.Trials[i]
		if t.outcome == record.OOMKilled && t.killed >= p.Limit && t.Workers <= workers &&
			float64(t.Files) <= f.Files {
			return fmt.Sprintf("by the memory model %s fit with %s, but a run of %s was killed by a limit as large with %s "+
				"listed or done",
				words.Work(f.Most, f.Per), words.Count(f.Workers, "worker"), words.Count(t.Workers, "worker"),
				words.Work(float64(t.Files), "file"))
		}
	}
	return ""
}

// mended is how many workers would fit, up to a number of them, without the row of the cost table that is largest for
// the planned work; 0 where the table has no row.
func (m *peakModel) mended(p costs.Plan, most int) int {
	if len(m.costs) == 0 {
		return 0
	}
	size := func(c record.Cost) float64 {
		n, ok := m.Rates.Planned(c.Per, c.Bound, p, 1)
		if c.Per == "worker" {
			n, ok = 1, true
		}
		if !ok {
			return 0
		}
		return n * c.Bytes
	}
	top := slices.MaxFunc(m.costs, func(a, b record.Cost) int { return cmp.Compare(size(a), size(b)) })
	grows := 0 // rows that do
	for _, c := range m.costs {
		if costs.Gathers(c) {
			grows++
		}
	}
	n := 0
	for n < most {
		f := m.Forecast(p, n+1)
		_, high := f.Needs()
		if costs.Gathers(top) && grows == 1 {
			high -= f.unseen // where nothing grows, no growth is looked for beside it
		}
		units, ok := m.Rates.Planned(top.Per, top.Bound, p, float64(n+1))
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
