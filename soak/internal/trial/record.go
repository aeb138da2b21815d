package trial

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/sampler"
)

// recorder writes a trial's directory. trial.json is rewritten at each phase, so that a killed runner leaves what it
// had; the first failed write is remembered and ends the trial. It is safe for concurrent use.
type recorder struct {
	dir string

	mu      sync.Mutex
	trial   record.Trial
	samples *os.File
	buf     *bufio.Writer
	lines   int64
	thin    int64 // only each thin-th sample is written once the file is large
	seq     int
	clock   *sampler.Clock
	live    liveReader
	err     error
	// taken receives each snapshot and its live bytes; nil: no receiver.
	taken func(record.Snapshot, int64)
}

func newRecorder(dir string, t record.Trial, c *sampler.Clock) (*recorder, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	for _, d := range []string{record.HeapDir, record.RoutineDir} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	f, err := os.Create(filepath.Join(dir, record.SamplesFile))
	if err != nil {
		return nil, err
	}
	r := &recorder{clock: c, dir: dir, trial: t, samples: f, buf: bufio.NewWriter(f), thin: 1}
	return r, nil
}

// fail remembers the first error of writing.
func (r *recorder) fail(err error) {
	if err != nil && r.err == nil {
		r.err = err
	}
}

// failure is the first error of writing, nil when there was none.
func (r *recorder) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// update changes the record under its lock.
func (r *recorder) update(change func(*record.Trial)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.trial)
}

func (r *recorder) warn(format string, args ...any) {
	r.update(func(t *record.Trial) { t.Warnings = append(t.Warnings, fmt.Sprintf(format, args...)) })
}

// phase appends a finished phase and saves the record.
func (r *recorder) phase(p record.Phase) {
	r.update(func(t *record.Trial) { t.Phases = append(t.Phases, p) })
	_ = r.save() // remembered, and asked for after each phase
}

// save writes the recording so far, for those that read it beside the trial. It returns the first error of writing.
func (r *recorder) save() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail(r.buf.Flush())
	r.fail(record.Write(filepath.Join(r.dir, record.TrialFile), r.trial))
	return r.err
}

// rewrite replaces the newest phase, which went on.
func (r *recorder) rewrite(p record.Phase) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trial.Phases[len(r.trial.Phases)-1] = p
}

// maxSamples is the number of lines of samples.jsonl after which only every second, later every fourth ... sample is
// written: at one a second, about three hours of each density.
const maxSamples = 10_000

// sample writes a line of samples.jsonl and raises the peaks.
func (r *recorder) sample(s record.Sample) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trial.Peak.See(s)
	r.lines++
	if r.lines > maxSamples*r.thin {
		r.thin *= 2
	}
	if r.lines%r.thin != 0 {
		return
	}
	b, err := json.Marshal(s)
	if err != nil {
		r.fail(err)
		return
	}
	_, err = r.buf.Write(append(b, '\n'))
	r.fail(err)
	r.fail(r.buf.Flush()) // a kill of the runner must not lose the seconds before
}

// usage raises the kernel's peak by a reading of the cgroup's usage alone, and says whether the peak may be higher now:
// pages of files are in the usage too.
func (r *recorder) usage(n int64) (higher bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := &r.trial.Peak
	p.Cgroup = max(p.Cgroup, n)
	return n > p.Charged
}

// charged raises the peak by a reading of the whole cgroup.
func (r *recorder) charged(c record.Cgroup) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trial.Peak.See(record.Sample{Cgroup: &c})
}

// keep is how many snapshots of a state stay on disk; states not named keep all.
var keep = map[record.State]int{record.StateHigh: 12, record.StatePress: 6, record.StateFloor: 1000,
	record.StateFree: 1000}

// spread are the states of which a long run keeps the first and the newest and thins out the middle, because its whole
// length matters; of the others the oldest go.
var spread = map[record.State]bool{record.StateFloor: true, record.StateFree: true}

// snapshot writes the profiles, either of which may be nil, and appends the snapshot, which it returns as recorded.
func (r *recorder) snapshot(s record.Snapshot, heap, routines []byte) record.Snapshot {
	s, live := r.store(s, heap, routines)
	if r.taken != nil {
		r.taken(s, live)
	}
	return s
}

func (r *recorder) store(s record.Snapshot, heap, routines []byte) (stored record.Snapshot, live int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	s.Seq = r.seq
	name := fmt.Sprintf("%04d-%s.pb.gz", s.Seq, s.Phase)
	for _, p := range []struct {
		to   *string
		dir  string
		data []byte
	}{{&s.Heap, record.HeapDir, heap}, {&s.Goroutine, record.RoutineDir, routines}} {
		if p.data == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(r.dir, p.dir, name), p.data, 0o644); err != nil {
			r.fail(err)
			continue
		}
		*p.to = p.dir + "/" + name
	}
	r.trial.Peak.See(s.Sample)
	if s.Heap != "" {
		var err error
		if live, err = r.live.bytes(heap); err == nil {
			s.HeapLive = live
			r.trial.Peak.HeapLive = max(r.trial.Peak.HeapLive, live)
		}
	}
	r.trial.Snapshots = append(r.trial.Snapshots, s)
	r.forget(s.State)
	return s, live
}

// forget drops the oldest snapshot of a state of which enough are kept.
func (r *recorder) forget(state record.State) {
	limit, ok := keep[state]
	if !ok {
		return
	}
	var of []int
	for i, s := range r.trial.Snapshots {
		if s.State == state {
			of = append(of, i)
		}
	}
	if len(of) <= limit {
		return
	}
	drop := of[0]
	if spread[state] {
		drop = r.crowded(of)
	}
	s := r.trial.Snapshots[drop]
	for _, f := range []string{s.Heap, s.Goroutine} {
		if f != "" {
			r.fail(os.Remove(filepath.Join(r.dir, filepath.FromSlash(f))))
		}
	}
	r.trial.Snapshots = append(r.trial.Snapshots[:drop], r.trial.Snapshots[drop+1:]...)
}

// crowded is the snapshot among those listed whose neighbours are closest in time, the first and last aside.
func (r *recorder) crowded(of []int) int {
	best, least := of[len(of)/2], time.Duration(math.MaxInt64)
	for k := 1; k < len(of)-1; k++ {
		if gap := r.trial.Snapshots[of[k+1]].Time.Sub(r.trial.Snapshots[of[k-1]].Time); gap < least {
			best, least = of[k], gap
		}
	}
	return best
}

// finish sets the outcome from how the trial ended and writes the record.
func (r *recorder) finish(runErr error) (*record.Trial, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &r.trial
	t.Ended = r.clock.Now()
	var e *ended
	switch {
	case r.err != nil:
		runErr = fmt.Errorf("record trial: %w", r.err)
		t.Reason = runErr.Error()
	case errors.As(runErr, &e):
		t.Outcome, t.Reason = e.outcome, e.reason
		if !e.notReady {
			runErr = nil
		}
	case runErr != nil:
		t.Reason = runErr.Error()
		if errors.Is(runErr, context.Canceled) {
			t.Reason = "interrupted"
		}
	default:
		t.Outcome = record.OK
	}
	r.fail(r.buf.Flush())
	r.fail(r.samples.Close())
	r.fail(record.Write(filepath.Join(r.dir, record.TrialFile), *t))
	if r.err != nil && runErr == nil {
		runErr = fmt.Errorf("record trial: %w", r.err)
	}
	return t, runErr
}

// firstPanic finds in a log the line that says why a Go program died.
func firstPanic(log string) string {
	for _, mark := range []string{"panic: ", "fatal error: ", "runtime: "} {
		if i := strings.Index(log, mark); i >= 0 {
			line, _, _ := strings.Cut(log[i:], "\n")
			return line
		}
	}
	log = strings.TrimSpace(log)
	if i := strings.LastIndexByte(log, '\n'); i >= 0 {
		log = log[i+1:]
	}
	if len(log) > 200 {
		log = log[:200] + "..."
	}
	if log == "" {
		return "its log is empty"
	}
	return log
}
