package profiles

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"memsoak/profiles/record"
	"memsoak/profiles/trend"
)

// observation is one steered snapshot reduced to what the memory model needs.
type observation struct {
	cell    string // the cell's canonical form
	workers int
	held    bool
	cov     record.Covariates
	live    float64
}

// trialSize is a trial reduced to what the model of resident memory needs.
type trialSize struct {
	cell    record.Cell
	setting string // "gomemlimit=...,gogc=..."
	kind    record.TrialKind
	outcome record.Outcome
	peak    record.Peak
	limit   int64
	beside  []float64 // resident bytes outside the Go heap's arenas, by snapshot
	outside []float64 // of those and of the kernel's, what no pressure reclaims, by snapshot
	copying float64   // part of the live heap in buffers that grow by copying, in the state with most of it
}

// evidenceOfRun is what a run's trials leave behind for the model: numbers, no profiles.
type evidenceOfRun struct {
	rows   []observation
	trials []trialSize
}

// collect takes from a series what the model needs.
func (e *evidenceOfRun) collect(s *Series, peak record.Peak) {
	t := s.Trial
	size := trialSize{cell: t.Cell, kind: t.Kind, outcome: t.Outcome, peak: peak, limit: t.Isolation.Limit,
		setting: fmt.Sprintf("gomemlimit=%s,gogc=%s", s.setting("gomemlimit", "off"), s.setting("gogc", "100"))}
	workers, _ := strconv.Atoi(s.setting("workers", "0"))
	for _, n := range s.Snaps {
		if p := n.Process; p != nil {
			size.beside = append(size.beside, float64(p.RSS-p.HeapArena))
			size.outside = append(size.outside, unreclaimableOutside(p, n.Cgroup))
		}
		// Half-read bodies say nothing of the peak: a transfer is at its largest when the whole file is there.
		if n.Profiled && (n.State.Held() && n.State != record.StateBody || n.State == record.StateFloor) && n.Covariates != nil {
			e.rows = append(e.rows, observation{cell: t.Cell.String(), workers: workers, held: n.State.Held(), cov: *n.Covariates, live: n.Live.Bytes})
		}
	}
	size.copying = s.copying()
	e.trials = append(e.trials, size)
}

// unreclaimableOutside is what a limit counts besides the heap's arenas and pressure cannot reclaim: anonymous and shared
// memory and the kernel's own for the cgroup. Pages of files, the program's text among them, make room.
func unreclaimableOutside(p *record.Process, c *record.Cgroup) float64 {
	if c != nil && c.Anon > 0 {
		return math.Max(0, float64(c.Anon+c.Shmem+c.Kernel-p.HeapArena))
	}
	return float64(p.OtherAnon + p.Shmem)
}

// copying is the part of the live heap, in the state held at the upload's reply with most of it, at sites that allocated
// twice as much since the snapshot before as they hold for its transfers: buffers that grow by copying, as io.ReadAll and
// bytes.Buffer do. Other states have files in their wave that passed.
func (s *Series) copying() float64 {
	top, floor := -1, -1
	for i, n := range s.Snaps {
		switch {
		case !n.Profiled:
		case n.State == record.StateFloor && top < 0:
			floor = i
		case n.State == record.StateReply && i > 0 && s.Snaps[i-1].Profiled && (top < 0 || n.Live.Bytes > s.Snaps[top].Live.Bytes):
			top = i
		}
	}
	if top < 0 || floor < 0 || s.Snaps[top].Live.Bytes <= 0 {
		return 0
	}
	sum := 0.0
	for id, a := range s.Snaps[top].Sites {
		held := a.Bytes - s.Snaps[floor].Sites[id].Bytes
		if held > 0 && a.Alloc-s.Snaps[top-1].Sites[id].Alloc > growsByCopying*held {
			sum += held
		}
	}
	return sum / s.Snaps[top].Live.Bytes
}

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
	for _, p := range partSizes {
		terms = append(terms, modelTerm{"workers*part", func(o observation) float64 {
			b := bodies(o)
			if b == 0 {
				return 0
			}
			return b * math.Min(1, float64(o.cov.BytesInFlight)/b/p)
		}})
	}
	return terms
}

// fitModel fits live heap = constant + terms, over the given observations.
func fitModel(rows []observation) (*trend.Fit, []modelTerm, error) {
	terms := modelTerms()
	cands := make([]trend.Candidate, len(terms))
	y, v := make([]float64, len(rows)), make([]float64, len(rows))
	for i, r := range rows {
		y[i] = r.live
		e := modelError*r.live/2 + modelFloor
		v[i] = e * e
	}
	for j, t := range terms {
		x := make([]float64, len(rows))
		for i, r := range rows {
			x[i] = t.value(r)
		}
		cands[j] = trend.Candidate{Values: x, Penalty: 2}
	}
	fit, err := trend.Select(cands, y, v, 5, 0)
	return fit, terms, err
}

// memoryModel fits the model and checks it: each worker count is predicted from the others.
func (e *evidenceOfRun) memoryModel() *record.Model {
	if len(e.rows) < minModelRows {
		return nil
	}
	fit, terms, err := fitModel(e.rows)
	if err != nil {
		return nil
	}
	m := &record.Model{Quantity: "live-heap", R2: fit.R2, Terms: []record.Term{}, CrossCheck: map[string]float64{}, RSSOverLive: e.ratios()}
	for i, j := range fit.Terms {
		if terms[j].name != "constant" && fit.T(i) < minT {
			m.Warnings = append(m.Warnings, fmt.Sprintf("%s: not told apart from the other terms by this matrix (t = %.1f)", terms[j].name, fit.T(i)))
			continue
		}
		d := 1.96 * fit.SE[i]
		m.Terms = append(m.Terms, record.Term{Name: terms[j].name, Bytes: fit.Coef[i], CI95: [2]float64{math.Max(0, fit.Coef[i]-d), fit.Coef[i] + d}})
	}
	var sq []float64
	cells := map[string]bool{}
	for _, r := range e.rows {
		d := r.live - predict(fit, terms, r)
		sq = append(sq, d*d)
		cells[r.cell] = true
	}
	m.Cells = len(cells)
	m.Sigma = math.Sqrt(mean(sq))
	e.crossCheck(m)
	return m
}

func predict(f *trend.Fit, terms []modelTerm, r observation) float64 {
	sum := 0.0
	for i, j := range f.Terms {
		sum += f.Coef[i] * terms[j].value(r)
	}
	return sum
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / math.Max(1, float64(len(v)))
}

// crossCheck predicts the largest held state of each worker count from the trials with other counts.
func (e *evidenceOfRun) crossCheck(m *record.Model) {
	groups := map[int][]observation{}
	for _, r := range e.rows {
		groups[r.workers] = append(groups[r.workers], r)
	}
	if len(groups) < 3 {
		m.Warnings = append(m.Warnings, fmt.Sprintf("need >= 3 worker counts to predict one from the others, have %d", len(groups)))
		return
	}
	for _, w := range slices.Sorted(maps.Keys(groups)) {
		var rest []observation
		for k, g := range groups {
			if k != w {
				rest = append(rest, g...)
			}
		}
		slices.SortFunc(rest, func(a, b observation) int { return cmp.Or(cmp.Compare(a.cell, b.cell), cmp.Compare(a.live, b.live)) })
		fit, terms, err := fitModel(rest)
		if err != nil {
			continue
		}
		top := slices.MaxFunc(groups[w], func(a, b observation) int { return cmp.Compare(a.live, b.live) })
		m.CrossCheck["workers="+strconv.Itoa(w)] = predict(fit, terms, top)/math.Max(1, top.live) - 1
	}
}

// ratios is peak RSS over peak live heap by setting of the collector, in the median.
func (e *evidenceOfRun) ratios() map[string]float64 {
	by := map[string][]float64{}
	live := map[string]float64{}
	for _, t := range e.trials {
		if t.peak.HeapLive > 0 {
			live[t.cell.String()] = math.Max(live[t.cell.String()], float64(t.peak.HeapLive))
		}
	}
	for _, t := range e.trials {
		if l := live[t.cell.String()]; l > 0 && t.peak.RSS > 0 && t.outcome == record.OK {
			by[t.setting] = append(by[t.setting], float64(t.peak.RSS)/l)
		}
	}
	out := map[string]float64{}
	for k, v := range by {
		out[k] = trend.Median(v)
	}
	return out
}
