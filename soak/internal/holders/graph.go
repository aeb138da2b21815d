package holders

import (
	"context"
	"encoding/binary"
)

// graph has the references between objects. Its nodes are the objects by their numbers, then the roots, then one node
// that refers to all roots.
type graph struct {
	h     *heap
	roots []root
	from  []uint32 // edges of object i are to[from[i]:from[i+1]]
	to    []uint32
}

// newGraph reads all references but those of own, the runtime's records, and to them. It ends early, with the cause,
// when ctx does.
func newGraph(ctx context.Context, h *heap, roots []root, own map[uint32]bool) (*graph, error) {
	g := &graph{h: h, roots: roots, from: make([]uint32, h.slots+1)}
	var buf []byte
	for i := range h.spans {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		s := &h.spans[i]
		if !s.noscan {
			if n := uint64(s.n) * s.elem; uint64(cap(buf)) < n {
				buf = make([]byte, n)
			}
			buf = buf[:uint64(s.n)*s.elem]
			h.direct(s.start, buf)
		}
		for k := range s.n {
			g.from[s.first+k] = uint32(len(g.to))
			if !s.noscan && !own[s.first+k] {
				g.addEdges(s.first+k, buf[uint64(k)*s.elem:uint64(k+1)*s.elem], own)
			}
		}
	}
	g.from[h.slots] = uint32(len(g.to))
	return g, h.err
}

func (g *graph) addEdges(obj uint32, b []byte, own map[uint32]bool) {
	last := obj
	for ; len(b) >= ptrSize; b = b[ptrSize:] {
		w := binary.LittleEndian.Uint64(b)
		if w == 0 {
			continue
		}
		if to, ok := g.h.object(w); ok && to != last && to != obj && !own[to] {
			g.to = append(g.to, to)
			last = to
		}
	}
}

// top is the node that refers to all roots; node is that of a root.
func (g *graph) top() uint32       { return g.h.slots + uint32(len(g.roots)) }
func (g *graph) node(r int) uint32 { return g.h.slots + uint32(r) }

// rootOf is the root of a node, -1 for an object.
func (g *graph) rootOf(n uint32) int {
	if n < g.h.slots || n == g.top() {
		return -1
	}
	return int(n - g.h.slots)
}

// next calls yield for the nodes that n refers to, until it returns false.
func (g *graph) next(n uint32, yield func(uint32) bool) {
	switch r := g.rootOf(n); {
	case n == g.top():
		for i := range g.roots {
			if !yield(g.node(i)) {
				return
			}
		}
	case r >= 0:
		for _, o := range g.roots[r].refs {
			if !yield(o) {
				return
			}
		}
	default:
		for _, o := range g.to[g.from[n]:g.from[n+1]] {
			if !yield(o) {
				return
			}
		}
	}
}

// none is no node.
const none = ^uint32(0)

// shortest is a tree of shortest paths from a node: the node before each, none for those out of reach.
func (g *graph) shortest(start uint32) []uint32 {
	before := make([]uint32, g.top()+1)
	for i := range before {
		before[i] = none
	}
	before[start] = start
	queue := []uint32{start}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		g.next(n, func(o uint32) bool {
			if before[o] == none {
				before[o] = n
				queue = append(queue, o)
			}
			return true
		})
	}
	return before
}
