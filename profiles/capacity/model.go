package capacity

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// modelTerm is a candidate of the memory model.
type modelTerm struct {
	name  string
	value func(observation) float64
	// bounded says that the value ends at the most that was observed: the term explains the readings and promises nothing
	// beyond them.
	bounded bool
}

func modelTerms() []modelTerm {
	bodies := func(o observation) float64 { return math.Max(0, float64(o.cov.InFlight-o.cov.AtHeader)) }
	terms := []modelTerm{
		{name: "constant", value: func(observation) float64 { return 1 }},
		{name: "workers", value: func(o observation) float64 { return float64(o.cov.InFlight) }},
		{name: "bytes-in-flight", value: func(o observation) float64 { return float64(o.cov.BytesInFlight) }},
		{name: "backlog", value: func(o observation) float64 { return float64(o.cov.Backlog) }},
		{name: "files", value: func(o observation) float64 { return float64(o.cov.FilesDone) }},
		{name: "distinct", value: func(o observation) float64 { return float64(o.cov.Distinct) }},
		{name: "connections", value: func(o observation) float64 { return float64(o.cov.ConnsOpen) }},
	}
	for _, p := range fit.PartSizes {
		terms = append(terms, modelTerm{name: "workers*part", value: func(o observation) float64 {
			b := bodies(o)
			if b == 0 {
				return 0
			}
			return b * math.Min(1, float64(o.cov.BytesInFlight)/b/p)
		}})
	}
	for _, p := range fit.PartSizes { // a second buffer for what does not fit into one
		terms = append(terms, modelTerm{name: "workers*part", value: func(o observation) float64 {
			b := bodies(o)
			if b == 0 || float64(o.cov.BytesInFlight)/b <= p {
				return 0
			}
			return b
		}})
	}
	return append(terms,
		modelTerm{name: "workers*part", value: bodies},
		// Memory that stays when transfers end: the runtime's tables of its largest heap and of its most goroutines so far.
		modelTerm{name: "bytes-in-flight", value: func(o observation) float64 { return float64(o.most) }},
		modelTerm{name: "workers", value: func(o observation) float64 { return float64(o.mostInFlight) }})
}

// linear is a fit over the terms of the model, all of whose terms are believed.
type linear struct {
	fit   *trend.Fit
	terms []modelTerm
	sigma float64 // residual standard deviation, bytes
	// late is what each file beyond those seen adds, bytes: the growth that the terms don't follow.
	late, seen float64
	dropped    []string // terms that were chosen and are not believed beyond the readings, and why
}

// doubt says why a term of so many bytes, of so many in all readings together, is not believed; "" if it is.
type doubt func(term string, bytes, amount float64) string

// gathering reports whether a term is of work that adds up.
func gathering(term string) bool {
	return slices.Contains([]string{"backlog", "files", "distinct"}, term)
}

// nothingGathers is the doubt of terms of listed or finished files where no finding names a site that keeps any of it
// without a bound: a queue of bounded length and a cache that fills fit them as well, and a plan multiplies them by a
// thousand times the observed range.
func (e *Evidence) nothingGathers(term string, bytes, _ float64) string {
	if !gathering(term) ||
		slices.ContainsFunc(e.Trials, func(t trialSize) bool { return slices.ContainsFunc(t.costs, costs.Gathers) }) {
		return ""
	}
	return fmt.Sprintf("%s of %.0f B each, but no finding says that anything gathers", term, bytes)
}

// warmsUp is the doubt of files beside the live heap that come to less than a finding would be made of, and of which
// each is more than all that findings say a file leaves: what the runtime and the kernel have for objects that stay is
// less than the objects.
func (m *peakModel) warmsUp(term string, bytes, amount float64) string {
	growth := costs.Growth(m.costs, m.Rates)
	if !gathering(term) || bytes <= growth || amount >= threshold.OffHeapMin {
		return ""
	}
	return fmt.Sprintf("%s of %.0f B each beside the live heap, where findings gather %.0f B a file", term, bytes, growth)
}

// holdsFiles is the doubt of what would hold next to nothing of each byte in flight beside a live heap that holds none:
// who holds a file holds all of it. The tables that the runtime and the kernel have for held bytes are that small.
func (l *linear) holdsFiles(term string, bytes float64) string {
	if term != "bytes-in-flight" || bytes >= threshold.LeastOfAByte || slices.ContainsFunc(l.fit.Terms,
		func(j int) bool { return l.terms[j].name == term }) {
		return ""
	}
	return fmt.Sprintf("%s: %.4f B of each, which is no file that is held", term, bytes)
}

// fitModel fits a quantity = constant + terms, over the observations that have it. floor is the error that a reading
// has by itself.
func fitModel(rows []observation, quantity func(observation) float64, floor float64, doubted doubt) (*linear, error) {
	rows = slices.DeleteFunc(slices.Clone(rows), func(o observation) bool { return math.IsNaN(quantity(o)) })
	l := &linear{terms: modelTerms()}
	cands := make([]trend.Candidate, len(l.terms))
	y, v := make([]float64, len(rows)), make([]float64, len(rows))
	for i, r := range rows {
		y[i] = quantity(r)
		v[i] = trend.Square(threshold.ModelError*y[i]/2 + floor)
	}
	for j, t := range l.terms {
		x := make([]float64, len(rows))
		for i, r := range rows {
			x[i] = t.value(r)
		}
		cands[j] = trend.Candidate{Values: x, Penalty: 2}
	}
	for first, again := true, true; again; first = false {
		var err error
		if l.fit, err = trend.Select(cands, y, v, threshold.MostModelTerms, 0); err != nil {
			return nil, err
		}
		l.bound(rows, y, doubted)
		at, why := l.weakest()
		if again = at > 0; again {
			cands[at].Values = make([]float64, len(rows))
		}
		if first && again {
			l.dropped = append(l.dropped, why)
		}
	}
	sum := 0.0
	for _, r := range rows {
		sum += trend.Square(quantity(r) - l.of(r))
	}
	l.sigma = math.Sqrt(sum / math.Max(1, float64(len(rows))))
	return l, nil
}

// bound keeps the terms that are doubted, or whose growth flattened, to the most that was observed. They stay in the
// fit: memory of a cache or of a warm-up would else hide that of transfers.
func (l *linear) bound(rows []observation, y []float64, doubted doubt) {
	for i, j := range l.fit.Terms {
		t := &l.terms[j]
		if j == 0 || t.bounded {
			continue
		}
		value := t.value
		most := most(rows, value)
		why := cmp.Or(doubted(t.name, l.fit.Coef[i], l.fit.Coef[i]*most), l.flattens(i, rows, y))
		if why == "" {
			continue
		}
		t.bounded, t.value = true, func(o observation) float64 { return math.Min(value(o), most) }
		l.dropped = append(l.dropped, why)
	}
}

// most is the largest value that any row has.
func most(rows []observation, value func(observation) float64) float64 {
	out := 0.0
	for _, r := range rows {
		out = math.Max(out, value(r))
	}
	return out
}

// weakest is the candidate that the other terms explain as well, the one to drop before the others are judged; 0: none.
func (l *linear) weakest() (at int, why string) {
	least := threshold.MinT
	for i, j := range l.fit.Terms {
		if t := l.fit.T(i); j > 0 && t < least {
			least, at = t, j
			why = fmt.Sprintf("%s: not told apart from the other terms by this matrix (t = %.1f)", l.terms[j].name, t)
		}
	}
	return at, why
}

// flattens says that a term grew far less in the second half of the work, as a warm-up does; "" where it did not or too
// little was read.
func (l *linear) flattens(term int, rows []observation, y []float64) string {
	t, each := l.terms[l.fit.Terms[term]], l.fit.Coef[term]
	if !gathering(t.name) {
		return ""
	}
	late, span := l.secondHalf(rows, y, t.value, func(i int) bool { return i == term })
	if span == 0 || late >= threshold.Flattened*each {
		return ""
	}
	return fmt.Sprintf("%s of %.0f B each, but the second half of the work added %.0f B each", t.name, each,
		math.Max(0, late))
}

// tail takes the bytes that each file of the second half of the work added beyond the fit, where a term flattened or
// warm-ups have ended, and they are clear of the errors of readings: a plan multiplies them by a thousand.
func (l *linear) tail(rows []observation, quantity func(observation) float64, doubted doubt) {
	y := make([]float64, len(rows))
	for i, r := range rows {
		y[i] = quantity(r)
	}
	files := func(o observation) float64 { return float64(o.cov.FilesDone) }
	flattened := false
	late, span := l.secondHalf(rows, y, files, func(i int) bool {
		t := l.terms[l.fit.Terms[i]]
		flattened = flattened || t.bounded && gathering(t.name)
		return t.bounded && gathering(t.name)
	})
	seen := most(rows, files)
	if late*span >= threshold.ModelFloor && (flattened || seen >= threshold.WarmedUp) &&
		doubted("files", late, late*span) == "" {
		l.late, l.seen = late, seen
	}
}

// secondHalf is by how much a unit of the second half of the work raised the memory that the fit does not explain
// without some of its terms, and how many units that half had; 0 where there are few readings, or all from its end.
func (l *linear) secondHalf(rows []observation, y []float64, unit func(observation) float64,
	without func(term int) bool) (late, span float64) {
	end := most(rows, unit)
	var x, rest []float64
	for i, r := range rows {
		v := unit(r)
		if r.held || v < end/2 || math.IsNaN(y[i]) {
			continue
		}
		left := y[i] - l.of(r)
		for j, t := range l.fit.Terms {
			if without(j) {
				left += l.fit.Coef[j] * l.terms[t].value(r)
			}
		}
		x, rest = append(x, v), append(rest, left)
	}
	if len(x) < threshold.LeastHolds || end-slices.Min(x) < end/3 {
		return 0, 0
	}
	return trend.TheilSen(x, rest).Slope, end - slices.Min(x)
}

// beyond is what work beyond all that was observed adds to the fit.
func (l *linear) beyond(o observation) float64 {
	return l.late * math.Max(0, float64(o.cov.FilesDone)-l.seen)
}

// of is the fit's value for an observation.
func (l *linear) of(o observation) float64 {
	sum := 0.0
	for i, j := range l.fit.Terms {
		sum += l.fit.Coef[i] * l.terms[j].value(o)
	}
	return sum
}

// record are the terms as a run's verdict has them.
func (l *linear) record() []record.Term {
	out := []record.Term{}
	for i, j := range l.fit.Terms {
		d := 1.96 * l.fit.SE[i]
		out = append(out, record.Term{Name: l.terms[j].name, Bytes: l.fit.Coef[i], CI95: [2]float64{math.Max(0,
			l.fit.Coef[i]-d), l.fit.Coef[i] + d}})
	}
	return out
}

// peakModel is all that a peak is made of.
type peakModel struct {
	// What the cost table doesn't say grows: a fit each.
	live, arenas, outside *linear
	holds                 []hold
	copies                series.Copies
	costs                 []record.Cost
	Rates                 costs.Rates
	// Measurements, which no prediction is below.
	States []seenState
	peaks  []seenPeak
	factor float64 // the peak resident heap over live heap
}

// The errors of single readings, in bytes: of arenas, spans that happen to be partly used; of memory outside, the
// kernel's counters, which are added up from the CPUs' now and then.
const (
	arenasFloor  = 512 << 10
	outsideFloor = 512 << 10
)

// PeakModel fits it, or returns nil where there is too little. Runs without readings of the process have no model of
// the memory beside the live heap.
func (e *Evidence) PeakModel() *peakModel {
	if len(e.Rows) < threshold.MinModelRows {
		return nil
	}
	m := &peakModel{costs: e.Costs(), Rates: e.rates(), States: fronts(e.States), factor: e.factor()}
	for i := range e.Rows {
		e.Rows[i].growth = costs.GrowthOf(m.costs, e.Rows[i].units)
	}
	live, err := fitModel(e.Rows, observation.liveRest, threshold.ModelFloor, e.nothingGathers)
	if err != nil {
		return nil
	}
	m.live = live
	beside := func(term string, bytes, amount float64) string {
		return cmp.Or(e.nothingGathers(term, bytes, amount), m.warmsUp(term, bytes, amount), live.holdsFiles(term, bytes))
	}
	if m.arenas, err = fitModel(e.Rows, observation.arenasRest, arenasFloor, beside); err != nil {
		m.arenas = nil
	}
	if m.outside, err = fitModel(e.Rows, observation.outsideRest, outsideFloor, beside); err != nil {
		m.outside = nil
	}
	if slices.ContainsFunc(m.costs, costs.Gathers) {
		live.tail(e.Rows, observation.liveRest, e.nothingGathers)
		if m.arenas != nil {
			m.arenas.tail(e.Rows, observation.arenasRest, beside)
		}
		if m.outside != nil {
			m.outside.tail(e.Rows, observation.outsideRest, beside)
		}
	}
	m.holds = e.holds(live)
	for _, t := range e.Trials {
		if t.copies.Share*t.copies.Beside > m.copies.Share*m.copies.Beside {
			m.copies = t.copies
		}
	}
	m.see(e.Trials)
	return m
}

// MemoryModel is the model as a run's verdict has it, checked: each worker count is predicted from the others.
func (e *Evidence) MemoryModel(p *peakModel) *record.Model {
	if p == nil {
		return nil
	}
	m := &record.Model{Quantity: "live-heap", R2: p.live.fit.R2, Terms: p.live.record(), Sigma: p.live.sigma,
		Warnings:   p.live.dropped,
		CrossCheck: map[string]float64{}, RSSOverLive: e.ratios()}
	for _, c := range p.costs {
		if _, grows := p.Rates.PerFile(c.Per); grows && !c.Bounded {
			m.Terms = append(m.Terms, record.Term{Name: c.Per, Bytes: c.Bytes, CI95: c.CI95})
		}
	}
	if p.arenas != nil {
		m.Arenas = p.arenas.record()
	}
	if p.outside != nil {
		m.Outside = p.outside.record()
	}
	cells := map[string]bool{}
	for _, r := range e.Rows {
		cells[r.cell] = true
	}
	m.Cells = len(cells)
	e.crossCheck(m)
	return m
}

// crossCheck predicts the largest held state of each worker count from the trials with other counts.
func (e *Evidence) crossCheck(m *record.Model) {
	groups := map[int][]observation{}
	for _, r := range e.Rows {
		groups[r.workers] = append(groups[r.workers], r)
	}
	if len(groups) < 3 {
		m.Warnings = append(m.Warnings, fmt.Sprintf("need >= 3 worker counts to predict one from the others, have %d",
			len(groups)))
		return
	}
	for _, w := range slices.Sorted(maps.Keys(groups)) {
		var rest []observation
		for k, g := range groups {
			if k != w {
				rest = append(rest, g...)
			}
		}
		slices.SortFunc(rest, func(a, b observation) int {
			return cmp.Or(cmp.Compare(a.cell, b.cell), cmp.Compare(a.live, b.live))
		})
		fit, err := fitModel(rest, observation.liveRest, threshold.ModelFloor, e.nothingGathers)
		if err != nil {
			continue
		}
		top := slices.MaxFunc(groups[w], func(a, b observation) int { return cmp.Compare(a.live, b.live) })
		m.CrossCheck["workers="+strconv.Itoa(w)] = (fit.of(top)+top.growth.Live)/math.Max(1, top.live) - 1
	}
}
