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
}

func modelTerms() []modelTerm {
	bodies := func(o observation) float64 { return math.Max(0, float64(o.cov.InFlight-o.cov.AtHeader)) }
	terms := []modelTerm{
		{"constant", func(observation) float64 { return 1 }},
		{"workers", func(o observation) float64 { return float64(o.cov.InFlight) }},
		{"bytes-in-flight", func(o observation) float64 { return float64(o.cov.BytesInFlight) }},
		{"backlog", func(o observation) float64 { return float64(o.cov.Backlog) }},
		{"files", func(o observation) float64 { return float64(o.cov.FilesDone) }},
		{"distinct", func(o observation) float64 { return float64(o.cov.Distinct) }},
		{"connections", func(o observation) float64 { return float64(o.cov.ConnsOpen) }},
	}
	for _, p := range fit.PartSizes {
		terms = append(terms, modelTerm{"workers*part", func(o observation) float64 {
			b := bodies(o)
			if b == 0 {
				return 0
			}
			return b * math.Min(1, float64(o.cov.BytesInFlight)/b/p)
		}})
	}
	for _, p := range fit.PartSizes { // a second buffer for what does not fit into one
		terms = append(terms, modelTerm{"workers*part", func(o observation) float64 {
			b := bodies(o)
			if b == 0 || float64(o.cov.BytesInFlight)/b <= p {
				return 0
			}
			return b
		}})
	}
	return append(terms,
		modelTerm{"workers*part", bodies},
		// Memory that stays when transfers end: the runtime's tables of its largest heap so far.
		modelTerm{"bytes-in-flight", func(o observation) float64 { return float64(o.most) }})
}

// linear is a fit over the terms of the model, all of whose terms are believed.
type linear struct {
	fit     *trend.Fit
	terms   []modelTerm
	sigma   float64  // residual standard deviation, bytes
	dropped []string // terms that were chosen and are not believed, and why
}

// doubt says why a term of so many bytes is not believed; "" if it is.
type doubt func(term string, bytes float64) string

// nothingGathers is the doubt of terms of listed or finished files where no finding names a site that keeps any of it
// without a bound: a queue of bounded length and a cache that fills fit them as well, and a plan multiplies them by a
// thousand times the observed range.
func (e *Evidence) nothingGathers(term string, bytes float64) string {
	if !slices.Contains([]string{"backlog", "files", "distinct"}, term) ||
		slices.ContainsFunc(e.Trials, func(t trialSize) bool { return slices.ContainsFunc(t.costs, costs.Gathers) }) {
		return ""
	}
	return fmt.Sprintf("%s of %.0f B each, but no finding says that anything gathers", term, bytes)
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
	for first, dropped := true, true; dropped; first = false {
		var err error
		if l.fit, err = trend.Select(cands, y, v, threshold.MostModelTerms, 0); err != nil {
			return nil, err
		}
		dropped = false
		for i, j := range l.fit.Terms {
			if j == 0 {
				continue
			}
			why := doubted(l.terms[j].name, l.fit.Coef[i])
			if why == "" && l.fit.T(i) < threshold.MinT {
				why = fmt.Sprintf("%s: not told apart from the other terms by this matrix (t = %.1f)", l.terms[j].name, l.fit.T(i))
			}
			if why != "" {
				if first {
					l.dropped = append(l.dropped, why)
				}
				cands[j].Values, dropped = make([]float64, len(rows)), true
			}
		}
	}
	sum := 0.0
	for _, r := range rows {
		sum += trend.Square(quantity(r) - l.of(r))
	}
	l.sigma = math.Sqrt(sum / math.Max(1, float64(len(rows))))
	return l, nil
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
	m := &peakModel{costs: e.Costs(), Rates: e.rates(), States: e.States, factor: e.factor()}
	for i := range e.Rows {
		e.Rows[i].growth = costs.GrowthOf(m.costs, e.Rows[i].units)
	}
	live, err := fitModel(e.Rows, observation.liveRest, threshold.ModelFloor, e.nothingGathers)
	if err != nil {
		return nil
	}
	m.live = live
	beside := func(term string, bytes float64) string {
		return cmp.Or(e.nothingGathers(term, bytes), live.holdsFiles(term, bytes))
	}
	if m.arenas, err = fitModel(e.Rows, func(o observation) float64 { return o.arenas - o.growth.Arenas }, arenasFloor,
		beside); err != nil {
		m.arenas = nil
	}
	if m.outside, err = fitModel(e.Rows, func(o observation) float64 { return o.outside - o.growth.Outside }, outsideFloor,
		beside); err != nil {
		m.outside = nil
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
