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
	trees map[int][]uint32 // of shortest paths, by root
	own   map[string]bool  // packages of the program's own module, whose types and variables a person knows
}

// newGraph reads all references but those of own, the runtime's records, and to them. It ends early, with the cause,
// when ctx does.
func newGraph(ctx context.Context, h *heap, roots []root, own map[uint32]bool, module string) (*graph, error) {
	g := &graph{h: h, roots: roots, from: make([]uint32, h.slots+1), trees: map[int][]uint32{},
		own: h.img.ownPackages(module)}
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

// shortest is a tree of shortest paths from a root: the node before each, none for those out of reach. What the debug
// information has a name for on the stacks of goroutines goes before what merely lies there: a path over a variable is
// taken where there is one, even if a longer one.
func (g *graph) shortest(r int) []uint32 {
	if before, ok := g.trees[r]; ok {
		return before
	}
	before := make([]uint32, g.top()+1)
	for i := range before {
		before[i] = none
	}
	start := g.node(r)
	before[start] = start
	for _, refs := range g.byName(r) {
		g.reach(before, start, refs)
	}
	if len(g.trees) == treesKept {
		clear(g.trees)
	}
	g.trees[r] = before
	return before
}

// treesKept is how many trees are kept for other sites of the same roots: they are as large as the heap has objects.
const treesKept = 3

// reach adds to a tree what can be reached from some references of a node.
func (g *graph) reach(before []uint32, start uint32, refs []uint32) {
	var queue []uint32
	add := func(n, from uint32) bool {
		if before[n] == none {
			before[n] = from
			queue = append(queue, n)
		}
		return true
	}
	for _, o := range refs {
		add(o, start)
	}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		g.next(n, func(o uint32) bool { return add(o, n) })
	}
}

// namesSought is up to how many references of a root are asked for their variables.
const namesSought = 4096

// byName are the references of a root, those of variables first.
func (g *graph) byName(r int) [][]uint32 {
	root := &g.roots[r]
	if root.kind != rootGoroutine || len(root.refs) > namesSought {
		return [][]uint32{root.refs}
	}
	var named, rest []uint32
	for _, o := range root.refs {
		if _, to := g.h.variable(root, o); to.known() {
			named = append(named, o)
		} else {
			rest = append(rest, o)
		}
	}
	return [][]uint32{named, rest}
}
