package holders

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/record"
)

// sitesKept is how many sites are followed, and leastShare the part of all sampled bytes that one needs.
const (
	sitesKept  = 12
	leastShare = 0.005
)

// clearShare is the part of a site's bytes from which on one holder is named. rootsNamed bounds the others listed.
const (
	clearShare = 0.8
	rootsNamed = 3
)

// site are the sampled objects of one allocation site.
type site struct {
	site    record.Site
	stack   []string
	samples []sample
	bytes   float64
	largest float64 // bytes of the stack that is shown
}

// sites groups the sampled objects by what they are blamed on, most bytes first.
func (h *heap) sites(module string) []*site {
	byBucket := map[uint64][]sample{}
	var all float64
	for _, s := range h.samples {
		byBucket[s.bucket] = append(byBucket[s.bucket], s)
		all += s.weight
	}
	blamer := blame.NewBlamer(module)
	bySite := map[record.Site]*site{}
	for _, b := range slices.Sorted(maps.Keys(byBucket)) {
		var frames []blame.Frame
		for _, f := range h.stack(b) {
			frames = append(frames, blame.Frame(f))
		}
		blamed, ok := blamer.Blame(frames)
		if !ok {
			continue
		}
		s := bySite[blamed.Site]
		if s == nil {
			s = &site{site: blamed.Site}
			bySite[blamed.Site] = s
		}
		var bytes float64
		for _, o := range byBucket[b] {
			bytes += o.weight
		}
		if bytes > s.largest {
			s.largest, s.stack = bytes, blame.NewBlamer(module).Text(frames)
		}
		s.samples, s.bytes = append(s.samples, byBucket[b]...), s.bytes+bytes
	}
	out := slices.SortedFunc(maps.Values(bySite), func(a, b *site) int {
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.site.Function, b.site.Function), cmp.Compare(a.site.Line,
			b.site.Line))
	})
	out = out[:min(len(out), sitesKept)]
	return slices.DeleteFunc(out, func(s *site) bool { return s.bytes < leastShare*all })
}

// objectSize is the size of the objects that have the most of a site's bytes.
func (h *heap) objectSize(samples []sample) int64 {
	bytes := map[uint64]float64{}
	for _, s := range samples {
		bytes[h.spanOf(s.obj).elem] += s.weight
	}
	var best uint64
	for size, n := range bytes {
		if n > bytes[best] || n == bytes[best] && size > best {
			best = size
		}
	}
	return int64(best)
}

// judge says who holds the objects of a site. Those out of reach are garbage, and count for no holder.
func (g *graph) judge(d *dominance, s *site) record.HeldSite {
	out := record.HeldSite{
		Site: s.site, Stack: s.stack, Bytes: int64(math.Round(s.bytes)), Samples: len(s.samples),
		ObjectSize: g.h.objectSize(s.samples), Status: record.HeldUnknown,
	}
	sh, reached := d.hold(s.samples)
	out.Garbage = max(0, 1-reached/s.bytes)
	first := sh.child[0]
	if reached < s.bytes/2 {
		out.Roots = g.shares(d, sh, s)
		return out
	}
	if first == 0 || sh.bytes[first] < clearShare*reached {
		if !g.each(d, s, &out) {
			out.Roots = g.shares(d, sh, s)
		}
		return out
	}
	out.Status, out.Share = record.HeldByRoot, sh.bytes[first]/s.bytes
	var p path
	if r := g.rootOf(d.nodes[first]); r >= 0 {
		p = g.commonPath(r, s.samples)
		out.Each, out.Goroutines = g.perGoroutine(r, s.samples, out.ObjectSize)
	} else {
		out.Status = record.HeldByShared
		reach := g.reaching(d, first)
		out.Roots, p = g.named(reach), g.clearest(reach, s.samples)
	}
	out.Path, out.Holder = p.words, p.holder
	return out
}

// clearest is the path from one of several roots that has the fewest objects of which nothing is known, from the
// nearest of those.
func (g *graph) clearest(roots []int, samples []sample) path {
	var best path
	for i, r := range roots[:min(len(roots), rootsNamed)] {
		if p := g.commonPath(r, samples); i == 0 || p.nameless < best.nameless {
			best = p
		}
		if best.nameless == 0 {
			break
		}
	}
	return best
}

// each finds the goroutines of one function of which each has an object of the site for itself, where no root is the
// only one to reach them: words left over on other stacks are many, and one object each is no accident.
func (g *graph) each(d *dominance, s *site, out *record.HeldSite) bool {
	i := d.num[s.samples[0].obj]
	for _, t := range s.samples {
		if i == none {
			i = d.num[t.obj]
		}
	}
	if i == none {
		return false
	}
	reach := g.reaching(d, i)
	for _, r := range reach[:min(len(reach), rootsNamed)] {
		n, goroutines := g.perGoroutine(r, s.samples, out.ObjectSize)
		if n == 0 {
			continue
		}
		p := g.commonPath(r, s.samples)
		out.Status, out.Each, out.Goroutines = record.HeldByEach, n, goroutines
		out.Path, out.Holder, out.Roots = p.words, p.holder, g.named(reach)
		return true
	}
	return false
}

// Limits of perGoroutine: objects are counted where the profiler samples nearly all of them, estimated elsewhere; an
// estimate may be off by a quarter where it is of at least so many samples.
const (
	countedWeight  = 1.01
	estimateWithin = 0.25
	estimateFrom   = 30
)

// perGoroutine says how many objects of that size each goroutine of a root has for itself, and how many goroutines
// there are; 0 when they have not all the same number.
func (g *graph) perGoroutine(r int, samples []sample, size int64) (each, goroutines int) {
	root := &g.roots[r]
	if root.kind != rootGoroutine || len(root.stacks) < 2 {
		return 0, 0
	}
	before, of := g.shortest(r), map[int]int{}
	var objects int
	var estimate float64
	for _, s := range samples {
		if g.h.spanOf(s.obj).elem != uint64(size) || before[s.obj] == none {
			continue
		}
		first := s.obj
		for g.rootOf(before[first]) < 0 {
			first = before[first]
		}
		words := g.h.words(root, first)
		if len(words) == 0 || slices.ContainsFunc(words, func(w stackWord) bool { return w.stack != words[0].stack }) {
			return 0, 0 // goroutines share it
		}
		of[words[0].stack]++
		objects++
		estimate += s.weight / float64(size)
	}
	most, n := 0, len(root.stacks)
	for _, k := range of {
		most = max(most, k)
	}
	counted := estimate <= countedWeight*float64(objects)
	switch {
	case counted && most*n == objects:
		return most, n
	case !counted && most == 1 && objects >= estimateFrom && math.Abs(estimate/float64(n)-1) <= estimateWithin:
		return 1, n
	}
	return 0, 0
}

// shares are the roots by what each alone holds of a site. Where most is held by several together, they are those that
// reach one of its objects.
func (g *graph) shares(d *dominance, sh share, s *site) []record.HeldShare {
	var out []record.HeldShare
	var alone float64
	for r := range g.roots {
		if i := d.num[g.node(r)]; sh.bytes[i] > 0 {
			out = append(out, record.HeldShare{Root: g.rootName(r), Share: sh.bytes[i] / s.bytes})
			alone += sh.bytes[i]
		}
	}
	if alone < s.bytes/2 {
		for _, t := range s.samples[len(s.samples)/2:] {
			if i := d.num[t.obj]; i != none {
				return g.named(g.reaching(d, i))
			}
		}
	}
	slices.SortStableFunc(out, func(a, b record.HeldShare) int { return cmp.Compare(b.Share, a.Share) })
	return out[:min(len(out), rootsNamed)]
}

// named are the first of some roots by their names.
func (g *graph) named(roots []int) []record.HeldShare {
	var out []record.HeldShare
	for _, r := range roots[:min(len(roots), rootsNamed)] {
		out = append(out, record.HeldShare{Root: g.rootName(r)})
	}
	return out
}

// reaching are the roots from which a node can be reached, nearest first; of those as near, package variables first.
// There is at least one.
func (g *graph) reaching(d *dominance, target uint32) []int {
	depth := map[uint32]int{target: 0}
	queue := []uint32{target}
	var out []int
	for len(queue) > 0 && len(out) < rootsNamed*4 {
		n := queue[0]
		queue = queue[1:]
		for _, p := range d.pred[d.predFrom[n]:d.predFrom[n+1]] {
			if _, seen := depth[p]; seen || p == 0 {
				continue
			}
			depth[p] = depth[n] + 1
			if r := g.rootOf(d.nodes[p]); r >= 0 {
				out = append(out, r)
				continue
			}
			queue = append(queue, p)
		}
	}
	slices.SortStableFunc(out, func(a, b int) int {
		return cmp.Or(cmp.Compare(depth[d.num[g.node(a)]], depth[d.num[g.node(b)]]), cmp.Compare(g.roots[a].kind,
			g.roots[b].kind))
	})
	return out
}
