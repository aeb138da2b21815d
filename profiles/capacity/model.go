package capacity

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/linear"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/record"
)

// peakModel is all that a peak is made of.
type peakModel struct {
	// What the cost table doesn't say grows: a fit each.
	live, arenas, outside *linear.Model
	holds                 []hold
	copies                series.Copies
	costs                 []record.Cost
	Rates                 costs.Rates
	// Measurements, which no prediction is below.
	States []seenState
	peaks  []seenPeak
	factor float64 // the peak resident heap over live heap
	grown  float64 // the most that a state had gathered on the live heap; 0 where trials may differ in it
	// bare is the part of what gathers on the live heap that was never written: no page stands for it.
	bare     float64
	sampling []series.Sampling // of the trials
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
		e.Rows[i].Growth = costs.GrowthOf(m.costs, e.Rows[i].Units)
		m.grown = math.Max(m.grown, e.Rows[i].Growth.Live)
	}
	if e.Rows[0].Trial != e.Rows[len(e.Rows)-1].Trial {
		m.grown = 0
	}
	live, err := linear.Fit(e.Rows, linear.Observation.LiveRest, threshold.ModelFloor, e.nothingGathers)
	if err != nil {
		return nil
	}
	m.live = live
	beside := func(term string, bytes, amount float64) string {
		return cmp.Or(e.nothingGathers(term, bytes, amount), m.warmsUp(term, bytes, amount), live.HoldsFiles(term, bytes))
	}
	if m.arenas, err = linear.Fit(e.Rows, linear.Observation.ArenasRest, arenasFloor, beside); err != nil {
		m.arenas = nil
	}
	if m.outside, err = linear.Fit(e.Rows, linear.Observation.OutsideRest, outsideFloor, beside); err != nil {
		m.outside = nil
	}
	if slices.ContainsFunc(m.costs, costs.Gathers) {
		live.Tail(e.Rows, linear.Observation.LiveRest, e.nothingGathers)
		if m.arenas != nil {
			m.arenas.Tail(e.Rows, linear.Observation.ArenasRest, beside)
		}
		if m.outside != nil {
			m.outside.Tail(e.Rows, linear.Observation.OutsideRest, beside)
		}
	}
	m.holds, m.bare = e.holds(live), e.bare()
	for _, t := range e.Trials {
		if t.copies.Share*t.copies.Beside > m.copies.Share*m.copies.Beside {
			m.copies = t.copies
		}
	}
	m.see(e.Trials)
	for i := range e.Trials { // after their peaks, to which it belongs
		if e.Trials[i].speaks() {
			m.sampling = append(m.sampling, e.Trials[i].sampling)
		}
	}
	return m
}

// nothingGathers is the doubt of terms of listed or finished files where no finding names a site that keeps any of it
// without a bound: a queue of bounded length and a cache that fills fit them as well, and a plan multiplies them by a
// thousand times the observed range.
func (e *Evidence) nothingGathers(term string, bytes, _ float64) string {
	if !linear.Gathering(term) ||
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
	if !linear.Gathering(term) || bytes <= growth || amount >= threshold.OffHeapMin {
		return ""
	}
	return fmt.Sprintf("%s of %.0f B each, where findings gather %.0f B a file", term, bytes, growth)
}

// MemoryModel is the model as a run's verdict has it, checked: each worker count is predicted from the others.
func (e *Evidence) MemoryModel(p *peakModel) *record.Model {
	if p == nil {
		return nil
	}
	m := &record.Model{Quantity: "live-heap", R2: p.live.R2(), Terms: p.live.Record(), Sigma: p.live.Sigma,
		Warnings: p.live.Dropped, Beside: p.beside(),
		CrossCheck: map[string]float64{}, RSSOverLive: e.ratios()}
	for _, c := range p.costs {
		if _, grows := p.Rates.PerFile(c.Per); grows && !c.Bounded {
			m.Terms = append(m.Terms, record.Term{Name: c.Per, Bytes: c.Bytes, CI95: c.CI95})
		}
	}
	if p.arenas != nil {
		m.Arenas = p.arenas.Record()
	}
	if p.outside != nil {
		m.Outside = p.outside.Record()
	}
	cells := map[string]bool{}
	for _, r := range e.Rows {
		cells[r.Cell] = true
	}
	m.Cells = len(cells)
	e.crossCheck(m)
	return m
}

// crossCheck predicts the largest held state of each worker count from the trials with other counts.
func (e *Evidence) crossCheck(m *record.Model) {
	groups := map[int][]linear.Observation{}
	for _, r := range e.Rows {
		groups[r.Workers] = append(groups[r.Workers], r)
	}
	if len(groups) < 3 {
		m.Warnings = append(m.Warnings, fmt.Sprintf("need >= 3 worker counts to predict one from the others, have %d",
			len(groups)))
		return
	}
	for _, w := range slices.Sorted(maps.Keys(groups)) {
		var rest []linear.Observation
		for k, g := range groups {
			if k != w {
				rest = append(rest, g...)
			}
		}
		slices.SortFunc(rest, func(a, b linear.Observation) int {
			return cmp.Or(cmp.Compare(a.Cell, b.Cell), cmp.Compare(a.Live, b.Live))
		})
		fit, err := linear.Fit(rest, linear.Observation.LiveRest, threshold.ModelFloor, e.nothingGathers)
		if err != nil {
			continue
		}
		top := slices.MaxFunc(groups[w], func(a, b linear.Observation) int { return cmp.Compare(a.Live, b.Live) })
		m.CrossCheck["workers="+strconv.Itoa(w)] = (fit.Of(top)+top.Growth.Live)/math.Max(1, top.Live) - 1
	}
}
