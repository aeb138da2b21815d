package profiles

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// What the findings leave unexplained, of growth from floor to floor and of what held states have.

// remainder is what the findings leave of the live heap, by snapshot.
type remainder struct {
	*quantity
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
	// explained are the bytes of growth that findings explain.
	explained float64
}

// exactNoise is how far the exact live heap of equal states differs by what the reading itself keeps: buffers of its
// connection, its own page.
const exactNoise = 1 << 10

// total is the live heap of each profiled snapshot: exact where the runner read it after the collection, else the sum
// of the sampled sites.
func (s *Series) total() (q *quantity, exact bool) {
	exact = true
	for _, n := range s.Snaps {
		if n.Profiled && (n.atRest() || n.State.Held()) && (!n.Exact || n.Runtime == nil) {
			exact = false
		}
	}
	q = &quantity{values: make([]float64, len(s.Snaps)), variance: make([]float64, len(s.Snaps)), grain: math.Max(1,
		s.rate)}
	if exact {
		q.grain = exactNoise
	}
	for i, n := range s.Snaps {
		switch {
		case !n.Profiled || !n.atRest() && !n.State.Held():
			q.values[i] = math.NaN()
		case exact:
			q.values[i], q.variance[i] = float64(n.Runtime.HeapAlloc), square(exactNoise)
		default:
			q.values[i], q.variance[i] = n.Live.Bytes, n.Live.Variance
		}
	}
	return q, exact
}

// remainder takes from the live heap what the sites of findings hold.
func (s *Series) remainder(found []*judged, u *units) *remainder {
	q, exact := s.total()
	r := &remainder{quantity: q, held: map[string]float64{}, heldSE: map[string]float64{}}
	if !exact {
		r.grain = math.Max(1, s.rate)
	}
	gone := s.members(found, exact)
	ids := slices.Sorted(maps.Keys(gone))
	for i, n := range s.Snaps {
		if !q.measured(i) {
			continue
		}
		for _, id := range ids { // in one order, on which the last digits hang
			a := n.Sites[id]
			q.values[i] -= a.Bytes
			if exact {
				q.variance[i] += a.Variance
			} else {
				q.variance[i] -= a.Variance
			}
		}
	}
	r.rest = s.rest(q)
	r.growth(s, gone)
	r.swollen(s)
	r.largestPiece(s, found)
	r.heldLeft(s, u, exact, false)
	if s.paced() && r.held["backlog-item"]+r.held["listed-file"] > 0 {
		// It could be of its own backlog, which is bounded.
		r.held, r.heldSE, r.unheld = map[string]float64{}, map[string]float64{}, 0
		r.heldLeft(s, u, exact, true)
	}
	return r
}

// members are the sites that findings explain.
func (s *Series) members(found []*judged, exact bool) map[int]bool {
	out := map[int]bool{}
	for id, site := range s.Sites {
		if site.ofRuntime() && (!exact || s.sampledWell(id)) {
			out[id] = true // it follows the most goroutines so far, which are counted
		}
	}
	for _, j := range found {
		if j.passive {
			continue
		}
		for _, id := range j.sites {
			out[id] = true
		}
		for _, id := range j.members {
			out[id] = true
		}
	}
	return out
}

// sampledWell reports whether a site has enough samples, at its largest, to be taken off an exact total: one sample of
// 512 KiB that comes and goes would hide a leak of as much, and what it stands for is less.
func (s *Series) sampledWell(id int) bool {
	var most Amount
	for _, n := range s.Snaps {
		if a := n.Sites[id]; a.Bytes > most.Bytes {
			most = a
		}
	}
	return square(most.Bytes) >= leastSamples*most.Variance
}

// leastSamples is how many samples a site needs: the error of four is half of the amount.
const leastSamples = 4

// growth fills in what stays behind from the first floor to the last. The noise is a random walk: that of the steps
// between floors about their median, by the root of their number.
func (r *remainder) growth(s *Series, gone map[int]bool) {
	n := len(r.rest)
	if n < 2 {
		r.noise = math.Inf(1)
		return
	}
	first, last := r.rest[0], r.rest[n-1]
	r.grown = math.Max(0, r.values[last]-r.values[first])
	var steps []float64
	for k := 1; k < n; k++ {
		steps = append(steps, r.values[r.rest[k]]-r.values[r.rest[k-1]])
	}
	mid := trend.Median(steps)
	for k := range steps {
		steps[k] = math.Abs(steps[k] - mid)
	}
	r.noise = math.Max(1.4826*trend.Median(steps), exactNoise) * math.Sqrt(float64(n-1))
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
func (r *remainder) heldLeft(s *Series, u *units, exact, own bool) {
	var y, v []float64
	var idx []int
	for i, n := range s.Snaps {
		if !n.State.Held() || !r.measured(i) {
			continue
		}
		rest, spread, ok := s.restAround(r.quantity, i, nil)
		if !ok {
			continue
		}
		d := r.values[i] - rest
		idx, y = append(idx, i), append(y, d)
		v = append(v, spread*spread/12+r.variance[i]+square(s.modelError(i)*d)+square(exactNoise))
	}
	if len(idx) < minHolds {
		return
	}
	columns, names := s.heldColumns(idx, u, own)
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
func (r *remainder) plain(found []*judged, files float64) bool {
	return r.grown > seenAt*record.DefaultTargets().Item*files && r.grown > minT*r.noise &&
		!slices.ContainsFunc(found, func(j *judged) bool { return !j.passive && byNature(j.Finding) == 0 })
}

// unsampled reports whether no line of what grows has the samples that name it, at a sampling rate in bytes. Growth
// over many lines gets there too: one of them does with enough work.
func (r *remainder) unsampled(rate float64) bool {
	return len(r.sites) == 0 || float64(r.sites[0].Bytes) < lineSamples*rate
}

// leastGrown is from where growth that no finding explains is a contradiction, however much work there was.
func (r *remainder) leastGrown() float64 { return leastUnexplained + minT*r.noise }

// leastUnexplained is the least that a held state has to keep beyond all that explains it to be a contradiction.
const leastUnexplained = 1 << 20

// heldMost notes the held state that keeps most beyond the fit. A copier's half-read bodies are no contradiction, since
// who has read how far can't be seen; what it has when all is sent, and a service's states, are meant to be explained.
func (r *remainder) heldMost(s *Series, fit *trend.Fit, columns [][]float64, y, v []float64, idx []int) {
	for k, i := range idx {
		if s.Trial.Item != record.ItemRequest && s.Snaps[i].State != record.StateReply {
			continue
		}
		rest := y[k]
		for t, j := range fit.Terms {
			rest -= fit.Coef[t] * columns[j][k]
		}
		if rest > leastUnexplained && rest > minT*math.Sqrt(v[k]) && rest > r.unheld {
			r.unheld, r.unheldIn = rest, s.Snaps[i].Phase
		}
	}
}

// heldColumns are the columns for the states idx, the least important first.
func (s *Series) heldColumns(idx []int, u *units, own bool) (columns [][]float64, names []string) {
	for _, f := range []func(c record.Covariates) float64{
		func(c record.Covariates) float64 { return float64(c.ConnsOpen) },
		func(c record.Covariates) float64 { return float64(c.InFlight) },
		func(c record.Covariates) float64 { return math.Max(0, float64(c.InFlight-c.AtHeader)) },
		func(record.Covariates) float64 { return 1 },
	} {
		col := make([]float64, len(idx))
		for k, i := range idx {
			col[k] = f(s.Snaps[i].cov())
		}
		columns, names = append(columns, col), append(names, "")
	}
	// What a transfer has in mid-body, between two connections, is more than what it has of a body that was sent.
	between := make([]float64, len(idx))
	for k, i := range idx {
		if s.Snaps[i].State == record.StateBody {
			between[k] = float64(s.Snaps[i].cov().InFlight)
		}
	}
	columns, names = append(columns, between), append(names, "")
	if own {
		columns, names = append(columns, make([]float64, len(idx))), append(names, "")
		for k, i := range idx {
			columns[len(columns)-1][k] = float64(s.Snaps[i].cov().Backlog)
		}
	}
	offered, paced := s.offered(), s.paced()
	for _, name := range []string{"listed-file", "byte-in-flight", "backlog-item"} {
		x := u.heldBy(name)
		col := make([]float64, len(idx))
		for k, i := range idx {
			switch col[k] = x.values[i]; {
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

// judgeRemainder looks for growth of the whole live heap beyond what sites explain: spread over many sites, or sampled
// too coarsely to be seen at one. It takes what it finds out of the remainder.
func (s *Series) judgeRemainder(r *remainder, u *units) *judged {
	for _, t := range s.retained(r.quantity, u.retained) {
		i := slices.IndexFunc(hypotheses, func(h hypothesis) bool { return h.kind == byFloors && h.per == t.name })
		if t.running || i < 0 || t.t() < minT || t.share < minShare || t.slope < seenAt*hypotheses[i].target(s.targets()) {
			continue
		}
		if t.amount < minT*r.noise {
			continue
		}
		j := s.processFinding(t.class, Site{}, t)
		j.Evidence = append(j.Evidence,
			fmt.Sprintf("the whole live heap grows by %s from the first floor to the last, beyond the sites of other "+
				"findings: %s", bytesText(t.amount), sitesText(r.sites)))
		if site, ok := s.grewMost(r, t); ok {
			j.Site, j.owner, j.stack = site.Site, site.Owner, site.Stack
		}
		r.grown, r.explained = math.Max(0, r.grown-t.amount), r.explained+t.amount
		return j
	}
	return nil
}

// grewMost is the site that covers most of a growth, when one covers a good part of it.
func (s *Series) grewMost(r *remainder, t term) (Site, bool) {
	a, b := s.Snaps[t.from[0]], s.Snaps[t.from[1]]
	score := map[int]float64{}
	for id := range s.Sites {
		score[id] = b.Sites[id].Bytes - a.Sites[id].Bytes
	}
	id, ok := largest(score)
	if !ok || score[id] < helperShare/2*t.amount || score[id] < 3*math.Max(1, s.rate) {
		return Site{}, false
	}
	return *s.Sites[id], true
}

// closure is what the verdict says of the remainder of the live heap.
func (r *remainder) closure(s *Series) *record.Closure {
	c := &record.Closure{Explained: int64(r.explained)}
	if len(r.rest) < 2 {
		return c
	}
	first, last := r.rest[0], r.rest[len(r.rest)-1]
	c.Contrast, c.Kind = fmt.Sprintf("floor %d to floor %d", s.Snaps[first].Seq, s.Snaps[last].Seq), "live-heap"
	if r.grown > minT*r.noise {
		c.Unexplained, c.Sites = int64(r.grown), r.sites
	}
	return c
}
