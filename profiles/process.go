package profiles

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// judgeProcess judges what no allocation site shows: goroutines, connections, stacks, memory outside the heap.
func (s *Series) judgeProcess(u *units) []*judged {
	var out []*judged
	out = append(out, s.judgeRoutines(u)...)
	out = append(out, s.judgeConnections(u)...)
	out = append(out, s.judgeConnectionBuffers(u)...)
	out = append(out, s.judgeStacks(u, out)...)
	out = append(out, s.judgeOutside(u)...)
	return out
}

// judgeRoutines judges each group of goroutines by its number.
func (s *Series) judgeRoutines(u *units) []*judged {
	var out []*judged
	for g, group := range s.Routines {
		q := s.read(1, func(n *Snapshot) (float64, bool) { return float64(n.Routines[g]), n.Counted })
		if !q.reaches(minRoutines) {
			continue
		}
		kept := s.retained(q, u.retained)
		for _, t := range kept {
			if t.running || t.t() < minT || t.amount < minRoutines || t.share < minShare || t.name != "second" &&
				t.slope < minRoutinesPerFile {
				continue
			}
			out = append(out, s.routineLeak(g, group, t))
		}
		for _, t := range s.heldTerms(q, u.held, kept) {
			lo, hi := s.holdRange(t.values)
			if t.class != record.Metadata || t.t() < minT || t.share < minShare || t.amount < 4*minRoutines || t.slope < 0.2 ||
				lo > 0 && hi < minBacklogRange*lo {
				continue
			}
			out = append(out, s.routinePerItem(group, t))
		}
	}
	return out
}

// minStack is the least stack that a goroutine has.
const minStack = 2 << 10

// stackPerRoutine is the stack bytes of one more goroutine: what the runtime's account grew by between two snapshots,
// over the number of goroutines that it grew by.
func (s *Series) stackPerRoutine(from [2]int) float64 {
	a, b := s.Snaps[from[0]], s.Snaps[from[1]]
	if a.Runtime == nil || b.Runtime == nil || b.Runtime.Goroutines <= a.Runtime.Goroutines {
		return minStack
	}
	return math.Max(minStack,
		float64(b.Runtime.StackInuse-a.Runtime.StackInuse)/float64(b.Runtime.Goroutines-a.Runtime.Goroutines))
}

func (s *Series) routineLeak(g int, group *RoutineGroup, t term) *judged {
	first, last := s.Snaps[t.from[0]], s.Snaps[t.from[1]]
	j := s.routineFinding(record.GoroutineLeak, group, t)
	j.Evidence = append(j.Evidence, fmt.Sprintf("%d goroutines wait in %s at the first floor, %d at the last: %.3g per %s",
		first.Routines[g], short(group.Function), last.Routines[g], t.slope, t.name))
	if group.Connection() {
		j.Class = record.ConnectionLeak
	}
	j.stack = group.Stack
	return j
}

func (s *Series) routinePerItem(group *RoutineGroup, t term) *judged {
	j := s.routineFinding(record.Metadata, group, t)
	per := j.parts[partStacks] / math.Max(t.slope, 1e-9)
	j.Evidence = append(j.Evidence,
		fmt.Sprintf("%.2g goroutines wait in %s per %s, each with %s of stack; none of them at the floors",
			t.slope, short(group.Function), itemText(t.name), bytesText(per)))
	j.stack = group.Stack
	return j
}

// routineFinding is a finding of goroutines, whose cost is their stacks and what the runtime keeps for each of them.
func (s *Series) routineFinding(c record.Class, group *RoutineGroup, t term) *judged {
	stack, descriptor := s.stackPerRoutine(t.from), s.descriptorPerRoutine(t.from)
	j := s.processFinding(c, group.Site, t.scaled(stack+descriptor))
	j.routines = true
	j.parts = map[string]float64{partStacks: t.slope * stack, partLive: t.slope * descriptor}
	return j
}

// scaled turns a term in some unit of count into bytes.
func (t term) scaled(f float64) term {
	t.slope, t.se, t.amount = t.slope*f, t.se*f, t.amount*f
	return t
}

func (s *Series) processFinding(c record.Class, site Site, t term) *judged {
	j := &judged{term: t, owner: site.Owner, stack: site.Stack}
	j.Class, j.Site = c, site.Site
	j.R2 = t.r2
	j.Slope = &record.Slope{Bytes: t.slope, Per: t.name, CI95: t.ci95()}
	j.key = fmt.Sprint(c, "|", t.name, "|", site.Function, "|", site.File)
	j.addPart(mainPart(c), t.slope)
	j.costSE = t.se
	return j
}

// connections is how many connections were open, at floors before the idle ones were closed.
func connections(n *Snapshot) (float64, bool) {
	if n.Covariates == nil {
		return 0, false
	}
	c := n.Covariates
	if n.State == record.StateFloor && c.ConnsBeforeClose > 0 {
		return float64(c.ConnsBeforeClose), true
	}
	return float64(c.ConnsOpen), true
}

// sockets is how many TCP connections the process itself has, whatever the other side thinks of them.
func sockets(n *Snapshot) (float64, bool) {
	if n.Process == nil || n.Process.Sockets == nil {
		return 0, false
	}
	sum := 0
	for state, c := range n.Process.Sockets {
		if state != "listen" {
			sum += c
		}
	}
	return float64(sum), true
}

// judgeConnections looks for connections that stay open: with a body never closed, or idle in a pool of their own.
func (s *Series) judgeConnections(u *units) []*judged {
	q := s.read(2, connections)
	rest := s.read(2, sockets)
	if !rest.reaches(1) {
		rest = q
	}
	var out []*judged
	for _, t := range s.retained(rest, u.retained) {
		if t.running || t.t() < minT || t.amount < minConns || t.slope < minConnsPerFile || t.name == "byte" ||
			t.name == "second" {
			continue
		}
		a, b := rest.values[t.from[0]], rest.values[t.from[1]]
		j := s.connectionFinding(t, false)
		j.Evidence = append(j.Evidence,
			fmt.Sprintf("%.0f connections open at the first floor, %.0f at the last, with no work under way: %.3g per %s", a, b,
				t.slope, t.name))
		if p := s.Snaps[t.from[1]].Process; p != nil && float64(p.Sockets["close-wait"]) > b/2 {
			j.Evidence = append(j.Evidence,
				"most wait to be closed: the other side has gone, the process has not closed its end")
		} else {
			j.Evidence = append(j.Evidence, "closing idle connections does not cure it: they count as in use")
		}
		out = append(out, j)
	}
	if len(out) > 0 {
		return out
	}
	if t, ok := s.idleGrowth(q); ok {
		j := s.connectionFinding(t, true)
		j.Evidence = append(j.Evidence,
			fmt.Sprintf("%.0f connections with %s; since the floor before, with all idle ones closed, %.3g more per file, beyond those of the transfers in flight",
				q.values[t.from[1]], s.describe(t.from[1]), t.slope),
			"closing idle connections cures it: they are in pools that nobody uses again")
		out = append(out, j)
	}
	return out
}

func (s *Series) connectionFinding(t term, idle bool) *judged {
	j := s.processFinding(record.ConnectionLeak, s.connectionCulprit(t, idle), t.scaled(s.bytesPerConnection()))
	j.term.retainedTerm = true
	return j
}

// idleGrowth fits connections against the files done since idle ones were last closed: a pool that is used again stays
// as large as the number of transfers.
func (s *Series) idleGrowth(q *quantity) (term, bool) {
	files := make([]float64, len(s.Snaps))
	base, prev := 0.0, 0.0
	for i, n := range s.Snaps {
		done := float64(n.cov().FilesDone)
		if prev = done; n.State == record.StateFloor || n.State == record.StateIdle {
			files[i], base = done-base, prev
			continue
		}
		files[i] = done - base
	}
	var y, v, one, flight, since []float64
	var idx []int
	for i, n := range s.Snaps {
		if !q.measured(i) || !n.atRest() && !n.State.Held() {
			continue
		}
		m := 0.1*q.values[i] + 3
		idx, y, v, one = append(idx, i), append(y, q.values[i]), append(v, m*m), append(one, 1)
		flight, since = append(flight, float64(n.cov().InFlight)), append(since, files[i])
	}
	fit, err := trend.NNLS([][]float64{one, flight, since}, y, v)
	if err != nil || fit.R2 < minFit {
		return term{}, false
	}
	i := slices.Index(fit.Terms, 2)
	if i < 0 {
		return term{}, false
	}
	t := term{unit: unit{name: "file", class: record.ConnectionLeak, values: files}, slope: fit.Coef[i], se: fit.SE[i],
		share: 1, r2: fit.R2, steps: len(y)}
	for k, x := range since {
		if a := t.slope * x; a > t.amount {
			t.amount, t.from[1] = a, idx[k]
		}
	}
	for k := t.from[1] - 1; k >= 0; k-- {
		if s.Snaps[k].atRest() {
			t.from[0] = k
			break
		}
	}
	if s.Snaps[t.from[1]].State == record.StateFloor { // the profile of a floor is taken after closing: look before it
		for k := t.from[1] - 1; k > t.from[0]; k-- {
			if s.Snaps[k].State.Held() {
				t.from[1] = k
				break
			}
		}
	}
	return t, t.t() >= minT && t.amount >= minConns && t.slope >= minConnsPerFile
}

// bytesPerConnection is what the transport's own sites hold per open connection, at the snapshot with most of them.
func (s *Series) bytesPerConnection() float64 {
	best, conns := 0.0, 0.0
	for _, n := range s.Snaps {
		c := float64(n.cov().ConnsOpen)
		if !n.Profiled || c <= conns {
			continue
		}
		conns, best = c, 0
		for id, a := range n.Sites {
			if s.Sites[id].Owner == OwnerConnection {
				best += a.Bytes
			}
		}
	}
	if conns == 0 {
		return defaultConnection
	}
	return math.Max(best/conns, defaultConnection/4)
}

// defaultConnection is what an idle plain HTTP/1.1 connection costs the client's heap.
const defaultConnection = 11 << 10

// connectionCulprit finds the user's code behind connections that stay: the site that holds most of what goes through
// the network packages and grows at the floors. Of connections that idle the states between tell more, since closing
// them hides them at the floors; in a held state alone a transfer's own request would stand in their place. The line that
// made the request opened the connection; one that made the transport has to have grown requestLead times as much.
func (s *Series) connectionCulprit(t term, idle bool) Site {
	first, second := s.grownBetween, s.leftByIdle
	if idle {
		first, second = second, first
	}
	for _, score := range []func(t term, id int) float64{first, second} {
		scores := map[int]float64{}
		for id, site := range s.Sites {
			if site.Owner != OwnerUser {
				continue
			}
			scores[id] = score(t, id)
			if makesRequest(site.Stack) {
				scores[id] *= requestLead
			}
		}
		if id, ok := largest(scores); ok {
			return *s.Sites[id]
		}
	}
	return Site{}
}

// grownBetween is what a site that goes through the network packages has more of at the end of a term, bytes.
func (s *Series) grownBetween(t term, id int) float64 {
	if !throughNetwork(s.Sites[id].Stack) {
		return 0
	}
	return s.Snaps[t.from[1]].Sites[id].Bytes - s.Snaps[t.from[0]].Sites[id].Bytes
}

// leftByIdle is the most that a site has beyond the floor while connections idle, bytes. What a connection left has an
// object for each of them at least; buffers of transfers are fewer.
func (s *Series) leftByIdle(t term, id int) float64 {
	most := 0.0
	for _, n := range s.Snaps {
		if idle := n.cov().ConnsIdle; n.Profiled && idle > minConns && n.Sites[id].Objects >= float64(idle)/2 {
			most = math.Max(most, n.Sites[id].Bytes-s.Snaps[t.from[0]].Sites[id].Bytes)
		}
	}
	return most
}

func largest(score map[int]float64) (int, bool) {
	best, ok := 0, false
	for id, v := range score {
		if v > 0 && (!ok || v > score[best] || v == score[best] && id < best) {
			best, ok = id, true
		}
	}
	return best, ok
}

func throughNetwork(stack []Frame) bool {
	return slices.ContainsFunc(stack, func(f Frame) bool {
		pkg := packagePath(f.Function)
		return pkg == "net/http" || pkg == "net" || pkg == "crypto/tls"
	})
}

// requestLead is how many times as much as the line of a request has to gather at another one for that to be named.
const requestLead = 10

// makesRequest reports whether the stack sends a request or dials.
func makesRequest(stack []Frame) bool {
	return slices.ContainsFunc(stack, func(f Frame) bool {
		name := f.Function
		return strings.HasPrefix(name, "net/http.(*Client).") || strings.HasSuffix(name, ".RoundTrip") ||
			strings.HasPrefix(name, "net.(*Dialer).") ||
			strings.HasPrefix(name, "net.Dial") || strings.HasPrefix(name, "crypto/tls.")
	})
}

// judgeConnectionBuffers judges the transport's buffers, which have no frame of the user's, as one: per connection.
func (s *Series) judgeConnectionBuffers(u *units) []*judged {
	var ids []int
	total := make(map[int]float64)
	for id, site := range s.Sites {
		if site.Owner == OwnerConnection {
			ids = append(ids, id)
			for _, n := range s.Snaps {
				total[id] = math.Max(total[id], n.Sites[id].Bytes)
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	q := s.siteQuantity(ids...)
	top, _ := largest(total)
	var out []*judged
	var kept []term
	for _, t := range s.retained(q, u.retained) {
		if s.believeRetained(q, &t) && !t.running {
			kept = append(kept, t)
			j := s.processFinding(t.class, *s.Sites[s.mostGrown(ids, t, top)], t)
			j.sites = ids
			out = append(out, j)
		}
	}
	for _, t := range s.heldTerms(q, u.held, kept) {
		if s.believeHeld(q, &t) && t.class != record.Metadata {
			j := s.processFinding(t.class, *s.Sites[top], t)
			j.sites = ids
			out = append(out, j)
		}
	}
	return out
}

// mostGrown is the site of ids that grew most over a term, or else the given one.
func (s *Series) mostGrown(ids []int, t term, otherwise int) int {
	grown := map[int]float64{}
	for _, id := range ids {
		grown[id] = s.Snaps[t.from[1]].Sites[id].Bytes - s.Snaps[t.from[0]].Sites[id].Bytes
	}
	if id, ok := largest(grown); ok {
		return id
	}
	return otherwise
}

// judgeStacks looks for deep stacks: bytes of stack per transfer in flight.
func (s *Series) judgeStacks(u *units, sofar []*judged) []*judged {
	q := s.read(128<<10, func(n *Snapshot) (float64, bool) {
		if n.Runtime == nil {
			return 0, false
		}
		return float64(n.Runtime.StackInuse), true
	})
	if slices.ContainsFunc(sofar, func(j *judged) bool {
		return j.Class == record.Metadata ||
			j.Class == record.GoroutineLeak
	}) {
		return nil // stacks of many goroutines, counted already
	}
	var out []*judged
	for _, t := range s.heldTerms(q, u.held, nil) {
		if t.class != record.BufferWorker && t.class != record.BufferFile || t.t() < minT || t.share < minShare {
			continue
		}
		n := s.Snaps[t.from[1]]
		perFlight := t.amount / math.Max(1, float64(n.cov().InFlight))
		if perFlight < stackMin {
			continue
		}
		group := s.deepest(n)
		per := t.amount / math.Max(1, float64(max(group.count, 1)))
		t = t.scaled(per / math.Max(t.slope, 1e-9))
		t.name, t.amount = "goroutine", per*float64(max(group.count, 1))
		site := group.Site
		if f, ok := s.intern.blamer.recursion(group.Stack); ok {
			site.Site = record.Site{Function: CleanName(f.Function), File: shortFile(f, s.intern.blamer.module), Line: f.Line}
		}
		j := s.processFinding(record.Stacks, site, t)
		j.Evidence = append(j.Evidence,
			fmt.Sprintf("%s of stack with %d transfers held, %s at rest; the deepest of %d such goroutines has %d frames",
				bytesText(q.values[t.from[1]]), n.cov().InFlight, bytesText(q.values[t.from[1]]-t.amount), group.count,
				group.Depth))
		out = append(out, j)
	}
	return out
}

type countedGroup struct {
	RoutineGroup
	count int
}

// deepest is the group of goroutines with the deepest stack in a snapshot.
func (s *Series) deepest(n *Snapshot) countedGroup {
	var best countedGroup
	for g, c := range n.Routines {
		if r := s.Routines[g]; r.Depth > best.Depth || r.Depth == best.Depth && r.Function < best.Function {
			best = countedGroup{*r, c}
		}
	}
	return best
}

// area is a part of the process's memory that the Go runtime does not manage.
type area struct {
	class         record.Class
	name          string
	least, noise  float64
	unreclaimable bool // the kernel can't drop it under pressure
	read          func(p *record.Process, r *record.Runtime, c *record.Cgroup) float64
	runtime       bool // it needs the runtime's account
}

var areas = []area{
	{class: record.OffHeap, name: "anonymous memory outside the Go heap", least: offHeapMin, noise: offHeapNoise,
		runtime: true,
		read: func(p *record.Process, r *record.Runtime, _ *record.Cgroup) float64 {
			return float64(p.OtherAnon - r.Metadata)
		}},
	{class: record.PageCache, name: "shared memory (tmpfs)", least: fileMin, noise: fileNoise, unreclaimable: true,
		read: func(p *record.Process, _ *record.Runtime, c *record.Cgroup) float64 {
			return float64(max(c.Shmem, p.Shmem))
		}},
	{class: record.PageCache, name: "pages of files", least: fileMin, noise: fileNoise,
		read: func(p *record.Process, _ *record.Runtime, c *record.Cgroup) float64 {
			return float64(max(c.File-c.Shmem, p.File))
		}},
}

// of is the area's size in a snapshot that has the process's account, bytes.
func (a area) of(n *Snapshot) float64 {
	c := n.Cgroup
	if c == nil {
		c = &record.Cgroup{}
	}
	return a.read(n.Process, n.Runtime, c)
}

// reading is the area's size in a snapshot, where it was measured.
func (a area) reading(n *Snapshot) (float64, bool) {
	if n.Process == nil || a.runtime && n.Runtime == nil {
		return 0, false
	}
	return a.of(n), true
}

// judgeOutside judges memory that the Go runtime does not manage.
func (s *Series) judgeOutside(u *units) []*judged {
	var out []*judged
	for _, a := range areas {
		q := s.read(a.noise, a.reading)
		out = append(out, s.judgeArea(u, a, q)...)
	}
	return out
}

// judgeArea judges one part of the process's memory by floors and by holds.
func (s *Series) judgeArea(u *units, of area, q *quantity) []*judged {
	var out []*judged
	kept := s.retained(q, u.retained)
	for _, t := range append(kept, s.heldTerms(q, u.held, kept)...) {
		if t.t() < minT || t.share < minShare || t.amount < of.least || t.name == "wave" {
			continue
		}
		a, b := t.from[0], t.from[1]
		j := s.processFinding(of.class, s.waitingIn(s.Snaps[b]), t)
		j.key += of.name
		j.Evidence = append(j.Evidence, fmt.Sprintf("%s: %s (%s) against %s (%s)", of.name, bytesText(q.values[b]),
			s.describe(b), bytesText(q.values[a]), s.describe(a)))
		if j.Unreclaimable = of.unreclaimable; j.Unreclaimable {
			j.Evidence = append(j.Evidence, "shared memory cannot be reclaimed without swap")
		}
		out = append(out, j)
	}
	return out
}

// waitingIn is where the transfers in flight wait: the largest group of goroutines in the user's code that are about as
// many.
func (s *Series) waitingIn(n *Snapshot) Site {
	flight := n.cov().InFlight
	var ids []int
	for g, c := range n.Routines {
		if s.Routines[g].Owner == OwnerUser && flight > 0 && int64(c)*2 >= flight {
			ids = append(ids, g)
		}
	}
	if len(ids) == 0 {
		return Site{}
	}
	slices.SortFunc(ids, func(a, b int) int {
		return cmp.Or(cmp.Compare(n.Routines[b], n.Routines[a]), cmp.Compare(s.Routines[b].Depth, s.Routines[a].Depth),
			cmp.Compare(a, b))
	})
	return s.Routines[ids[0]].Site
}
