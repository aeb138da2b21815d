package ends

// What the memory at a death goes with: by regression over a free run, or by the composition at the end.

import (
	"fmt"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// regress fits the quantity over all profiles of the trial. Where they are too few, or nothing varied, the composition
// at the end has to do.
func (e *ending) regress(ids []int, sum float64) (fit.Term, string) {
	q := fit.OfSites(e.s, ids...)
	us := e.units()
	var idx []int
	for i := range e.s.Snaps {
		if q.Measured(i) && e.s.Snaps[i].Covariates != nil {
			idx = append(idx, i)
		}
	}
	if len(idx) >= minEndPoints {
		var cands []trend.Candidate
		y, v := make([]float64, len(idx)), make([]float64, len(idx))
		for k, i := range idx {
			y[k], v[k] = q.Values[i], q.Variance[i]+trend.Square(q.Grain)/4+trend.Square(0.1*q.Values[i])+trend.Square(0.01*sum)
		}
		for _, u := range us {
			x := make([]float64, len(idx))
			lo, hi := math.Inf(1), 0.0
			for k, i := range idx {
				x[k] = u.Values[i]
				lo, hi = math.Min(lo, x[k]), math.Max(hi, x[k])
			}
			if hi < minEndRange*math.Max(lo, 1) || levels(x) < minEndLevels {
				x = make([]float64, len(idx))
			}
			cands = append(cands, trend.Candidate{Values: x, Penalty: u.Penalty})
		}
		if fitted, err := trend.Select(cands, y, v, 1); err == nil && len(fitted.Terms) == 1 &&
			fitted.R2 >= threshold.MinFit &&
			fitted.T(0) >= threshold.MinT {
			u := us[fitted.Terms[0]]
			t := fit.Term{Unit: u, Slope: fitted.Coef[0], SE: math.Max(fitted.SE[0], threshold.ModelError*fitted.Coef[0]),
				R2: fitted.R2, Steps: len(idx),
				RetainedTerm: u.Class == record.Leak}
			return t, fmt.Sprintf("over %d profiles of the run it goes with the number of each %s", len(idx), words.Item(u.Name))
		}
	}
	return e.composed(sum, q.Objects[e.at], e.pieces(ids, sum)),
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
func (e *ending) units() []fit.Unit {
	column := func(f func(c record.Covariates) int64) []float64 {
		v := make([]float64, len(e.s.Snaps))
		for i, n := range e.s.Snaps {
			v[i] = float64(f(n.Cov()))
		}
		return v
	}
	return []fit.Unit{
		{Name: "worker", Class: record.BufferWorker, Values: column(begun)},
		{Name: "byte-in-flight", Class: record.BufferFile,
			Values: column(func(c record.Covariates) int64 { return c.BytesInFlight }), Penalty: 1},
		{Name: "backlog-item", Class: record.Metadata, Values: column(func(c record.Covariates) int64 { return c.Backlog })},
		{Name: "listed-file", Class: record.Metadata,
			Values: column(func(c record.Covariates) int64 { return c.FilesListed }), Penalty: 1},
		{Name: "file", Class: record.Leak, Values: column(func(c record.Covariates) int64 { return c.FilesDone })},
		{Name: "byte", Class: record.Leak, Values: column(func(c record.Covariates) int64 { return c.BytesDone }),
			Penalty: 2},
	}
}

// pieces is of how many objects the bytes of the sites are, where one stack holds nearly all of them and they are as
// large as a buffer, so that their number is exact; else 0.
func (e *ending) pieces(ids []int, sum float64) float64 {
	var most series.StackBytes
	for _, b := range e.snap.Stacks {
		if slices.Contains(ids, int(e.s.SiteOf(b.Stack))) && b.Live > most.Live {
			most = b
		}
	}
	if most.Live < (1-endShare)*sum || most.Objects < 1 || most.Live/most.Objects < endMin {
		return 0
	}
	return math.Round(most.Objects)
}

// composed is a term by sizes alone: a function that holds about the bytes in flight holds files, one that holds
// megabytes per transfer, or about as many objects as there are transfers, has buffers, and small things are as many as
// the listed or finished files.
func (e *ending) composed(sum, objects, pieces float64) fit.Term {
	c := e.cov
	flight, bytes := float64(c.InFlight), float64(c.BytesInFlight)
	pick := func(name string, class record.Class, x float64) fit.Term {
		return fit.Term{Unit: fit.Unit{Name: name, Class: class}, Slope: sum / x, SE: endError * sum / x, Steps: 1,
			RetainedTerm: class == record.Leak}
	}
	switch ratio := sum / math.Max(1, bytes); {
	case flight > 0 && bytes > 0 && ratio >= 0.5 && ratio <= 3 && c.Largest > 4<<20:
		return pick("byte-in-flight", record.BufferFile, bytes)
	case flight > 0 && sum/flight >= threshold.MinHeldBytes &&
		sum/math.Max(1, float64(c.FilesListed)) >= threshold.MinHeldBytes:
		if pieces > 0 && pieces < flight { // the other transfers have not made theirs yet
			return pick("worker", record.BufferWorker, pieces)
		}
		return pick("worker", record.BufferWorker, flight)
	case flight > 1 && objects >= flight/objectsPerTransfer && objects <= objectsPerTransfer*flight &&
		sum/flight >= threshold.MinHeldBytes:
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
