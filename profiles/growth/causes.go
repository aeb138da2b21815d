package growth

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
)

// cluster is places that are taken for one cause.
type cluster struct {
	ids    []int
	frames map[string]bool
	s      samples
	level  float64 // bytes in the last profile
	grew   float64
	// alloc and freed are the bytes allocated and freed between the first and the last profile.
	alloc, freed float64
}

const (
	// alike is the correlation of two curves from which they are one cause when they share a caller.
	alike = 0.9
	// mostCauses and leastCause are how many causes are listed, and the part of the growth, or of the total, that each has
	// to have; of a single profile leastListed are shown whatever their part.
	mostCauses  = 8
	leastListed = 5
	leastCause  = 0.02
	mostStayed  = 6
	leastStay   = 0.03
)

// clusters groups the places of a life.
func (s *Series) clusters(life []*Point) []*cluster {
	byKey := map[string]*cluster{}
	used := map[int]bool{}
	for _, p := range life {
		for id := range p.Heap {
			used[id] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(used)) {
		k := s.Places[id].Key
		if byKey[k] == nil {
			byKey[k] = &cluster{frames: map[string]bool{}}
		}
		byKey[k].ids = append(byKey[k].ids, id)
		for _, f := range s.Places[id].Frames {
			byKey[k].frames[f] = true
		}
	}
	var all []*cluster
	for _, k := range slices.Sorted(maps.Keys(byKey)) {
		all = append(all, byKey[k])
		s.fill(byKey[k], life)
	}
	bigFirst := func(a, b *cluster) int { return cmp.Or(cmp.Compare(b.grew, a.grew), cmp.Compare(b.level, a.level)) }
	slices.SortStableFunc(all, bigFirst)
	all = s.join(all, life)
	slices.SortStableFunc(all, bigFirst)
	return all
}

// join makes one of clusters that grow alike and share a function of the stack.
func (s *Series) join(all []*cluster, life []*Point) []*cluster {
	if len(life) < minCurve {
		return all
	}
	var out []*cluster
next:
	for _, c := range all {
		if c.grew > 0 {
			for _, o := range out {
				if o.grew > 0 && o.shares(c) && correlation(o.s.y, c.s.y) >= alike {
					o.ids = append(o.ids, c.ids...)
					maps.Copy(o.frames, c.frames)
					s.fill(o, life)
					continue next
				}
			}
		}
		out = append(out, c)
	}
	return out
}

func (c *cluster) shares(o *cluster) bool {
	for f := range o.frames {
		if c.frames[f] {
			return true
		}
	}
	return false
}

func correlation(a, b []float64) float64 {
	n := float64(len(a))
	var sa, sb, saa, sbb, sab float64
	for i := range a {
		sa, sb = sa+a[i], sb+b[i]
		saa, sbb, sab = saa+a[i]*a[i], sbb+b[i]*b[i], sab+a[i]*b[i]
	}
	va, vb := saa-sa*sa/n, sbb-sb*sb/n
	if va <= 0 || vb <= 0 {
		return 0
	}
	return (sab - sa*sb/n) / math.Sqrt(va*vb)
}

// fill computes a cluster's curve from its places.
func (s *Series) fill(c *cluster, life []*Point) {
	c.s = samples{rate: s.Rate}
	c.alloc, c.freed = 0, 0
	for _, p := range life {
		sum := 0.0
		for _, id := range c.ids {
			sum += p.Heap[id].Bytes
		}
		c.s.t = append(c.s.t, p.Time.Sub(life[0].Time).Seconds())
		c.s.y = append(c.s.y, sum)
	}
	for _, id := range c.ids {
		v, alloc, freed := s.flow(id, life)
		c.s.noise += v
		c.alloc += alloc
		c.freed += freed
	}
	n := len(c.s.y)
	c.level = c.s.y[n-1]
	b := blockMeans(c.s.y)
	c.grew = b[len(b)-1] - b[0]
}

// flow is the variance that sampling gives a place's growth over a life, with its allocations and frees. An
// object that stays from the first profile to the last was sampled once and adds no noise to the difference: noise
// comes from objects allocated or freed between them. Nor can it be more than two independent profiles have.
func (s *Series) flow(id int, life []*Point) (variance, alloc, freed float64) {
	first, last := life[0].Heap[id], life[len(life)-1].Heap[id]
	most := first.Variance + last.Variance
	if !s.Allocs || len(life) < 2 {
		return most, 0, 0
	}
	alloc = math.Max(0, last.Alloc-first.Alloc)
	freed = math.Max(0, alloc-(last.Bytes-first.Bytes))
	bytes, v := 0.0, 0.0
	for _, p := range life {
		bytes += p.Heap[id].Bytes
		v += p.Heap[id].Variance
	}
	if bytes <= 0 {
		return most, alloc, freed
	}
	return math.Min(most, (alloc+freed)*v/bytes), alloc, freed
}

// cause is a cluster in words, as a part of whole.
func (s *Series) cause(c *cluster, curve record.Curve, whole float64, life []*Point) record.Cause {
	first, last := life[0], life[len(life)-1]
	size := func(id int) float64 {
		if len(life) == 1 {
			return last.Heap[id].Bytes
		}
		return last.Heap[id].Bytes - first.Heap[id].Bytes
	}
	ids := slices.SortedStableFunc(slices.Values(c.ids), func(a, b int) int {
		return cmp.Or(cmp.Compare(size(b), size(a)), cmp.Compare(last.Heap[b].Bytes, last.Heap[a].Bytes))
	})
	p := s.Places[ids[0]]
	out := record.Cause{Curve: curve, Site: p.Site, User: p.User, Via: p.Via, Stack: p.Stack, Kept: -1}
	s.objects(&out, last, ids[0])
	if whole > 0 {
		out.Share = math.Min(1, math.Max(0, c.grew/whole))
		if len(life) == 1 {
			out.Share = c.level / whole
		}
	}
	if s.Allocs && len(life) > 1 && c.alloc > 0 {
		out.Kept = math.Min(1, math.Max(0, 1-c.freed/c.alloc))
	}
	for _, id := range ids {
		if b := size(id); math.Abs(b) >= 1 {
			out.Sites = append(out.Sites, record.SiteSize{Site: s.Places[id].Site, Bytes: int64(b)})
		}
	}
	return out
}

// counted is from how many times the sampling rate objects are all seen but one in a thousand, so that they can be
// counted.
const counted = 7

// objects says how many objects a cause's place has, and of which goroutines there are as many.
func (s *Series) objects(c *record.Cause, last *Point, id int) {
	a := last.Heap[id]
	if a.Objects < 1 || a.Bytes <= 0 {
		return
	}
	c.Objects, c.ObjectBytes = a.Objects, a.Bytes/a.Objects
	if a.Objects < 2 || c.ObjectBytes < counted*s.Rate {
		return
	}
	byRoot := map[string]int{}
	for group, n := range s.routinesUntil(last.Time) {
		if !s.Groups[group].Conn {
			byRoot[s.Groups[group].Root] += n
		}
	}
	for _, root := range slices.Sorted(maps.Keys(byRoot)) {
		if float64(byRoot[root]) == math.Round(a.Objects) {
			if c.PerGoroutine != "" {
				c.PerGoroutine = "" // it could be either
				return
			}
			c.PerGoroutine = root
		}
	}
}

// routinesUntil are the goroutines of the newest profile of them up to a time.
func (s *Series) routinesUntil(t time.Time) map[int]int {
	var newest *Point
	for i := range s.Points {
		p := &s.Points[i]
		if p.Routines != nil && !p.Time.After(t) && (newest == nil || p.Time.After(newest.Time)) {
			newest = p
		}
	}
	if newest == nil {
		return nil
	}
	return newest.Routines
}
