package closure

// What a trial would have seen: the detection limit of each hypothesis, from the work done, the profile's own sampling
// rate, and the noise between floors.

import (
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/internal/classes"
	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/trend"
)

const (
	// seenAt is the part of a hypothesis's target from which the growth of the whole live heap is a finding, and oneSided
	// the normal deviate that one trial in twenty exceeds.
	seenAt   = 0.75
	oneSided = 1.645
)

// power computes detection limits.
type power struct {
	s      *series.Series
	units  *fit.Units
	left   *remainder
	rest   []int // profiled snapshots at rest, from the first floor on
	states []int // those and the held ones
}

func powerOf(s *series.Series, left *remainder) *power {
	p := &power{s: s, units: fit.UnitsOf(s), left: left, rest: left.rest}
	if len(p.rest) > 0 {
		p.states = fit.Steered(s, left.Quantity, p.rest[0])
	}
	return p
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

// arrayMayGrow reports whether an array that no finding is of may still grow with the unit.
func (p *power) arrayMayGrow(per string) bool {
	i := slices.IndexFunc(p.units.Retained, func(u fit.Unit) bool { return u.Name == per && !u.Running })
	return i >= 0 && slices.Contains(outOfPieces, per) && len(p.rest) > 0 &&
		p.left.array.mayGrow(p.units.Retained[i].Values, p.rest[len(p.rest)-1])
}

// work is how much of a unit there was between the first floor and the last, but for what free runs did: no fit uses
// it.
func (p *power) work(per string) float64 {
	i := slices.IndexFunc(p.units.Retained, func(u fit.Unit) bool { return u.Name == per && !u.Running })
	if i < 0 || len(p.rest) < threshold.MinFloors {
		return 0
	}
	v := p.units.Retained[i].Values
	sum := 0.0
	for _, step := range fit.Steps(p.s, p.rest) {
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
	site := p.needSamples() * math.Max(1, p.s.Rate) / work
	sampled := math.Sqrt(target * work * p.left.grain) // of growth as large as the target, where totals are sampled
	se := math.Hypot(p.left.noise, sampled)
	total := (math.Max(seenAt*target*work, threshold.MinT*se) + oneSided*se) / work
	// Growth that was there and that no finding explains could be this fault in many places: it bounds the limit as well.
	hidden := (p.left.grown + oneSided*se) / work
	limit = math.Max(math.Min(site, total), hidden)
	if slices.Contains(outOfPieces, h.per) {
		limit = math.Max(limit, p.left.piece/work)
	}
	return limit, work
}

// needSamples is how many sampled objects a site has to retain to be found in 95 of 100 trials. A fit believes n of
// them that came in so many steps where n / sqrt(n + steps/4) reaches threshold.MinT: beside the sampling of the
// growth, each step has the error of half an object. A Poisson count is below n in one of twenty where n is oneSided
// deviations below its mean.
func (p *power) needSamples() float64 {
	t := threshold.MinT
	steps := float64(len(fit.Steps(p.s, p.states)))
	n := math.Max(threshold.MinLeakSamples, t*t/2+t*math.Sqrt(t*t/4+steps/4))
	return trend.Square(oneSided/2 + math.Sqrt(trend.Square(oneSided/2)+n))
}

// outOfPieces are the units whose share of a piece could be too small to have made the next one necessary.
var outOfPieces = []string{"file", "listed-file", "distinct-item", "request", "byte"}

// ofALine are the units that growth of a line may be of while nothing says which: with time alone, or with work.
var ofALine = []string{"file", "second"}

// held is the limit of memory in held states only: that of a single site in the sampled profiles, or the target
// itself where the whole live heap is known exactly, and what findings leave of it is below the target by more than its
// error. Where that isn't so, it takes sites to say what it is.
func (p *power) held(h *hypothesis, target float64) (limit, work float64) {
	x := p.units.HeldBy(h.per)
	offered := make([]float64, len(p.s.Snaps))
	if h.per == "backlog-item" {
		offered = fit.Offered(p.s)
	}
	lo, hi, live, n := math.Inf(1), 0.0, 0.0, 0
	for k, snap := range p.s.Snaps {
		if !snap.State.Held() || !snap.Profiled {
			continue
		}
		n++
		v := math.Max(x.Values[k], offered[k])
		if v > 0 || x.Passed {
			lo = math.Min(lo, v)
		}
		if v > hi {
			hi, live = v, snap.Live.Bytes
		}
	}
	if n < threshold.MinHolds || hi == 0 || hi < threshold.MinBacklogRange*lo {
		return 0, hi
	}
	least := classes.LeastHeld(h.class, live)
	rate := math.Max(1, p.s.Rate)
	samples := math.Max(least/rate, threshold.MinT*threshold.MinT)
	limit = (samples + oneSided*math.Sqrt(samples) + 1) * rate / hi
	if se, exact := p.left.heldSE[h.per]; exact && p.left.held[h.per]+oneSided*se <= target {
		limit = math.Min(limit, target)
	}
	return limit, hi
}

// counted is the limit of goroutines, connections and memory outside the heap, whose readings are exact or nearly so.
func (p *power) counted(h *hypothesis) (limit, work float64) {
	work = p.work(h.per)
	if work <= 0 {
		return 0, 0
	}
	measured := func(f func(*series.Snapshot) bool) bool {
		for _, i := range p.rest {
			if !f(p.s.Snaps[i]) {
				return false
			}
		}
		return true
	}
	switch h.kind {
	case byRoutines:
		if measured(func(n *series.Snapshot) bool { return n.Counted }) {
			return math.Max(threshold.MinRoutinesPerFile, 1.5*threshold.MinRoutines/work), work
		}
	case byConns:
		if measured(func(n *series.Snapshot) bool { return n.Covariates != nil }) {
			return math.Max(threshold.MinConnsPerFile, 1.3*threshold.MinConns/work), work
		}
	case byOffHeap:
		if measured(func(n *series.Snapshot) bool { return n.Process != nil && n.Runtime != nil }) {
			return p.outside(classes.Areas[0], h.per) / work, work
		}
	case byShared:
		if measured(func(n *series.Snapshot) bool { return n.Process != nil }) {
			return p.outside(classes.Areas[1], h.per) / work, work
		}
	}
	return 0, work
}

// outside is the growth of memory outside the heap with a unit that would be seen: that of a finding, or what stands
// out from how far the area wanders by itself.
func (p *power) outside(a classes.Area, per string) float64 {
	q, least := fit.Read(p.s, a.Noise, a.Reading), 1.3*a.Least
	if per == "error" { // which has to show in two phases
		least = math.Max(1.3*a.AtErrors, threshold.MinStepGrains*a.ErrorNoise*p.work(per)/p.secondStep(per))
	}
	return math.Max(least, (threshold.MinT+oneSided)*wander(q, p.rest))
}

// secondStep is how much of a unit the second largest step between floors has; a half where there is no second.
func (p *power) secondStep(per string) float64 {
	most, second := 0.0, 0.5
	for _, u := range p.units.Retained {
		if u.Name != per {
			continue
		}
		for _, step := range fit.Steps(p.s, p.rest) {
			d := u.Values[step[1]] - u.Values[step[0]]
			most, second = math.Max(most, d), math.Max(second, math.Min(most, d))
		}
		break
	}
	return second
}
