package profiles

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// Plan is the work that a capacity has to hold for.
type Plan struct {
	Limit       int64 // of the memory cgroup, bytes
	LargestFile int64
	Files       int64
}

// ErrNoModel is returned, wrapped, when a run does not carry a memory model.
var ErrNoModel = errors.New("the run carries no memory model")

// The search for a capacity ends at reach times the largest worker count that the matrix had, and at leastReach where
// the matrix had few or none: a line through 1, 4 and 16 workers says nothing of 4,000.
const (
	reach      = 8
	leastReach = 16
)

// Capacity answers how many workers are safe below a limit, from a recorded run. It reads the whole run.
func Capacity(dir string, p Plan, o Options) (*record.Capacity, error) {
	rv, e, err := diagnoseRun(dir, o, nil)
	if err != nil {
		return nil, err
	}
	if rv.Model == nil {
		return nil, fmt.Errorf("%w: need >= %d steered snapshots, have %d", ErrNoModel, minModelRows, len(e.rows))
	}
	return e.capacity(e.peakModel(), p), nil
}

// factor is the peak resident heap over live heap with the collector unlimited, as the trials had it.
func (e *evidenceOfRun) factor() float64 {
	var factor []float64
	live := map[string]float64{}
	for _, t := range e.trials {
		k := t.cell.String()
		live[k] = math.Max(live[k], float64(t.peak.HeapLive))
	}
	for _, t := range e.trials {
		if l := live[t.cell.String()]; l > 0 && t.beside > 0 && t.outcome == record.OK {
			factor = append(factor, math.Max(1, (float64(t.peak.RSS)-t.beside)/l))
		}
	}
	if len(factor) == 0 {
		return defaultFactor
	}
	return trend.Quantile(factor, 0.9)
}

// forecast is what the model says of n workers on the planned work, in bytes.
type forecast struct {
	live, arenas, outside float64
	spread                float64 // 95 % of all three together, either way
	// copies is what is beside buffers that grow by copying: at a moment as bad as any, and at one in forty.
	copies, mostCopies float64
}

// needs is the least that n workers can live in, in the middle and at the upper end of the interval.
func (f forecast) needs() (mid, high float64) {
	sum := f.live + f.arenas + f.outside
	return sum + f.copies, sum + f.spread + f.mostCopies
}

// forecast adds up the parts of the model.
func (m *peakModel) forecast(p Plan, n int) forecast {
	var f forecast
	variance := 0.0
	part := func(l *linear, absent, error float64) float64 {
		if l == nil {
			return absent
		}
		v, se := l.planned(p, n)
		variance += square(se) + square(math.Min(l.sigma, modelError*v+error))
		return v
	}
	f.live = part(m.live, 0, modelFloor)
	f.arenas = part(m.arenas, 0, arenasFloor)
	f.outside = part(m.outside, defaultOutside, outsideFloor)
	f.spread = 1.96 * math.Sqrt(variance)
	rest, _ := m.live.planned(p, 0)
	beside := m.copies.share * m.copies.beside * math.Max(0, f.live-rest) / float64(max(n, 1))
	f.copies, f.mostCopies = beside*m.copies.copying(n, 1), beside*m.copies.copying(n, 1.96)
	return f
}

// planned is the fit's value at n workers on the planned work, with its standard error: all files listed and done, all
// workers with the largest file whole, each with a connection on either side.
func (l *linear) planned(p Plan, n int) (value, se float64) {
	o := planned(p, n)
	x := make([]float64, len(l.terms))
	for j, t := range l.terms {
		x[j] = t.value(o)
	}
	return l.fit.Predict(x)
}

func planned(p Plan, n int) observation {
	w := int64(n)
	return observation{workers: n, held: true, most: w * p.LargestFile, cov: record.Covariates{
		InFlight: w, WithBody: w, BytesInFlight: w * p.LargestFile, Largest: p.LargestFile, ConnsOpen: 2 * w,
		Backlog: p.Files, FilesListed: p.Files, FilesDone: p.Files, Distinct: p.Files,
	}}
}

// capacity searches the largest worker count whose predicted need, at the upper end of its interval, is below the limit.
func (e *evidenceOfRun) capacity(m *peakModel, p Plan) *record.Capacity {
	c := &record.Capacity{Limit: p.Limit, At: []record.CapacityStep{}}
	c.BytesInFlight = slices.ContainsFunc(m.parts(p, 1), func(t part) bool { return t.term == "bytes-in-flight" })
	factor := e.factor()
	at := func(n int) record.CapacityStep { return m.step(p, factor, n) }
	safe := func(n int) bool {
		_, high := m.forecast(p, n).needs()
		return high <= float64(p.Limit)
	}
	seen := e.mostWorkersSeen()
	end := max(leastReach, reach*seen)
	lo, hi := 0, end+1
	for lo+1 < hi {
		if mid := (lo + hi) / 2; safe(mid) {
			lo = mid
		} else {
			hi = mid
		}
	}
	c.MaxWorkers, c.Binds = lo, m.binding(p, lo+1)
	answer := m.forecast(p, max(lo, 1))
	c.GOMEMLIMIT = goMemoryLimit(p.Limit, answer)
	c.Assumes = []string{
		"largest file " + bytesText(float64(p.LargestFile)), fmt.Sprintf("%d files", p.Files),
		fmt.Sprintf("GOMEMLIMIT=%dMiB", c.GOMEMLIMIT>>20), fmt.Sprintf("%s outside the Go heap that cannot be reclaimed", bytesText(answer.outside)),
		fmt.Sprintf("%s of stacks and spans partly used beside live objects", bytesText(answer.arenas)),
	}
	if answer.copies > 0 {
		c.Assumes = append(c.Assumes, fmt.Sprintf("%s beside buffers that grow by copying", bytesText(answer.mostCopies)))
	}
	if lo == 0 {
		c.MaxWorkers = -1
		c.At = append(c.At, at(1))
		return c
	}
	if lo == end {
		c.AtLeast = true
		c.Warnings = append(c.Warnings, fmt.Sprintf("the matrix went to %d workers: nothing is claimed beyond %d", seen, end))
	} else if lo > 2*seen && seen > 0 {
		c.Warnings = append(c.Warnings, fmt.Sprintf("the matrix went to %d workers; beyond %d this is extrapolation", seen, 2*seen))
	}
	if top := at(lo); float64(top.Live)*collectorNeeds > float64(c.GOMEMLIMIT) && !c.AtLeast {
		c.Warnings = append(c.Warnings, fmt.Sprintf("at %d workers %s are live below a GOMEMLIMIT of %s: if they are many small objects, the collector will eat the CPU",
			lo, bytesText(float64(top.Live)), bytesText(float64(c.GOMEMLIMIT))))
	}
	for _, n := range stepsUpTo(lo) {
		c.At = append(c.At, at(n))
	}
	return c
}

// goMemoryLimit is the GOMEMLIMIT to set below a limit, in whole MiB: what is outside of the Go heap is not the
// collector's to keep down.
func goMemoryLimit(limit int64, f forecast) int64 {
	return max(0, int64((float64(limit)-f.outside)*limitHeadroom)) &^ (1<<20 - 1)
}

func (e *evidenceOfRun) mostWorkersSeen() int {
	most := 0
	for _, r := range e.rows {
		most = max(most, r.workers)
	}
	return most
}

// stepsUpTo are the points of the curve that is shown: powers of two, the answer and the one beyond.
func stepsUpTo(n int) []int {
	var out []int
	for k := 1; k < n; k *= 2 {
		out = append(out, k)
	}
	return slices.Compact(append(out, n, n+1))
}

// step predicts the peak at n workers. The collector lets the heap grow to factor times what is live, but with GOMEMLIMIT
// no further than that, as long as what has to be there leaves it room.
func (m *peakModel) step(p Plan, factor float64, n int) record.CapacityStep {
	f := m.forecast(p, n)
	mid, high := f.needs()
	low := math.Max(0, f.live+f.arenas+f.outside-f.spread)
	memlimit := float64(goMemoryLimit(p.Limit, f))
	bytes := func(v float64) int64 { return int64(math.Min(v, math.MaxInt64/4)) }
	peak := func(need, live float64) int64 {
		return bytes(math.Max(need, math.Min(live*factor, memlimit)+f.outside))
	}
	return record.CapacityStep{Workers: n, Live: bytes(f.live), Outside: bytes(f.outside), Peak: peak(mid, f.live),
		PI95: [2]int64{peak(low, math.Max(0, f.live-f.spread)), peak(high, f.live+f.spread)}}
}

// part is one term of the forecast.
type part struct {
	term  string
	what  string
	bytes float64
}

// parts are the terms of the forecast for n workers.
func (m *peakModel) parts(p Plan, n int) []part {
	o := planned(p, n)
	var out []part
	add := func(l *linear, what map[string]string) {
		if l == nil {
			return
		}
		for i, j := range l.fit.Terms {
			name := l.terms[j].name
			out = append(out, part{term: name, what: what[name], bytes: l.fit.Coef[i] * l.terms[j].value(o)})
		}
	}
	add(m.live, map[string]string{
		"constant": "what the process holds at rest", "workers": "memory per worker", "workers*part": "part buffers per worker",
		"bytes-in-flight": "whole files in flight", "backlog": "listed files that wait", "files": "what stays behind per file",
		"distinct": "what is kept per distinct item", "connections": "connection buffers",
	})
	add(m.arenas, beside("stacks and spans partly used"))
	add(m.outside, beside("memory outside the Go heap"))
	return out
}

// beside names the terms of what is beside the live heap.
func beside(what string) map[string]string {
	out := map[string]string{"constant": what}
	for term, per := range map[string]string{"workers": "worker", "workers*part": "worker", "bytes-in-flight": "byte in flight", "backlog": "listed file that waits",
		"files": "file", "distinct": "distinct item", "connections": "connection"} {
		out[term] = what + " per " + per
	}
	return out
}

// binding says what makes up most of the need.
func (m *peakModel) binding(p Plan, n int) string {
	t := slices.MaxFunc(m.parts(p, n), func(a, b part) int { return cmp.Compare(a.bytes, b.bytes) })
	return fmt.Sprintf("%s (%s): %s at %d workers", t.what, t.term, bytesText(t.bytes), n)
}
