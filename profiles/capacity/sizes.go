package capacity

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

// sizes says how large the files may be with the plan's workers, or as many as the largest sound trial had; nil where
// it isn't known and no workers were named. A size that is safe is one that the capacity with such files has room for.
func (e *Evidence) sizes(c *record.Capacity, m *peakModel, p costs.Plan) *record.Sizes {
	g := e.grounds(p)
	s := &record.Sizes{Workers: cmp.Or(p.Workers, g.seen)}
	switch {
	case m == nil || c.MaxWorkers == 0:
		return nil
	case s.Workers > firmReach*g.seen:
		s.Unknown = fmt.Sprintf("%s were the most of a sound trial", words.Count(g.seen, "worker"))
	case g.held == 0:
		s.Unknown = "no files were held"
	default:
		e.largest(s, c, m, p, g)
	}
	if p.Workers == 0 && s.Safe <= 0 {
		return nil
	}
	return s
}

// largest searches the sizes. Without a term of them no size is an answer beyond those that were held.
func (e *Evidence) largest(s *record.Sizes, c *record.Capacity, m *peakModel, p costs.Plan, g grounds) {
	at := g.planned(p)
	with := func(size int64) forecast {
		at.LargestFile = size
		return m.Forecast(at, s.Workers)
	}
	fits := func(size int64) bool { _, high := with(size).Needs(); return high <= float64(p.Limit) }
	least, most := int64(0), g.held
	if fits(most) {
		least = most
	}
	if c.BytesInFlight {
		most = limitMost
	}
	safe := least + first(most-least, func(i int64) bool { return !fits(least + i + 1) })
	s.Binds = safe < most || c.BytesInFlight || slices.ContainsFunc(m.costs,
		func(c record.Cost) bool { return c.Per == "byte-in-flight" })
	if safe == limitMost {
		s.Binds, safe = false, g.held
	}
	if safe == 0 {
		s.Safe = -1
		return
	}
	if down := words.Down(safe); fits(down) {
		safe = down
	}
	p.LargestFile = safe
	if got := e.capacity(m, p); got.MaxWorkers < s.Workers {
		s.Binds, s.Unknown = false, cmp.Or(strings.Join(got.Unknown, "; "), "a worker was killed by a limit as large")
		return
	}
	s.Safe = p.LargestFile
	i := first(limitMost, func(i int64) bool { return with(i+1).least() > float64(p.Limit) })
	if s.Binds && i < limitMost {
		s.Breaks = i + 1
	}
	var from []string
	if s.Safe > g.held {
		from = append(from, words.Bytes(float64(g.held)))
	}
	if s.Workers > g.seen {
		from = append(from, words.Count(g.seen, "worker"))
	}
	s.Extrapolated = strings.Join(from, " and ")
}
