package ends

// Death is evidence: a trial that was killed, broken off or only watched is judged by the memory at its end, and by
// the quantities that, by the free run's own readings, it grew with.

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/internal/classes"
	"github.com/memsoak/memsoak/profiles/internal/finding"
	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/internal/words"
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
	s     *series.Series
	snap  *series.Snapshot
	at    int     // its index
	first int     // index of the first profiled snapshot
	live  float64 // live heap of the last collection, bytes
	stack float64 // bytes
	cov   record.Covariates
}

// endingOf finds it; nil where nothing was recorded that could tell.
func endingOf(s *series.Series) *ending {
	e := &ending{s: s, at: -1, first: -1}
	for i, n := range s.Snaps {
		if !n.Profiled {
			continue
		}
		if e.first < 0 {
			e.first = i
		}
		stack := stackBytes(n)
		if e.at < 0 || n.Live.Bytes+stack >= e.live+e.stack {
			e.at, e.snap, e.live, e.stack, e.cov = i, n, n.Live.Bytes, stack, n.Cov()
		}
	}
	if e.at < 0 {
		return nil
	}
	e.cov.InFlight = begun(e.cov)
	return e
}

// goroutines is how many there were: by the runtime's account, or where the subject exposes none, by the profile.
func goroutines(n *series.Snapshot) float64 {
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
func stackBytes(n *series.Snapshot) float64 {
	if n.Runtime != nil {
		return float64(n.Runtime.StackInuse)
	}
	return classes.MinStack * goroutines(n)
}

// begun is how many transfers were under way: those that the fakes see, or those that have left the backlog and are not
// done. Between a download and its upload the fakes see none.
func begun(c record.Covariates) int64 {
	return max(c.InFlight, c.FilesListed-c.Backlog-c.FilesDone-c.Failed)
}

// total is what no collection gives back.
func (e *ending) total() float64 { return e.live + e.stack }

// brokenOff reports whether the trial ended before its time.
func brokenOff(s *series.Series) bool { return s.Trial.Outcome != record.OK && s.Trial.Outcome != "" }

// Fits reports whether the live memory would fit the limit with room to spare: only then is the collector to blame.
func Fits(s *series.Series) bool {
	e := endingOf(s)
	return e == nil || s.Trial.Isolation.Limit <= 0 || e.total() <= spareShare*float64(s.Trial.Isolation.Limit)
}

// restsAtEnd says that all that went wrong in a trial was some of its work: the subject is alive, and was seen at rest.
func restsAtEnd(s *series.Series) bool {
	return s.Trial.Outcome == record.WaveFailed && len(s.Floors()) >= threshold.MinFloors &&
		s.Snaps[len(s.Snaps)-1].AtRest()
}

// JudgeEnd judges the end of a trial whose states could not decide. What it finds beside a kill makes a headline; in a
// trial that was only watched it names suspects.
func JudgeEnd(s *series.Series, found []*finding.Judged) []*finding.Judged {
	if restsAtEnd(s) {
		return nil // what there was amid its work is no composition of an end
	}
	if !brokenOff(s) && s.Trial.Kind != record.Passive || len(s.Floors()) >= threshold.MinFloors && !brokenOff(s) {
		return nil
	}
	e := endingOf(s)
	if e == nil || e.snap.Covariates == nil {
		return nil
	}
	var out []*finding.Judged
	if !e.explained(found) {
		out = e.routines()
	}
	out = finding.AbsorbParts(append(out, e.sites(out, found)...))
	out = slices.DeleteFunc(out, func(j *finding.Judged) bool {
		return slices.ContainsFunc(found, func(f *finding.Judged) bool { // by many states: it tells more than the last
			return f.Class == j.Class && f.Site.Function == j.Site.Function && f.Term.Name == j.Term.Name
		})
	})
	out = append(out, e.outside(found)...)
	for _, j := range out {
		j.Passive = !brokenOff(s)
	}
	return out
}

// explained reports whether a finding by many states has as many stacks for the work at the end as there were. Who dies
// within a second has listed more since the goroutines were counted, so that nothing goes with their number.
func (e *ending) explained(found []*finding.Judged) bool {
	grown := e.stack - stackBytes(e.s.Snaps[e.first])
	for _, u := range e.units() {
		if slices.ContainsFunc(found, func(f *finding.Judged) bool {
			return f.Routines && f.Term.Name == u.Name && f.Parts[record.PartStacks]*u.Values[e.at] >= grown
		}) {
			return true
		}
	}
	return false
}

// routines judges goroutines of one kind that are far more than the transfers in flight.
func (e *ending) routines() []*finding.Judged {
	s, n := e.s, goroutines(e.snap)
	if n < crowdMin+crowd*float64(max(e.cov.InFlight, 1)) {
		return nil
	}
	first := s.Snaps[e.first]
	more := n - goroutines(first)
	if more < n/2 {
		return nil
	}
	stack := math.Max(classes.MinStack, (e.stack-stackBytes(first))/more)
	site, held := e.creator()
	if n*(stack+held) < math.Max(endMin, endShare*e.total()) {
		return nil
	}
	u := e.unit(more)
	if e.ofConnections(more) {
		u.class, site = record.ConnectionLeak, classes.ConnectionCulprit(s, fit.Term{From: [2]int{e.first, e.at}}, false)
	}
	per := math.Max(1, more/math.Max(1, u.x)) // those that had not started yet come as well
	t := fit.Term{Unit: fit.Unit{Name: u.name, Class: u.class}, Slope: per * (stack + held),
		Amount: n * (stack + held), Share: 1,
		From: [2]int{e.first, e.at}, Steps: 1, RetainedTerm: u.class != record.Metadata}
	t.SE = endError * t.Slope
	j := classes.ProcessFinding(s, u.class, site, t)
	j.Routines = true
	j.Parts = map[string]float64{record.PartStacks: per * stack, record.PartLive: per * held}
	j.Evidence = append(j.Evidence,
		fmt.Sprintf("at the end %.0f goroutines with %s of stack, %s of what was live, with %s in flight, %d files "+
			"waiting, %d done",
			n, words.Bytes(e.stack), words.Share(e.stack/e.total()), words.Count(e.cov.InFlight, "transfer"), e.cov.Backlog,
			e.cov.FilesDone))
	return []*finding.Judged{j}
}

// ofConnections reports whether so many more goroutines are those of net/http, two for each of its connections, by
// their group and by the connections that the other side counts, or its own sockets: not all lead to the fakes.
func (e *ending) ofConnections(more float64) bool {
	group := e.group()
	if group == nil || !group.Connection() {
		return false
	}
	least := math.Max(threshold.MinConns, more/perConnection)
	for _, read := range []func(*series.Snapshot) (float64, bool){classes.Connections, classes.Sockets} {
		before, _ := read(e.s.Snaps[e.first])
		now, _ := read(e.snap)
		if now-before >= least {
			return true
		}
	}
	return false
}

// perConnection is how many goroutines come with a connection at most, those of the request that made it included.
const perConnection = 4

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
func (e *ending) creator() (site blame.Site, held float64) {
	best, most := -1, 0.0
	for _, n := range e.s.Snaps[e.first+1 : e.at+1] {
		if !n.Profiled || goroutines(n) < crowdMin {
			continue
		}
		routines, sum, id := goroutines(n), 0.0, -1
		for k, x := range e.s.Sites {
			a, b := e.s.Snaps[e.first].Sites[k], n.Sites[k]
			objects := b.Objects - a.Objects
			switch {
			case x.OfRuntime():
				sum += math.Max(0, b.Bytes-a.Bytes)
			case x.Owner == blame.OwnerUser && objects > routines/2 && objects < 2*routines:
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
	case best >= 0 && (group == nil || group.Function == e.s.Sites[best].Function || group.Owner != blame.OwnerUser):
		site = *e.s.Sites[best]
	case group != nil:
		site = group.Site
	}
	return site, held
}

// group is the largest group of goroutines in the last profile that counted them.
func (e *ending) group() *series.RoutineGroup {
	for _, n := range slices.Backward(e.s.Snaps) {
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
func (e *ending) sites(routines, found []*finding.Judged) []*finding.Judged {
	known := map[string]bool{}
	for _, j := range slices.Concat(routines, found) {
		known[j.Site.Function] = true
	}
	by := map[string][]int{}
	for id, a := range e.snap.Sites {
		if site := e.s.Sites[id]; a.Bytes > 0 && !site.OfRuntime() && !known[site.Function] {
			by[site.Function] = append(by[site.Function], id)
		}
	}
	var out []*finding.Judged
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
	slices.SortFunc(out, func(a, b *finding.Judged) int {
		return cmp.Or(cmp.Compare(b.Term.Amount, a.Term.Amount), cmp.Compare(a.Key, b.Key))
	})
	return out
}

// siteFinding says what the sites of one function held, and per unit of what.
func (e *ending) siteFinding(ids []int, sum float64) *finding.Judged {
	s := e.s
	t, why := e.regress(ids, sum)
	t.Amount, t.From, t.Share = sum, [2]int{e.first, e.at}, 1
	site, stack := classes.BlameHelper(s, ids[0], &t)
	j := &finding.Judged{Term: t, Owner: site.Owner, Frames: stack, Members: ids}
	j.Class, j.Site, j.R2 = t.Class, site.Site, t.R2
	j.Slope = &record.Slope{Bytes: t.Slope, Per: t.Name, CI95: t.CI95()}
	j.Key = fmt.Sprint("end|", j.Class, "|", site.Function)
	j.AddPart(record.PartLive, t.Slope)
	j.CostSE = t.SE
	j.Evidence = append(j.Evidence,
		fmt.Sprintf("at the end %s of %s live: %d transfers of %s in flight, %d files waiting, %d done", words.Bytes(sum),
			words.Bytes(e.total()),
			e.cov.InFlight, words.Bytes(finding.PerTransfer(e.cov)), e.cov.Backlog, e.cov.FilesDone), why)
	return j
}
