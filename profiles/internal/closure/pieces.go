package closure

// What the last floor doesn't show: memory that stood at rest in between, and pieces of which things are made.

import (
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/internal/finding"
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
	if len(r.rest) < 2 {
		return
	}
	told := map[int]bool{}
	for _, j := range found {
		if !j.Passive {
			for _, id := range slices.Concat(j.Sites, j.Members) {
				told[id] = true
			}
		}
	}
	last := s.Snaps[r.rest[len(r.rest)-1]]
	var start *series.Snapshot
	if i := slices.IndexFunc(s.Snaps, func(n *series.Snapshot) bool {
		return n.State == record.StateIdle &&
			n.Profiled
	}); i >= 0 {
		start = s.Snaps[i]
	}
	for id, a := range last.Sites {
		site := s.Sites[id]
		if told[id] || a.Objects < 1 || start == nil || start.Sites[id].Bytes > 0 ||
			site.Owner != blame.OwnerUser && site.Owner != blame.OwnerThirdParty {
			continue
		}
		if size := a.Bytes / a.Objects; size > r.piece {
			r.piece, r.pieceSite = size, site.Site
		}
	}
}
