package profiles

// What a trial would have seen: the detection limit of each hypothesis, from the work done, the profile's own sampling
// rate, and the noise between floors.

import (
	"fmt"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

const (
	// needSamples is how many sampled objects a site has to retain to be found in 95 of 100 trials: minT takes up to 34 of
	// them where the growth comes in few steps, and a Poisson count with this mean is below that in one of twenty.
	needSamples = 44

	// seenAt is the part of a hypothesis's target from which the growth of the whole live heap is a finding, and oneSided
	// the normal deviate that one trial in twenty exceeds.
	seenAt   = 0.75
	oneSided = 1.645
)

// power computes detection limits.
type power struct {
	s     *Series
	units *units
	left  *remainder
	rest  []int // profiled snapshots at rest, from the first floor on
}

func (s *Series) power(left *remainder) *power {
	return &power{s: s, units: s.units(), left: left, rest: left.rest}
}

// limit is the slope that 95 of 100 such trials would show, and how much of the unit there was; 0 where the trial has
// nothing that could show it.
func (p *power) limit(h *hypothesis, target float64) (limit, work float64) {
	switch h.kind {
	case byFloors:
		return p.retained(h, target)
	case byHolds:
		return p.held(h)
	}
	return p.counted(h)
}

// work is how much of a unit there was between the first floor and the last, but for what free runs did: no fit uses
// it.
func (p *power) work(per string) float64 {
	i := slices.IndexFunc(p.units.retained, func(u unit) bool { return u.name == per && !u.running })
	if i < 0 || len(p.rest) < minFloors {
		return 0
	}
	v := p.units.retained[i].values
	sum := 0.0
	for _, step := range p.s.steps(p.rest) {
		sum += v[step[1]] - v[step[0]]
	}
	return sum
}

// retained is the lower of two limits: that of a single site in the sampled profiles, and that of the whole live heap.
func (p *power) retained(h *hypothesis, target float64) (limit, work float64) {
	work = p.work(h.per)
	if work <= 0 {
		return 0, 0
	}
	site := needSamples * math.Max(1, p.s.rate) / work
	sampled := math.Sqrt(target * work * p.left.grain) // of growth as large as the target, where totals are sampled
	se := math.Hypot(p.left.noise, sampled)
	total := (math.Max(seenAt*target*work, minT*se) + oneSided*se) / work
	// Growth that was there and that no finding explains could be this fault in many places: it bounds the limit as well.
	hidden := (p.left.grown + oneSided*se) / work
	return math.Max(math.Min(site, total), hidden), work
}

// held is the limit of what is there in held states only.
func (p *power) held(h *hypothesis) (limit, work float64) {
	i := slices.IndexFunc(p.units.held, func(u unit) bool { return u.name == h.per })
	if i < 0 {
		return 0, 0
	}
	offered := make([]float64, len(p.s.Snaps))
	if h.per == "backlog-item" {
		offered = p.s.offered()
	}
	lo, hi, live, n := math.Inf(1), 0.0, 0.0, 0
	for k, x := range p.s.Snaps {
		if !x.State.Held() || !x.Profiled {
			continue
		}
		n++
		if v := math.Max(p.units.held[i].values[k], offered[k]); v > 0 {
			if lo = math.Min(lo, v); v > hi {
				hi, live = v, x.Live.Bytes
			}
		}
	}
	if n < minHolds || hi < minBacklogRange*lo {
		return 0, hi
	}
	least := leastHeld(h.class, live)
	rate := math.Max(1, p.s.rate)
	samples := math.Max(least/rate, minT*minT)
	return (samples + oneSided*math.Sqrt(samples) + 1) * rate / hi, hi
}

// offered is, for holds at the download's header, how many files were given beyond those in flight, where the subject
// itself keeps its backlog short: it has the same one, whether few or many times as many are offered. What it would
// hold per waiting file shows per offered one. Zero for other states and other subjects.
func (s *Series) offered() []float64 {
	out := make([]float64, len(s.Snaps))
	lo, hi, least, most := math.Inf(1), 0.0, math.Inf(1), 0.0
	for i, n := range s.Snaps {
		given, ok := s.given(n.Phase)
		if n.State != record.StateHeader || !ok {
			continue
		}
		c := n.cov()
		out[i] = math.Max(0, float64(given-c.InFlight))
		lo, hi = math.Min(lo, out[i]), math.Max(hi, out[i])
		least, most = math.Min(least, float64(c.Backlog)), math.Max(most, float64(c.Backlog))
	}
	if hi < minBacklogRange*lo || most > shortBacklog*math.Max(least, 1) || most > hi/minBacklogRange {
		return make([]float64, len(s.Snaps))
	}
	return out
}

// shortBacklog is how far a backlog may vary that the subject itself keeps short.
const shortBacklog = 2

// given is the number of files that a phase gave.
func (s *Series) given(name string) (int64, bool) {
	for _, p := range s.Trial.Phases {
		if p.Name == name {
			return p.Files, p.Files > 0
		}
	}
	return 0, false
}

// counted is the limit of goroutines, connections and memory outside the heap, whose readings are exact or nearly so.
func (p *power) counted(h *hypothesis) (limit, work float64) {
	work = p.work(h.per)
	if work <= 0 {
		return 0, 0
	}
	measured := func(f func(*Snapshot) bool) bool {
		for _, i := range p.rest {
			if !f(p.s.Snaps[i]) {
				return false
			}
		}
		return true
	}
	switch h.kind {
	case byRoutines:
		if measured(func(n *Snapshot) bool { return n.Counted }) {
			return math.Max(minRoutinesPerFile, 1.5*minRoutines/work), work
		}
	case byConns:
		if measured(func(n *Snapshot) bool { return n.Covariates != nil }) {
			return math.Max(minConnsPerFile, 1.3*minConns/work), work
		}
	case byOffHeap:
		if measured(func(n *Snapshot) bool { return n.Process != nil && n.Runtime != nil }) {
			return p.outside(areas[0]) / work, work
		}
	case byShared:
		if measured(func(n *Snapshot) bool { return n.Process != nil }) {
			return p.outside(areas[1]) / work, work
		}
	}
	return 0, work
}

// outside is the growth of memory outside the heap that would be seen: that of a finding, or what stands out from how
// far the area wanders by itself.
func (p *power) outside(a area) float64 {
	q := p.s.read(a.noise, a.reading)
	return math.Max(1.3*a.least, (minT+oneSided)*q.wander(p.rest))
}

// remainder is what the findings leave of the live heap, by snapshot.
type remainder struct {
	*quantity
	rest  []int   // profiled snapshots at rest, from the first floor on
	grown float64 // bytes from the first floor to the last that no finding explains, at least 0
	noise float64 // the standard error of grown, without what sampling adds to growth
	grain float64 // of sampling: 0 where totals are exact
	sites []record.SiteSize
	// held is the largest slope per unit in held states that no finding explains.
	held map[string]float64
	// unheld is the most that a held state of a service keeps beyond all that explains it, in the phase unheldIn; 0:
	// nothing.
	unheld   float64
	unheldIn string
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
	r := &remainder{quantity: q, held: map[string]float64{}}
	if !exact {
		r.grain = math.Max(1, s.rate)
	}
	gone := s.members(found)
	for i, n := range s.Snaps {
		if !q.measured(i) {
			continue
		}
		for id := range gone {
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
	r.heldLeft(s, u)
	return r
}

// members are the sites that findings explain.
func (s *Series) members(found []*judged) map[int]bool {
	out := map[int]bool{}
	for id, site := range s.Sites {
		if site.ofRuntime() {
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

// heldLeft fits what is left in held states beyond what is at rest around them, and keeps the slopes per unit that
// matter. Everything that a healthy subject has with its transfers is in the fit beside them.
func (r *remainder) heldLeft(s *Series, u *units) {
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
		v = append(v, spread*spread/12+r.variance[i]+square(modelError*d)+square(exactNoise))
	}
	if len(idx) < minHolds {
		return
	}
	columns, names := s.heldColumns(idx, u)
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
	if s.Trial.Item == record.ItemRequest {
		r.heldMost(s, fit, columns, y, v, idx)
	}
}

// leastUnexplained is the least that a held state has to keep beyond all that explains it to be a contradiction.
const leastUnexplained = 1 << 20

// heldMost notes the held state that keeps most beyond the fit. A copier's half-read bodies are no contradiction, since
// who has read how far can't be seen; a service's states are all meant to be explained.
func (r *remainder) heldMost(s *Series, fit *trend.Fit, columns [][]float64, y, v []float64, idx []int) {
	for k, i := range idx {
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
func (s *Series) heldColumns(idx []int, u *units) (columns [][]float64, names []string) {
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
	offered := s.offered()
	for _, name := range []string{"byte-in-flight", "backlog-item"} {
		x := u.held[slices.IndexFunc(u.held, func(x unit) bool { return x.name == name })]
		col := make([]float64, len(idx))
		for k, i := range idx {
			if col[k] = x.values[i]; name == "backlog-item" {
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
			fmt.Sprintf("the whole live heap grows by %s from the first floor to the last, beyond the sites of other findings: %s", bytesText(t.amount), sitesText(r.sites)))
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

// doubts are the contradictions, by what leans on them.
func (s *Series) doubts() map[evidenceKind]string {
	out := map[evidenceKind]string{}
	all := func(why string) {
		for _, k := range []evidenceKind{byFloors, byHolds, byRoutines, byConns, byOffHeap, byShared} {
			if out[k] == "" {
				out[k] = why
			}
		}
	}
	var given, done int64
	for _, p := range s.Trial.Phases {
		if p.Failed == "" && !p.CutOff && p.LeftOut == "" {
			given += p.Files
		}
		if p.CopiedNothing() {
			all(fmt.Sprintf("of the %d files of %s none arrived: a subject that copies what it says it copied", p.Files, p.Name))
		}
	}
	for _, n := range s.Snaps {
		done = max(done, n.cov().FilesDone)
		switch h := n.Hold; {
		case !n.State.Held():
		case h == nil && n.cov().InFlight == 0:
			out[byHolds] = fmt.Sprintf("the hold of %s held nothing: transfers in flight while a snapshot is taken", n.Phase)
		case h != nil && h.Short():
			out[byHolds] = fmt.Sprintf("the hold of %s held %d of the %d transfers asked for: a subject that runs as many",
				n.Phase, h.Held, h.Asked)
		case h != nil && h.Restless:
			out[byHolds] = fmt.Sprintf("the subject did not come to rest in the hold of %s: a longer settle time", n.Phase)
		}
	}
	switch {
	case s.Trial.Outcome != record.OK && s.Trial.Outcome != "":
		all(fmt.Sprintf("the trial ended as %s: a trial that runs to its end", s.Trial.Outcome))
	case done == 0:
		all("no file was copied: a trial with work")
	case float64(done) < copiedShare*float64(given):
		all(fmt.Sprintf("the subject copied %d of the %d files that it was given: a subject that copies them", done, given))
	}
	return out
}

// copiedShare is the part of the files given that has to have been copied for counts of files to mean anything.
const copiedShare = 0.9
