package classes

import (
	"fmt"

	"github.com/memsoak/memsoak/profiles/internal/finding"
	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

// stepsOfContainer adds findings of containers: growth by doubling, or a cache that has stopped growing.
func stepsOfContainer(s *series.Series, id int, q *fit.Quantity, u *fit.Units, distinct fit.Unit) *finding.Judged {
	if t, ok := fit.Doubling(s, q, possible(s, q, u.Retained)); ok && believeRetained(s, q, &t) {
		j := siteFinding(s, id, t)
		j.Container = true
		j.Evidence = append(j.Evidence,
			fmt.Sprintf("a container that grows in steps: its size was between %s and %s per %s at every floor",
				words.Bytes(j.Slope.CI95[0]), words.Bytes(j.Slope.CI95[1]), words.Item(t.Name)))
		return j
	}
	t, ok := fit.Filled(s, q, distinct)
	if !ok || t.Amount < threshold.MinHeldBytes {
		return nil
	}
	if mayGrow(q, distinct, fit.Rest(s, q), t.Bound) {
		return nil
	}
	return siteFinding(s, id, t)
}

// mayGrow reports whether what stopped growing at so many items is a container that doubles: it is as flat until twice
// as many came.
func mayGrow(q *fit.Quantity, distinct fit.Unit, idx []int, stopped float64) bool {
	last := idx[len(idx)-1]
	container := q.Objects[last] < LeastElements || q.StepShaped(distinct, idx)
	return container && distinct.Values[last] < fit.EnvelopeSpread*stopped
}

// LeastElements is how many objects a site has at least that is no container by itself: an array, and the one that it
// is being copied to.
const LeastElements = 3

// fullCaches drops containers that seem to grow from functions in which a cache was found full: they are its table.
func fullCaches(js []*finding.Judged) []*finding.Judged {
	full := map[string]bool{}
	for _, j := range js {
		full[j.Site.Function] = full[j.Site.Function] || j.Class == record.Cache
	}
	out := js[:0]
	for _, j := range js {
		if j.Container && full[j.Site.Function] {
			continue
		}
		out = append(out, j)
	}
	return out
}
