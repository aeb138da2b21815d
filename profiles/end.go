package profiles

// Death is evidence: a trial that was killed, broken off or only watched is judged by the memory at its end, and by
// the quantities that, by the free run's own readings, it grew with.

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/record"
)

const (
	// endShare is the part of the live memory at the end, stacks included, from which one function or one kind of
	// goroutines is the holder of the memory.
	endShare = 0.2
	// endMin is the least that is worth naming, in bytes.
	endMin = 2 << 20
	// crowd is how many goroutines a transfer may have: beyond that and crowdMin they are a population of their own.
	crowd    = 20
	crowdMin = 200
	// perUnitLow and perUnitHigh bound how many goroutines or objects there are for one unit of what they grow with.
	perUnitLow, perUnitHigh = 0.2, 5
	// minEndPoints is how many profiles a regression over a free run needs, and minEndRange by which factor the unit has
	// to vary in it.
	minEndPoints = 5
	minEndRange  = 3
	// minEndLevels is how many values it has to have: two are an idle and a busy subject, which everything goes with.
	minEndLevels = 3
	// endError is the relative error of a slope that follows from one composition alone.
	endError = 1.0 / 3
	// spareShare is the part of the limit that live heap and stacks may take for the collector to be what broke it.
	spareShare = 0.6
)

// ending is the state in which a trial was last seen at its largest.
type ending struct {
	s     *Series
	snap  *Snapshot
	at    int     // its index
	first int     // index of the first profiled snapshot
	live  float64 // live heap of the last collection, bytes
	stack float64 // bytes
	cov   record.Covariates
}

// ending finds it; nil where nothing was recorded that could tell.
func (s *Series) ending() *ending {
	e := &ending{s: s, at: -1, first: -1}
	for i, n := range s.Snaps {
		if !n.Profiled {
			continue
		}
		if e.first < 0 {
			e.first = i
		}
		stack := n.stackBytes()
		if e.at < 0 || n.Live.Bytes+stack >= e.live+e.stack {
			e.at, e.snap, e.live, e.stack, e.cov = i, n, n.Live.Bytes, stack, n.cov()
		}
	}
	if e.at < 0 {
		return nil
	}
	e.cov.InFlight = begun(e.cov)
	return e
}

// goroutines is how many there were: by the runtime's account, or where the subject exposes none, by the profile.
func (n *Snapshot) goroutines() float64 {
	if n.Runtime != nil {
		return float64(n.Runtime.Goroutines)
	}
	sum := 0
	for _, c := range n.Routines {
		sum += c
	}
	return float64(sum)
}

// stackBytes is the memory of stacks: by the runtime's account, or else the least that so many goroutines have.
func (n *Snapshot) stackBytes() float64 {
	if n.Runtime != nil {
		return float64(n.Runtime.StackInuse)
	}
	return minStack * n.goroutines()
}

// begun is how many transfers were under way: those that the fakes see, or those that have left the backlog and are not
// done. Between a download and its upload the fakes see none.
func begun(c record.Covariates) int64 {
	return max(c.InFlight, c.FilesListed-c.Backlog-c.FilesDone-c.Failed)
}

// total is what no collection gives back.
func (e *ending) total() float64 { return e.live + e.stack }

// brokenOff reports whether the trial ended before its time.
func (s *Series) brokenOff() bool { return s.Trial.Outcome != record.OK && s.Trial.Outcome != "" }

// fits reports whether the live memory would fit the limit with room to spare: only then is the collector to blame.
func (s *Series) fits() bool {
	e := s.ending()
	return e == nil || s.Trial.Isolation.Limit <= 0 || e.total() <= spareShare*float64(s.Trial.Isolation.Limit)
}

// restsAtEnd says that all that went wrong in a trial was some of its work: the subject is alive, and was seen at rest.
func (s *Series) restsAtEnd() bool {
	return s.Trial.Outcome == record.WaveFailed && len(s.floors()) >= minFloors && s.Snaps[len(s.Snaps)-1].atRest()
}

// judgeEnd judges the end of a trial whose states could not decide. What it finds beside a kill makes a headline; in a
// trial that was only watched it names suspects.
func (s *Series) judgeEnd(found []*judged) []*judged {
	if s.restsAtEnd() {
		return nil // what there was amid its work is no composition of an end
	}
	if !s.brokenOff() && s.Trial.Kind != record.Passive || len(s.floors()) >= minFloors && !s.brokenOff() {
		return nil
	}
	e := s.ending()
	if e == nil || e.snap.Covariates == nil {
		return nil
	}
	out := e.routines()
	out = absorb(append(out, e.sites(out, found)...))
	out = append(out, e.outside(found)...)
	for _, j := range out {
		j.passive = !s.brokenOff()
	}
	return out
}

// routines judges goroutines of one kind that are far more than the transfers in flight.
func (e *ending) routines() []*judged {
	s, n := e.s, e.snap.goroutines()
	if n < crowdMin+crowd*float64(max(e.cov.InFlight, 1)) {
		return nil
	}
	first := s.Snaps[e.first]
	more := n - first.goroutines()
	if more < n/2 {
		return nil
	}
	stack := math.Max(minStack, (e.stack-first.stackBytes())/more)
	site, held := e.creator()
	if n*(stack+held) < math.Max(endMin, endShare*e.total()) {
		return nil
	}
	u := e.unit(more)
	if e.ofConnections(more) {
		u.class, site = record.ConnectionLeak, s.connectionCulprit(term{from: [2]int{e.first, e.at}}, false)
	}
	per := math.Max(1, more/math.Max(1, u.x)) // those that had not started yet come as well
	t := term{unit: unit{name: u.name, class: u.class}, slope: per * (stack + held), amount: n * (stack + held), share: 1,
		from: [2]int{e.first, e.at}, steps: 1, retainedTerm: u.class != record.Metadata}
	t.se = endError * t.slope
	j := s.processFinding(u.class, site, t)
	j.routines = true
	j.parts = map[string]float64{partStacks: per * stack, partLive: per * held}
	j.Evidence = append(j.Evidence,
		fmt.Sprintf("at the end %.0f goroutines with %s of stack, %s of what was live, with %s in flight, %d files "+
			"waiting, %d done",
			n, bytesText(e.stack), shareText(e.stack/e.total()), count(e.cov.InFlight, "transfer"), e.cov.Backlog,
			e.cov.FilesDone))
	return []*judged{j}
}

// ofConnections reports whether so many more goroutines are those of net/http, two for each of its connections, by
// their group and by the connections that the other side counts.
func (e *ending) ofConnections(more float64) bool {
	group := e.group()
	if group == nil || !group.Connection() {
		return false
	}
	before, _ := connections(e.s.Snaps[e.first])
	now, _ := connections(e.snap)
	return now-before >= math.Max(minConns, more/perConnection)
}

// perConnection is how many goroutines come with a connection at most, those of the request that made it included.
const perConnection = 4

// shareText is a share in percent.
func shareText(x float64) string { return fmt.Sprintf("%.0f %%", 100*x) }

// countUnit is what a number of goroutines or objects goes with.
type countUnit struct {
	name  string
	class record.Class
	x     float64
}

// unit is the unit of work of which there is about one for each of so many goroutines. Waiting work counts before
// finished work; where neither number is near, they grow with time.
func (e *ending) unit(count float64) countUnit {
	near := func(x int64) bool { r := count / math.Max(1, float64(x)); return r >= perUnitLow && r <= perUnitHigh }
	switch c := e.cov; {
	case near(c.Backlog):
		return countUnit{"backlog-item", record.Metadata, float64(c.Backlog)}
	case near(c.FilesDone):
		return countUnit{"file", record.GoroutineLeak, float64(c.FilesDone)}
	case near(c.FilesListed):
		return countUnit{"listed-file", record.Metadata, float64(c.FilesListed)}
	}
	return countUnit{"second", record.GoroutineLeak, math.Max(1, e.snap.Time.Sub(e.s.Snaps[e.first].Time).Seconds())}
}

// creator is the user's place that makes so many goroutines, and the heap that comes with each of them: what the
// runtime keeps, and the sites with about one object for each. The profile is of the last collection, which may be
// older than the number of goroutines, so it is read where it has most per goroutine. Where no site has as many
// objects, the largest group in the goroutine profile nearest to the end has to do.
func (e *ending) creator() (site Site, held float64) {
	best, most := -1, 0.0
	for _, n := range e.s.Snaps[e.first+1 : e.at+1] {
		if !n.Profiled || n.goroutines() < crowdMin {
			continue
		}
		routines, sum, id := n.goroutines(), 0.0, -1
		for k, x := range e.s.Sites {
			a, b := e.s.Snaps[e.first].Sites[k], n.Sites[k]
			objects := b.Objects - a.Objects
			switch {
			case x.ofRuntime():
				sum += math.Max(0, b.Bytes-a.Bytes)
			case x.Owner == OwnerUser && objects > routines/2 && objects < 2*routines:
				if sum += b.Bytes - a.Bytes; id < 0 || math.Abs(objects-routines) < math.Abs(n.Sites[id].Objects-routines) {
					id = k
				}
			}
		}
		if sum/routines > held {
			held = sum / routines
		}
		if id >= 0 && routines > most {
			best, most = id, routines
		}
	}
	group := e.group()
	switch {
	case best >= 0 && (group == nil || group.Function == e.s.Sites[best].Function || group.Owner != OwnerUser):
		site = *e.s.Sites[best]
	case group != nil:
		site = group.Site
	}
	return site, held
}

// group is the largest group of goroutines in the last profile that counted them.
func (e *ending) group() *RoutineGroup {
	for i := len(e.s.Snaps) - 1; i >= 0; i-- {
		n := e.s.Snaps[i]
		if !n.Counted || len(n.Routines) == 0 {
			continue
		}
		best := -1
		for g, c := range n.Routines {
			if best < 0 || c > n.Routines[best] || c == n.Routines[best] && g < best {
				best = g
			}
		}
		if n.Routines[best] < crowdMin {
			return nil
		}
		return e.s.Routines[best]
	}
	return nil
}

// sites judges the functions that held a good part of the live memory.
func (e *ending) sites(routines, found []*judged) []*judged {
	known := map[string]bool{}
	for _, j := range slices.Concat(routines, found) {
		known[j.Site.Function] = true
	}
	by := map[string][]int{}
	for id, a := range e.snap.Sites {
		if site := e.s.Sites[id]; a.Bytes > 0 && !site.ofRuntime() && !known[site.Function] {
			by[site.Function] = append(by[site.Function], id)
		}
	}
	var out []*judged
	for _, ids := range by {
		slices.SortFunc(ids, func(a, b int) int {
			return cmp.Or(cmp.Compare(e.snap.Sites[b].Bytes, e.snap.Sites[a].Bytes), cmp.Compare(a, b))
		})
		sum := 0.0
		for _, id := range ids {
			sum += e.snap.Sites[id].Bytes
		}
		if sum < endMin || sum < endShare*e.total() {
			continue
		}
		out = append(out, e.siteFinding(ids, sum))
	}
	slices.SortFunc(out, func(a, b *judged) int {
		return cmp.Or(cmp.Compare(b.term.amount, a.term.amount), cmp.Compare(a.key, b.key))
	})
	return out
}

// siteFinding says what the sites of one function held, and per unit of what.
func (e *ending) siteFinding(ids []int, sum float64) *judged {
	s := e.s
	t, why := e.regress(ids, sum)
	t.amount, t.from, t.share = sum, [2]int{e.first, e.at}, 1
	site, stack := s.blameHelper(ids[0], &t)
	j := &judged{term: t, owner: site.Owner, stack: stack, members: ids}
	j.Class, j.Site, j.R2 = t.class, site.Site, t.r2
	j.Slope = &record.Slope{Bytes: t.slope, Per: t.name, CI95: t.ci95()}
	j.key = fmt.Sprint("end|", j.Class, "|", site.Function)
	j.addPart(partLive, t.slope)
	j.costSE = t.se
	j.Evidence = append(j.Evidence,
		fmt.Sprintf("at the end %s of %s live: %d transfers of %s in flight, %d files waiting, %d done", bytesText(sum),
			bytesText(e.total()),
			e.cov.InFlight, bytesText(perTransfer(e.cov)), e.cov.Backlog, e.cov.FilesDone), why)
	return j
}
