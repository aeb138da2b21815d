package tui

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
)

// history is how many points of a row's resident size are kept for its sparkline.
const history = 240

// row is a cell in the table.
type row struct {
	cell     record.Cell
	title    string
	trials   int // of the plan
	ended    int
	running  bool
	kind     record.TrialKind
	phase    string
	begun    time.Time
	estimate time.Duration // of the trial that runs
	seconds  float64       // of the trials that have ended
	rss      int64
	peak     int64
	rssPast  []float64
	floors   []float64
	outcome  record.Outcome // the worst so far
	headline record.Headline
}

// model is the state of the table.
type model struct {
	now    func() time.Time
	width  int
	height int

	start    soak.RunStarted
	began    time.Time
	rows     []*row
	byCell   map[string]*row
	notes    []string // warnings, the latest last
	total    time.Duration
	estDone  time.Duration // estimates of the trials that have ended
	realDone time.Duration // what they took
	doneN    int
	over     *soak.RunEnded
}

func newModel(now func() time.Time) *model {
	return &model{now: now, width: 80, height: 24, byCell: map[string]*row{}}
}

// resize fits the table to a terminal.
func (m *model) resize(width, height int) { m.width, m.height = max(20, width), max(5, height) }

// apply brings an event into the table.
func (m *model) apply(e soak.Event) {
	switch e := e.(type) {
	case soak.RunStarted:
		m.begin(e)
	case soak.TrialStarted:
		r := m.row(e.Cell)
		r.running, r.kind, r.phase, r.begun = true, e.Kind, "starting", m.now()
		r.rssPast, r.rss, r.floors = nil, 0, nil
		r.estimate = e.Estimate
	case soak.PhaseChanged:
		r := m.row(e.Cell)
		if e.Phase.End.IsZero() {
			r.phase = plain(e.Phase.Name)
		}
	case soak.Snapped:
		if e.Snapshot.State == record.StateFloor && e.Live > 0 {
			r := m.row(e.Cell)
			r.floors = append(r.floors, float64(e.Live))
		}
	case soak.Sampled:
		m.sample(m.row(e.Cell), e.Sample)
	case soak.TrialEnded:
		m.end(e)
	case soak.Warned:
		m.notes = append(m.notes, e.Text)
	case soak.RunEnded:
		m.over = &e
	}
}

func (m *model) begin(e soak.RunStarted) {
	m.start, m.began, m.total, m.doneN = e, m.now(), e.Estimate, e.Done
	if e.Plan == nil {
		return
	}
	for _, c := range e.Plan.Cells {
		m.row(c)
	}
	for _, t := range e.Plan.Trials {
		m.row(t.Cell).trials++
	}
}

// row is the row of a cell, made when it is new.
func (m *model) row(c record.Cell) *row {
	k := c.String()
	if r := m.byCell[k]; r != nil {
		return r
	}
	r := &row{cell: c, title: plain(k)}
	m.byCell[k] = r
	m.rows = append(m.rows, r)
	return r
}

func (m *model) sample(r *row, s record.Sample) {
	if s.Process != nil {
		r.rss = s.Process.RSS
		r.peak = max(r.peak, r.rss)
		r.rssPast = append(r.rssPast, float64(r.rss))
		if n := len(r.rssPast) - history; n > 0 {
			r.rssPast = slices.Delete(r.rssPast, 0, n)
		}
	}
}

func (m *model) end(e soak.TrialEnded) {
	r := m.row(e.Cell)
	r.running, r.phase = false, ""
	r.ended++
	r.seconds += e.Seconds
	r.peak = max(r.peak, e.Peak.Bytes())
	if worse(e.Outcome, r.outcome) {
		r.outcome = e.Outcome
	}
	if e.Headline != "" && e.Kind != record.Speed {
		r.headline = e.Headline
	}
	m.doneN++
	m.estDone += r.estimate
	m.realDone += time.Duration(e.Seconds * float64(time.Second))
}

// worse reports whether an outcome is worse than another.
func worse(a, b record.Outcome) bool {
	order := []record.Outcome{"", record.OK, record.Timeout, record.WaveFailed, record.Crashed, record.OOMKilled}
	return slices.Index(order, a) > slices.Index(order, b)
}

// left is the time the rest will take: the estimate, at the pace so far. It is 0 when nothing is known.
func (m *model) left() time.Duration {
	if m.total <= 0 || m.over != nil {
		return 0
	}
	pace := 1.0
	if m.estDone > 0 {
		pace = m.realDone.Seconds() / m.estDone.Seconds()
	}
	rest := float64(m.total-m.estDone) * pace
	running := 0.0
	for _, r := range m.rows {
		if r.running {
			running++
			rest -= min(float64(m.now().Sub(r.begun)), float64(r.estimate)*pace)
		}
	}
	return time.Duration(max(0, rest/max(1, running)))
}

// visible are the rows that fit n lines: the running ones and those around them.
func (m *model) visible(n int) []*row {
	if len(m.rows) <= n {
		return m.rows
	}
	at := slices.IndexFunc(m.rows, func(r *row) bool { return r.running })
	if at < 0 {
		at = slices.IndexFunc(m.rows, func(r *row) bool { return r.ended < r.trials })
	}
	if at < 0 {
		at = len(m.rows) - 1
	}
	from := min(max(0, at-n/2), len(m.rows)-n)
	return m.rows[from : from+n]
}

// elapsed is how long the row's trials took and take.
func (r *row) elapsed(now time.Time) time.Duration {
	d := time.Duration(r.seconds * float64(time.Second))
	if r.running {
		d += now.Sub(r.begun)
	}
	return d
}

// status is the row's phase, or what its trials came to.
func (r *row) status() string {
	switch {
	case r.running:
		return fmt.Sprintf("%s: %s", cmp.Or(string(r.kind), "trial"), r.phase)
	case r.ended > 0:
		return cmp.Or(string(r.outcome), "cut short")
	}
	return "planned"
}
