package growth

import (
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/record"
)

// risen is the part of a curve's growth that it has when its rise is over, and worked that of the work during the rise
// that has to go on after it: with less, a leak stays as flat as a cache that is full. A leak that is fed half as much
// rises half as fast, and isn't taken for flat.
const risen, worked = 0.9, 0.5

// slack opens the curve of something that rose and then stayed, where the process worked less by then, or nothing tells
// how much it worked: without work nothing leaks.
func (s *Series) slack(c *record.Curve, life []*Point, y []float64) {
	if c.State != record.Excluded || c.Shape != record.Levelled && c.Shape != record.Stepped {
		return
	}
	level := y[0] + risen*(y[len(y)-1]-y[0])
	knee := slices.IndexFunc(y, func(v float64) bool { return v >= level })
	if rise, stay := s.pace(life[:knee+1]), s.pace(life[knee:]); knee > 0 && !(stay >= worked*rise) {
		c.State, c.Slack = record.Open, true
	}
}

// pace is the work per second over points of one process: in requests where they are counted, else in bytes allocated
// beyond what grew; not a number where nothing tells.
func (s *Series) pace(life []*Point) float64 {
	a, b := life[0], life[len(life)-1]
	seconds := b.Time.Sub(a.Time).Seconds()
	switch done := b.Work - a.Work; {
	case done > 0:
		return done / seconds
	case !s.Allocs:
		return math.NaN()
	}
	return (b.allocated() - a.allocated() - math.Max(0, b.total().Bytes-a.total().Bytes)) / seconds
}
