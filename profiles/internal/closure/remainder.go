package closure

// What the findings leave unexplained, of growth from floor to floor and of what held states have.

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/classes"
	"github.com/memsoak/memsoak/profiles/internal/finding"
	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// remainder is what the findings leave of the live heap, by snapshot.
type remainder struct {
	*fit.Quantity
	units *fit.Units
	rest  []int   // profiled snapshots at rest, from the first floor on
	grown float64 // bytes from the first floor to the last that no finding explains, at least 0
	noise float64 // the standard error of grown, without what sampling adds to growth
	grain float64 // of sampling: 0 where totals are exact
	sites []record.SiteSize
	// held is the largest slope per unit in held states that no finding explains. heldSE has its standard errors where
	// totals are exact.
	held, heldSE map[string]float64
	// unheld is the most that a held state of a service keeps beyond all that explains it, in the phase unheldIn; 0:
	// nothing.
	unheld   float64
	unheldIn string
	// swell is the most that a state at rest has beyond the first floor, unexplained and gone by the last, after the phase
	// swellIn with so many bytes of work; 0: nothing that matters.
	swell, swellBytes float64
	swellIn           string
	// piece is the largest object that the work has made and that stayed, in bytes, beside those of findings.
	piece     float64
	pieceSite record.Site
	// array is the largest one that the work made in steps; none: of no bytes.
	array array
	// line is where most is kept beyond the first floor's without a finding, lineGrew that growth; 0: nothing that
	// matters.
	line     record.Site
	lineGrew float64
	// explained are the bytes of growth that findings explain.
	explained float64
}

// RemainderOf takes from the live heap what the sites of findings hold.
func RemainderOf(s *series.Series, found []*finding.Judged, u *fit.Units) *remainder {
	q, exact := fit.Total(s)
	r := &remainder{Quantity: q, units: u, held: map[string]float64{}, heldSE: map[string]float64{}}
	if !exact {
		r.grain = math.Max(1, s.Rate)
	}
	gone := members(s, found, exact)
	ids := slices.Sorted(maps.Keys(gone))
	for i, n := range s.Snaps {
		if !q.Measured(i) {
			continue
		}
		for _, id := range ids { // in one order, on which the last digits hang
			a := n.Sites[id]
			q.Values[i] -= a.Bytes
			if exact {
				q.Variance[i] += a.Variance
			} else {
				q.Variance[i] -= a.Variance
			}
		}
	}
	r.rest = fit.Rest(s, q)
	r.growth(s, gone)
	r.swollen(s)
	r.largestPiece(s, found)
	r.growingArray(s, found)
	r.growingLine(s, found)
	r.heldLeft(s, u, exact, false)
	if fit.Paced(s) && r.held["backlog-item"]+r.held["listed-file"] > 0 {
		// It could be of its own backlog, which is bounded.
		r.held, r.heldSE, r.unheld = map[string]float64{}, map[string]float64{}, 0
		r.heldLeft(s, u, exact, true)
	}
	return r
}

// members are the sites that findings explain.
func members(s *series.Series, found []*finding.Judged, exact bool) map[int]bool {
	out := map[int]bool{}
	for id, site := range s.Sites {
		if site.OfRuntime() && (!exact || sampledWell(s, id)) {
			out[id] = true // it follows the most goroutines so far, which are counted
		}
	}
	for _, j := range found {
		if j.Passive {
			continue
		}
		for _, id := range j.Sites {
			out[id] = true
		}
		for _, id := range j.Members {
			out[id] = true
		}
	}
	return out
}

// sampledWell reports whether a site has enough samples, at its largest, to be taken off an exact total: one sample of
// 512 KiB that comes and goes would hide a leak of as much, and what it stands for is less.
func sampledWell(s *series.Series, id int) bool {
	var most series.Amount
	for _, n := range s.Snaps {
		if a := n.Sites[id]; a.Bytes > most.Bytes {
			most = a
		}
	}
	return trend.Square(most.Bytes) >= leastSamples*most.Variance
}

// leastSamples is how many samples a site needs: the error of four is half of the amount.
const leastSamples = 4

// growth fills in what stays behind from the first floor to the last. The noise is a random walk: that of the steps
// between floors about their median, by the root of their number.
func (r *remainder) growth(s *series.Series, gone map[int]bool) {
	n := len(r.rest)
	if n < 2 {
		r.noise = math.Inf(1)
		return
	}
	first, last := r.rest[0], r.rest[n-1]
	r.grown = math.Max(0, r.Values[last]-r.Values[first])
	var steps []float64
	for k := 1; k < n; k++ {
		steps = append(steps, r.Values[r.rest[k]]-r.Values[r.rest[k-1]])
	}
	mid := trend.Median(steps)
	for k := range steps {
		steps[k] = math.Abs(steps[k] - mid)
	}
	r.noise = math.Max(1.4826*trend.Median(steps), fit.ExactNoise) * math.Sqrt(float64(n-1))
	a, b := s.Snaps[first], s.Snaps[last]
	for id := range s.Sites {
		d := b.Sites[id].Bytes - a.Sites[id].Bytes
		if gone[id] {
			r.explained += math.Max(0, d)
		} else if d > 0 {
			r.sites = append(r.sites, record.SiteSize{Site: s.Sites[id].Site, Bytes: int64(d)})
		}
	}
	slices.SortStableFunc(r.sites, func(x, y record.SiteSize) int { return int(y.Bytes - x.Bytes) })
	r.sites = r.sites[:min(len(r.sites), closureSites)]
}

// closureSites is how many sites an unexplained growth names.
const closureSites = 5

// heldLeft fits the remainder in held states beyond the one at rest around them, and keeps the slopes per unit that
// matter. Everything that a healthy subject has with its transfers is in the fit beside them, with own its backlog too.
func (r *remainder) heldLeft(s *series.Series, u *fit.Units, exact, own bool) {
	var y, v []float64
	var idx []int
	for i, n := range s.Snaps {
		if !n.State.Held() || !r.Measured(i) {
			continue
		}
		rest, spread, ok := fit.RestAround(s, r.Quantity, i, nil)
		if !ok {
			continue
		}
		d := r.Values[i] - rest
		idx, y = append(idx, i), append(y, d)
		v = append(v, spread*spread/12+r.Variance[i]+trend.Square(fit.ModelError(s, i)*d)+trend.Square(fit.ExactNoise))
	}
	if len(idx) < threshold.MinHolds {
		return
	}
	columns, names := heldColumns(s, idx, u, own)
	fit, err := trend.NNLS(columns, y, v)
	for err != nil && len(columns) > 2 { // fewer states than columns
		columns, names = columns[1:], names[1:]
		fit, err = trend.NNLS(columns, y, v)
	}
	if err != nil {
		return
	}
	for k, j := range fit.Terms {
		if fit.T(k) > oneSided {
			r.held[names[j]] = fit.Coef[k]
		}
	}
	for j, name := range names {
		if exact && name != "" {
			r.heldSE[name] = fit.SEBeside(j, columns, y, v)
		}
	}
	r.heldMost(s, fit, columns, y, v, idx)
}

// plain reports whether the live heap, without a fault that says why, grew by more for each of so many files than the
// contract lets a healthy trial overlook, whatever wider target this one was asked for. Growth that is plain to see
// isn't below a limit of detection.
func (r *remainder) plain(found []*finding.Judged, files float64) bool {
	return r.grown > seenAt*record.DefaultTargets().Item*files && r.grown > threshold.MinT*r.noise && !faulty(found)
}

// faulty reports whether a fault by nature is found.
func faulty(found []*finding.Judged) bool {
	return slices.ContainsFunc(found, func(j *finding.Judged) bool { return !j.Passive && costs.KindOf(j.Finding) != "" })
}

// unsampled reports whether no line of what grows has the samples that name it, at a sampling rate in bytes. Growth
// over many lines gets there too: one of them does with enough work.
func (r *remainder) unsampled(rate float64) bool {
	return len(r.sites) == 0 || float64(r.sites[0].Bytes) < threshold.LineSamples*rate
}

// leastGrown is from where growth that no finding explains is a contradiction, however much work there was.
func (r *remainder) leastGrown() float64 { return threshold.LeastUnexplained + threshold.MinT*r.noise }

// heldMost notes the held state that keeps most beyond the fit. A copier's half-read bodies are no contradiction, since
// who has read how far can't be seen; what it has when all is sent, and a service's states, are meant to be explained.
func (r *remainder) heldMost(s *series.Series, fit *trend.Fit, columns [][]float64, y, v []float64, idx []int) {
	for k, i := range idx {
		if s.Trial.Item != record.ItemRequest && s.Snaps[i].State != record.StateReply {
			continue
		}
		rest := y[k]
		for t, j := range fit.Terms {
			rest -= fit.Coef[t] * columns[j][k]
		}
		if rest > threshold.LeastUnexplained && rest > threshold.MinT*math.Sqrt(v[k]) && rest > r.unheld {
			r.unheld, r.unheldIn = rest, s.Snaps[i].Phase
		}
	}
}

// heldColumns are the columns for the states idx, the least important first.
func heldColumns(s *series.Series, idx []int, u *fit.Units, own bool) (columns [][]float64, names []string) {
	for _, f := range []func(c record.Covariates) float64{
		func(c record.Covariates) float64 { return float64(c.ConnsOpen) },
		func(c record.Covariates) float64 { return float64(c.InFlight) },
		func(c record.Covariates) float64 { return math.Max(0, float64(c.InFlight-c.AtHeader)) },
		func(record.Covariates) float64 { return 1 },
	} {
		col := make([]float64, len(idx))
		for k, i := range idx {
			col[k] = f(s.Snaps[i].Cov())
		}
		columns, names = append(columns, col), append(names, "")
	}
	// What a transfer has in mid-body, between two connections, is more than what it has of a body that was sent.
	between := make([]float64, len(idx))
	for k, i := range idx {
		if s.Snaps[i].State == record.StateBody {
			between[k] = float64(s.Snaps[i].Cov().InFlight)
		}
	}
	columns, names = append(columns, between), append(names, "")
	if own {
		columns, names = append(columns, make([]float64, len(idx))), append(names, "")
		for k, i := range idx {
			columns[len(columns)-1][k] = float64(s.Snaps[i].Cov().Backlog)
		}
	}
	offered, paced := fit.Offered(s), fit.Paced(s)
	for _, name := range []string{"listed-file", "byte-in-flight", "backlog-item"} {
		x := u.HeldBy(name)
		col := make([]float64, len(idx))
		for k, i := range idx {
			switch col[k] = x.Values[i]; {
			case name != "backlog-item":
			case paced: // what waits in the subject is bounded; the files offered beyond it are not
				col[k] = offered[i]
			default:
				col[k] = math.Max(col[k], offered[i])
			}
		}
		columns, names = append(columns, col), append(names, name)
	}
	return columns, names
}

// JudgeRemainder looks for growth of the whole live heap beyond what sites explain: spread over many sites, or sampled
// too coarsely to be seen at one. It takes what it finds out of the remainder.
func JudgeRemainder(s *series.Series, r *remainder, u *fit.Units) *finding.Judged {
	for _, t := range fit.Retained(s, r.Quantity, u.Retained) {
		i := slices.IndexFunc(hypotheses, func(h hypothesis) bool { return h.kind == byFloors && h.per == t.Name })
		if t.Running || i < 0 || t.T() < threshold.MinT || t.Share < threshold.MinShare ||
			t.Slope < seenAt*hypotheses[i].target(targets(s)) {
			continue
		}
		if t.Amount < threshold.MinT*r.noise {
			continue
		}
		j := classes.ProcessFinding(s, t.Class, blame.Site{}, t)
		j.Evidence = append(j.Evidence,
			fmt.Sprintf("the whole live heap grows by %s from the first floor to the last, beyond the sites of other "+
				"findings: %s", words.Bytes(t.Amount), sitesText(r.sites)))
		if site, ok := grewMost(s, t); ok {
			j.Site, j.Owner, j.Frames = site.Site, site.Owner, site.Stack
		}
		r.grown, r.explained = math.Max(0, r.grown-t.Amount), r.explained+t.Amount
		return j
	}
	return nil
}

// grewMost is the site that covers most of a growth, when one covers a good part of it.
func grewMost(s *series.Series, t fit.Term) (blame.Site, bool) {
	a, b := s.Snaps[t.From[0]], s.Snaps[t.From[1]]
	score := map[int]float64{}
	for id := range s.Sites {
		score[id] = b.Sites[id].Bytes - a.Sites[id].Bytes
	}
	id, ok := classes.Largest(score)
	if !ok || score[id] < threshold.HelperShare/2*t.Amount || score[id] < 3*math.Max(1, s.Rate) {
		return blame.Site{}, false
	}
	return *s.Sites[id], true
}

// closure is what the verdict says of the remainder of the live heap.
func (r *remainder) closure(s *series.Series) *record.Closure {
	c := &record.Closure{Explained: int64(r.explained)}
	if len(r.rest) < 2 {
		return c
	}
	first, last := r.rest[0], r.rest[len(r.rest)-1]
	c.Contrast, c.Kind = fmt.Sprintf("floor %d to floor %d", s.Snaps[first].Seq, s.Snaps[last].Seq), "live-heap"
	if r.grown > threshold.MinT*r.noise {
		c.Unexplained, c.Sites = int64(r.grown), r.sites
	}
	return c
}
