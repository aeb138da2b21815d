// Package linear fits memory to terms of the work: a constant, and so much for each transfer, byte in flight, file that
// waits or is done, and connection. A term that the states don't show beyond doubt explains them and promises nothing
// beyond them.
package linear

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// term is a candidate of a model.
type term struct {
	name  string
	value func(Observation) float64
	// bounded says that the value ends at the most that was observed: the term explains the readings and promises nothing
	// beyond them.
	bounded bool
}

func terms() []term {
	bodies := func(o Observation) float64 { return math.Max(0, float64(o.Cov.InFlight-o.Cov.AtHeader)) }
	terms := []term{
		{name: "constant", value: func(Observation) float64 { return 1 }},
		{name: "workers", value: func(o Observation) float64 { return float64(o.Cov.InFlight) }},
		{name: "bytes-in-flight", value: func(o Observation) float64 { return float64(o.Cov.BytesInFlight) }},
		{name: "backlog", value: func(o Observation) float64 { return float64(o.Cov.Backlog) }},
		{name: "files", value: func(o Observation) float64 { return float64(o.Cov.FilesDone) }},
		{name: "distinct", value: func(o Observation) float64 { return float64(o.Cov.Distinct) }},
		{name: "connections", value: func(o Observation) float64 { return float64(o.Cov.ConnsOpen) }},
	}
	for _, p := range fit.PartSizes {
		terms = append(terms, term{name: "workers*part", value: func(o Observation) float64 {
			b := bodies(o)
			if b == 0 {
				return 0
			}
			return b * math.Min(1, float64(o.Cov.BytesInFlight)/b/p)
		}})
	}
	for _, p := range fit.PartSizes { // a second buffer for what does not fit into one
		terms = append(terms, term{name: "workers*part", value: func(o Observation) float64 {
			b := bodies(o)
			if b == 0 || float64(o.Cov.BytesInFlight)/b <= p {
				return 0
			}
			return b
		}})
	}
	return append(terms,
		term{name: "workers*part", value: bodies},
		// Memory that stays when transfers end: the runtime's tables of its largest heap and of its most goroutines so far.
		term{name: "bytes-in-flight", value: func(o Observation) float64 { return float64(o.Most) }},
		term{name: "workers", value: func(o Observation) float64 { return float64(o.MostInFlight) }},
		// Memory of the setting: pools that are made when the process begins.
		term{name: "workers", value: func(o Observation) float64 { return float64(o.Workers) }})
}

// Model is a fit over terms, all of which are believed.
type Model struct {
	Sigma   float64  // residual standard deviation, bytes
	Dropped []string // terms that were chosen and are not believed, and why
	Bounded []string // of them, terms of work that adds up: growth that planned work is not multiplied by

	fit   *trend.Fit
	terms []term
	// late is what each file beyond those seen adds, bytes: the growth that the terms don't follow. unseen is what it may
	// add besides, too little to show in those; floor is the error of a reading.
	late, seen, unseen, floor float64
}

// Part is so many bytes of a term.
type Part struct {
	Term  string
	Bytes float64
}

// Doubt says why a term of so many bytes, of so many in all readings together, is not believed; "" if it is.
type Doubt func(term string, bytes, amount float64) string

// Gathering reports whether a term is of work that adds up.
func Gathering(term string) bool {
	return slices.Contains([]string{"backlog", "files", "distinct"}, term)
}

// HoldsFiles is the doubt of what would hold next to nothing of each byte in flight beside a live heap that holds none:
// who holds a file holds all of it. The tables that the runtime and the kernel have for held bytes are that small.
func (m *Model) HoldsFiles(term string, bytes float64) string {
	if term != "bytes-in-flight" || bytes >= threshold.LeastOfAByte || slices.ContainsFunc(m.fit.Terms,
		func(j int) bool { return m.terms[j].name == term }) {
		return ""
	}
	return fmt.Sprintf("%s: %.4f B of each, which is no file that is held", term, bytes)
}

// Fit fits a quantity = constant + terms, over the observations that have it. floor is the error that a reading
// has by itself.
func Fit(rows []Observation, quantity func(Observation) float64, floor float64, doubted Doubt) (*Model, error) {
	rows = slices.DeleteFunc(slices.Clone(rows), func(o Observation) bool { return math.IsNaN(quantity(o)) })
	m := &Model{terms: terms(), floor: floor}
	cands := make([]trend.Candidate, len(m.terms))
	y, v := make([]float64, len(rows)), make([]float64, len(rows))
	for i, r := range rows {
		y[i] = quantity(r)
		v[i] = trend.Square(threshold.ModelError*y[i]/2 + floor)
	}
	for j, t := range m.terms {
		x := make([]float64, len(rows))
		for i, r := range rows {
			x[i] = t.value(r)
		}
		cands[j] = trend.Candidate{Values: x, Penalty: 2}
	}
	for first, again := true, true; again; first = false {
		var err error
		if m.fit, err = trend.Select(cands, y, v, threshold.MostModelTerms, 0); err != nil {
			return nil, err
		}
		m.bound(rows, y, doubted)
		at, why := m.weakest()
		if again = at > 0; again {
			cands[at].Values = make([]float64, len(rows))
		}
		if first && again {
			m.Dropped = append(m.Dropped, why)
		}
	}
	sum := 0.0
	for _, r := range rows {
		sum += trend.Square(quantity(r) - m.Of(r))
	}
	m.Sigma = math.Sqrt(sum / math.Max(1, float64(len(rows))))
	return m, nil
}

// bound keeps the terms that are doubted, or whose growth flattened, to the most that was observed. They stay in the
// fit: memory of a cache or of a warm-up would else hide that of transfers.
func (m *Model) bound(rows []Observation, y []float64, doubted Doubt) {
	for i, j := range m.fit.Terms {
		t := &m.terms[j]
		if j == 0 || t.bounded {
			continue
		}
		value := t.value
		most := most(rows, value)
		why := cmp.Or(doubted(t.name, m.fit.Coef[i], m.fit.Coef[i]*most), m.flattens(i, rows, y))
		if why == "" {
			continue
		}
		t.bounded, t.value = true, func(o Observation) float64 { return math.Min(value(o), most) }
		if Gathering(t.name) {
			m.Bounded = append(m.Bounded, why)
		}
		m.Dropped = append(m.Dropped, why)
	}
}

// most is the largest value that any row has.
func most(rows []Observation, value func(Observation) float64) float64 {
	out := 0.0
	for _, r := range rows {
		out = math.Max(out, value(r))
	}
	return out
}

// weakest is the candidate that the other terms explain as well, the one to drop before the others are judged; 0: none.
func (m *Model) weakest() (at int, why string) {
	least := threshold.MinT
	for i, j := range m.fit.Terms {
		if t := m.fit.T(i); j > 0 && t < least {
			least, at = t, j
			why = fmt.Sprintf("%s: not told apart from the other terms by this matrix (t = %.1f)", m.terms[j].name, t)
		}
	}
	return at, why
}

// flattens says that a term grew less in the second half of the work, beyond the error of readings, as a warm-up does;
// "" where it did not or too little was read.
func (m *Model) flattens(term int, rows []Observation, y []float64) string {
	t, each := m.terms[m.fit.Terms[term]], m.fit.Coef[term]
	if !Gathering(t.name) {
		return ""
	}
	h := m.secondHalf(rows, y, t.value, func(i int) bool { return i == term })
	if h.units == 0 || h.each+h.error() >= each {
		return ""
	}
	return fmt.Sprintf("%s of %.0f B each, but the second half of the work added %.0f B each", t.name, each,
		math.Max(0, h.each))
}

// Tail takes the bytes that each file of the second half of the work added beyond the fit, where a term flattened or
// warm-ups have ended: a plan multiplies them by a thousand. They have to be clear of the errors of readings, unless
// they are most of what the terms say.
func (m *Model) Tail(rows []Observation, quantity func(Observation) float64, doubted Doubt) {
	y := make([]float64, len(rows))
	for i, r := range rows {
		y[i] = quantity(r)
	}
	files := func(o Observation) float64 { return float64(o.Cov.FilesDone) }
	flattened := 0.0
	for i, j := range m.fit.Terms {
		if t := m.terms[j]; t.bounded && Gathering(t.name) {
			flattened += m.fit.Coef[i]
		}
	}
	h := m.secondHalf(rows, y, files, func(i int) bool {
		t := m.terms[m.fit.Terms[i]]
		return t.bounded && Gathering(t.name)
	})
	late := h.each
	m.seen = most(rows, files)
	switch {
	case h.units == 0 || flattened == 0 && m.seen < threshold.WarmedUp:
		m.unseen = math.Max(m.floor/math.Max(1, m.seen), m.rises(rows, y, files))
		return
	case flattened > 0 && late >= threshold.Flattened*flattened:
		late += h.error()
	case flattened == 0 && h.end < threshold.ModelFloor || late*h.units < threshold.ModelFloor:
		m.unseen = threshold.ModelFloor / h.units
		return
	}
	if why := doubted("files", late, late*h.units); why != "" {
		m.Bounded = append(m.Bounded, why)
		return
	}
	m.late = late
}

// rises is the growth per unit from floor to floor that the fit has no term for, bytes.
func (m *Model) rises(rows []Observation, y []float64, unit func(Observation) float64) float64 {
	var x, rest []float64
	for i, r := range rows {
		if !r.Held && !math.IsNaN(y[i]) {
			x, rest = append(x, unit(r)), append(rest, y[i]-m.Of(r))
		}
	}
	return math.Max(0, trend.TheilSen(x, rest).Slope)
}

// Late is what each file beyond those seen adds besides what the terms say, bytes.
func (m *Model) Late() float64 { return m.late }

// UnseenBeyond is what so many files may add besides, too little to show in those that were seen, bytes.
func (m *Model) UnseenBeyond(files int64) float64 {
	return m.unseen * math.Max(0, float64(files)-m.seen)
}

// half is what the second half of the work added that the fit does not explain.
type half struct {
	each  float64 // bytes a unit
	units float64
	end   float64 // bytes above the fit at the end: less than that was but a dip before
}

// error is by how much the growth of each unit may be misread, bytes.
func (h half) error() float64 { return threshold.ModelFloor / 2 / h.units }

// secondHalf reads it without some of the fit's terms; it is zero where there are few readings, or all from the end.
func (m *Model) secondHalf(rows []Observation, y []float64, unit func(Observation) float64,
	without func(term int) bool) half {
	end := most(rows, unit)
	var x, rest []float64
	for i, r := range rows {
		v := unit(r)
		if r.Held || v < end/2 || math.IsNaN(y[i]) {
			continue
		}
		left := y[i] - m.Of(r)
		for j, t := range m.fit.Terms {
			if without(j) {
				left += m.fit.Coef[j] * m.terms[t].value(r)
			}
		}
		x, rest = append(x, v), append(rest, left)
	}
	if len(x) < threshold.LeastHolds || end-slices.Min(x) < end/3 {
		return half{}
	}
	line := trend.TheilSen(x, rest)
	h := half{each: line.Slope, units: end - slices.Min(x), end: line.Intercept + line.Slope*end}
	for _, last := range lastParts(x, rest, end) {
		if last.each > h.each && last.each*last.units >= threshold.BesideFloor && !last.over(m.floor) {
			h.each, h.end = last.each, h.end+(last.each-h.each)*(end-last.since)
		}
	}
	return h
}

// lastPart is what the last part of the work added, and what a shorter one within it did.
type lastPart struct {
	each         float64 // bytes a unit
	since, units float64
	shorter      []lastPart
}

// lastParts reads the growth of the last quarter of the work and of its last parts, where there are readings of them.
func lastParts(x, y []float64, end float64) []lastPart {
	var out []lastPart
	for _, part := range []float64{16, 8, 4} {
		l := lastPart{since: end - end/part, shorter: slices.Clone(out)}
		var u, v []float64
		for i := range x {
			if x[i] >= l.since {
				u, v = append(u, x[i]), append(v, y[i])
			}
		}
		if len(u) < threshold.LeastHolds {
			continue
		}
		l.each, l.units = trend.TheilSen(u, v).Slope, slices.Max(u)-slices.Min(u)
		out = append(out, l)
	}
	return out
}

// over reports whether the growth had become slower before the end, beyond the error of a reading: it was a step, such
// as a table that doubled, and no growth that became faster.
func (l lastPart) over(floor float64) bool {
	return slices.ContainsFunc(l.shorter, func(s lastPart) bool { return s.each+floor/s.units < l.each })
}

// beyond is what work beyond all that was observed adds to the fit.
func (m *Model) beyond(o Observation) float64 {
	return m.late * math.Max(0, float64(o.Cov.FilesDone)-m.seen)
}

// Of is the fit's value for an observation.
func (m *Model) Of(o Observation) float64 {
	sum := 0.0
	for i, j := range m.fit.Terms {
		sum += m.fit.Coef[i] * m.terms[j].value(o)
	}
	return sum
}

// At is the model's value for planned work, with its standard error, and with the growth beyond all that was observed.
func (m *Model) At(o Observation) (value, se float64) {
	x := make([]float64, len(m.terms))
	for j, t := range m.terms {
		x[j] = t.value(o)
	}
	value, se = m.fit.Predict(x)
	return value + m.beyond(o), se
}

// Parts are what the terms come to for planned work.
func (m *Model) Parts(o Observation) []Part {
	var out []Part
	for i, j := range m.fit.Terms {
		out = append(out, Part{m.terms[j].name, m.fit.Coef[i] * m.terms[j].value(o)})
	}
	if late := m.beyond(o); late > 0 {
		out = append(out, Part{"files", late})
	}
	return out
}

// R2 is the share of the variance that the fit explains.
func (m *Model) R2() float64 { return m.fit.R2 }

// Record are the terms as a run's verdict has them.
func (m *Model) Record() []record.Term {
	out := []record.Term{}
	for i, j := range m.fit.Terms {
		d := 1.96 * m.fit.SE[i]
		out = append(out, record.Term{Name: m.terms[j].name, Bytes: m.fit.Coef[i], CI95: [2]float64{math.Max(0,
			m.fit.Coef[i]-d), m.fit.Coef[i] + d}})
	}
	return out
}
