package fit

import (
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/record"
)

// Offered is, for holds at the download's header, how many files were given beyond those in flight, where the subject
// itself keeps its backlog short: it has the same one, whether few or many times as many are offered. What it would
// hold per waiting file shows per offered one. Zero for other states and other subjects.
func Offered(s *series.Series) []float64 {
	out := make([]float64, len(s.Snaps))
	lo, hi, least, most := math.Inf(1), 0.0, math.Inf(1), 0.0
	for i, n := range s.Snaps {
		given, ok := given(s, n.Phase)
		if n.State != record.StateHeader || !ok {
			continue
		}
		c := n.Cov()
		out[i] = math.Max(0, float64(given-c.InFlight))
		lo, hi = math.Min(lo, out[i]), math.Max(hi, out[i])
		least, most = math.Min(least, float64(c.Backlog)), math.Max(most, float64(c.Backlog))
	}
	if hi < threshold.MinBacklogRange*lo || most > shortBacklog*math.Max(least, 1) || most > hi/threshold.MinBacklogRange {
		return make([]float64, len(s.Snaps))
	}
	return out
}

// Paced reports whether a copier keeps its own backlog short: what waits is bounded by it, however much is offered.
func Paced(s *series.Series) bool {
	return s.Trial.Item != record.ItemRequest && slices.ContainsFunc(Offered(s), func(v float64) bool { return v > 0 })
}

// shortBacklog is how far a backlog may vary that the subject itself keeps short.
const shortBacklog = 2

// given is the number of files that a phase gave.
func given(s *series.Series, name string) (int64, bool) {
	for _, p := range s.Trial.Phases {
		if p.Name == name {
			return p.Files, p.Files > 0
		}
	}
	return 0, false
}
