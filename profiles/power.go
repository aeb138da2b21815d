package profiles

// What a trial would have seen: the detection limit of each hypothesis, from the work done, the profile's own sampling
// rate, and the noise between floors.

import (
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/record"
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
		return p.held(h, target)
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
	limit = math.Max(math.Min(site, total), hidden)
	if slices.Contains(outOfPieces, h.per) {
		limit = math.Max(limit, p.left.piece/work)
	}
	return limit, work
}

// outOfPieces are the units whose share of a piece could be too small to have made the next one necessary.
var outOfPieces = []string{"file", "listed-file", "distinct-item", "request", "byte"}

// held is the limit of memory in held states only: that of a single site in the sampled profiles, or the target
// itself where the whole live heap is known exactly, and what findings leave of it is below the target by more than its
// error. Where that isn't so, it takes sites to say what it is.
func (p *power) held(h *hypothesis, target float64) (limit, work float64) {
	x := p.units.heldBy(h.per)
	offered := make([]float64, len(p.s.Snaps))
	if h.per == "backlog-item" {
		offered = p.s.offered()
	}
	lo, hi, live, n := math.Inf(1), 0.0, 0.0, 0
	for k, snap := range p.s.Snaps {
		if !snap.State.Held() || !snap.Profiled {
			continue
		}
		n++
		v := math.Max(x.values[k], offered[k])
		if v > 0 || x.passed {
			lo = math.Min(lo, v)
		}
		if v > hi {
			hi, live = v, snap.Live.Bytes
		}
	}
	if n < minHolds || hi == 0 || hi < minBacklogRange*lo {
		return 0, hi
	}
	least := leastHeld(h.class, live)
	rate := math.Max(1, p.s.rate)
	samples := math.Max(least/rate, minT*minT)
	limit = (samples + oneSided*math.Sqrt(samples) + 1) * rate / hi
	if se, exact := p.left.heldSE[h.per]; exact && p.left.held[h.per]+oneSided*se <= target {
		limit = math.Min(limit, target)
	}
	return limit, hi
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

// paced reports whether a copier keeps its own backlog short: what waits is bounded by it, however much is offered.
func (s *Series) paced() bool {
	return s.Trial.Item != record.ItemRequest && slices.ContainsFunc(s.offered(), func(v float64) bool { return v > 0 })
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
