package series

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/pprof/profile"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/capture"
	"github.com/memsoak/memsoak/profiles/growth"
	"github.com/memsoak/memsoak/profiles/record"
)

// gatherer makes the series that growth judges out of captures, one at a time, so that no profile stays in memory. The
// nil gatherer takes nothing.
type gatherer struct {
	blamer blame.Blamer
	series growth.Series
	places map[string]int
	groups map[string]int
	points map[*Snapshot]int
	heaps  int
	single int // heap profiles without allocation counts
}

func newGatherer(b blame.Blamer) *gatherer {
	return &gatherer{blamer: b, places: map[string]int{}, groups: map[string]int{}, points: map[*Snapshot]int{},
		series: growth.Series{Timed: true}}
}

// add takes a snapshot's heap or goroutine profile.
func (g *gatherer) add(n *Snapshot, c *capture.Capture) {
	if g == nil || c.Kind == capture.Other {
		return
	}
	i, ok := g.points[n]
	if !ok {
		i = len(g.series.Points)
		g.points[n] = i
		g.series.Points = append(g.series.Points, growth.Point{Time: n.Time, Name: c.Path, Binary: capture.Binary(c.Profile)})
	}
	p := &g.series.Points[i]
	if p.Time.IsZero() {
		p.Time = c.Time()
	}
	if c.Kind == capture.Goroutine {
		p.Routines = map[int]int{}
		for _, s := range c.Profile.Sample {
			if id := g.group(s, blame.Stack(s)); id >= 0 {
				p.Routines[id] += int(c.Value(s, c.Count))
			}
		}
		return
	}
	g.heap(p, c)
}

// heap adds up a heap profile by place.
func (g *gatherer) heap(p *growth.Point, c *capture.Capture) {
	p.Heap = map[int]growth.Amount{}
	g.heaps++
	if c.AllocBytes == capture.Missing {
		g.single++
	}
	g.series.Difference = g.series.Difference || c.Has(capture.Difference)
	allocated := c.InuseBytes == capture.Missing
	g.series.Allocated = g.series.Allocated || allocated
	rate := c.Period()
	g.series.Rate = max(g.series.Rate, rate)
	for _, s := range c.Profile.Sample {
		bytes := float64(c.Value(s, c.InuseBytes))
		if allocated {
			bytes = float64(c.Value(s, c.AllocBytes))
		}
		a := Amount{Bytes: bytes, Variance: max(0, bytes) * rate}
		if c.InuseObjects != capture.Missing {
			a = amount(float64(c.Value(s, c.InuseObjects)), bytes, rate)
		}
		made := float64(c.Value(s, c.AllocBytes))
		if bytes == 0 && made == 0 {
			continue
		}
		stack := blame.Stack(s)
		switch {
		case slices.ContainsFunc(stack, blame.IsProfiler):
			p.Profiler += bytes
			continue
		case len(stack) == 0:
			p.Lost += bytes
			stack = []blame.Frame{{Function: "[without a stack]"}}
		}
		id := g.place(stack)
		sum := p.Heap[id]
		p.Heap[id] = growth.Amount{Bytes: sum.Bytes + bytes, Variance: sum.Variance + a.Variance, Alloc: sum.Alloc + made,
			Objects: sum.Objects + float64(c.Value(s, c.InuseObjects))}
	}
}

// mostVia is how many functions between the allocating one and the user's are named.
const mostVia = 3

// place finds or makes the place of an allocation stack.
func (g *gatherer) place(stack []blame.Frame) int {
	b := g.blamer
	at := allocating(stack)
	user := slices.IndexFunc(stack, b.User)
	key := fmt.Sprint(stack[at])
	if user >= 0 {
		key += fmt.Sprint(stack[user])
	}
	if id, ok := g.places[key]; ok {
		return id
	}
	p := growth.Place{Site: g.site(stack[at]), Stack: b.Text(stack)}
	switch {
	case user < 0:
		p.Key = "package " + blame.PackagePath(stack[at].Function)
	case user == at:
		p.Key = "function " + stack[user].Function
	default:
		u := g.site(stack[user])
		p.User = &u
		p.Key = fmt.Sprintf("line %s:%d", stack[user].Function, u.Line)
		p.Via = via(stack[at : user+1])
	}
	var names []string
	for _, f := range stack {
		if !blame.IsStandard(f) {
			names = append(names, f.Function)
		}
	}
	p.Frames = names[:max(0, len(names)-1)]
	id := len(g.series.Places)
	g.places[key] = id
	g.series.Places = append(g.series.Places, p)
	return id
}

// allocating is the index of the frame that allocates: the first from the leaf that isn't the standard library's, else
// the one that a connection belongs to, else the first that isn't the runtime's.
func allocating(stack []blame.Frame) int {
	for _, is := range []func(blame.Frame) bool{
		func(f blame.Frame) bool { return !blame.IsStandard(f) },
		blame.IsConnection,
		func(f blame.Frame) bool { return blame.PackagePath(f.Function) != "runtime" },
		func(f blame.Frame) bool { return !allocator.MatchString(f.Function) },
	} {
		if i := slices.IndexFunc(stack, is); i >= 0 {
			return i
		}
	}
	return 0
}

// allocator are the functions through which the runtime allocates.
var allocator = regexp.MustCompile(`^runtime\.(mallocgc|newobject|makeslice|growslice|newarray|` +
	`persistentalloc|\(\*mcache\)|profilealloc|mProf)`)

// site is a frame with the function's name as pprof prints it.
func (g *gatherer) site(f blame.Frame) record.Site {
	return record.Site{Function: f.Function, File: g.blamer.File(f), Line: f.Line}
}

// via are the functions at which a stack changes its package, between its ends.
func via(stack []blame.Frame) []string {
	var out []string
	last := blame.PackagePath(stack[0].Function)
	for _, f := range stack[1 : len(stack)-1] {
		if pkg := blame.PackagePath(f.Function); pkg != last && !blame.IsStandard(f) && len(out) < mostVia {
			out = append(out, f.Function)
			last = pkg
		}
	}
	return out
}

// waits are the runtime's reasons by the function below runtime.gopark, as goroutine dumps have them.
var waits = []struct{ prefix, reason string }{
	{"runtime.chanrecv", "chan receive"}, {"runtime.chansend", "chan send"}, {"runtime.selectgo", "select"},
	{"runtime.block", "select (no cases)"},
	{"runtime.netpollblock", "IO wait"}, {"internal/poll.runtime_pollWait", "IO wait"}, {"time.Sleep", "sleep"},
	{"runtime.timeSleep", "sleep"}, {"sync.runtime_notifyListWait", "sync.Cond.Wait"}, {"sync.(*Cond).Wait",
		"sync.Cond.Wait"},
	{"sync.(*Mutex)", "sync.Mutex.Lock"}, {"internal/sync.(*Mutex)", "sync.Mutex.Lock"}, {"sync.(*RWMutex).R",
		"sync.RWMutex.RLock"},
	{"sync.(*RWMutex)", "sync.RWMutex.Lock"}, {"sync.(*WaitGroup)", "sync.WaitGroup.Wait"}, {"runtime.semacquire",
		"semacquire"},
	{"sync.runtime_Semacquire", "semacquire"}, {"os/signal.signal_recv", "signal"}, {"syscall.", "syscall"},
	{"runtime.goparkunlock", ""},
}

// waitOf is why a goroutine waits, by the frames at its leaf.
func waitOf(stack []blame.Frame) string {
	if len(stack) == 0 || !strings.HasPrefix(stack[0].Function, "runtime.gopark") && !strings.HasPrefix(stack[0].Function,
		"syscall.") {
		return "running"
	}
	reason := "waiting"
	for _, f := range stack[:min(len(stack), 8)] {
		i := slices.IndexFunc(waits, func(w struct{ prefix, reason string }) bool {
			return strings.HasPrefix(f.Function, w.prefix)
		})
		if i < 0 {
			if blame.PackagePath(f.Function) == "runtime" {
				continue
			}
			break
		}
		if r := waits[i].reason; r != "" && (r != "semacquire" || reason == "waiting") {
			reason = r
		}
	}
	return reason
}

// group finds or makes the group of a goroutine's stack; -1 for those that take profiles.
func (g *gatherer) group(s *profile.Sample, stack []blame.Frame) int {
	for len(stack) > 1 && stack[len(stack)-1].Function == "runtime.goexit" {
		stack = stack[:len(stack)-1]
	}
	if len(stack) == 0 || slices.ContainsFunc(stack, blame.IsProfiler) {
		return -1
	}
	last := len(stack) - 1
	if stack[last].Function == "runtime.main" && last > 0 {
		last--
	}
	root := stack[last].Function
	at := g.site(stack[allocating(stack)])
	out := growth.Group{Root: root, At: at, Wait: waitOf(stack)}
	if w := s.Label[capture.LabelWait]; len(w) > 0 {
		out.Wait = w[0]
	}
	if c := s.Label[capture.LabelCreator]; len(c) > 0 {
		out.Creator = c[0]
	} else if clean := blame.CleanName(root); clean != root {
		out.Creator = clean
	}
	out.Conn = (&RoutineGroup{Root: root}).Connection()
	key := fmt.Sprint(root, out.Creator, out.Wait, out.At)
	if id, ok := g.groups[key]; ok {
		return id
	}
	g.groups[key] = len(g.series.Groups)
	g.series.Groups = append(g.series.Groups, out)
	return g.groups[key]
}

// memoryOf are the parts of the memory that are in no heap profile, the runtime's own tables left out.
func memoryOf(n *Snapshot) map[string]float64 {
	out := map[string]float64{}
	if p := n.Process; p != nil {
		out[record.ResidentPart] = float64(p.RSS)
	}
	if r := n.Runtime; r != nil {
		out[record.StackPart] = float64(r.StackInuse)
		if p := n.Process; p != nil {
			out[record.OutsidePart] = float64(max(0, p.OtherAnon+p.Shmem-r.Metadata))
		}
	}
	return out
}

// JudgeGrowth judges the curves of a passive series and returns what they are judged from; nil for other series.
func (s *Series) JudgeGrowth() (*record.Growth, growth.Series) {
	if s.gather == nil || len(s.gather.series.Points) == 0 {
		return nil, growth.Series{}
	}
	g := s.gather.growth(s.Snaps, s.Trial.Subject.Pprof)
	return g, s.gather.series
}

// growth judges the gathered profiles. Snapshots say which of them are floors.
func (g *gatherer) growth(snaps []*Snapshot, pprof string) *record.Growth {
	for _, n := range snaps {
		if i, ok := g.points[n]; ok {
			p := &g.series.Points[i]
			p.Time, p.Rest = n.Time, n.State == record.StateFloor
			p.Work = float64(max(n.Cov().Requests, n.Cov().FilesDone))
			p.Memory = memoryOf(n)
		}
	}
	g.series.Allocs = g.heaps > 0 && g.single == 0 && !g.series.Difference
	return growth.Judge(g.series, pprof)
}
