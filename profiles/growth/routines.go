package growth

import (
	"cmp"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/profiles/record"
)

const (
	// minRoutines is the least growth of a group that is listed: timers and idle connections come and go.
	minRoutines = 10
	// leastStack is the stack that each goroutine has, bytes.
	leastStack = 2048
	// mostRoutines and mostResting are how many groups are listed.
	mostRoutines = 8
	mostResting  = 5
	// leastQueue is the least peak of a queue of goroutines, over what there was before.
	leastQueue = 50
	// everyStep is how many steps up, and none down, are growth whatever their sizes: goroutines are counted, not sampled.
	everyStep = 3
)

// judgeRoutines judges the groups of goroutines, of the longest life where heap profiles tell lives apart.
func (s *Series) judgeRoutines(g *record.Growth, lives [][]*Point) {
	var load, floors []*Point
	for i := range s.Points {
		p := &s.Points[i]
		if p.Routines == nil || p.Heap != nil && len(lives) > 1 && !slices.Contains(lives[0], p) {
			continue
		}
		if p.Rest {
			floors = append(floors, p)
		} else {
			load = append(load, p)
		}
	}
	points := load
	if len(load) < 2 {
		points = slices.SortedStableFunc(slices.Values(slices.Concat(load, floors)),
			func(a, b *Point) int { return a.Time.Compare(b.Time) })
	}
	if len(points) == 0 {
		return
	}
	for id, group := range s.Groups {
		if group.Conn && strings.HasSuffix(group.Root, "riteLoop") {
			continue // each connection has a reader as well
		}
		r, grew := s.routine(id, points, load, floors)
		switch {
		case grew:
			g.Routines = append(g.Routines, r)
		case r.Last > 0:
			g.Resting = append(g.Resting, r)
		}
	}
	slices.SortStableFunc(g.Routines, func(a, b record.RoutineGrowth) int {
		return cmp.Or(cmp.Compare(sureness(b.State), sureness(a.State)), cmp.Compare(b.Grew(), a.Grew()))
	})
	slices.SortStableFunc(g.Resting, func(a, b record.RoutineGrowth) int { return cmp.Compare(b.Last, a.Last) })
	g.Routines = g.Routines[:min(len(g.Routines), mostRoutines)]
	g.Resting = g.Resting[:min(len(g.Resting), mostResting)]
}

// routine judges one group; grew says that it belongs among the suspects.
func (s *Series) routine(id int, points, load, floors []*Point) (r record.RoutineGrowth, grew bool) {
	group := s.Groups[id]
	var q samples
	for _, p := range points {
		q.t = append(q.t, p.Time.Sub(points[0].Time).Seconds())
		q.y = append(q.y, float64(p.Routines[id]))
	}
	r = record.RoutineGrowth{Curve: judge(q, false), Class: record.GoroutineLeak, Root: group.Root, Creator: group.Creator,
		Wait: group.Wait, At: group.At}
	if group.Conn {
		r.Class = record.ConnectionLeak
	}
	if r.Up >= everyStep && r.Up == len(q.y)-1 && r.Grew() >= minRoutines {
		r.State, r.Shape, r.Confidence = record.Found, record.Growing, 0.99
	}
	if last := restAfter(load, floors); last != nil {
		s.atRest(&r, id, load, floors, last)
	}
	if peak, ok := queued(q.y); ok && r.State != record.Found {
		r.Peak, r.Class = peak, record.Metadata
		r.State, r.Shape, r.Confidence = record.Found, record.Growing, 0.99
	}
	r.Stack = int64(max(r.Last, r.Peak)) * leastStack
	return r, grows(r.Curve) && r.Grew() >= minRoutines
}

// queued reports whether goroutines rose from each look to the next up to a peak and have become fewer since, and more
// than a quarter of them still wait at the last: work that is taken on without a bound, after its load has stopped.
// What works at a bound reaches it and stays; a pool that was filled stays as large as it was.
func queued(y []float64) (peak float64, ok bool) {
	at := 0
	for i, n := range y {
		if n > y[at] {
			at = i
		}
	}
	peak = y[at]
	for len(y) > 1 && y[1] == y[0] && at > 0 { // its load hasn't come yet
		y, at = y[1:], at-1
	}
	for i := range at {
		if y[i+1] <= y[i] {
			return peak, false
		}
	}
	for i := at; i < len(y)-1; i++ {
		if y[i+1] > y[i] {
			return peak, false
		}
	}
	rose, left, done := peak-y[0], y[len(y)-1]-y[0], peak-y[len(y)-1]
	return peak, at >= minCurve && len(y)-1-at >= everyStep && rose >= leastQueue && done >= minRoutines &&
		left >= max(minRoutines, rose/4)
}

// restAfter is the last floor after the load; nil without one.
func restAfter(load, floors []*Point) *Point {
	if len(floors) == 0 || len(load) == 0 {
		return nil
	}
	if last := floors[len(floors)-1]; last.Time.After(load[len(load)-1].Time) {
		return last
	}
	return nil
}

// atRest takes into account the goroutines after the load had stopped: those that are gone were at work; those that
// remain, more than before the load, are kept, unless their number had settled while the load went on: a pool.
func (s *Series) atRest(r *record.RoutineGrowth, id int, load, floors []*Point, last *Point) {
	before := load[0]
	if floors[0].Time.Before(before.Time) {
		before = floors[0]
	}
	stayed := float64(last.Routines[id] - before.Routines[id])
	settled := r.Shape == record.Levelled || r.Shape == record.Stepped || r.Shape == record.Steady && r.Grew() < stayed/2
	switch {
	case stayed < minRoutines || stayed < r.Grew()/4:
		if grows(r.Curve) {
			r.State, r.Shape = record.Excluded, record.Steady
		}
	case !settled || len(load) < minCurve:
		r.Remain = true
		r.First, r.Last = float64(before.Routines[id]), float64(last.Routines[id])
		r.State, r.Shape, r.Confidence = record.Found, record.Growing, 0.99
	}
}
