package closure

// What the last floor doesn't show: memory that stood at rest in between, and pieces of which things are made.

import (
	"iter"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/internal/classes"
	"github.com/memsoak/memsoak/profiles/internal/finding"
	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/record"
)

// swollen looks for what stood at a floor and not at the last: of things that are kept by number, whatever their size,
// the last floor after small files shows nothing.
func (r *remainder) swollen(s *series.Series) {
	if len(r.rest) < 2 {
		return
	}
	first, last := r.Values[r.rest[0]], r.Values[r.rest[len(r.rest)-1]]
	for k, i := range r.rest[1:] {
		more := r.Values[i] - math.Max(first, last)
		if more > threshold.LeastUnexplained && more > threshold.MinT*r.noise && more > r.swell {
			r.swell, r.swellIn = more, s.Snaps[i].Phase
			r.swellBytes = float64(s.Snaps[i].Cov().BytesDone - s.Snaps[r.rest[k]].Cov().BytesDone)
		}
	}
}

// swells reports whether a hypothesis is the one of what stood at a floor and went, also where no work had a size.
func (p *power) swells(h *hypothesis) bool { return h.class == record.BufferFile && p.left.swell > 0 }

// largestPiece looks for the largest object that the work has made and that stayed. Where things come out of pieces,
// such as slabs or tables made beforehand, the next piece may be as far away as the work went.
func (r *remainder) largestPiece(s *series.Series, found []*finding.Judged) {
	for id, a := range r.madeByWork(s, found) {
		if size := a.Bytes / a.Objects; size > r.piece {
			r.piece, r.pieceSite = size, s.Sites[id].Site
		}
	}
}

// growingArray looks for the largest array that the work made larger in several steps. Until twice the work came
// nothing tells whether it is full.
func (r *remainder) growingArray(s *series.Series, found []*finding.Judged) {
	for id, a := range r.unnamed(s, found) {
		if a.Objects >= classes.LeastElements || a.Bytes < leastGrowth(s) || a.Bytes <= r.array.bytes {
			continue
		}
		if at, climbs := fit.OfSites(s, id).Climbs(r.rest); climbs {
			r.array = array{site: s.Sites[id].Site, bytes: a.Bytes, at: at}
		}
	}
}

// growingLine looks for the line that keeps most beyond what it kept at the first floor: sampling shows the growth, and
// a good part of it came with the later half of the work. It is too uncertain for a finding, and too much to be silent
// about where no fault is found.
func (r *remainder) growingLine(s *series.Series, found []*finding.Judged) {
	for id, a := range r.unnamed(s, found) {
		at := func(i int) float64 { return s.Snaps[i].Sites[id].Bytes }
		first, last := r.rest[0], r.rest[len(r.rest)-1]
		half := (s.Snaps[first].Cov().FilesDone + s.Snaps[last].Cov().FilesDone) / 2
		mid := r.rest[slices.IndexFunc(r.rest, func(i int) bool { return s.Snaps[i].Cov().FilesDone >= half })]
		grown, late := a.Bytes-at(first), a.Bytes-at(mid)
		if grown >= leastGrowth(s) && late >= threshold.LateGrowth*grown && grown > r.lineGrew {
			r.lineGrew, r.line = grown, s.Sites[id].Site
		}
	}
}

// leastGrowth is the growth of a line that sampling shows, in bytes.
func leastGrowth(s *series.Series) float64 { return threshold.MinLeakSamples * math.Max(1, s.Rate) }

// array is one that grows in steps, and the snapshot of its last step.
type array struct {
	site  record.Site
	bytes float64
	at    int
}

// mayGrow reports whether so little of a unit came after the array's last step that the next may still come.
func (a array) mayGrow(unit []float64, last int) bool {
	return a.bytes > 0 && unit[last] < fit.EnvelopeSpread*unit[a.at]
}

// unnamed are the sites of madeByWork in functions without a finding: in a function with one they are its tables.
func (r *remainder) unnamed(s *series.Series, found []*finding.Judged) iter.Seq2[int, series.Amount] {
	return func(yield func(int, series.Amount) bool) {
		for id, a := range r.madeByWork(s, found) {
			named := func(j *finding.Judged) bool { return j.Site.Function == s.Sites[id].Function }
			if !slices.ContainsFunc(found, named) && !yield(id, a) {
				return
			}
		}
	}
}

// madeByWork are the sites without findings, of the user's code or a third party's, that have objects at the last floor
// and had none before the work.
func (r *remainder) madeByWork(s *series.Series, found []*finding.Judged) iter.Seq2[int, series.Amount] {
	told := map[int]bool{}
	for _, j := range found {
		if !j.Passive {
			for _, id := range slices.Concat(j.Sites, j.Members) {
				told[id] = true
			}
		}
	}
	start := slices.IndexFunc(s.Snaps, func(n *series.Snapshot) bool { return n.State == record.StateIdle && n.Profiled })
	return func(yield func(int, series.Amount) bool) {
		if len(r.rest) < 2 || start < 0 {
			return
		}
		for id, a := range s.Snaps[r.rest[len(r.rest)-1]].Sites {
			owner := s.Sites[id].Owner
			if told[id] || a.Objects < 1 || s.Snaps[start].Sites[id].Bytes > 0 ||
				owner != blame.OwnerUser && owner != blame.OwnerThirdParty {
				continue
			}
			if !yield(id, a) {
				return
			}
		}
	}
}
