package growth

import (
	"cmp"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/record"
)

// Judge says what a series shows. pprof is the URL of the process for the command that would make it sure; empty when
// it isn't known.
func Judge(s Series, pprof string) *record.Growth {
	s.Points = slices.Clone(s.Points)
	slices.SortStableFunc(s.Points, func(a, b Point) int { return a.Time.Compare(b.Time) })
	g := &record.Growth{Causes: []record.Cause{}, Stayed: []record.Cause{}, Routines: []record.RoutineGrowth{},
		Allocated: s.Allocated, Difference: s.Difference}
	g.Total = record.Curve{State: record.Open}
	if n := len(s.Points); n > 0 {
		g.From, g.To = s.Points[0].Time, s.Points[n-1].Time
	}
	lives := s.lives()
	for _, p := range s.Points {
		if p.Heap != nil {
			g.Profiles++
			g.Profiler, g.Lost = int64(p.Profiler), int64(p.Lost)
		}
		if p.Rest {
			g.Floors++
		}
	}
	g.Lives = len(lives)
	if len(lives) > 0 {
		s.judgeHeap(g, lives)
	}
	s.judgeRoutines(g, lives)
	s.judgeMemory(g, lives)
	if !s.Timed {
		timeless(g)
	}
	advise(g, &s, pprof)
	return g
}

// judgeHeap judges the longest life, with the ranks of the others.
func (s *Series) judgeHeap(g *record.Growth, lives [][]*Point) {
	if len(lives) > 1 { // the total's words are of this life, which may be months from the others
		g.From, g.To = lives[0][0].Time, lives[0][len(lives[0])-1].Time
	}
	life := distinct(under(lives[0]))
	g.Collections = len(life)
	if len(life) == 1 {
		s.compose(g, life)
		return
	}
	all := s.clusters(life)
	total := s.totalOf(life)
	g.Total = judge(total, false)
	s.slack(&g.Total, life, total.y)
	if z, others := s.others(lives[1:]); others > 0 && g.Total.State == record.Open && g.Total.Shape == record.Rising {
		own := measure(total)
		if (own.least()+z)/math.Sqrt(float64(others+1)) >= sureSize { // Stouffer: each life asked the same question
			g.Total.State, g.Total.Shape = record.Found, record.Growing
		}
	}
	whole := 0.0
	for _, c := range all {
		whole += math.Max(0, c.grew)
	}
	for _, c := range all {
		curve := judge(c.s, g.Total.State != record.Found)
		s.slack(&curve, life, c.s.y)
		switch {
		case grows(curve) && c.grew >= leastCause*whole && len(g.Causes) < mostCauses:
			cause := s.cause(c, curve, whole, life)
			cause.Rest = rest(c, lives[0], life)
			g.Causes = append(g.Causes, cause)
		case !grows(curve):
			g.Stayed = append(g.Stayed, s.cause(c, curve, whole, life))
		}
	}
	order(g.Causes)
	if hidden(g) {
		g.Total.State = record.Open
		g.Causes = slices.DeleteFunc(g.Causes, func(c record.Cause) bool { return c.State != record.Found })
	}
	perWork(g, life)
	level := total.y[len(total.y)-1]
	g.Stayed = slices.DeleteFunc(g.Stayed, func(c record.Cause) bool { return c.Last < leastStay*level })
	slices.SortStableFunc(g.Stayed, func(a, b record.Cause) int { return cmp.Compare(b.Last, a.Last) })
	g.Stayed = g.Stayed[:min(len(g.Stayed), mostStayed)]
}

// hidden reports whether a place surely grew by less than the total would have shown: the ups and downs of the rest
// hide it, so the total says nothing against it.
func hidden(g *record.Growth) bool {
	span := g.To.Sub(g.From).Seconds()
	return g.Total.State == record.Excluded && slices.ContainsFunc(g.Causes, func(c record.Cause) bool {
		return c.State == record.Found && c.Grew() < g.Total.Limit*span
	})
}

// order puts the sure causes first, and then those that grew most.
func order(causes []record.Cause) {
	slices.SortStableFunc(causes, func(a, b record.Cause) int {
		return cmp.Or(cmp.Compare(sureness(b.State), sureness(a.State)), cmp.Compare(b.Share, a.Share))
	})
}

func sureness(s record.HypothesisState) int {
	if s == record.Found {
		return 1
	}
	return 0
}

// grows reports whether a curve belongs among the suspects: also one that flattens or has one large step, as long as it
// may still rise.
func grows(c record.Curve) bool {
	bends := c.Shape == record.Levelled || c.Shape == record.Stepped
	return c.Shape == record.Growing || c.Shape == record.Rising || bends && c.State == record.Open && c.Grew() > 0
}

// under are the points to judge: those at rest when the load has stopped often enough, since only kept memory is in
// them; else those under load, whose ups and downs the floors would add to. Of floors without load between them the
// last counts: nothing that comes with work grows from one to the next.
func under(life []*Point) []*Point {
	var rest, load []*Point
	for i, p := range life {
		switch {
		case !p.Rest:
			load = append(load, p)
		case i > 0 && life[i-1].Rest:
			rest[len(rest)-1] = p
		default:
			rest = append(rest, p)
		}
	}
	switch {
	case len(rest) >= minCurve:
		return rest
	case len(load) >= 2:
		return load
	}
	return life
}

// rest is the part of a cluster's growth that was still there at the last floor after it; nil without one.
func rest(c *cluster, life, judged []*Point) *int64 {
	last := life[len(life)-1]
	if !last.Rest || judged[len(judged)-1].Rest || c.grew <= 0 {
		return nil
	}
	sum := 0.0
	for _, id := range c.ids {
		sum += last.Heap[id].Bytes - judged[0].Heap[id].Bytes
	}
	kept := int64(sum)
	return &kept
}

// totalOf is the live heap over the profiles of a life.
func (s *Series) totalOf(life []*Point) samples {
	out := samples{rate: s.Rate}
	used := map[int]bool{}
	for _, p := range life {
		out.t = append(out.t, p.Time.Sub(life[0].Time).Seconds())
		out.y = append(out.y, p.total().Bytes)
		for id := range p.Heap {
			used[id] = true
		}
	}
	for _, id := range sortedKeys(used) {
		v, _, _ := s.flow(id, life)
		out.noise += v
	}
	return out
}

// others adds up the least deviates of further lives that are long enough to have one.
func (s *Series) others(lives [][]*Point) (z float64, n int) {
	for _, l := range lives {
		if l = distinct(under(l)); len(l) >= minCurve-1 {
			z += measure(s.totalOf(l)).least()
			n++
		}
	}
	return z, n
}

// compose lists the contents of a single profile.
func (s *Series) compose(g *record.Growth, life []*Point) {
	total := life[0].total().Bytes
	g.Total = judge(samples{t: []float64{0}, y: []float64{total}}, false)
	all := s.clusters(life)
	whole := 0.0
	for _, c := range all {
		whole += math.Abs(c.level)
	}
	slices.SortStableFunc(all, func(a, b *cluster) int { return cmp.Compare(math.Abs(b.level), math.Abs(a.level)) })
	for _, c := range all {
		if len(g.Causes) < mostCauses && (math.Abs(c.level) >= leastCause*whole || len(g.Causes) < leastListed) &&
			c.level != 0 {
			g.Causes = append(g.Causes, s.cause(c, judge(samples{t: []float64{0}, y: []float64{c.level}}, false), whole, life))
		}
	}
}

// timeless removes all rates per second: the times are not those of the profiles.
func timeless(g *record.Growth) {
	clear := func(c *record.Curve) { c.Slope, c.Limit = nil, 0 }
	clear(&g.Total)
	for _, list := range [][]record.Cause{g.Causes, g.Stayed} {
		for i := range list {
			clear(&list[i].Curve)
		}
	}
	for _, list := range [][]record.RoutineGrowth{g.Routines, g.Resting} {
		for i := range list {
			clear(&list[i].Curve)
		}
	}
}

// perWork gives what grows its slope per finished request, where they were counted.
func perWork(g *record.Growth, life []*Point) {
	done := life[len(life)-1].Work - life[0].Work
	if done <= 0 || life[0].Work < 0 {
		return
	}
	set := func(c *record.Curve) {
		half := 1.96 * c.Noise / done
		b := c.Grew() / done
		c.PerWork = &record.Slope{Bytes: b, Per: "request", CI95: [2]float64{b - half, b + half}}
	}
	set(&g.Total)
	for i := range g.Causes {
		set(&g.Causes[i].Curve)
	}
}
