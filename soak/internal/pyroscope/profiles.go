package pyroscope

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/pprof/profile"

	"github.com/memsoak/memsoak/profiles/capture"
	"github.com/memsoak/memsoak/profiles/record"
)

// The server's limits on one profile.
const (
	maxSamples = 16_000
	maxBytes   = 4 << 20 // uncompressed
)

func itoa(n int) string { return strconv.Itoa(n) }

// item is one profile to send.
type item struct {
	key     string // in the journal: trial's directory, kind and number
	service string
	labels  []Label
	kind    string // record.HeapDir or record.RoutineDir
	from    time.Time
	until   time.Time
	path    string // of the recorded profile
	before  string // of the heap profile sent before it, "" for the first
}

// shown is the snapshot that a service of a trial shows.
type shown struct {
	view view
	snap record.Snapshot
}

// shownOf chooses the snapshots of a trial that are sent, in the order of their time: the peak, and of each phase the
// one with the most in use, at work and at its floor. A service shows one snapshot, since a flame graph sums what it
// finds.
func shownOf(t *record.Trial) []shown {
	type key struct {
		phase string
		floor bool
	}
	best := map[key]record.Snapshot{}
	var peak *record.Snapshot
	for i, s := range t.Snapshots {
		k := key{s.Phase, s.State == record.StateFloor}
		old, ok := best[k]
		if !ok || k.floor || inUse(s) > inUse(old) { // of floors the last one: what stays after all of the phase
			best[k] = s
		}
		if s.Heap != "" && (peak == nil || inUse(s) > inUse(*peak)) {
			peak = &t.Snapshots[i]
		}
	}
	var out []shown
	for k, s := range best {
		v := viewPhase
		if k.floor {
			v = viewFloor
		}
		out = append(out, shown{v, s})
	}
	slices.SortFunc(out, func(a, b shown) int { return cmp.Compare(a.snap.Seq, b.snap.Seq) })
	if peak != nil {
		out = append(out, shown{viewPeak, *peak})
	}
	return out
}

// items are the profiles of a trial to send: a heap and a goroutine profile of each shown snapshot.
func items(run *record.Run, dir, trialDir string, t *record.Trial) []item {
	var out []item
	trial := Service(run, t.Cell, t.Index)
	from, before := t.Started, ""
	recorded := func(rel string) string {
		return filepath.Join(dir, filepath.FromSlash(trialDir), filepath.FromSlash(rel))
	}
	for _, w := range shownOf(t) {
		s := w.snap
		if w.view == viewPeak { // allocations up to there count from the start
			from, before = t.Started, ""
		}
		for kind, rel := range map[string]string{record.HeapDir: s.Heap, record.RoutineDir: s.Goroutine} {
			if rel == "" {
				continue
			}
			it := item{key: fmt.Sprintf("%s/%s/%04d/%s", trialDir, kind, s.Seq, w.view), service: w.view.service(trial, s.Phase),
				labels: labels(run, t, w.view, s.Phase), kind: kind, from: from, until: s.Time, path: recorded(rel)}
			if kind == record.HeapDir {
				it.before = before
			}
			out = append(out, it)
		}
		if s.Heap != "" {
			before = recorded(s.Heap)
		}
		from = s.Time
	}
	slices.SortStableFunc(out, func(a, b item) int {
		return cmp.Or(a.until.Compare(b.until), cmp.Compare(a.kind, b.kind), cmp.Compare(a.service, b.service))
	})
	return out
}

func inUse(s record.Snapshot) int64 {
	if s.Runtime == nil {
		return 0
	}
	return s.Runtime.HeapAlloc
}

// errNotLocal is returned for a recorded path that leaves the run.
var errNotLocal = errors.New("the recorded path leaves the run")

// read reads a profile below the run and makes the profile to send of it: cumulative types as the difference to the one
// before, no readings of profiles, the recorded time, no more samples than the server takes.
func (it item) read(run string) (*profile.Profile, error) {
	p, err := parse(run, it.path)
	if err != nil {
		return nil, err
	}
	if it.before != "" {
		before, err := parse(run, it.before)
		if err != nil {
			return nil, err
		}
		if p, err = sinceBefore(p, before); err != nil {
			return nil, fmt.Errorf("difference of %s to %s: %w", filepath.Base(it.path), filepath.Base(it.before), err)
		}
	}
	if it.kind == record.HeapDir {
		capture.DropReadings(p) // PY013
	}
	p.TimeNanos = it.until.UnixNano()
	p.DurationNanos = max(0, it.until.Sub(it.from).Nanoseconds())
	nameless(p)
	prune(p, maxSamples)
	return p, nil
}

// nameless gives samples without a stack, such as a goroutine that has just begun, a frame that says so: the server
// drops a sample without frames, and its total would be short of it. PY011.
func nameless(p *profile.Profile) {
	var loc *profile.Location
	for _, s := range p.Sample {
		if len(s.Location) > 0 {
			continue
		}
		if loc == nil {
			var fn, at uint64
			for _, f := range p.Function {
				fn = max(fn, f.ID)
			}
			for _, l := range p.Location {
				at = max(at, l.ID)
			}
			f := &profile.Function{ID: fn + 1, Name: "(no stack)", SystemName: "(no stack)"}
			loc = &profile.Location{ID: at + 1, Line: []profile.Line{{Function: f}}}
			p.Function, p.Location = append(p.Function, f), append(p.Location, loc)
		}
		s.Location = []*profile.Location{loc}
	}
}

func parse(run, path string) (*profile.Profile, error) {
	rel, err := filepath.Rel(run, path)
	if err != nil || !filepath.IsLocal(rel) {
		return nil, fmt.Errorf("%s: %w", path, errNotLocal)
	}
	root, err := os.OpenRoot(run)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.Open(rel)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := capture.ParseProfile(rel, f)
	if err != nil {
		return nil, fmt.Errorf("read profile %w", err)
	}
	return p, nil
}

// cumulative reports whether a sample type counts from the start of the process.
func cumulative(t *profile.ValueType) bool { return strings.HasPrefix(t.Type, "alloc_") }

// sinceBefore leaves the types that are a state as they are and makes the cumulative ones differences.
func sinceBefore(p, before *profile.Profile) (*profile.Profile, error) {
	if len(p.SampleType) != len(before.SampleType) {
		return nil, errors.New("they have other sample types")
	}
	for _, s := range before.Sample {
		for i, t := range before.SampleType {
			if cumulative(t) {
				s.Value[i] = -s.Value[i]
			} else {
				s.Value[i] = 0
			}
		}
	}
	d, err := profile.Merge([]*profile.Profile{p, before})
	if err != nil {
		return nil, err
	}
	d.Sample = slices.DeleteFunc(d.Sample, func(s *profile.Sample) bool {
		zero := true
		for i := range s.Value {
			s.Value[i] = max(0, s.Value[i]) // the sampling of two profiles may differ by a little
			zero = zero && s.Value[i] == 0
		}
		return zero
	})
	return d.Compact(), nil
}

// prune keeps the n samples with the largest values of the last type, which is the live bytes of a heap profile.
func prune(p *profile.Profile, n int) {
	if len(p.Sample) <= n {
		return
	}
	last := len(p.SampleType) - 1
	slices.SortStableFunc(p.Sample, func(a, b *profile.Sample) int { return cmp.Compare(b.Value[last], a.Value[last]) })
	p.Sample = p.Sample[:n]
	*p = *p.Compact()
}

// encode writes a profile, with fewer samples when it would be larger than the server takes.
func encode(p *profile.Profile) ([]byte, error) {
	var b bytes.Buffer
	for {
		b.Reset()
		if err := p.WriteUncompressed(&b); err != nil {
			return nil, err
		}
		if b.Len() <= maxBytes {
			break
		}
		if len(p.Sample) < 2 {
			return nil, fmt.Errorf("a profile of one sample is larger than %d bytes", maxBytes)
		}
		prune(p, len(p.Sample)/2)
	}
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(b.Bytes())
	err = cmp.Or(err, w.Close())
	return out.Bytes(), err
}

// total is the sum of a sample type over a profile, 0 for a type it has not.
func total(p *profile.Profile, typ string) int64 {
	i := slices.IndexFunc(p.SampleType, func(t *profile.ValueType) bool { return t.Type == typ })
	var sum int64
	if i >= 0 {
		for _, s := range p.Sample {
			sum += s.Value[i]
		}
	}
	return sum
}
