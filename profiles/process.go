package profiles

import (
	"fmt"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/record"
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
	j.Evidence = append(j.Evidence,
		fmt.Sprintf("goroutines that wait in %s: %d at the first floor, %d at the last, %.3g per %s",
			short(group.Function), first.Routines[g], last.Routines[g], t.slope, t.name))
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
		fmt.Sprintf("goroutines that wait in %s: %.2g per %s, each with %s of stack; none of them at the floors",
			short(group.Function), t.slope, itemText(t.name), bytesText(per)))
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

// processFinding is a finding at a site, with the slope of a term in bytes.
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
		if f, ok := s.blamer().recursion(group.Stack); ok {
			site.Site = s.blamer().Site(f)
		}
		j := s.processFinding(record.Stacks, site, t)
		j.Evidence = append(j.Evidence,
			fmt.Sprintf("%s of stack with %s held, %s at rest; the deepest of %d such goroutines has %d frames",
				bytesText(q.values[t.from[1]]), count(n.cov().InFlight, "transfer"),
				bytesText(q.values[t.from[1]]-t.amount), group.count,
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
