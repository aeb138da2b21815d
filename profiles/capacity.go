package profiles

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"memsoak/profiles/record"
	"memsoak/profiles/trend"
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
	return e.capacity(rv.Model, p), nil
}

// budget is what of the limit is not the live heap's.
type budget struct {
	outside float64 // what the limit counts besides the heap's arenas and pressure cannot reclaim
	needs   float64 // the least resident heap over live heap: below it the subject is killed
	factor  float64 // peak resident heap over live heap with the collector unlimited
}

// budget estimates it from the trials.
func (e *evidenceOfRun) budget() budget {
	var outside, factor []float64
	copying := 0.0
	live := map[string]float64{}
	for _, t := range e.trials {
		k := t.cell.String()
		live[k] = math.Max(live[k], float64(t.peak.HeapLive))
	}
	for _, t := range e.trials {
		if len(t.outside) == 0 {
			continue
		}
		outside = append(outside, trend.Quantile(t.outside, 0.9))
		copying = math.Max(copying, t.copying)
		if l := live[t.cell.String()]; l > 0 && t.outcome == record.OK {
			factor = append(factor, math.Max(1, (float64(t.peak.RSS)-trend.Quantile(t.beside, 0.5))/l))
		}
	}
	b := budget{outside: defaultOutside, factor: defaultFactor, needs: heapNeeds + copyNeeds*copying}
	if len(outside) > 0 {
		b.outside = trend.Quantile(outside, 0.9)
	}
	if len(factor) > 0 {
		b.factor = trend.Quantile(factor, 0.9)
	}
	return b
}

// memlimit is the GOMEMLIMIT to set below a limit, in whole MiB.
func (b budget) memlimit(limit int64) int64 {
	return max(0, int64((float64(limit)-b.outside)*limitHeadroom)) &^ (1<<20 - 1)
}

// capacity searches the largest worker count whose predicted peak, at the upper end of its interval, is below the limit.
func (e *evidenceOfRun) capacity(m *record.Model, p Plan) *record.Capacity {
	b := e.budget()
	c := &record.Capacity{Limit: p.Limit, At: []record.CapacityStep{}}
	c.BytesInFlight = slices.ContainsFunc(m.Terms, func(t record.Term) bool { return t.Name == "bytes-in-flight" })
	c.GOMEMLIMIT = b.memlimit(p.Limit)
	c.Assumes = []string{
		"largest file " + bytesText(float64(p.LargestFile)), fmt.Sprintf("%d files", p.Files),
		fmt.Sprintf("GOMEMLIMIT=%dMiB", c.GOMEMLIMIT>>20), fmt.Sprintf("%s outside the Go heap that cannot be reclaimed", bytesText(b.outside)),
		fmt.Sprintf("a heap that needs %.2f times what is live", b.needs),
	}
	at := func(n int) record.CapacityStep { return e.step(m, p, b, c.GOMEMLIMIT, n) }
	safe := func(n int) bool { return at(n).PI95[1] <= p.Limit }
	if !safe(1) {
		c.MaxWorkers = -1
		c.Binds = binding(m, p, 1)
		c.At = append(c.At, at(1))
		return c
	}
	seen := e.mostWorkersSeen()
	end := max(leastReach, reach*seen)
	lo, hi := 1, end+1
	for lo+1 < hi {
		if mid := (lo + hi) / 2; safe(mid) {
			lo = mid
		} else {
			hi = mid
		}
	}
	c.MaxWorkers, c.Binds = lo, binding(m, p, lo+1)
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

// step predicts the peak at n workers. The live heap and its interval come from the model; the collector lets the heap
// grow to factor times that, but with GOMEMLIMIT no further than the limit, as long as the live heap leaves it room.
func (e *evidenceOfRun) step(m *record.Model, p Plan, b budget, memlimit int64, n int) record.CapacityStep {
	live, low, high := liveAt(m, p, n)
	resident := func(live float64) int64 {
		need := live * b.needs
		heap := math.Max(need, math.Min(live*b.factor, float64(memlimit)))
		return int64(math.Min(heap+b.outside, math.MaxInt64/4))
	}
	return record.CapacityStep{Workers: n, Live: int64(math.Min(live, math.MaxInt64/4)), Peak: resident(live), PI95: [2]int64{resident(low), resident(high)}}
}

// liveAt is the model's live heap at n workers on the planned work, with its prediction interval.
func liveAt(m *record.Model, p Plan, n int) (live, low, high float64) {
	spread := 1.96 * m.Sigma
	for _, t := range m.Terms {
		x := planned(t.Name, p, n)
		live += t.Bytes * x
		low += t.CI95[0] * x
		high += t.CI95[1] * x
	}
	// The model's own scatter grows with the size of what it predicts.
	spread = math.Min(spread, modelError*live+modelFloor)
	return live, math.Max(0, low-spread), high + spread
}

// planned is a term's regressor at n workers on the planned work.
func planned(term string, p Plan, n int) float64 {
	switch term {
	case "constant":
		return 1
	case "workers", "workers*part":
		return float64(n)
	case "bytes-in-flight":
		return float64(n) * float64(p.LargestFile)
	case "backlog", "files", "distinct":
		return float64(p.Files)
	case "connections":
		return 2 * float64(n)
	}
	return 0
}

// binding is the term that makes up most of the live heap.
func binding(m *record.Model, p Plan, n int) string {
	if len(m.Terms) == 0 {
		return ""
	}
	t := slices.MaxFunc(m.Terms, func(a, b record.Term) int {
		return cmp.Compare(a.Bytes*planned(a.Name, p, n), b.Bytes*planned(b.Name, p, n))
	})
	what := map[string]string{
		"constant": "what the process holds at rest", "workers": "memory per worker", "workers*part": "part buffers per worker",
		"bytes-in-flight": "whole files in flight", "backlog": "listed files that wait", "files": "what stays behind per file",
		"distinct": "what is kept per distinct item", "connections": "connection buffers",
	}[t.Name]
	return fmt.Sprintf("%s (%s): %s at %d workers", what, t.Name, bytesText(t.Bytes*planned(t.Name, p, n)), n)
}
