package profiles

import (
	"fmt"
	"math"
	rand "math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/record"
)

const synthRate = 4096

const mib = 1 << 20

// source is one allocation site of a synthetic subject: objects of one size, so many retained in all after the work so
// far, so many held in the state of the moment.
type source struct {
	stack    []blame.Frame
	size     float64
	retained func(c record.Covariates, sec float64) float64 // objects, never falling
	held     func(c record.Covariates) float64              // objects
	sampled  float64                                        // of the retained ones so far
	last     float64
	churn    float64 // bytes allocated and dropped over the trial
}

// subject is a synthetic subject: its sources, its goroutines beyond the usual, and what it does to the process.
type subject struct {
	sources  []*source
	routines []routineSource
	process  func(n *record.Snapshot)
	conns    func(c record.Covariates) int64 // open connections beyond those in flight
	garbage  float64                         // bytes while running freely
}

type routineSource struct {
	stack []blame.Frame
	count func(c record.Covariates) float64
}

func frames(list ...string) []blame.Frame {
	var out []blame.Frame
	for i, fn := range list {
		pkg := blame.PackagePath(fn)
		file := "/src/app/" + pkg + "/file.go"
		if first := pkg; first == "net/http" || first == "io" || first == "bytes" || first == "runtime" ||
			first == "strings" || first == "bufio" {
			file = "/usr/local/go/src/" + pkg + "/file.go"
		}
		out = append(out, blame.Frame{Function: fn, File: file, Line: 10*(i+1) + len(fn)%7})
	}
	return out
}

// background is what every subject has: tables made at the start, transport buffers, small things per transfer.
func background() []*source {
	return []*source{
		{stack: frames("app/conf.load", "main.main"), size: 512, retained: func(record.Covariates,
			float64) float64 {
			return 3000
		}},
		{stack: frames("bufio.NewReaderSize", "net/http.(*Transport).dialConn", "net/http.(*Transport).dialConnFor"),
			size: 4096,
			held: func(c record.Covariates) float64 { return 2 * float64(c.ConnsOpen) }},
		{stack: frames("app/copy.(*job).run", "app/copy.(*pool).work"), size: 2048, churn: 1 << 30,
			held: func(c record.Covariates) float64 { return 3 * float64(c.InFlight) }},
		{stack: frames("app/list.(*lister).page", "app/list.(*lister).walk"), size: 256,
			held: func(c record.Covariates) float64 {
				if c.InFlight > 0 {
					return 100
				}
				return 0
			}},
	}
}

// lab plays the runner: it brings a synthetic subject into the states of an attribution trial and records them.
type lab struct {
	t       testing.TB
	sub     *subject
	rnd     *rand.Rand
	trial   *record.Trial
	cov     record.Covariates
	now     time.Time
	start   time.Time
	workers int64
	heaps   []*profile.Profile
	counts  []*profile.Profile
	gcs     int64
}

func newLab(t testing.TB, sub *subject, workers int64, seed uint64) *lab {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return &lab{t: t, sub: sub, rnd: rand.New(rand.NewPCG(seed, 17)), workers: workers, now: start, start: start,
		trial: &record.Trial{Schema: record.TrialSchema, Kind: record.Attribution, Index: 1, SampleRate: synthRate,
			GOMAXPROCS: 2,
			Cell:       record.Cell{"workers": fmt.Sprint(workers)}, Settings: map[string]string{"workers": fmt.Sprint(workers)},
			Subject: record.Subject{Name: "app", Module: "app"}, Started: start, Outcome: record.OK,
			Isolation: record.Isolation{Kind: "none"}}}
}

func (l *lab) pass(d time.Duration) { l.now = l.now.Add(d) }

func (l *lab) phase(kind string, repeat bool) {
	n := len(l.trial.Phases)
	if n > 0 {
		l.trial.Phases[n-1].End = l.now
	}
	l.trial.Phases = append(l.trial.Phases, record.Phase{Name: fmt.Sprintf("%s-%d", kind, n), Kind: kind, Start: l.now,
		End: l.now, Repeat: repeat})
}

func (l *lab) wave(kind string, files int64, size int64, repeat bool) {
	l.phase(kind, repeat)
	l.cov.Waves++
	l.finish(files, size, repeat)
	l.floor()
}

func (l *lab) finish(files, size int64, repeat bool) {
	l.pass(time.Duration(files) * 4 * time.Millisecond)
	l.cov.FilesListed += files
	l.cov.Pages += (files + 99) / 100
	l.cov.Requests += 2*files + (files+99)/100
	l.cov.FilesDone += files
	l.cov.BytesDone += files * size
	l.cov.Largest = max(l.cov.Largest, size)
	if !repeat {
		l.cov.Distinct += files
	}
}

// hold brings m transfers of a size to a point with a backlog behind them, takes a snapshot and lets them end.
func (l *lab) hold(state record.State, m, size, backlog int64) {
	c := &l.cov
	listed := m + backlog
	c.FilesListed += listed
	c.Backlog, c.InFlight = backlog, m
	c.ConnsOpen = 2 * m
	switch state {
	case record.StateHeader:
		c.AtHeader = m
	case record.StateReply:
		c.WithBody, c.BytesInFlight, c.BytesSent = m, m*size, m*size
	case record.StateBody:
		c.BytesInFlight, c.BytesSent = m*size, m*size/2
	}
	c.Largest = max(c.Largest, size)
	l.pass(200 * time.Millisecond)
	l.snap(state, 2)
	c.FilesListed -= listed
	c.Backlog, c.InFlight, c.AtHeader, c.WithBody, c.BytesInFlight, c.BytesSent = 0, 0, 0, 0, 0, 0
	l.finish(listed, size, false)
}

func (l *lab) floor() {
	c := &l.cov
	c.ConnsOpen = 0
	if l.sub.conns != nil {
		c.ConnsOpen = l.sub.conns(*c)
	}
	c.ConnsBeforeClose = c.ConnsOpen + 2*l.workers
	l.pass(100 * time.Millisecond)
	l.snap(record.StateFloor, 2)
	c.ConnsBeforeClose = 0
}

// run is the whole experiment; waves is the number of equal waves.
func (l *lab) run(waves int) *lab {
	m := l.workers
	l.phase("idle", false)
	l.snap(record.StateIdle, 2)
	l.cov.Waves++
	l.phase("warm-up", false)
	l.finish(4, 2<<20, false)
	l.finish(30, 16<<10, false)
	l.floor()
	for range waves {
		l.wave("wave", 120, 16<<10, false)
	}
	for _, h := range [][2]int64{{m / 2, 1 << 20}, {m, 1 << 20}, {m, 4 << 20}, {m / 2, 4 << 20}, {m, 64 << 10},
		{m, 16 << 20}} {
		l.phase("hold", false)
		l.hold(record.StateReply, max(1, h[0]), h[1], 5)
		l.floor()
	}
	for _, b := range []int64{200, 800, 2800} {
		l.phase("hold", false)
		l.hold(record.StateHeader, m, 4<<10, b)
		l.floor()
	}
	for _, done := range []int64{0, 2400} {
		l.phase("hold", false)
		l.finish(done, 1<<10, false)
		l.hold(record.StateBody, m, 4<<20, 5)
		l.floor()
	}
	l.phase("folders", false)
	l.cov.Pages += 300
	l.cov.Folders += 300
	l.cov.Requests += 300
	l.pass(time.Second)
	l.floor()
	l.wave("repeat", 1500, 1<<10, true)
	l.phase("free", false)
	for range 4 {
		l.finish(20, 1<<20, false)
		l.cov.InFlight, l.cov.BytesInFlight, l.cov.ConnsOpen = m, m<<20, 2*m
		l.snap(record.StateFree, 0)
		l.cov.InFlight, l.cov.BytesInFlight = 0, 0
	}
	l.floor()
	l.phase("idle-again", false)
	l.pass(5 * time.Second)
	l.floor()
	l.trial.Ended = l.now
	l.trial.Phases[len(l.trial.Phases)-1].End = l.now
	return l
}

func (l *lab) snap(state record.State, forced int) {
	sec := l.now.Sub(l.start).Seconds()
	l.gcs += int64(forced) + 1
	c := l.cov
	n := record.Snapshot{Seq: len(l.trial.Snapshots) + 1, Phase: l.trial.Phases[len(l.trial.Phases)-1].Name, State: state,
		ForcedGC: forced,
		Sample:   record.Sample{Time: l.now, Covariates: &c}}
	p := newHeapProfile(l.now)
	live := 0.0
	for _, src := range l.sub.sources {
		count := l.draw(src, c, sec)
		if count > 0 || src.churn > 0 {
			addSample(p, src.stack, int64(math.Round(count)), int64(math.Round(count*src.size)), int64(src.churn))
			live += count * src.size
		}
	}
	addSample(p, []blame.Frame{
		{Function: "compress/flate.NewWriter", File: "/usr/local/go/src/compress/flate/deflate.go", Line: 7},
		{Function: "runtime/pprof.newProfileBuilder", File: "/usr/local/go/src/runtime/pprof/proto.go", Line: 9}}, 1,
		1200<<10, 0)
	routines := int64(12)
	g := newRoutineProfile(l.now)
	if c.InFlight > 0 {
		addRoutine(g, frames("app/copy.(*job).run", "app/copy.(*pool).work"), c.InFlight)
	}
	addRoutine(g, frames("runtime.gopark", "main.main"), 1)
	for _, r := range l.sub.routines {
		if k := int64(r.count(c)); k > 0 {
			addRoutine(g, r.stack, k)
			routines += k
		}
	}
	garbage := l.sub.garbage
	if forced > 0 {
		garbage = 0
	}
	heap := int64(live*1.1+garbage) + 2<<20
	n.Runtime = &record.Runtime{HeapAlloc: int64(live+garbage) + 1200<<10, HeapInuse: heap, StackInuse: 512<<10 +
		routines*2048, Metadata: 3 << 20, Sys: heap + 6<<20,
		NumGC: l.gcs, Goroutines: int(routines + c.InFlight)}
	n.Process = &record.Process{HeapArena: heap + n.Runtime.StackInuse, OtherAnon: 4 << 20, File: 9 << 20}
	n.Cgroup = &record.Cgroup{File: 2 << 20}
	if l.sub.process != nil {
		l.sub.process(&n)
	}
	n.Process.Anon = n.Process.HeapArena + n.Process.OtherAnon
	n.Process.RSS = n.Process.Anon + n.Process.File + n.Process.Shmem
	n.Heap = fmt.Sprintf("%s/%04d-%s.pb.gz", record.HeapDir, n.Seq, state)
	n.Goroutine = fmt.Sprintf("%s/%04d-%s.pb.gz", record.RoutineDir, n.Seq, state)
	l.trial.Snapshots = append(l.trial.Snapshots, n)
	l.trial.Peak.RSS = max(l.trial.Peak.RSS, n.Process.RSS)
	l.heaps = append(l.heaps, p)
	l.counts = append(l.counts, g)
	l.pass(50 * time.Millisecond)
}

// draw samples a source as the runtime would, and scales up as it does.
func (l *lab) draw(s *source, c record.Covariates, sec float64) float64 {
	p := -math.Expm1(-s.size / synthRate)
	if s.retained != nil {
		n := s.retained(c, sec)
		require.GreaterOrEqual(l.t, n, s.last, "a retained source must not shrink")
		s.sampled += l.binomial(n-s.last, p)
		s.last = n
	}
	sampled := s.sampled
	if s.held != nil {
		sampled += l.binomial(s.held(c), p)
	}
	return sampled / p
}

func (l *lab) binomial(n, p float64) float64 {
	if n*p*(1-p) > 50 {
		return math.Max(0, math.Min(n, math.Round(n*p+l.rnd.NormFloat64()*math.Sqrt(n*p*(1-p)))))
	}
	k := 0.0
	for range int(math.Round(n)) {
		if l.rnd.Float64() < p {
			k++
		}
	}
	return k
}

// series is what ReadSeries makes of the trial, without files: those cost most of a test's time. That both are the same
// is tested where trials are reduced.
func (l *lab) series() *series.Series {
	s := series.New(l.trial, "")
	for i, r := range l.trial.Snapshots {
		n := &series.Snapshot{Snapshot: r}
		if r.Heap != "" {
			require.NoError(l.t, s.AddHeap(n, captureOf(s, l.heaps[i])))
		}
		if r.Goroutine != "" {
			require.NoError(l.t, s.AddRoutines(n, captureOf(s, l.counts[i])))
		}
		s.Snaps = append(s.Snaps, n)
	}
	s.Finish()
	return s
}

// write records the trial in dir.
func (l *lab) write(dir string) string {
	for i, n := range l.trial.Snapshots {
		writeProfile(l.t, filepath.Join(dir, n.Heap), l.heaps[i])
		writeProfile(l.t, filepath.Join(dir, n.Goroutine), l.counts[i])
	}
	require.NoError(l.t, record.Write(filepath.Join(dir, record.TrialFile), l.trial))
	require.NoError(l.t, os.WriteFile(filepath.Join(dir, record.SamplesFile), nil, 0o644))
	return dir
}

func writeProfile(t testing.TB, path string, p *profile.Profile) {
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, p.Write(f))
	require.NoError(t, f.Close())
}

func newHeapProfile(at time.Time) *profile.Profile {
	return &profile.Profile{TimeNanos: at.UnixNano(), Period: synthRate, PeriodType: &profile.ValueType{Type: "space",
		Unit: "bytes"},
		SampleType: []*profile.ValueType{{Type: "alloc_objects", Unit: "count"}, {Type: "alloc_space", Unit: "bytes"},
			{Type: "inuse_objects", Unit: "count"}, {Type: "inuse_space", Unit: "bytes"}},
		Mapping: []*profile.Mapping{{ID: 1, File: "/bin/app", BuildID: "build-1"}}}
}

func newRoutineProfile(at time.Time) *profile.Profile {
	return &profile.Profile{TimeNanos: at.UnixNano(), SampleType: []*profile.ValueType{{Type: "goroutine", Unit: "count"}},
		Mapping: []*profile.Mapping{{ID: 1, File: "/bin/app", BuildID: "build-1"}}}
}

func addSample(p *profile.Profile, stack []blame.Frame, objects, bytes, churn int64) {
	p.Sample = append(p.Sample, &profile.Sample{Location: locations(p, stack), Value: []int64{objects, bytes + churn,
		objects, bytes}})
}

func addRoutine(p *profile.Profile, stack []blame.Frame, count int64) {
	p.Sample = append(p.Sample, &profile.Sample{Location: locations(p, stack), Value: []int64{count}})
}

func locations(p *profile.Profile, stack []blame.Frame) []*profile.Location {
	var out []*profile.Location
	for _, f := range stack {
		fn := &profile.Function{ID: uint64(len(p.Function) + 1), Name: f.Function, SystemName: f.Function, Filename: f.File}
		p.Function = append(p.Function, fn)
		l := &profile.Location{ID: uint64(len(p.Location) + 1), Mapping: p.Mapping[0], Line: []profile.Line{{Function: fn,
			Line: int64(f.Line)}}}
		p.Location = append(p.Location, l)
		out = append(out, l)
	}
	return out
}
