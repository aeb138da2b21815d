package classes

import (
	"fmt"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/internal/finding"
	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

// JudgeProcess judges what no allocation site shows: goroutines, connections, stacks, memory outside the heap.
func JudgeProcess(s *series.Series, u *fit.Units) []*finding.Judged {
	var out []*finding.Judged
	out = append(out, judgeRoutines(s, u)...)
	out = append(out, judgeConnections(s, u)...)
	out = append(out, judgeConnectionBuffers(s, u)...)
	out = append(out, judgeStacks(s, u, out)...)
	out = append(out, judgeOutside(s, u)...)
	return out
}

// judgeRoutines judges each group of goroutines by its number.
func judgeRoutines(s *series.Series, u *fit.Units) []*finding.Judged {
	var out []*finding.Judged
	for g, group := range s.Routines {
		q := fit.Read(s, 1, func(n *series.Snapshot) (float64, bool) { return float64(n.Routines[g]), n.Counted })
		if !reaches(q, threshold.MinRoutines) {
			continue
		}
		kept := fit.Retained(s, q, u.Retained)
		for _, t := range kept {
			if t.Running || t.T() < threshold.MinT || t.Amount < threshold.MinRoutines || t.Share < threshold.MinShare ||
				t.Name != "second" &&
					t.Slope < threshold.MinRoutinesPerFile {
				continue
			}
			out = append(out, routineLeak(s, g, group, t))
		}
		for _, t := range fit.HeldTerms(s, q, u.Held, kept) {
			lo, hi := holdRange(s, t.Values)
			if t.Class != record.Metadata || t.T() < threshold.MinT || t.Share < threshold.MinShare ||
				t.Amount < 4*threshold.MinRoutines || t.Slope < 0.2 ||
				lo > 0 && hi < threshold.MinBacklogRange*lo {
				continue
			}
			out = append(out, routinePerItem(s, group, t))
		}
	}
	return out
}

// MinStack is the least stack that a goroutine has.
const MinStack = 2 << 10

// stackPerRoutine is the stack bytes of one more goroutine: what the runtime's account grew by between two snapshots,
// over the number of goroutines that it grew by.
func stackPerRoutine(s *series.Series, from [2]int) float64 {
	a, b := s.Snaps[from[0]], s.Snaps[from[1]]
	if a.Runtime == nil || b.Runtime == nil || b.Runtime.Goroutines <= a.Runtime.Goroutines {
		return MinStack
	}
	return math.Max(MinStack,
		float64(b.Runtime.StackInuse-a.Runtime.StackInuse)/float64(b.Runtime.Goroutines-a.Runtime.Goroutines))
}

func routineLeak(s *series.Series, g int, group *series.RoutineGroup, t fit.Term) *finding.Judged {
	first, last := s.Snaps[t.From[0]], s.Snaps[t.From[1]]
	j := routineFinding(s, record.GoroutineLeak, group, t)
	j.Evidence = append(j.Evidence,
		fmt.Sprintf("goroutines that wait in %s: %d at the first floor, %d at the last, %.3g per %s",
			words.Short(group.Function), first.Routines[g], last.Routines[g], t.Slope, t.Name))
	if group.Connection() {
		j.Class = record.ConnectionLeak
	}
	j.Frames = group.Stack
	return j
}

func routinePerItem(s *series.Series, group *series.RoutineGroup, t fit.Term) *finding.Judged {
	j := routineFinding(s, record.Metadata, group, t)
	per := j.Parts[record.PartStacks] / math.Max(t.Slope, 1e-9)
	j.Evidence = append(j.Evidence,
		fmt.Sprintf("goroutines that wait in %s: %.2g per %s, each with %s of stack; none of them at the floors",
			words.Short(group.Function), t.Slope, words.Item(t.Name), words.Bytes(per)))
	j.Frames = group.Stack
	return j
}

// routineFinding is a finding of goroutines, whose cost is their stacks and what the runtime keeps for each of them.
func routineFinding(s *series.Series, c record.Class, group *series.RoutineGroup, t fit.Term) *finding.Judged {
	stack, descriptor := stackPerRoutine(s, t.From), finding.DescriptorPerRoutine(s, t.From)
	j := ProcessFinding(s, c, group.Site, scaled(t, stack+descriptor))
	j.Routines = true
	j.Parts = map[string]float64{record.PartStacks: t.Slope * stack, record.PartLive: t.Slope * descriptor}
	return j
}

// scaled turns a term in some unit of count into bytes.
func scaled(t fit.Term, f float64) fit.Term {
	t.Slope, t.SE, t.Amount = t.Slope*f, t.SE*f, t.Amount*f
	return t
}

// ProcessFinding is a finding at a site, with the slope of a term in bytes.
func ProcessFinding(s *series.Series, c record.Class, site blame.Site, t fit.Term) *finding.Judged {
	j := &finding.Judged{Term: t, Owner: site.Owner, Frames: site.Stack}
	j.Class, j.Site = c, site.Site
	j.R2 = t.R2
	j.Slope = &record.Slope{Bytes: t.Slope, Per: t.Name, CI95: t.CI95()}
	j.Key = fmt.Sprint(c, "|", t.Name, "|", site.Function, "|", site.File)
	j.AddPart(finding.MainPart(c), t.Slope)
	j.CostSE = t.SE
	return j
}

// judgeStacks looks for deep stacks: bytes of stack per transfer in flight.
func judgeStacks(s *series.Series, u *fit.Units, sofar []*finding.Judged) []*finding.Judged {
	q := fit.Read(s, 128<<10, func(n *series.Snapshot) (float64, bool) {
		if n.Runtime == nil {
			return 0, false
		}
		return float64(n.Runtime.StackInuse), true
	})
	if slices.ContainsFunc(sofar, func(j *finding.Judged) bool {
		return j.Class == record.Metadata ||
			j.Class == record.GoroutineLeak
	}) {
		return nil // stacks of many goroutines, counted already
	}
	var out []*finding.Judged
	for _, t := range fit.HeldTerms(s, q, u.Held, nil) {
		if t.Class != record.BufferWorker && t.Class != record.BufferFile || t.T() < threshold.MinT ||
			t.Share < threshold.MinShare {
			continue
		}
		n := s.Snaps[t.From[1]]
		perFlight := t.Amount / math.Max(1, float64(n.Cov().InFlight))
		if perFlight < threshold.StackMin {
			continue
		}
		group := deepest(s, n)
		per := t.Amount / math.Max(1, float64(max(group.count, 1)))
		t = scaled(t, per/math.Max(t.Slope, 1e-9))
		t.Name, t.Amount = "goroutine", per*float64(max(group.count, 1))
		site := group.Site
		if f, ok := s.Blamer().Recursion(group.Stack); ok {
			site.Site = s.Blamer().Site(f)
		}
		j := ProcessFinding(s, record.Stacks, site, t)
		j.Evidence = append(j.Evidence,
			fmt.Sprintf("%s of stack with %s held, %s at rest; the deepest of %d such goroutines has %d frames",
				words.Bytes(q.Values[t.From[1]]), words.Count(n.Cov().InFlight, "transfer"),
				words.Bytes(q.Values[t.From[1]]-t.Amount), group.count,
				group.Depth))
		out = append(out, j)
	}
	return out
}

type countedGroup struct {
	series.RoutineGroup
	count int
}

// deepest is the group of goroutines with the deepest stack in a snapshot.
func deepest(s *series.Series, n *series.Snapshot) countedGroup {
	var best countedGroup
	for g, c := range n.Routines {
		if r := s.Routines[g]; r.Depth > best.Depth || r.Depth == best.Depth && r.Function < best.Function {
			best = countedGroup{*r, c}
		}
	}
	return best
}
