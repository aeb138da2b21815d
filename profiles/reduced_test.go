package profiles

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/capture"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/record"
)

// Reduced recordings: what a trial's profiles hold, without the profiles.
//
//	go test ./profiles -run Reduce -reduce TRIAL -as NAME        adds the recorded trial in the directory TRIAL
//
// Its right verdict has to stand in testdata/recordings/right.json: see golden_test.go.
var (
	reduceDir = flag.String("reduce", "", "the directory of a recorded trial to be reduced")
	reduceAs  = flag.String("as", "", "the name of the reduced recording")
)

const (
	recordings = "testdata/recordings"
	// reducedMin is what an allocation stack has to hold in some snapshot to be kept by itself, in sampling intervals;
	// the others are added up. Where nothing was held all are kept: growth is looked for in each. reducedAllocs is how
	// many are kept for what they allocated.
	reducedMin    = 3
	reducedAllocs = 8
	// reducedTotal is what all recordings may come to.
	reducedTotal = 3 << 20
)

// reduced is a recorded trial without its profiles: stacks, and what each held in each snapshot.
type reduced struct {
	Trial   *record.Trial     `json:"trial"`
	Samples []record.Sample   `json:"samples"`
	Frames  []blame.Frame     `json:"frames"`
	Stacks  [][]int           `json:"stacks"` // of frames, leaf first
	Snaps   []reducedSnapshot `json:"snaps"`  // by snapshot of the trial
}

// reducedSnapshot has a row for each stack that is not empty: its number and values.
type reducedSnapshot struct {
	Period   int64      `json:"period,omitempty"`
	Build    string     `json:"build,omitempty"`
	Heap     [][4]int64 `json:"heap,omitempty"`     // stack, objects, bytes, bytes allocated
	Routines [][2]int64 `json:"routines,omitempty"` // stack, goroutines
}

// reduce reads a recorded trial.
func reduce(dir string) (*reduced, error) {
	t, err := record.ReadTrial(dir)
	if err != nil {
		return nil, err
	}
	r := &reduced{Trial: t}
	if err := record.ReadSamples(dir, func(x record.Sample) bool {
		x.Metrics = nil
		r.Samples = append(r.Samples, x)
		return true
	}); err != nil {
		return nil, err
	}
	root, err := filepath.Abs("..")
	if err != nil {
		return nil, err
	}
	p := &reducer{to: r, checkout: root, stacks: map[string]int{}, frames: map[blame.Frame]int{}, most: map[int]float64{},
		alloc: map[int]int64{}}
	for i := range t.Snapshots {
		n := &t.Snapshots[i]
		n.Metrics = nil
		var x reducedSnapshot
		if n.Heap != "" {
			if err := p.heap(&x, filepath.Join(dir, n.Heap)); err != nil {
				return nil, err
			}
		}
		if n.Goroutine != "" {
			if err := p.routines(&x, filepath.Join(dir, n.Goroutine)); err != nil {
				return nil, err
			}
		}
		r.Snaps = append(r.Snaps, x)
	}
	p.prune()
	return r, nil
}

type reducer struct {
	to       *reduced
	checkout string // where the subject was built
	stacks   map[string]int
	frames   map[blame.Frame]int
	most     map[int]float64 // by stack: the most bytes in any snapshot, in sampling intervals
	alloc    map[int]int64
}

// stack numbers a stack.
func (p *reducer) stack(s *profile.Sample) int {
	var at []int
	for _, l := range s.Location {
		for _, ln := range l.Line {
			if ln.Function == nil {
				continue
			}
			f := blame.Frame{Function: ln.Function.Name, File: ln.Function.Filename, Line: int(ln.Line)}
			if path, ok := strings.CutPrefix(f.File, p.checkout+"/"); ok {
				f.File = "/build/memsoak/" + path // a path of the machine says nothing
			}
			id, ok := p.frames[f]
			if !ok {
				id = len(p.to.Frames)
				p.frames[f], p.to.Frames = id, append(p.to.Frames, f)
			}
			at = append(at, id)
		}
	}
	key := fmt.Sprint(at)
	id, ok := p.stacks[key]
	if !ok {
		id = len(p.to.Stacks)
		p.stacks[key], p.to.Stacks = id, append(p.to.Stacks, at)
	}
	return id
}

func (p *reducer) heap(x *reducedSnapshot, path string) error {
	c, err := capture.Read(path)
	if err != nil {
		return err
	}
	x.Period, x.Build = max(1, c.Profile.Period), capture.Binary(c.Profile)
	rows := map[int][3]int64{}
	for _, s := range c.Profile.Sample {
		id := p.stack(s)
		v := rows[id]
		v[0] += c.Value(s, c.InuseObjects)
		v[1] += c.Value(s, c.InuseBytes)
		v[2] += c.Value(s, c.AllocBytes)
		rows[id] = v
	}
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		v := rows[id]
		p.most[id] = max(p.most[id], float64(v[1])/float64(x.Period))
		p.alloc[id] = max(p.alloc[id], v[2])
		x.Heap = append(x.Heap, [4]int64{int64(id), v[0], v[1], v[2]})
	}
	return nil
}

func (p *reducer) routines(x *reducedSnapshot, path string) error {
	c, err := capture.Read(path)
	if err != nil {
		return err
	}
	rows := map[int]int64{}
	for _, s := range c.Profile.Sample {
		id := p.stack(s)
		rows[id] += s.Value[0]
		p.most[id] = reducedMin // all of them: they are few
	}
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		x.Routines = append(x.Routines, [2]int64{int64(id), rows[id]})
	}
	return nil
}

// prune adds up the stacks that are too small to matter by themselves. Those of the runtime and of the profiler stay
// apart, since totals leave them out.
func (p *reducer) prune() {
	busiest := slices.SortedFunc(maps.Keys(p.alloc), func(a, b int) int {
		return cmp.Or(cmp.Compare(p.alloc[b],
			p.alloc[a]), cmp.Compare(a, b))
	})
	kept := map[int]bool{}
	for _, id := range busiest[:min(len(busiest), reducedAllocs)] {
		kept[id] = true
	}
	blamer := blame.NewBlamer(p.to.Trial.Subject.Module)
	least := float64(reducedMin)
	if p.to.Trial.Kind == record.Passive {
		least = 0
	}
	other := map[string]int{}
	into := make([]int, len(p.to.Stacks))
	var stacks [][]int
	for id, at := range p.to.Stacks {
		into[id] = len(stacks)
		if !kept[id] && p.most[id] < least {
			site, ok := blamer.Blame(p.expand(at))
			kind := fmt.Sprint(ok, ok && site.OfRuntime(), ok && site.Owner == blame.OwnerConnection)
			if first, seen := other[kind]; seen {
				into[id] = first
				continue
			}
			other[kind] = len(stacks)
		}
		stacks = append(stacks, at)
	}
	p.to.Stacks = stacks
	for i := range p.to.Snaps {
		x := &p.to.Snaps[i]
		sum := map[int64][4]int64{}
		for _, row := range x.Heap {
			to := int64(into[row[0]])
			v := sum[to]
			sum[to] = [4]int64{to, v[1] + row[1], v[2] + row[2], v[3] + row[3]}
		}
		x.Heap = x.Heap[:0]
		for _, to := range slices.Sorted(maps.Keys(sum)) {
			x.Heap = append(x.Heap, sum[to])
		}
		for k := range x.Routines {
			x.Routines[k][0] = int64(into[x.Routines[k][0]])
		}
	}
}

func (p *reducer) expand(at []int) []blame.Frame {
	var out []blame.Frame
	for _, id := range at {
		out = append(out, p.to.Frames[id])
	}
	return out
}

// series makes a series of a reduced recording, by the code that reads profiles.
func (r *reduced) series() (*series.Series, error) {
	s := series.New(r.Trial, "")
	for i, x := range r.Snaps {
		n := &series.Snapshot{Snapshot: r.Trial.Snapshots[i]}
		if len(x.Heap) > 0 {
			if err := s.AddHeap(n, captureOf(s, r.heap(x))); err != nil {
				return nil, err
			}
		}
		if len(x.Routines) > 0 {
			p := newRoutineProfile(n.Time)
			for _, row := range x.Routines {
				p.Sample = append(p.Sample, &profile.Sample{Location: locations(p, r.stack(row[0])), Value: []int64{row[1]}})
			}
			if err := s.AddRoutines(n, captureOf(s, p)); err != nil {
				return nil, err
			}
		}
		s.Snaps = append(s.Snaps, n)
	}
	s.Samples = r.Samples
	s.Finish()
	return s, nil
}

func (r *reduced) stack(id int64) []blame.Frame {
	var out []blame.Frame
	for _, f := range r.Stacks[id] {
		out = append(out, r.Frames[f])
	}
	return out
}

func (r *reduced) heap(x reducedSnapshot) *profile.Profile {
	p := newHeapProfile(r.Trial.Started)
	p.Period, p.Mapping[0].BuildID = x.Period, x.Build
	for _, row := range x.Heap {
		addSample(p, r.stack(row[0]), row[1], row[2], row[3]-row[2])
	}
	return p
}

// captureOf is what capture.Read makes of a profile. What the series gathers in passing reads its columns, the rest the
// profile alone: then it isn't written and read again.
func captureOf(s *series.Series, p *profile.Profile) *capture.Capture {
	const name = "a profile in memory"
	if s.Trial.Kind != record.Passive {
		return &capture.Capture{Profile: p, Path: name}
	}
	var b bytes.Buffer
	if err := p.WriteUncompressed(&b); err != nil {
		panic(err)
	}
	c, err := capture.Parse(name, b.Bytes())
	if err != nil {
		panic(err)
	}
	return c
}

func readReduced(t testing.TB, path string) *reduced {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	b, err := io.ReadAll(z)
	require.NoError(t, err)
	r := &reduced{}
	require.NoError(t, json.Unmarshal(b, r))
	return r
}

func (r *reduced) write(t testing.TB, path string) {
	t.Helper()
	b, err := json.Marshal(r)
	require.NoError(t, err)
	var z bytes.Buffer
	w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
	require.NoError(t, err)
	_, err = w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, z.Bytes(), 0o644))
}

// TestReducedRecordingKeepsTheVerdict reduces trials of each sort of fault.
func TestReducedRecordingKeepsTheVerdict(t *testing.T) {
	for _, f := range faults[:11] {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, newSubject(f.make), 6, 2).run(8)
			dir := l.write(t.TempDir())
			full, err := DiagnoseTrial(dir, Options{})
			require.NoError(t, err)
			assert.Equal(t, goldenOf(full), reducedGolden(t, dir))
			assert.Equal(t, full, diagnoseLab(t, l), "without files")
		})
	}
}

func reducedGolden(t *testing.T, dir string) golden {
	t.Helper()
	r, err := reduce(dir)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "one.json.gz")
	r.write(t, path)
	s, err := readReduced(t, path).series()
	require.NoError(t, err)
	return goldenOf(diagnose(s, Options{}))
}

// TestReduceRecording adds a recording to testdata; see -reduce. One whose verdict would change is refused.
func TestReduceRecording(t *testing.T) {
	if *reduceDir == "" {
		t.Skip("no -reduce")
	}
	recorded, err := series.Read(*reduceDir, "")
	require.NoError(t, err)
	full := diagnose(recorded, Options{})
	is := reducedGolden(t, *reduceDir)
	require.Equal(t, goldenOf(full).Headline, is.Headline)
	require.Equal(t, goldenOf(full).Hypotheses, is.Hypotheses)
	r, ok := readRight(t)[*reduceAs]
	require.True(t, ok, "right.json has no right verdict of %s", *reduceAs)
	require.False(t, comforts(golden{}, is, r) && !*acceptComfort,
		"%s is called healthy; -accept-comfort stores it all the same", r.Headline)
	x, err := reduce(*reduceDir)
	require.NoError(t, err)
	x.Trial.Subject.Command, x.Trial.Warnings = nil, nil // they have paths of the machine
	x.write(t, filepath.Join(recordings, *reduceAs+".json.gz"))
	require.NoError(t, record.Write(filepath.Join(recordings, *reduceAs+".golden.json"), is))
}
