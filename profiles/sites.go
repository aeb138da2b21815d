package profiles

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/profiles/record"
)

// judged is a finding on its way, with what the rules after the first still need.
type judged struct {
	record.Finding
	term  term // what it grows with
	owner Owner
	sites []int // of heap findings
	// members are further sites that the finding explains: other lines of the function, what absorbed findings hold.
	members []int
	// parts are bytes per unit by kind of memory, of all that comes with the unit; costSE is the error of their sum.
	parts  map[string]float64
	costSE float64
	// container says that it grows by doubling.
	container bool
	routines  bool    // goroutines that are counted
	most      float64 // bytes of the line that stands for its function, once others were absorbed
	stack     []Frame // of the site, leaf first
	key       string  // what merges: class, unit, function
	// passive says that no state decided: a guess from a curve.
	passive bool
}

// judgeSites judges every allocation site by itself.
func (s *Series) judgeSites(u *units) []*judged {
	var out []*judged
	distinct := u.retained[slices.IndexFunc(u.retained, func(x unit) bool { return x.name == "distinct-item" })]
	for id, site := range s.Sites {
		q := s.siteQuantity(id)
		if site.Owner == OwnerConnection { // judged as one, see judgeConnectionBuffers
			continue
		}
		if site.ofRuntime() {
			continue
		}
		if !q.reaches(minLeakSamples * math.Max(s.rate, 1)) {
			continue
		}
		var kept []term
		for _, t := range s.retained(q, s.possible(q, u.retained)) {
			if s.believeRetained(q, &t) {
				kept = append(kept, t)
				out = append(out, s.siteFinding(id, t))
			}
		}
		if len(kept) == 0 {
			if j := s.stepsOfContainer(id, q, u, distinct); j != nil {
				out = append(out, j)
			}
		}
		for _, t := range s.perWorker(s.heldTerms(q, s.possibleHeld(q, u.held), kept)) {
			if s.believeHeld(q, &t) {
				s.bound(q, &t)
				out = append(out, s.siteFinding(id, t))
			}
		}
	}
	return fullCaches(out)
}

// perWorker joins the terms that are all bytes per worker: the shapes of one buffer, such as a first part that is
// always there and a second for files above some size. The slope is then what a worker holds at most.
func (s *Series) perWorker(ts []term) []term {
	var out []term
	joined := -1
	for _, t := range ts {
		if t.class != record.BufferWorker {
			out = append(out, t)
			continue
		}
		if joined < 0 {
			joined = len(out)
			out = append(out, t)
			continue
		}
		w := &out[joined]
		if t.amount > w.amount {
			w.from = t.from
			w.unit = t.unit
		}
		w.se = math.Hypot(w.se, t.se)
		w.slope, w.amount, w.share = w.slope+t.slope, w.amount+t.amount, w.share+t.share
	}
	return out
}

// possible leaves out growth per byte where the site never has more objects than there were concurrent transfers, none
// larger than a file: buffers that grow with the largest file and are kept grow at the same moments.
func (s *Series) possible(q *quantity, us []unit) []unit {
	flight := 1.0
	for _, n := range s.Snaps {
		flight = math.Max(flight, float64(n.cov().InFlight))
	}
	for i, n := range s.Snaps {
		c := n.cov()
		if q.objects[i] > flight+0.5 || q.values[i] > 1.3*float64(c.Largest)*math.Max(1, q.objects[i]) {
			return us
		}
	}
	return slices.DeleteFunc(slices.Clone(us), func(u unit) bool { return u.name == "byte" })
}

// possibleHeld leaves out growth per file that has passed where, in the mid-body states that alone could show it, the
// site has no more objects than there are transfers: those are the buffers of the transfers.
func (s *Series) possibleHeld(q *quantity, us []unit) []unit {
	for i, n := range s.Snaps {
		if n.State == record.StateBody && q.measured(i) && q.objects[i] > 1.5*float64(n.cov().InFlight) {
			return us
		}
	}
	return slices.DeleteFunc(slices.Clone(us), func(u unit) bool { return u.passed })
}

// reaches reports whether the quantity ever is that much.
func (q *quantity) reaches(least float64) bool {
	for _, v := range q.values {
		if v >= least {
			return true
		}
	}
	return false
}

func (s *Series) believeRetained(q *quantity, t *term) bool {
	if t.t() < minT || t.amount < minLeakSamples*math.Max(s.rate, 1) {
		return false
	}
	switch t.name {
	case "file", "distinct-item", "listed-file", "request":
		if t.slope < minSlopePerFile {
			return false
		}
	}
	if kept := q.values[t.from[1]] - q.values[t.from[0]]; t.running && (t.amount < minHeldBytes ||
		kept < keptShare*t.amount) {
		return false
	}
	return t.share >= minShare
}

func (s *Series) believeHeld(q *quantity, t *term) bool {
	if t.t() < minT || t.share < minShare || t.name == "wave" {
		return false
	}
	i := t.from[1]
	if t.class == record.Cache {
		return t.amount >= minQueueBytes
	}
	if t.amount < leastHeld(t.class, s.Snaps[i].Live.Bytes) {
		return false
	}
	if t.class != record.BufferWorker && s.exceedsTotal(i, t) { // that of a worker may be a sum over states
		return false
	}
	if t.class == record.Metadata {
		if t.name == "backlog-item" && s.paced() {
			return false
		}
		lo, hi := s.holdRange(t.values)
		return lo <= 0 || hi >= minBacklogRange*lo
	}
	return true
}

// exceedsTotal reports whether a term says more of the i-th held state than the whole live heap has there beyond the
// floors around it, where that is known exactly: a few sampled objects too many are no memory.
func (s *Series) exceedsTotal(i int, t *term) bool {
	q, exact := s.total()
	if !exact || !q.measured(i) {
		return false
	}
	rest := math.Inf(1)
	for _, step := range []int{-1, 1} {
		for k := i + step; k >= 0 && k < len(s.Snaps); k += step {
			if s.Snaps[k].atRest() && q.measured(k) {
				rest = math.Min(rest, q.values[k])
				break
			}
		}
	}
	least := t.amount - 2*t.se*t.values[i]
	return least > (1+2*modelError)*(q.values[i]-rest)+leastUnexplained
}

// bound makes a term that seems to grow with the backlog a bounded one where it had stopped growing before the largest
// backlog: a queue's buffer that is full. A container that doubles is flat for less than envelopeSpread of its content,
// so that a wider flat stretch up to the largest backlog is a bound.
func (s *Series) bound(q *quantity, t *term) {
	if t.class != record.Metadata {
		return
	}
	most, top := 0.0, 0.0
	for i, n := range s.Snaps {
		if n.State.Held() && q.measured(i) && t.values[i] > most {
			most, top = t.values[i], q.values[i]
		}
	}
	full := math.Inf(1)
	for i, n := range s.Snaps {
		if x := t.values[i]; n.State.Held() && q.measured(i) && x > 0 && q.values[i] >= fullShare*top {
			full = math.Min(full, x)
		}
	}
	if full*envelopeSpread > most {
		return
	}
	t.class, t.bound, t.amount, t.slope = record.Cache, full, top, top/full
	t.se = fillError * t.slope
}

// minQueueBytes is the least that a queue's full buffer has to hold to be named: memory that no finding explains would
// count as growth with the backlog.
const minQueueBytes = 16 << 10

// fullShare is the part of a buffer's last size from which it counts as full: readings of one size differ by less.
const fullShare = 0.95

// leastHeld is the least that a held term of a class has to amount to beside so many live bytes. What grows with the
// backlog has no bound, so that its share of today's heap doesn't matter.
func leastHeld(c record.Class, live float64) float64 {
	if c == record.Metadata {
		return minBacklogBytes
	}
	return math.Max(minHeldBytes, minHeldShare*live)
}

// holdRange is the least and the largest value of a unit over the held snapshots.
func (s *Series) holdRange(v []float64) (lo, hi float64) {
	lo = math.Inf(1)
	for i, n := range s.Snaps {
		if n.State.Held() {
			lo, hi = math.Min(lo, v[i]), math.Max(hi, v[i])
		}
	}
	return lo, hi
}

func (s *Series) siteFinding(id int, t term) *judged {
	site, stack := s.blameHelper(id, &t)
	j := &judged{term: t, owner: site.Owner, sites: []int{id}, stack: stack}
	j.Class, j.Site = t.class, site.Site
	j.Slope = &record.Slope{Bytes: t.slope, Per: t.name, CI95: t.ci95()}
	j.R2 = t.r2
	j.key = fmt.Sprint(j.Class, "|", j.Slope.Per, "|", site.Function, "|", site.File)
	j.addPart(partLive, t.slope)
	j.costSE = t.se
	return j
}

// mergeByFunction joins findings of one class and unit in one function: lines of the same fault. The line with the
// most bytes stands for all, with its own slope; the others are evidence.
func mergeByFunction(in []*judged) []*judged {
	byKey := map[string][]*judged{}
	var order []string
	for _, j := range in {
		if byKey[j.key] == nil {
			order = append(order, j.key)
		}
		byKey[j.key] = append(byKey[j.key], j)
	}
	out := make([]*judged, 0, len(order))
	for _, k := range order {
		g := byKey[k]
		slices.SortStableFunc(g, func(a, b *judged) int { return cmp.Compare(b.term.amount, a.term.amount) })
		head := g[0]
		for _, o := range g[1:] {
			head.take(o)
			head.Evidence = append(head.Evidence, fmt.Sprintf("and %s per %s in line %d of the same function",
				bytesText(o.term.slope), itemText(o.term.name), o.Site.Line))
		}
		out = append(out, head)
	}
	return out
}

// blameHelper decides between a site and its callers. A helper that several of the user's functions call, of which one
// covers the growth, is not to blame: its caller is. Otherwise the site itself.
func (s *Series) blameHelper(id int, t *term) (Site, []Frame) {
	site := *s.Sites[id]
	if site.Owner != OwnerUser {
		return site, site.Stack
	}
	grew := s.stackGrowth(id, t)
	total := 0.0
	for _, g := range grew {
		total += math.Max(0, g)
	}
	if total <= 0 {
		return site, site.Stack
	}
	best := slices.MaxFunc(slices.Collect(maps.Keys(grew)), func(a, b int32) int {
		return cmp.Or(cmp.Compare(grew[a], grew[b]), cmp.Compare(b, a))
	})
	stack := s.expand(best)
	at := slices.IndexFunc(stack, s.blamer().User)
	for at >= 0 && at+1 < len(stack) {
		callers := s.callers(grew, stack[at])
		if len(callers) < 2 {
			break
		}
		next := slices.IndexFunc(stack[at+1:], func(f Frame) bool {
			return s.blamer().User(f) && CleanName(f.Function) != CleanName(stack[at].Function)
		})
		if next < 0 {
			break
		}
		next += at + 1
		if callers[CleanName(stack[next].Function)] < helperShare*total {
			break
		}
		at = next
	}
	if at < 0 {
		return site, stack
	}
	f := stack[at]
	site.Site = s.blamer().Site(f)
	site.Raw = f.Function
	return site, stack
}

// stackGrowth is how much each stack of a site grew between the two snapshots that decided. Stacks of the site that
// hold anything in either are there even if they did not grow; of what stays for good also those that have allocated: a
// helper's other callers may keep nothing.
func (s *Series) stackGrowth(id int, t *term) map[int32]float64 {
	out := map[int32]float64{}
	for k, i := range t.from {
		for _, b := range s.Snaps[i].stacks {
			if s.siteOf(b.stack) != int32(id) || b.live <= 0 && (b.alloc <= 0 || !t.retainedTerm) {
				continue
			}
			if k == 0 {
				b.live = -b.live
			}
			out[b.stack] += b.live
		}
	}
	return out
}

// callers are the user functions that call a frame's function in the given stacks, with the growth through each.
func (s *Series) callers(grew map[int32]float64, f Frame) map[string]float64 {
	out := map[string]float64{}
	name := CleanName(f.Function)
	for st, g := range grew {
		inside := false
		for _, x := range s.expand(st) {
			if !s.blamer().User(x) {
				continue
			}
			n := CleanName(x.Function)
			if n == name {
				inside = true
			} else if inside {
				out[n] += math.Max(0, g)
				break
			}
		}
	}
	return out
}

// short is the last element of a function's path: what a person calls it.
func short(fn string) string { return fn[strings.LastIndexByte(fn, '/')+1:] }
