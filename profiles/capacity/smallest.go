package capacity

import (
	"cmp"
	"fmt"
	"math"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

// limitStep is how exact the smallest limit is, and limitMost the largest that is considered.
const (
	limitStep = 1 << 20
	limitMost = 1 << 40
)

// Capacity answers how many workers, and how large files, are safe below a limit; or without a limit which is the
// smallest for the plan's workers. The model may be nil.
func (e *Evidence) Capacity(m *peakModel, p costs.Plan) *record.Capacity {
	var c *record.Capacity
	if p.Limit == 0 && p.Workers > 0 {
		c = e.smallest(m, p)
	} else {
		c = e.capacity(m, p)
		c.Sizes = e.sizes(c, m, p)
	}
	if c.MaxWorkers > 0 {
		c.Settings = e.settings(m, c.Limit, cmp.Or(p.Workers, c.MaxWorkers))
	}
	c.Answer = words.Capacity(c)
	words.SpeakCapacity(c)
	return c
}

// first is sort.Search with 64 bits on every processor, which sizes and numbers of files need: the smallest i below n
// with holds(i), where all after it hold as well; n where there is none.
func first(n int64, holds func(int64) bool) int64 {
	from := int64(0)
	for from < n {
		if mid := from + (n-from)/2; holds(mid) {
			n = mid
		} else {
			from = mid + 1
		}
	}
	return from
}

// planned is the plan with the amounts that it leaves to the run.
func (g grounds) planned(p costs.Plan) costs.Plan {
	p.Files = cmp.Or(p.Files, max(costs.DefaultPlannedFiles, g.files))
	p.LargestFile = cmp.Or(p.LargestFile, g.held)
	return p
}

// smallest is the capacity at the smallest limit that is safe for the plan's workers. Whatever keeps an answer from
// being given below that limit keeps the limit from being one.
func (e *Evidence) smallest(m *peakModel, p costs.Plan) *record.Capacity {
	g, n := e.grounds(p), p.Workers
	p.Limit = limitMost
	tried := m != nil && g.seen > 0 && n <= firmReach*g.seen
	if tried {
		p.Limit = m.smallest(g.planned(p), n)
	}
	c := e.capacity(m, p)
	switch {
	case len(c.Unknown) > 0:
	case !tried:
		c.Unknown = []string{fmt.Sprintf("%s were the most of a sound trial", words.Count(g.seen, "worker"))}
	case c.KilledAt == 1:
		c.Unknown = []string{"one worker was killed by a limit as large"}
	case c.MaxWorkers < n:
		c.Unknown = []string{fmt.Sprintf("%s need more than %s", words.Count(n, "worker"), words.Bytes(limitMost))}
	}
	if len(c.Unknown) > 0 {
		return &record.Capacity{Smallest: &record.Smallest{Workers: n}, Unknown: c.Unknown,
			Decides: decidesSmallest(c, n, g), Files: c.Files, LargestFile: c.LargestFile, Words: c.Words, Again: c.Again,
			At: []record.CapacityStep{}, Assumes: []string{}}
	}
	p = g.planned(p)
	f := m.Forecast(p, n)
	mid, _ := f.Needs()
	c.Smallest = &record.Smallest{Workers: n, Need: steps(mid), Outside: int64(f.outside),
		PI95: [2]int64{int64(f.least()), int64(m.atMost(p, n))}}
	return c
}

// smallest is the smallest limit, in whole steps, that no count up to n needs more than; limitMost where there is none.
// A larger limit has a larger GOMEMLIMIT, and peaks that were seen with it count as well: the need never falls, so that
// the way from need to need passes no limit that would do.
func (m *peakModel) smallest(p costs.Plan, n int) int64 {
	p.Limit = 0
	for {
		need := m.atMost(p, n)
		if need <= float64(p.Limit) || need > limitMost {
			return min(limitMost, max(limitStep, p.Limit))
		}
		p.Limit = steps(need)
	}
}

// atMost is the most that any count of workers up to n needs, at the upper end of its interval.
func (m *peakModel) atMost(p costs.Plan, n int) float64 {
	most := 0.0
	for i := range n {
		_, high := m.Forecast(p, i+1).Needs()
		most = math.Max(most, high)
	}
	return most
}

// least is the need at the lower end of the interval, while no buffer is copied.
func (f forecast) least() float64 { return math.Max(f.Live+f.arenas+f.outside-f.spread, f.measured) }

func steps(bytes float64) int64 { return int64(math.Ceil(bytes/limitStep)) * limitStep }

// decidesSmallest is the run that would tell the smallest limit.
func decidesSmallest(c *record.Capacity, n int, g grounds) string {
	if g.seen == 0 || n > firmReach*g.seen || c.Words.Item == record.ItemRequest {
		return fmt.Sprintf("a run whose trials do their work, end well and are conclusive: soak run "+
			"--axis workers=%d,%d,%d%s", max(1, n/4), max(2, n/2), max(3, n), c.Again)
	}
	return fmt.Sprintf("soak limit --set workers=%d%s", n, c.Again)
}

// GOMEMLIMIT is what to set below a limit beside so much memory outside the Go heap. 0: there is no room for a heap.
func GOMEMLIMIT(limit, outside int64) int64 {
	return goMemoryLimit(limit, forecast{outside: float64(outside)})
}
