package holders

// dominance is the dominator tree of a graph: the dominator of a node is on every path from the top to it. Nodes are
// numbered here in the order of a depth-first walk, the top being 0.
type dominance struct {
	nodes []uint32 // graph node by number
	num   []uint32 // number by graph node; none for nodes out of reach
	idom  []uint32 // by number
	// Predecessors of number i are pred[predFrom[i]:predFrom[i+1]], as numbers.
	predFrom, pred []uint32
}

// dominators builds the tree by the semi-NCA algorithm (Georgiadis, "Linear-Time Algorithms for Dominators and Related
// Problems", 2005), which is fast on deep graphs such as linked lists.
func (g *graph) dominators() *dominance {
	d := &dominance{num: make([]uint32, g.top()+1)}
	parent := d.walk(g)
	d.predecessors(g)
	n := len(d.nodes)
	d.idom = append([]uint32(nil), parent...)
	semi, label := make([]uint32, n), make([]uint32, n)
	for i := range n {
		semi[i], label[i] = uint32(i), uint32(i)
	}
	e := evaluator{parent: parent, semi: semi, label: label}
	for i := n - 1; i > 0; i-- {
		semi[i] = parent[i]
		for _, p := range d.pred[d.predFrom[i]:d.predFrom[i+1]] {
			semi[i] = min(semi[i], semi[e.eval(p, uint32(i)+1)])
		}
	}
	for i := 1; i < n; i++ {
		for d.idom[i] > semi[i] {
			d.idom[i] = d.idom[d.idom[i]]
		}
	}
	return d
}

// walk numbers what can be reached and returns the parents in the tree of the walk.
func (d *dominance) walk(g *graph) (parent []uint32) {
	for i := range d.num {
		d.num[i] = none
	}
	type step struct{ node, from uint32 }
	stack := []step{{g.top(), 0}}
	for len(stack) > 0 {
		s := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if d.num[s.node] != none {
			continue
		}
		k := uint32(len(d.nodes))
		d.num[s.node] = k
		d.nodes, parent = append(d.nodes, s.node), append(parent, s.from)
		g.next(s.node, func(o uint32) bool {
			if d.num[o] == none {
				stack = append(stack, step{o, k})
			}
			return true
		})
	}
	return parent
}

func (d *dominance) predecessors(g *graph) {
	d.predFrom = make([]uint32, len(d.nodes)+1)
	each := func(do func(from, to uint32)) {
		for i, n := range d.nodes {
			g.next(n, func(o uint32) bool {
				do(uint32(i), d.num[o])
				return true
			})
		}
	}
	each(func(_, to uint32) { d.predFrom[to+1]++ })
	for i := range d.nodes {
		d.predFrom[i+1] += d.predFrom[i]
	}
	d.pred = make([]uint32, d.predFrom[len(d.nodes)])
	fill := append([]uint32(nil), d.predFrom...)
	each(func(from, to uint32) {
		d.pred[fill[to]] = from
		fill[to]++
	})
}

// evaluator finds the node with the least semidominator on the way up, and shortens the way as it goes.
type evaluator struct {
	parent, semi, label []uint32
	stack               []uint32
}

func (e *evaluator) eval(v, lastLinked uint32) uint32 {
	if e.parent[v] < lastLinked {
		return e.label[v]
	}
	e.stack = e.stack[:0]
	for {
		e.stack = append(e.stack, v)
		if v = e.parent[v]; e.parent[v] < lastLinked {
			break
		}
	}
	p := v
	for i := len(e.stack) - 1; i >= 0; i-- {
		v = e.stack[i]
		e.parent[v] = e.parent[p]
		if e.semi[e.label[p]] < e.semi[e.label[v]] {
			e.label[v] = e.label[p]
		}
		p = v
	}
	return e.label[v]
}

// share is the total below each node: bytes, and the child with the most of them.
type share struct {
	bytes []float64 // by number
	child []uint32  // by number; 0 for none
}

// hold adds the weights of objects up the tree. reached is the sum of those in reach.
func (d *dominance) hold(samples []sample) (s share, reached float64) {
	s = share{bytes: make([]float64, len(d.nodes)), child: make([]uint32, len(d.nodes))}
	for _, t := range samples {
		if i := d.num[t.obj]; i != none {
			s.bytes[i] += t.weight
			reached += t.weight
		}
	}
	for i := len(d.nodes) - 1; i > 0; i-- {
		if s.bytes[i] == 0 {
			continue
		}
		up := d.idom[i]
		s.bytes[up] += s.bytes[i]
		if c := s.child[up]; c == 0 || s.bytes[i] > s.bytes[c] {
			s.child[up] = uint32(i)
		}
	}
	return s, reached
}
