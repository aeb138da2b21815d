package growth

import (
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/record"
)

const (
	// risen is the part of a curve's growth that it has when its rise is over.
	risen = 0.9
	// worked is the part of the work during the rise that has to go on after it: with less, a leak stays as flat as a
	// cache that is full. A leak that is fed half as much rises half as fast, and isn't taken for flat.
	worked = 0.5
)

// slack opens the curve of something that rose and then stayed, where the process worked less when it stayed: without
// work nothing leaks. What is worked shows in finished requests where they are counted, else in what was allocated beyond
// what grew. Where neither is known there is nothing to open it for but that nothing tells.
func (s *Series) slack(c *record.Curve, life []*Point, y []float64) {
	if c.State != record.Excluded || c.Shape != record.Levelled && c.Shape != record.Stepped {
		return
	}
	level := y[0] + risen*(y[len(y)-1]-y[0])
	knee := slices.IndexFunc(y, func(v float64) bool { return v >= level })
	if knee <= 0 || knee == len(y)-1 {
		return
	}
	rise, known := s.pace(life[:knee+1])
	stay, _ := s.pace(life[knee:])
	if !known || stay < worked*rise {
		c.State, c.Slack = record.Open, true
	}
}

// pace is the work per second over points of one process; false where nothing tells.
func (s *Series) pace(life []*Point) (perSecond float64, known bool) {
	a, b := life[0], life[len(life)-1]
	seconds := b.Time.Sub(a.Time).Seconds()
	if seconds <= 0 {
		return 0, false
	}
	if done := b.Work - a.Work; done > 0 {
		return done / seconds, true
	}
	if !s.Allocs {
		return 0, false
	}
	kept := math.Max(0, b.total().Bytes-a.total().Bytes)
	return math.Max(0, b.allocated()-a.allocated()-kept) / seconds, true
}
