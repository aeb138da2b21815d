package memtest

import (
	"cmp"
	"runtime"
	"slices"
	"strings"
)

// causes groups what grew and makes one finding of each group.
func (k *check) causes() []Finding {
	lines, kinds := k.grew(growing)
	if len(lines)+len(kinds) == 0 {
		lines, kinds = k.grew(filling)
	}
	g := k.newGraph(lines, kinds)
	a := k.newAncestry(g)
	for _, n := range g.nodes {
		switch {
		case n.site >= 0:
			n.read = k.origins.read(a.frames(n.site), k.ignores)
		case n.opened != nil:
			n.read = k.origins.read(n.opened, k.ignores)
			n.kind.creator = lineOf(n.opened[0])
		}
		if n.read.user.Function == "" {
			n.read.user = a.user(n)
		}
	}
	states := map[Line]growth{}
	for _, l := range lines {
		states[l.read.site] = l.state
	}
	c := &causes{check: k, graph: g, ancestry: a, states: states}
	for _, members := range g.components() {
		if f, ok := c.finding(members); ok {
			c.found = append(c.found, f)
		}
	}
	c.dropSmall()
	c.foldAccepted()
	c.addSockets()
	c.addScattered(lines)
	return c.sorted()
}

// grew is the content of a state at the end.
func (k *check) grew(state growth) (lines []*line, kinds []kind) {
	for _, l := range k.lines() {
		if l.state == state && !(state == filling && l.bytes.steps() < 2) {
			lines = append(lines, l)
		}
	}
	for _, g := range k.goroutineKinds() {
		if g.state == state {
			kinds = append(kinds, g)
		}
	}
	return lines, kinds
}

type causes struct {
	*check
	graph    *graph
	ancestry *ancestry
	states   map[Line]growth
	found    []Finding
}

// finding describes one component by the node that holds the rest.
func (c *causes) finding(members []int) (Finding, bool) {
	ops := float64(max(c.measured(), 1))
	f := Finding{Ops: c.measured(), Stopped: c.ended == enough, unit: c.unit}
	var heap counts
	var dialed, accepted float64
	decided := false
	for _, i := range members {
		n := c.graph.nodes[i]
		if n.site < 0 {
			f.Goroutines += float64(n.kind.total) / ops
			decided = decided || n.kind.state == growing
			continue
		}
		heap.bytes += n.grown.bytes
		heap.objects += n.grown.objects
		decided = decided || c.states[c.readOf(n.site).site] == growing
		switch {
		case c.accepts(n.site):
			accepted += float64(n.grown.objects) / ops
		case c.opensConnection(n.site):
			dialed += float64(n.grown.objects) / ops
		}
	}
	f.Connections, f.accepts = max(dialed, accepted), dialed < accepted/2
	f.Open = !decided
	f.Bytes, f.Objects = float64(heap.bytes)/ops, float64(heap.objects)/ops
	head := c.head(members, &f)
	if head < 0 {
		return f, false
	}
	c.describe(&f, head, members, heap)
	return f, true
}

// head picks the node that names the cause, and the kind. A connection comes before the goroutines that package
// net/http keeps for it; goroutines come before the bytes that they hold.
func (c *causes) head(members []int, f *Finding) int {
	best, score := -1, int64(-1)
	pick := func(kind Kind, of func(*node) (int64, bool)) bool {
		for _, i := range members {
			if s, ok := of(c.graph.nodes[i]); ok && s > score {
				best, score, f.Kind = i, s, kind
			}
		}
		return best >= 0
	}
	byReach := func(n *node) int64 { return c.graph.reach(slices.Index(c.graph.nodes, n)) }
	started := func(n *node) bool {
		return n.site < 0 && c.origins.of(n.kind.creator.Function, n.kind.creator.File) != standard
	}
	if pick(Goroutines, func(n *node) (int64, bool) { return byReach(n), started(n) }) {
		return best
	}
	if f.Connections > c.maxCount && c.connections &&
		pick(Connections, func(n *node) (int64, bool) {
			return n.grown.objects, n.site >= 0 && c.opensConnection(n.site) && c.accepts(n.site) == f.accepts
		}) {
		return best
	}
	if pick(Goroutines, func(n *node) (int64, bool) { return byReach(n), n.site < 0 }) {
		return best
	}
	// The bytes: the object that is pointed to from outside, and holds most of the rest.
	held := func(n *node) bool { return !n.spine && 2*n.outside >= n.objects }
	if c.graph.exact && pick(Heap, func(n *node) (int64, bool) { return byReach(n), held(n) }) {
		return best
	}
	pick(Heap, func(n *node) (int64, bool) { return byReach(n), true })
	return best
}

func (c *causes) describe(f *Finding, head int, members []int, heap counts) {
	ops := float64(max(c.measured(), 1))
	n := c.graph.nodes[head]
	f.Site, f.User = n.read.site, n.read.user
	switch f.Kind {
	case Goroutines:
		f.Site = n.kind.creator
		f.PerOp, f.Total, f.Limit = f.Goroutines, int64(f.Goroutines*float64(c.measured())+0.5), c.maxCount
		f.StackBytes = float64(c.floors[len(c.floors)-1].stacks-c.floors[0].stacks) / ops
		f.Waits = c.ancestry.waiting[n.kind.creator.place()]
	case Connections:
		f.PerOp, f.Total, f.Limit = f.Connections, n.grown.objects, c.maxCount
	default:
		f.PerOp, f.Total, f.Limit = f.Bytes, heap.bytes, c.maxBytes
		h := c.holder(members)
		f.Holder = h.site
		// What the user made and a library keeps: the line that handed it over is the one to look at.
		if f.User == f.Site && c.origins.of(f.Holder.Function, f.Holder.File) == library && h.user.Function != "" {
			f.User = h.user
		}
	}
	if n.site >= 0 {
		f.Stack = c.path(n.site)
	}
	f.With = c.with(head, members)
}

// holder is the table that grows as well, where there is one.
func (c *causes) holder(members []int) (at read) {
	var most int64 = -1
	for _, i := range members {
		if n := c.graph.nodes[i]; n.spine && n.grown.bytes > most {
			most, at = n.grown.bytes, n.read
		}
	}
	return at
}

// with lists the other lines of a component, the largest first.
func (c *causes) with(head int, members []int) []Part {
	parts := map[Line]*Part{}
	ops := float64(max(c.measured(), 1))
	for _, i := range members {
		n := c.graph.nodes[i]
		if i == head {
			continue
		}
		if n.site < 0 {
			parts[n.kind.creator] = &Part{Site: n.kind.creator, Goroutines: float64(n.kind.total) / ops}
			continue
		}
		p := parts[n.read.site]
		if p == nil {
			p = &Part{Site: n.read.site}
			parts[n.read.site] = p
		}
		p.Bytes += float64(n.grown.bytes) / ops
		p.Objects += float64(n.grown.objects) / ops
	}
	out := make([]Part, 0, len(parts))
	for _, p := range parts {
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b Part) int {
		return cmp.Or(cmp.Compare(b.Goroutines, a.Goroutines), cmp.Compare(b.Bytes, a.Bytes), compareLines(a.Site, b.Site))
	})
	return out
}

// path is a site's stack, leaf first, without the allocator and what called the operation.
func (c *causes) path(site int) []Line { return c.origins.path(c.ancestry.frames(site)) }

// accepts reports whether a site makes the accepted end of a connection.
func (c *causes) accepts(site int) bool {
	return c.opensConnection(site) && slices.ContainsFunc(c.ancestry.frames(site), func(f runtime.Frame) bool {
		return strings.HasPrefix(f.Function, "net.(*netFD).accept")
	})
}

// dropSmall leaves out causes below the limit by themselves: a line of several causes is judged as a whole.
func (c *causes) dropSmall() {
	small := func(f Finding) bool { return f.Kind == Heap && f.PerOp <= c.maxBytes }
	if rest := slices.DeleteFunc(slices.Clone(c.found), small); len(rest) > 0 {
		c.found = rest
	}
}

// foldAccepted puts what a server in the same process keeps for its ends of connections below the finding that opened
// them.
func (c *causes) foldAccepted() {
	opened := slices.IndexFunc(c.found, func(f Finding) bool { return f.Connections > 0 && !f.accepts })
	if opened < 0 {
		return
	}
	into := &c.found[opened]
	foreign := func(f Finding) bool { // a goroutine of other code is a cause of its own
		return f.Kind == Goroutines && c.origins.of(f.Site.Function, f.Site.File) != standard
	}
	var keep []Finding
	for i, f := range c.found {
		if i == opened || !f.accepts || foreign(f) || f.Connections > 1.5*into.Connections {
			keep = append(keep, f)
			continue
		}
		into.With = append(into.With, Part{
			Site: f.Site, Bytes: f.Bytes, Objects: f.Objects, Goroutines: f.Goroutines,
			Note: "the accepted end, in this process too",
		})
	}
	keep[slices.IndexFunc(keep, func(f Finding) bool { return f.Site == into.Site && f.Kind == into.Kind })] = *into
	c.found = keep
}

// addSockets reports sockets that grow although no finding has connections: those that package net didn't open.
func (c *causes) addSockets() {
	if !c.connections || slices.ContainsFunc(c.found, func(f Finding) bool { return f.Connections > 0 }) {
		return
	}
	if state, perOp, total := c.socketSeries().judge(c.maxCount); state != steady {
		c.found = append(c.found, Finding{
			Kind: Connections, PerOp: perOp, Total: total, Limit: c.maxCount, Connections: perOp, Open: state == filling,
			Ops: c.measured(), Stopped: c.ended == enough, unit: c.unit,
		})
	}
}

// addScattered reports growth that no line explains, with the lines that grew most.
func (c *causes) addScattered(reported []*line) {
	if !c.heap || c.maxBytes > scattered {
		return
	}
	explained := map[Line]bool{}
	for _, l := range reported {
		explained[l.read.site] = true
	}
	rest := c.newSeries()
	var parts []Part
	ops := float64(max(c.measured(), 1))
	for _, l := range c.lines() {
		if explained[l.read.site] || l.room {
			continue
		}
		for i, v := range l.bytes.values {
			rest.values[i] += v
		}
		if l.perOp > 0 && len(parts) < 5 {
			parts = append(parts, Part{Site: l.read.site, Bytes: float64(l.total) / ops})
		}
	}
	if state, perOp, total := rest.judge(scattered); state == growing {
		c.found = append(c.found, Finding{
			Kind: Heap, PerOp: perOp, Bytes: perOp, Total: total, Limit: scattered, With: parts, Ops: c.measured(),
			Stopped: c.ended == enough, unit: c.unit,
		})
	}
}

// sorted puts goroutines first, since they hold bytes, then connections, then the largest.
func (c *causes) sorted() []Finding {
	rank := map[Kind]int{Goroutines: 0, Connections: 1, Heap: 2}
	slices.SortStableFunc(c.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(rank[a.Kind], rank[b.Kind]), cmp.Compare(b.Total, a.Total), compareLines(a.Site, b.Site))
	})
	return c.found
}
