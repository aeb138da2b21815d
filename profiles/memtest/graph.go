package memtest

import (
	"cmp"
	"runtime"
	"slices"
	"strings"
)

// node is what grew: a site, or the goroutines of one kind.
type node struct {
	site    int // number of the site; -1 for goroutines
	kind    kind
	read    read
	opened  stack  // frames of the go statement: one, and those that it is inlined in
	grown   counts // over the measured waves
	objects int64  // in the heap dump
	outside int64  // of these, objects that something outside the graph points to
	spine   bool   // a table or array that all operations share
	table   bool   // a spine of a map: it points to keys and to values
	holds   map[int]int64
	mayHold map[int]int64 // by words of a frame that may be left over
}

// graph is who points to whom among what grew.
type graph struct {
	nodes []*node
	deep  map[int]stack // frames beyond those that the runtime's records have, by number of the site
	exact bool          // the pointers are known
}

// spinePerOp is how many new objects per operation make a site a table that operations share.
const spinePerOp = 0.02

// object is one live object of a node.
type object struct {
	addr, size uint64
	node       int
	outside    bool
}

// newGraph reads the pointers from a heap dump, and has none where no dump can be had.
func (k *check) newGraph(lines []*line, kinds []kind) *graph {
	g := &graph{deep: map[int]stack{}}
	for _, l := range lines {
		for _, n := range l.sites {
			if grown := k.grown(n); grown.bytes > 0 {
				g.nodes = append(g.nodes, &node{site: n, read: k.readOf(n), grown: grown, holds: map[int]int64{},
					mayHold: map[int]int64{}})
			}
		}
	}
	for _, kd := range kinds {
		r := k.origins.read(stack{{Function: kd.creator.Function, File: kd.creator.File, Line: kd.creator.Number}}, k.ignores)
		g.nodes = append(g.nodes, &node{site: -1, kind: kd, read: r, grown: counts{objects: kd.total}, holds: map[int]int64{},
			mayHold: map[int]int64{}})
	}
	if len(g.nodes) == 0 {
		return g
	}
	ops := float64(k.measured())
	for _, n := range g.nodes {
		n.spine = n.site >= 0 && float64(n.grown.objects) < max(spinePerOp*ops, 2)
		n.table = n.spine && ofMap(k.ledger.keys[n.site])
	}
	d, err := writeDump()
	if err != nil {
		return g
	}
	defer d.Close()
	l := newLedger()
	l.read()
	if g.index(k, l, d) == nil {
		g.exact = true
	}
	return g
}

// ofMap reports whether a site allocates the tables of a map.
func ofMap(key stackKey) bool {
	return slices.ContainsFunc(framesOf(key[:]), func(f runtime.Frame) bool {
		return strings.HasPrefix(f.Function, "internal/runtime/maps.") || strings.HasPrefix(f.Function, "runtime.mapassign")
	})
}

// ofSlice reports whether a site makes a slice larger.
func ofSlice(key stackKey) bool {
	frames := framesOf(key[:])
	return len(frames) > 0 && strings.HasPrefix(frames[0].Function, "runtime.growslice")
}

// measured is the number of measured operations.
func (k *check) measured() int { return k.floors[len(k.floors)-1].ops - k.floors[0].ops }

func (k *check) grown(n int) counts {
	first, last := k.floors[0].site(n), k.floors[len(k.floors)-1].site(n)
	return counts{last.bytes - first.bytes, last.objects - first.objects}
}

// index reads the dump twice: first which object is of which node, then who points to whom.
func (g *graph) index(k *check, l *ledger, d *dump) error {
	nodeOf := map[int]int{} // by number of the site
	for i, n := range g.nodes {
		if n.site >= 0 {
			nodeOf[n.site] = i
		}
	}
	buckets, samples, err := readProfile(d)
	if err != nil {
		return err
	}
	sites, err := match(buckets, l.records, k.ledger)
	if err != nil {
		return err
	}
	byID := map[uint64]int{}
	sizes := map[uint64]uint64{}
	for i, b := range buckets {
		sizes[b.id] = b.size
		if sites[i] < 0 {
			continue
		}
		g.deepen(sites[i], b)
		if n, ok := nodeOf[sites[i]]; ok {
			byID[b.id] = n
		}
	}
	var objects []object
	for _, s := range samples {
		if n, ok := byID[s.bucket]; ok {
			objects = append(objects, object{addr: s.addr, size: sizes[s.bucket], node: n})
			g.nodes[n].objects++
		}
	}
	slices.SortFunc(objects, func(a, b object) int { return cmp.Compare(a.addr, b.addr) })
	if err := d.visit(g.edges(objects)); err != nil {
		return err
	}
	for _, o := range objects {
		if o.outside {
			g.nodes[o.node].outside++
		}
	}
	return nil
}

// deepen adds the frames that the record has no room for.
func (g *graph) deepen(site int, b bucket) {
	const room = len(stackKey{})
	if len(b.frames) <= room || g.deep[site] != nil {
		return
	}
	for _, l := range b.frames[room:] {
		g.deep[site] = append(g.deep[site], runtime.Frame{Function: l.Function, File: l.File, Line: l.Number})
	}
}

// edges returns a visitor that notes who points to objects.
func (g *graph) edges(objects []object) visitor {
	from := -1 // of the goroutine whose frames are read
	note := func(from int, pointers []uint64) {
		for _, to := range pointers {
			o := find(objects, to)
			if o == nil || o.node == from {
				continue
			}
			if from < 0 || g.nodes[from].spine {
				o.outside = true
			}
			if from >= 0 {
				g.nodes[from].holds[o.node]++
			}
		}
	}
	kinds := map[Line]int{}
	for i, n := range g.nodes {
		if n.site < 0 {
			kinds[Line{File: n.kind.creator.File, Number: n.kind.creator.Number}] = i
		}
	}
	return visitor{
		bucket: func(uint64, uint64, []Line) {},
		sample: func(uint64, uint64) {},
		object: func(addr, size uint64, pointers []uint64) {
			source := -1
			// The object may begin after a header in its slot.
			if i := after(objects, addr); i < len(objects) && objects[i].addr < addr+size {
				source = objects[i].node
			}
			note(source, pointers)
		},
		goroutine: func(gopc uint64) {
			from = -1
			opened := framesOf([]uintptr{uintptr(gopc)})
			if opened == nil {
				return
			}
			if i, ok := kinds[Line{File: opened[0].File, Number: opened[0].Line}]; ok {
				from, g.nodes[i].opened = i, opened
				g.nodes[i].objects++
			}
		},
		frame: func(pointers, words []uint64) {
			note(from, pointers)
			for _, to := range words {
				if o := find(objects, to); o != nil && from >= 0 {
					g.nodes[from].mayHold[o.node]++
				}
			}
		},
		roots: func(pointers []uint64) { note(-1, pointers) },
	}
}

// after is the index of the first object at addr or behind it.
func after(objects []object, addr uint64) int {
	i, _ := slices.BinarySearchFunc(objects, addr, func(o object, a uint64) int { return cmp.Compare(o.addr, a) })
	return i
}

// find is the object that an address lies in.
func find(objects []object, addr uint64) *object {
	i := after(objects, addr+1)
	if i == 0 {
		return nil
	}
	if o := &objects[i-1]; addr < o.addr+max(o.size, 1) {
		return o
	}
	return nil
}

// components groups the nodes: those that point to each other have one cause. A spine joins the one that it holds most
// of.
func (g *graph) components() [][]int {
	parent := make([]int, len(g.nodes))
	for i := range parent {
		parent[i] = i
	}
	var root func(int) int
	root = func(i int) int {
		if parent[i] != i {
			parent[i] = root(parent[i])
		}
		return parent[i]
	}
	if g.exact {
		for i, n := range g.nodes {
			if n.spine {
				continue
			}
			for to := range n.holds {
				if !g.nodes[to].spine {
					parent[root(to)] = root(i)
				}
			}
		}
		g.joinOrphans(func(a, b int) { parent[root(a)] = root(b) })
		g.joinSpines(func(a, b int) { parent[root(a)] = root(b) })
	} else {
		g.joinByUser(func(a, b int) { parent[root(a)] = root(b) })
	}
	groups := map[int][]int{}
	var order []int
	for i := range g.nodes {
		r := root(i)
		if groups[r] == nil {
			order = append(order, r)
		}
		groups[r] = append(groups[r], i)
	}
	out := make([][]int, 0, len(order))
	for _, r := range order {
		out = append(out, groups[r])
	}
	return out
}

// joinOrphans joins what no node points to with the goroutines whose frames may point to most of its objects.
func (g *graph) joinOrphans(join func(a, b int)) {
	pointed := make([]bool, len(g.nodes))
	for _, n := range g.nodes {
		for to := range n.holds {
			pointed[to] = true
		}
	}
	for i, n := range g.nodes {
		if pointed[i] || n.spine || n.site < 0 {
			continue
		}
		best, most := -1, n.objects/2
		for from, m := range g.nodes {
			if m.mayHold[i] > most {
				best, most = from, m.mayHold[i]
			}
		}
		if best >= 0 {
			g.nodes[best].holds[i] += most
			join(i, best)
		}
	}
}

// joinSpines joins tables with each other, as the parts of a map, and with the one node that they point to most. A map
// has keys and values, which lie in nodes of their own: it joins with each node most of whose objects it points to.
func (g *graph) joinSpines(join func(a, b int)) {
	for i, n := range g.nodes {
		best, most := -1, int64(0)
		for to, times := range n.holds {
			switch {
			case !n.spine:
			case g.nodes[to].spine:
				join(i, to)
			case n.table && 2*times > g.nodes[to].objects:
				join(i, to)
				if times > most {
					best, most = -1, times
				}
			case times > most || times == most && to < best:
				best, most = to, times
			}
		}
		if best >= 0 {
			join(i, best)
		}
	}
}

// joinByUser groups by the line of the module under test: the best that stacks alone can say.
func (g *graph) joinByUser(join func(a, b int)) {
	first := map[Line]int{}
	for i, n := range g.nodes {
		l := n.read.user
		if l.Function == "" {
			continue
		}
		if j, ok := first[l]; ok {
			join(i, j)
		} else {
			first[l] = i
		}
	}
}

// reach is the bytes that each of a component's nodes holds, itself included.
func (g *graph) reach(from int) (sum int64) {
	seen := map[int]bool{from: true}
	todo := []int{from}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		sum += g.nodes[i].grown.bytes
		for to := range g.nodes[i].holds {
			if !seen[to] && !g.nodes[to].spine {
				seen[to] = true
				todo = append(todo, to)
			}
		}
	}
	return sum
}
