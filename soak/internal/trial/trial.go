// Package trial carries out one trial: it starts the fakes and the subject, takes the subject through the phases of
// the protocol, records what it finds, and ends everything it began whatever happens. Which trials to run, and in
// which order, is package soak's work; what the record means is package profiles'.
package trial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/cgroup"
	"github.com/memsoak/memsoak/soak/internal/fakes"
	"github.com/memsoak/memsoak/soak/internal/protocol"
	"github.com/memsoak/memsoak/soak/internal/sampler"
	"github.com/memsoak/memsoak/soak/internal/subject"
)

// Options say what to run and where to put the record.
type Options struct {
	// Dir is the trial's directory. It is made; what an earlier, unfinished try left in it is removed.
	Dir      string
	Kind     record.TrialKind
	Cell     record.Cell
	Settings map[string]string // axes and fixed settings, resolved
	Index    int
	Seed     int64

	Subject  *subject.Spec
	Protocol *protocol.Protocol
	Fakes    fakes.Options // Transport, Dir and Bucket are set here
	Corpus   Corpus
	// Parent is where the subject's cgroup is made; nil runs without one, for the reason NoCgroup.
	Parent   *cgroup.Parent
	NodeSize int64
	NoCgroup string
	Limit    int64
	// CPUs is the set of processors of the subject, unless its settings name one, and of the fakes; "" is all.
	CPUs string
	// Remote are the hosts outside this machine that an upstream may name.
	Remote []string
	// Temp is where temporary directories are made; "" is the system's.
	Temp string
	// Env is added to the environment of all processes.
	Env []string
	// Every is the time between samples; default a second. Below 0 nothing is sampled between phases.
	Every time.Duration
	// Patience bounds one reading of the subject's pprof or metrics; 0 is the sampler's own.
	Patience time.Duration
	// Clock stamps the records; nil is one that Run starts.
	Clock *sampler.Clock
	// Follow judges the hypotheses while the trial is recorded in dir; nil adds no work to the protocol's own.
	Follow func(dir string) Follower
	// Duration repeats the equal waves until so long has passed; 0 runs the protocol once.
	Duration time.Duration

	// Unwatched says of a phase, by its name, that its work shall be done without being watched, so that what watching
	// costs can be measured within one process. Nil watches all.
	Unwatched func(phase string) bool

	// WhoHolds looks who holds what in the largest holds, near the limit and at the end, but in speed trials: the subject
	// is stopped for it.
	WhoHolds bool

	// OnPhase, OnSample and OnSnapshot, which gets the live bytes too, receive progress, from several goroutines.
	// Each may be nil.
	OnPhase    func(record.Phase)
	OnSample   func(record.Sample)
	OnSnapshot func(s record.Snapshot, live int64)
}

// Corpus is what a free run copies: a preset's name or a spec.
type Corpus struct {
	Name string
	Spec string // YAML; empty for a preset
}

// ErrSetup is returned, wrapped, when a trial could not begin or go on for a reason that is not the subject's: the
// fakes, the disk, the configuration.
var ErrSetup = errors.New("trial could not be set up")

// trial is a trial under way.
type trial struct {
	Options
	rec        *recorder
	temp       string
	rig        rig
	group      *cgroup.Group
	proc       *subject.Process
	sam        *sampler.Sampler
	watch      *watcher
	throttle   atomic.Pointer[throttle]
	begun      time.Time
	m          int            // the subject's number of concurrent transfers
	counted    bool           // m is known
	work       map[string]job // the last job of each phase, for repeats
	gen        uint64
	begunWaves int64
	given      []*running // every wave so far
	failed     int        // waves in a row
	anyFail    string
	gap        time.Duration // the longest time in which nothing moved while the subject worked
	frozen     atomic.Bool   // work is held: that nothing moves is the experiment's doing
	added      int           // the block of work that is being added, 0 in the protocol's own phases
	// connsBefore is the number of open connections, and heapBefore the heap with its garbage, when a floor began.
	connsBefore, heapBefore int64
	held                    map[units.Bytes]int64 // memory per held item, by its size
	look                    looks
	silent                  chan error // the sampler's word that the subject doesn't answer
}

// stopGrace is how long a subject has to end by itself once its trial is over.
const stopGrace = time.Second

// Run carries out a trial and returns its record, which is in the trial's directory as well. The error is nil for
// every outcome that says something about the subject; it is not for a cancelled ctx, a full disk and ErrSetup. The
// record is never nil.
func Run(ctx context.Context, o Options) (*record.Trial, error) {
	if o.Every == 0 {
		o.Every = time.Second
	}
	if o.Clock == nil {
		o.Clock = sampler.StartClock()
	}
	t := &trial{Options: o, begun: time.Now(), work: map[string]job{}, held: map[units.Bytes]int64{},
		silent: make(chan error, 1)}
	t.gen = uint64(o.Seed)*1_000_000 + uint64(o.Index)*10_000
	rec, err := newRecorder(o.Dir, record.Trial{
		Schema: record.TrialSchema, Kind: o.Kind, Cell: o.Cell, Settings: o.Settings, Index: o.Index, Seed: o.Seed,
		Started: o.Clock.Now(), GOMAXPROCS: t.gomaxprocs(), SampleRate: t.sampleRate(), PageSize: sampler.PageSize(),
		Protocol: o.Protocol.Name, Targets: t.targets(), Effort: t.effort(),
	}, o.Clock)
	if err != nil {
		return &record.Trial{}, fmt.Errorf("%w: %w", ErrSetup, err)
	}
	rec.taken = o.OnSnapshot
	t.rec = rec
	runErr := t.withoutRig(t.run(ctx))
	t.cleanup()
	return rec.finish(runErr)
}

func (t *trial) run(ctx context.Context) error {
	if err := t.setUp(ctx); err != nil {
		return err
	}
	if t.Subject.Wave.Exit {
		return t.runOnce(ctx)
	}
	if err := t.startSubject(ctx, nil); err != nil {
		return err
	}
	return t.experiment(ctx)
}

// setUp starts the fakes and makes the cgroup.
func (t *trial) setUp(ctx context.Context) (err error) {
	if t.temp, err = os.MkdirTemp(t.Temp, "memsoak-trial-"); err != nil {
		return fmt.Errorf("%w: %w", ErrSetup, err)
	}
	if t.rig, err = newRig(ctx, t); err != nil {
		return err
	}
	iso := record.Isolation{Kind: cgroup.None, Why: t.NoCgroup}
	if t.Parent != nil {
		name := fmt.Sprintf("%d-%d", os.Getpid(), t.begun.UnixNano())
		if t.group, err = t.Parent.New(name, t.Limit); err != nil {
			return fmt.Errorf("%w: %w", ErrSetup, err)
		}
		iso = record.Isolation{Kind: t.Parent.Kind(), Limit: t.Limit, NodeLimit: t.NodeSize}
	}
	t.rec.update(func(r *record.Trial) { r.Isolation = iso })
	return nil
}

// coarse is the heap sampling rate in bytes from which on the text form of a heap profile is short.
const coarse = 64 << 10

// startSubject starts the process and the watcher. wave holds the placeholders of a one-shot subject.
func (t *trial) startSubject(ctx context.Context, wave map[string]string) error {
	o := subject.Options{
		Values: t.placeholders(), Env: t.environment(), Temp: t.temp, Log: filepath.Join(t.Dir, record.LogFile),
		CPUs: cmp.Or(t.Settings["cpuset"], t.CPUs),
	}
	if t.group != nil {
		o.Group = t.group
	}
	proc, err := subject.Start(ctx, t.Subject, o, wave)
	if err != nil {
		if ctx.Err() == nil && t.ooms() > 0 {
			return &ended{outcome: record.OOMKilled, reason: "killed by its memory limit before it was ready"}
		}
		if errors.Is(err, subject.ErrNotReady) && ctx.Err() == nil {
			return &ended{outcome: record.Crashed, reason: err.Error(), notReady: true}
		}
		return fmt.Errorf("%w: %w", ErrSetup, err)
	}
	t.proc = proc
	t.rec.update(func(r *record.Trial) { r.Subject = proc.Describe() })
	if t.Subject.Attach != nil {
		t.rec.warn("%s", attachedNote)
	}
	t.sam = &sampler.Sampler{
		Clock: t.Clock, PID: proc.PID(), Pprof: proc.Pprof, Metrics: proc.Metric, Fine: t.sampleRate() > 0 &&
			t.sampleRate() < coarse,
		Patience: t.Patience, OnSilent: func(err error) { t.silent <- err },
	}
	if t.Subject.Attach == nil {
		t.sam.Transport = subject.OwnTransport()
	}
	if t.group != nil {
		t.sam.Cgroup = t.group
	}
	t.rig.watch(t.sam)
	if err := t.rig.attach(ctx, proc); err != nil {
		return err
	}
	if share := t.cpuLimit(); share > 0 {
		t.throttle.Store(startThrottle(proc.PID(), share, t.sam.CPU))
	}
	t.watch = startWatcher(t)
	return nil
}

// attachedNote is what a trial of a process that ran before lacks.
const attachedNote = "attached to a process that memsoak did not start: nothing of it was set (its heap profile " +
	"is sampled at its own rate, so that single lines are seen later), work that did not pass memsoak's gate was " +
	"not counted, and no request was held at what it calls: what a request keeps while it waits there, and a queue " +
	"behind its replies, were seen only as they came by themselves"

// environment is what sets the Go runtime from outside, so that no subject has to cooperate.
func (t *trial) environment() []string {
	env := append([]string(nil), t.Env...)
	for setting, name := range map[string]string{"gomemlimit": "GOMEMLIMIT", "gogc": "GOGC", "gomaxprocs": "GOMAXPROCS"} {
		if v := t.Settings[setting]; v != "" {
			env = append(env, name+"="+v)
		}
	}
	if rate := t.sampleRate(); rate > 0 {
		debug := "memprofilerate=" + strconv.FormatInt(rate, 10)
		if own := t.Subject.Env["GODEBUG"]; own != "" {
			debug = own + "," + debug
		}
		env = append(env, "GODEBUG="+debug)
	}
	if ca := t.rig.caFile(); ca != "" {
		env = append(env, "SSL_CERT_FILE="+ca)
	}
	return env
}

// sampleRate is the heap sampling rate set from outside, 0 for the subject's own.
func (t *trial) sampleRate() int64 {
	if t.Subject.Attach != nil {
		return 0
	}
	if v, err := strconv.ParseInt(t.Settings["memprofilerate"], 10, 64); err == nil {
		return v
	}
	if t.Kind == record.Attribution {
		return t.Protocol.MemProfileRate
	}
	return 0
}

func (t *trial) gomaxprocs() int {
	if n, err := strconv.Atoi(t.Settings["gomaxprocs"]); err == nil && n > 0 {
		return n
	}
	if cpus, err := subject.ParseCPUs(t.CPUs); err == nil {
		return len(cpus)
	}
	return runtime.NumCPU()
}

// ooms is how many of the subject's processes the kernel killed for want of memory.
func (t *trial) ooms() int64 {
	if t.group == nil {
		return 0
	}
	c, err := t.group.Read()
	if err != nil {
		return 0
	}
	return c.OOMs
}

// cleanup ends everything started, in the order that lets nothing hang: subject, its cgroup, fakes, files.
func (t *trial) cleanup() {
	if t.watch != nil {
		t.watch.stop()
	}
	t.throttle.Load().stop()
	if t.proc != nil {
		t.lastPeaks()
		t.rec.update(func(r *record.Trial) { r.Exit = t.proc.ExitState() }) // nil when we end it ourselves
		t.proc.Stop(stopGrace)
	}
	if t.group != nil {
		if err := t.group.Close(); err != nil {
			t.rec.warn("the subject's cgroup could not be removed: %v", err)
		}
	}
	if t.rig != nil {
		t.rig.keep(t.given)
		t.rig.stop()
	}
	if t.sam != nil {
		if n := t.sam.Lost(); n > 0 {
			t.rec.warn("%s of the subject failed", units.Count(n, "reading"))
		}
		t.sam.Close()
	}
	os.RemoveAll(t.temp)
}

// lastPeaks raises the peaks to those that the kernel kept: between two samples there may have been more.
func (t *trial) lastPeaks() {
	rss := t.sam.PeakRSS()
	var cg record.Cgroup
	if t.group != nil {
		cg, _ = t.group.Read() // zero when it can't be read
	}
	t.rec.update(func(r *record.Trial) {
		r.Peak.Join(record.Peak{RSS: rss, Cgroup: cg.Peak})
	})
}

// ended is how the subject ended a trial before its last phase.
type ended struct {
	outcome  record.Outcome
	reason   string
	notReady bool
}

func (e *ended) Error() string { return string(e.outcome) + ": " + e.reason }

// errGone is the cause of a phase's context when the subject's process has ended.
var errGone = errors.New("the subject's process has ended")

// why turns the end of the subject's process into an outcome.
func (t *trial) why() *ended {
	if n := t.ooms(); n > 0 {
		node := t.NodeSize > 0 && !t.reachedLimit()
		oom := record.OOM{Time: t.Clock.Now(), Limit: t.Limit, Kills: n, Node: node}
		what := "its limit of " + units.FormatBytes(t.Limit)
		if node {
			oom.Limit, what = t.NodeSize, "the node's "+units.FormatBytes(t.NodeSize)
		}
		if c := t.sam.Covariates(context.Background()); c != nil {
			oom.FilesDone = c.FilesDone
		}
		t.rec.update(func(r *record.Trial) {
			r.OOM = &oom
			if !node { // the kernel kills once it has nothing more to take back
				r.Peak.Charged = max(r.Peak.Charged, t.Limit)
			}
		})
		return &ended{outcome: record.OOMKilled, reason: fmt.Sprintf("killed by %s after %s", what,
			t.items(oom.FilesDone))}
	}
	if a := t.Subject.Attach; a != nil && t.proc.Exited() {
		end := a.End(context.Background())
		return &ended{outcome: cmp.Or(end.Outcome, record.Crashed), reason: end.Reason}
	}
	exit := t.proc.ExitState()
	switch {
	case exit == nil:
		return &ended{outcome: record.Crashed, reason: "it stopped answering"}
	case exit.Signal == "killed" && t.group == nil:
		return &ended{outcome: record.Crashed,
			reason: "killed from outside; without a cgroup the machine's own memory limit can't be told from a kill by hand"}
	case exit.Signal != "":
		return &ended{outcome: record.Crashed, reason: "ended by signal: " + exit.Signal}
	default:
		return &ended{outcome: record.Crashed, reason: fmt.Sprintf("exit code %d: %s", exit.Code,
			firstPanic(t.proc.LogTail(64<<10)))}
	}
}

// reachedLimit says whether the subject came to its own limit. A kill without that is the node's. The kernel's counts
// of refusals are no help: some kernels never count.
func (t *trial) reachedLimit() bool {
	const near = 0.98
	c, err := t.group.Read()
	if err != nil || t.Limit == 0 {
		return t.Limit != 0
	}
	var peak int64
	t.rec.update(func(r *record.Trial) { peak = max(c.Peak, r.Peak.Cgroup) })
	return float64(peak) >= near*float64(t.Limit)
}
