package soak

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/cgroup"
	"github.com/memsoak/memsoak/soak/internal/leftover"
	"github.com/memsoak/memsoak/soak/internal/subject"
)

// Auto as Runner.Parallel is as many attribution trials as the machine has room for.
const Auto = -1

// MaxParallel bounds Runner.Parallel.
const MaxParallel = 64

// ParseParallel reads "auto" or a number of trials.
func ParseParallel(s string) (int, error) {
	if s == "auto" {
		return Auto, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > MaxParallel {
		return 0, fmt.Errorf("%w: parallel %q: want auto, or a number of trials, 1 to %d", ErrConfig, s, MaxParallel)
	}
	return n, nil
}

const (
	// laneCPUs is how many processors Auto gives a trial: one to the subject's work and one to its fakes.
	laneCPUs = 2
	// many is from how many processors on Auto gives a trial one, and keeps a quarter of them for the diagnosis: most of
	// a trial is waiting.
	many = 8
	// besideMemory is what the fakes and the diagnosis of one trial may take beside the subject's limit, in bytes.
	besideMemory = 512 << 20
)

// machine is what trials that run beside each other share.
type machine struct {
	cpus   []int // that this process may use
	usable int   // of them, by the quota of its cgroup
	procs  int   // GOMAXPROCS
	memory int64 // bytes that are available
}

// lanes splits the processors among attribution trials that run beside each other: a list of processors for each, as
// Linux writes it. Where one at a time is all there can be, it returns nil; why says so where more was asked for, or
// where the plan names processors that aren't there.
func (p *Plan) lanes(want int, isolated bool, m machine) (lanes []string, why string) {
	for _, s := range p.Trials {
		if set := s.Settings["cpuset"]; set != "" {
			list, err := subject.ParseCPUs(set)
			if i := slices.IndexFunc(list, func(n int) bool { return !slices.Contains(m.cpus, n) }); err == nil && i >= 0 {
				return nil, fmt.Sprintf("cpuset=%s: processor %d can't be used here (those that can: %s); one trial at a time",
					set, list[i], cpuList(m.cpus))
			}
		}
	}
	n := want
	if want == Auto {
		if n = min(len(m.cpus), m.usable, m.procs); n >= many {
			n = n * 3 / 4
		} else {
			n /= laneCPUs
		}
	}
	if n < 2 || !slices.ContainsFunc(p.Trials, p.shares) {
		return nil, ""
	}
	why = p.obstacle(n, isolated, m)
	if why != "" && want == Auto && isolated {
		for n > 2 && why != "" { // fewer may have room
			n--
			why = p.obstacle(n, isolated, m)
		}
	}
	if why != "" {
		return nil, why + "; one trial at a time"
	}
	width := min(len(m.cpus), m.usable) / n
	for i := range n {
		lanes = append(lanes, cpuList(m.cpus[i*width:(i+1)*width]))
	}
	return lanes, ""
}

// obstacle says what keeps n trials from running beside each other, or nothing.
func (p *Plan) obstacle(n int, isolated bool, m machine) string {
	most := int64(0)
	for _, s := range p.Trials {
		limit := p.limit(s)
		if limit <= 0 {
			most = 0
			break
		}
		most = max(most, limit)
	}
	need := int64(n) * (most + besideMemory)
	switch {
	case len(m.cpus) == 0:
		return "processors can't be shared out on " + runtime.GOOS
	case m.procs > m.usable:
		return fmt.Sprintf("GOMAXPROCS is %d and only %d processors may be used (a quota of the cgroup)", m.procs, m.usable)
	case n > min(len(m.cpus), m.usable):
		return fmt.Sprintf("%d trials beside each other need as many processors, and %d may be used", n, min(len(m.cpus),
			m.usable))
	case !isolated:
		return "without a memory cgroup a trial can't be told from those beside it"
	case p.Config.Node > 0:
		return "all trials would share the memory of one node (--node)"
	case most == 0:
		return "without a memory limit it isn't known what trials need beside each other"
	case need > m.memory:
		return fmt.Sprintf("%d trials beside each other need %s of memory, and %s are available: lower --limit", n,
			units.FormatBytes(need), units.FormatBytes(m.memory))
	}
	return ""
}

// shares says that a step may run beside others: it measures memory and no speed, of a copier that listens where it is
// asked to and has fakes of its own, on whatever processors it is given. Profiles at a fixed address would be those of
// the trial that was first to listen there.
func (p *Plan) shares(s Step) bool {
	for _, at := range []string{p.Subject.Pprof, p.Subject.Metrics, p.Subject.Ready} {
		if at != "" && !strings.Contains(at, "{{.addr}}") {
			return false
		}
	}
	return s.Kind == record.Attribution && p.Subject.Load == nil && s.Settings["cpuset"] == "" &&
		s.Settings["gomaxprocs"] == "" && slices.Contains(p.Subject.Placeholders(), "addr")
}

// cpuList writes processors as Linux does: "0-1,3".
func cpuList(cpus []int) string {
	var parts []string
	for i := 0; i < len(cpus); {
		j := i
		for j+1 < len(cpus) && cpus[j+1] == cpus[j]+1 {
			j++
		}
		part := strconv.Itoa(cpus[i])
		if j > i {
			part += "-" + strconv.Itoa(cpus[j])
		}
		parts, i = append(parts, part), j+1
	}
	return strings.Join(parts, ",")
}

// thisMachine reads what there is.
func thisMachine() machine {
	m := machine{cpus: subject.Processors(), procs: runtime.GOMAXPROCS(0)}
	runtime.SetDefaultGOMAXPROCS() // heeds quota and affinity, not the environment
	if m.usable = runtime.GOMAXPROCS(0); m.usable != m.procs {
		runtime.GOMAXPROCS(m.procs)
	}
	m.memory = memoryAvailable()
	if limit := cgroup.Limit(os.Getpid()); limit > 0 {
		m.memory = min(m.memory, limit)
	}
	return m
}

// pending is a step that isn't done, with its number in the plan.
type pending struct {
	Step
	n int
}

// groups are the steps that aren't done, in the order in which they run. Those of a group run beside each other.
// Without lanes each is a group of its own, else the attribution trials of a repeat go before its others.
func (r *Runner) groups(done map[string]bool) (out [][]pending) {
	var alone [][]pending
	repeat, beside := -1, []pending(nil)
	end := func() {
		if len(beside) > 0 {
			out = append(out, beside)
		}
		out, alone, beside = append(out, alone...), nil, nil
	}
	for i, s := range r.Plan.Trials {
		if now := (s.Index - 1) / len(r.Plan.Protocol.Trials); now != repeat {
			end()
			repeat = now
		}
		switch {
		case done[s.Dir()]:
		case len(r.lanes) > 1 && r.Plan.shares(s):
			beside = append(beside, pending{s, i + 1})
		default:
			alone = append(alone, []pending{{s, i + 1}})
		}
	}
	end()
	return out
}

// beside runs the steps of a group, each on a lane of its own.
func (r *Runner) beside(ctx context.Context, lease *leftover.Lease, group []pending, t *tally) error {
	lanes := r.lanes
	if len(group) == 1 || len(lanes) == 0 {
		lanes = []string{""}
	}
	free := make(chan string, len(lanes))
	for _, l := range lanes {
		free <- l
	}
	g, each := errgroup.WithContext(ctx)
	for _, s := range group {
		select {
		case cpus := <-free:
			g.Go(func() error {
				defer func() { free <- cpus }()
				return r.step(each, lease, s, cpus, t)
			})
		case <-each.Done():
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}
