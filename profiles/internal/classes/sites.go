package classes

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/internal/finding"
	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/record"
)

// JudgeSites judges every allocation site by itself.
func JudgeSites(s *series.Series, u *fit.Units) []*finding.Judged {
	var out []*finding.Judged
	distinct := u.Retained[slices.IndexFunc(u.Retained, func(x fit.Unit) bool { return x.Name == "distinct-item" })]
	for id, site := range s.Sites {
		q := fit.OfSites(s, id)
		if site.Owner == blame.OwnerConnection { // judged as one, see judgeConnectionBuffers
			continue
		}
		if site.OfRuntime() {
			continue
		}
		if !reaches(q, threshold.MinHeldSamples*math.Max(s.Rate, 1)) {
			continue
		}
		var kept []fit.Term
		for _, t := range fit.Retained(s, q, possible(s, q, u.Retained)) {
			if believeRetained(s, q, &t) {
				kept = append(kept, t)
				out = append(out, siteFinding(s, id, t))
			}
		}
		if len(kept) == 0 && reaches(q, threshold.MinLeakSamples*math.Max(s.Rate, 1)) {
			if j := stepsOfContainer(s, id, q, u, distinct); j != nil {
				out = append(out, j)
			}
		}
		for _, t := range perWorker(fit.HeldTerms(s, q, possibleHeld(s, q, u.Held), kept)) {
			if believeHeld(s, &t) {
				bound(s, q, &t)
				out = append(out, siteFinding(s, id, t))
			}
		}
	}
	return fullCaches(out)
}

// perWorker joins the terms that are all bytes per worker: the shapes of one buffer, such as a first part that is
// always there and a second for files above some size. The slope is then what a worker holds at most.
func perWorker(ts []fit.Term) []fit.Term {
	var out []fit.Term
	joined := -1
	for _, t := range ts {
		if t.Class != record.BufferWorker {
			out = append(out, t)
			continue
		}
		if joined < 0 {
			joined = len(out)
			out = append(out, t)
			continue
		}
		w := &out[joined]
		if t.Amount > w.Amount {
			w.From = t.From
			w.Unit = t.Unit
		}
		w.SE = math.Hypot(w.SE, t.SE)
		w.Slope, w.Amount, w.Share = w.Slope+t.Slope, w.Amount+t.Amount, w.Share+t.Share
	}
	return out
}

// possible leaves out growth per byte where the site never has more objects than there were concurrent transfers, none
// larger than a file: buffers that grow with the largest file and are kept grow at the same moments.
func possible(s *series.Series, q *fit.Quantity, us []fit.Unit) []fit.Unit {
	flight := 1.0
	for _, n := range s.Snaps {
		flight = math.Max(flight, float64(n.Cov().InFlight))
	}
	for i, n := range s.Snaps {
		c := n.Cov()
		if q.Objects[i] > flight+0.5 || q.Values[i] > 1.3*float64(c.Largest)*math.Max(1, q.Objects[i]) {
			return us
		}
	}
	return slices.DeleteFunc(slices.Clone(us), func(u fit.Unit) bool { return u.Name == "byte" })
}

// possibleHeld leaves out growth per file that has passed where, in the mid-body states that alone could show it, the
// site has no more objects than there are transfers: those are the buffers of the transfers.
func possibleHeld(s *series.Series, q *fit.Quantity, us []fit.Unit) []fit.Unit {
	for i, n := range s.Snaps {
		if n.State == record.StateBody && q.Measured(i) && q.Objects[i] > 1.5*float64(n.Cov().InFlight) {
			return us
		}
	}
	return slices.DeleteFunc(slices.Clone(us), func(u fit.Unit) bool { return u.Passed })
}

// reaches reports whether the quantity ever is that much.
func reaches(q *fit.Quantity, least float64) bool {
	for _, v := range q.Values {
		if v >= least {
			return true
		}
	}
	return false
}

func believeRetained(s *series.Series, q *fit.Quantity, t *fit.Term) bool {
	if t.T() < threshold.MinT || t.Amount < threshold.MinLeakSamples*math.Max(s.Rate, 1) {
		return false
	}
	switch t.Name {
	case "file", "distinct-item", "listed-file", "request":
		if t.Slope < threshold.MinSlopePerFile {
			return false
		}
	}
	if kept := q.Values[t.From[1]] - q.Values[t.From[0]]; t.Running && (t.Amount < threshold.MinHeldBytes ||
		kept < threshold.KeptShare*t.Amount) {
		return false
	}
	return t.Share >= threshold.MinShare
}

func believeHeld(s *series.Series, t *fit.Term) bool {
	if t.T() < threshold.MinT || t.Share < threshold.MinShare || t.Name == "wave" {
		return false
	}
	i := t.From[1]
	if t.Class == record.Cache {
		return t.Amount >= minQueueBytes
	}
	if t.Amount < LeastHeld(t.Class, s.Snaps[i].Live.Bytes) {
		return false
	}
	if t.Class != record.BufferWorker && exceedsTotal(s, i, t) { // that of a worker may be a sum over states
		return false
	}
	if t.Class == record.Metadata {
		if t.Name == "backlog-item" && fit.Paced(s) {
			return false
		}
		lo, hi := holdRange(s, t.Values)
		return lo <= 0 || hi >= threshold.MinBacklogRange*lo
	}
	return true
}

// exceedsTotal reports whether a term says more of the i-th held state than the whole live heap has there beyond the
// floors around it, where that is known exactly: a few sampled objects too many are no memory.
func exceedsTotal(s *series.Series, i int, t *fit.Term) bool {
	q, exact := fit.Total(s)
	if !exact || !q.Measured(i) {
		return false
	}
	rest := math.Inf(1)
	for _, step := range []int{-1, 1} {
		for k := i + step; k >= 0 && k < len(s.Snaps); k += step {
			if s.Snaps[k].AtRest() && q.Measured(k) {
				rest = math.Min(rest, q.Values[k])
				break
			}
		}
	}
	least := t.Amount - 2*t.SE*t.Values[i]
	return least > (1+2*threshold.ModelError)*(q.Values[i]-rest)+threshold.LeastUnexplained
}

// bound makes a term that seems to grow with the backlog a bounded one where it had stopped growing before the largest
// backlog: a queue's buffer that is full. A container that doubles is flat for less than fit.EnvelopeSpread of its
// content, so that a wider flat stretch up to the largest backlog is a bound.
func bound(s *series.Series, q *fit.Quantity, t *fit.Term) {
	if t.Class != record.Metadata {
		return
	}
	most, top := 0.0, 0.0
	for i, n := range s.Snaps {
		if n.State.Held() && q.Measured(i) && t.Values[i] > most {
			most, top = t.Values[i], q.Values[i]
		}
	}
	full := math.Inf(1)
	for i, n := range s.Snaps {
		if x := t.Values[i]; n.State.Held() && q.Measured(i) && x > 0 && q.Values[i] >= fullShare*top {
			full = math.Min(full, x)
		}
	}
	if full*fit.EnvelopeSpread > most {
		return
	}
	t.Class, t.Bound, t.Amount, t.Slope = record.Cache, full, top, top/full
	t.SE = threshold.FillError * t.Slope
}

// minQueueBytes is the least that a queue's full buffer has to hold to be named: memory that no finding explains would
// count as growth with the backlog.
const minQueueBytes = 16 << 10

// fullShare is the part of a buffer's last size from which it counts as full: readings of one size differ by less.
const fullShare = 0.95

// LeastHeld is the least that a held term of a class has to amount to beside so many live bytes. What grows with the
// backlog has no bound, so that its share of today's heap doesn't matter.
func LeastHeld(c record.Class, live float64) float64 {
	if c == record.Metadata {
		return threshold.MinBacklogBytes
	}
	return math.Max(threshold.MinHeldBytes, threshold.MinHeldShare*live)
}

// holdRange is the least and the largest value of a unit over the held snapshots.
func holdRange(s *series.Series, v []float64) (lo, hi float64) {
	lo = math.Inf(1)
	for i, n := range s.Snaps {
		if n.State.Held() {
			lo, hi = math.Min(lo, v[i]), math.Max(hi, v[i])
		}
	}
	return lo, hi
}

func siteFinding(s *series.Series, id int, t fit.Term) *finding.Judged {
	site, stack := BlameHelper(s, id, &t)
	j := &finding.Judged{Term: t, Owner: site.Owner, Sites: []int{id}, Frames: stack}
	j.Class, j.Site = t.Class, site.Site
	j.Slope = &record.Slope{Bytes: t.Slope, Per: t.Name, CI95: t.CI95()}
	j.R2 = t.R2
	j.Key = fmt.Sprint(j.Class, "|", j.Slope.Per, "|", site.Function, "|", site.File)
	j.AddPart(record.PartLive, t.Slope)
	j.CostSE = t.SE
	return j
}

// BlameHelper decides between a site and its callers. A helper that several of the user's functions call, of which one
// covers the growth, is not to blame: its caller is. Otherwise the site itself.
func BlameHelper(s *series.Series, id int, t *fit.Term) (blame.Site, []blame.Frame) {
	site := *s.Sites[id]
	if site.Owner != blame.OwnerUser {
		return site, site.Stack
	}
	grew := stackGrowth(s, id, t)
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
	stack := s.Expand(best)
	at := slices.IndexFunc(stack, s.Blamer().User)
	for at >= 0 && at+1 < len(stack) {
		callers := callers(s, grew, stack[at])
		if len(callers) < 2 {
			break
		}
		next := slices.IndexFunc(stack[at+1:], func(f blame.Frame) bool {
			return s.Blamer().User(f) && blame.CleanName(f.Function) != blame.CleanName(stack[at].Function)
		})
		if next < 0 {
			break
		}
		next += at + 1
		if callers[blame.CleanName(stack[next].Function)] < threshold.HelperShare*total {
			break
		}
		at = next
	}
	if at < 0 {
		return site, stack
	}
	f := stack[at]
	site.Site = s.Blamer().Site(f)
	return site, stack
}

// stackGrowth is how much each stack of a site grew between the two snapshots that decided. Stacks of the site that
// hold anything in either are there even if they did not grow; of what stays for good also those that have allocated: a
// helper's other callers may keep nothing.
func stackGrowth(s *series.Series, id int, t *fit.Term) map[int32]float64 {
	out := map[int32]float64{}
	for k, i := range t.From {
		for _, b := range s.Snaps[i].Stacks {
			if s.SiteOf(b.Stack) != int32(id) || b.Live <= 0 && (b.Alloc <= 0 || !t.RetainedTerm) {
				continue
			}
			if k == 0 {
				b.Live = -b.Live
			}
			out[b.Stack] += b.Live
		}
	}
	return out
}

// callers are the user functions that call a frame's function in the given stacks, with the growth through each.
func callers(s *series.Series, grew map[int32]float64, f blame.Frame) map[string]float64 {
	out := map[string]float64{}
	name := blame.CleanName(f.Function)
	for st, g := range grew {
		inside := false
		for _, x := range s.Expand(st) {
			if !s.Blamer().User(x) {
				continue
			}
			n := blame.CleanName(x.Function)
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
