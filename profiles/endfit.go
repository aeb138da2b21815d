package profiles

import (
	"fmt"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// What the memory at a death goes with: by regression over a free run, or by the composition at the end.

// regress fits the quantity over all profiles of the trial. Where they are too few, or nothing varied, the composition
// at the end has to do.
func (e *ending) regress(ids []int, sum float64) (term, string) {
	q := e.s.siteQuantity(ids...)
	us := e.units()
	var idx []int
	for i := range e.s.Snaps {
		if q.measured(i) && e.s.Snaps[i].Covariates != nil {
			idx = append(idx, i)
		}
	}
	if len(idx) >= minEndPoints {
		var cands []trend.Candidate
		y, v := make([]float64, len(idx)), make([]float64, len(idx))
		for k, i := range idx {
			y[k], v[k] = q.values[i], q.variance[i]+square(q.grain)/4+square(0.1*q.values[i])+square(0.01*sum)
		}
		for _, u := range us {
			x := make([]float64, len(idx))
			lo, hi := math.Inf(1), 0.0
			for k, i := range idx {
				x[k] = u.values[i]
				lo, hi = math.Min(lo, x[k]), math.Max(hi, x[k])
			}
			if hi < minEndRange*math.Max(lo, 1) || levels(x) < minEndLevels {
				x = make([]float64, len(idx))
			}
			cands = append(cands, trend.Candidate{Values: x, Penalty: u.penalty})
		}
		if fit, err := trend.Select(cands, y, v, 1); err == nil && len(fit.Terms) == 1 && fit.R2 >= minFit &&
			fit.T(0) >= minT {
			u := us[fit.Terms[0]]
			t := term{unit: u, slope: fit.Coef[0], se: math.Max(fit.SE[0], modelError*fit.Coef[0]), r2: fit.R2, steps: len(idx),
				retainedTerm: u.class == record.Leak}
			return t, fmt.Sprintf("over %d profiles of the run it goes with the number of each %s", len(idx), itemText(u.name))
		}
	}
	return e.composed(sum, q.objects[e.at], e.pieces(ids, sum)),
		"nothing varied enough in the run to tell what it grows with; the composition at the end says it"
}

// levels counts the different values.
func levels(x []float64) int {
	distinct := map[float64]bool{}
	for _, v := range x {
		distinct[v] = true
	}
	return len(distinct)
}

// units are what a free run's own covariates vary in.
func (e *ending) units() []unit {
	column := func(f func(c record.Covariates) int64) []float64 {
		v := make([]float64, len(e.s.Snaps))
		for i, n := range e.s.Snaps {
			v[i] = float64(f(n.cov()))
		}
		return v
	}
	return []unit{
		{name: "worker", class: record.BufferWorker, values: column(begun)},
		{name: "byte-in-flight", class: record.BufferFile,
			values: column(func(c record.Covariates) int64 { return c.BytesInFlight }), penalty: 1},
		{name: "backlog-item", class: record.Metadata, values: column(func(c record.Covariates) int64 { return c.Backlog })},
		{name: "listed-file", class: record.Metadata,
			values: column(func(c record.Covariates) int64 { return c.FilesListed }), penalty: 1},
		{name: "file", class: record.Leak, values: column(func(c record.Covariates) int64 { return c.FilesDone })},
		{name: "byte", class: record.Leak, values: column(func(c record.Covariates) int64 { return c.BytesDone }),
			penalty: 2},
	}
}

// pieces is of how many objects the bytes of the sites are, where one stack holds nearly all of them and they are as
// large as a buffer, so that their number is exact; else 0.
func (e *ending) pieces(ids []int, sum float64) float64 {
	var most stackBytes
	for _, b := range e.snap.stacks {
		if slices.Contains(ids, int(e.s.siteOf(b.stack))) && b.live > most.live {
			most = b
		}
	}
	if most.live < (1-endShare)*sum || most.objects < 1 || most.live/most.objects < endMin {
		return 0
	}
	return math.Round(most.objects)
}

// composed is a term by sizes alone: a function that holds about the bytes in flight holds files, one that holds
// megabytes per transfer, or about as many objects as there are transfers, has buffers, and small things are as many as
// the listed or finished files.
func (e *ending) composed(sum, objects, pieces float64) term {
	c := e.cov
	flight, bytes := float64(c.InFlight), float64(c.BytesInFlight)
	pick := func(name string, class record.Class, x float64) term {
		return term{unit: unit{name: name, class: class}, slope: sum / x, se: endError * sum / x, steps: 1,
			retainedTerm: class == record.Leak}
	}
	switch ratio := sum / math.Max(1, bytes); {
	case flight > 0 && bytes > 0 && ratio >= 0.5 && ratio <= 3 && c.Largest > 4<<20:
		return pick("byte-in-flight", record.BufferFile, bytes)
	case flight > 0 && sum/flight >= minHeldBytes && sum/math.Max(1, float64(c.FilesListed)) >= minHeldBytes:
		if pieces > 0 && pieces < flight { // the other transfers have not made theirs yet
			return pick("worker", record.BufferWorker, pieces)
		}
		return pick("worker", record.BufferWorker, flight)
	case flight > 1 && objects >= flight/objectsPerTransfer && objects <= objectsPerTransfer*flight &&
		sum/flight >= minHeldBytes:
		return pick("worker", record.BufferWorker, flight)
	case float64(c.Backlog) > flight && c.Backlog > c.FilesDone:
		return pick("backlog-item", record.Metadata, float64(c.Backlog))
	case c.FilesDone > 0 && float64(c.FilesDone) > flight:
		return pick("file", record.Leak, float64(c.FilesDone))
	}
	return pick("worker", record.BufferWorker, math.Max(1, flight))
}

// objectsPerTransfer is how many objects a transfer's own buffers are at most, the sampling of large ones being exact.
const objectsPerTransfer = 1.5
