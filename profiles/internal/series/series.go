package series

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/capture"
	"github.com/memsoak/memsoak/profiles/record"
)

// Snapshot is one heap profile reduced to sites, with everything recorded beside it.
type Snapshot struct {
	record.Snapshot
	// Profiled says that Sites and Live are there.
	Profiled bool
	Live     Amount   // the sum over sites, the profiler's own frames left out
	Sites    []Amount // by index into Series.Sites
	// Counted says that Routines is there: goroutines by index into Series.Routines.
	Counted  bool
	Routines map[int]int

	Stacks []StackBytes // of a profiled one, each stack once
}

// Series is a trial's snapshots in order, with the sites and groups of goroutines that occur in them. It holds no
// profiles, only their sums, so it is small.
type Series struct {
	Trial    *record.Trial
	Snaps    []*Snapshot     // in order of time
	Sites    []*blame.Site   // in order of their first stack
	Routines []*RoutineGroup // in order of their first goroutine
	// Samples are the readings between the snapshots, 1 Hz.
	Samples  []record.Sample
	Warnings []string

	Rate     float64      // of sampling: bytes per sample
	Binaries []string     // build ids
	rest     [2]restTable // the first and the last at rest
	intern   *interner
	gather   *gatherer
	open     func(path string) (*capture.Capture, error)
}

// Read reads a recorded trial. A file that is missing or malformed is named in Warnings and the rest is used;
// only an unreadable trial.json is an error. Frames of the module are blamed; empty: of the recorded one.
func Read(dir, module string) (*Series, error) {
	t, err := record.ReadTrial(dir)
	if err != nil {
		return nil, err
	}
	s := New(t, module)
	if s.gather == nil {
		r := readers.Get().(*capture.Reader)
		defer readers.Put(r)
		s.open = r.Read
	}
	for i := range t.Snapshots {
		s.Snaps = append(s.Snaps, s.ReadSnapshot(dir, t.Snapshots[i]))
	}
	err = record.ReadSamples(dir, func(x record.Sample) bool {
		x.Metrics = nil
		s.Samples = append(s.Samples, x)
		return true
	})
	if err != nil {
		s.warn("%s: %v", record.SamplesFile, err)
	}
	s.Finish()
	return s, nil
}

// readers keeps the memory of what reads profiles from one trial to the next.
var readers = sync.Pool{New: func() any { return new(capture.Reader) }}

// New is the series of a trial without its snapshots.
func New(t *record.Trial, module string) *Series {
	s := &Series{Trial: t, intern: newInterner(blame.NewBlamer(cmp.Or(module, t.Subject.Module))),
		Rate: float64(t.SampleRate),
		open: new(capture.Reader).Read}
	if t.Kind == record.Passive {
		s.gather, s.open = newGatherer(s.intern.blamer), capture.Read // labels say why goroutines wait
	}
	return s
}

// Blamer finds the user's frames of the series' stacks.
func (s *Series) Blamer() blame.Blamer { return s.intern.blamer }

// Expand is a stack by its number, leaf first.
func (s *Series) Expand(stack int32) []blame.Frame { return s.intern.expand(s.intern.paths[stack]) }

// SiteOf is the site of a stack by its number, as an index into Sites; -1: it is left out.
func (s *Series) SiteOf(stack int32) int32 { return s.intern.blamed[stack] }

func (s *Series) warn(format string, args ...any) {
	w := fmt.Sprintf(format, args...)
	if !slices.Contains(s.Warnings, w) {
		s.Warnings = append(s.Warnings, w)
	}
}

// ReadSnapshot reads the profiles of a snapshot of the trial in dir.
func (s *Series) ReadSnapshot(dir string, r record.Snapshot) *Snapshot {
	n := &Snapshot{Snapshot: r}
	if r.Heap != "" {
		if err := s.openHeap(n, filepath.Join(dir, filepath.FromSlash(r.Heap))); err != nil {
			s.warn("heap profile left out: %v", err)
		}
	}
	if r.Goroutine != "" {
		if err := s.openRoutines(n, filepath.Join(dir, filepath.FromSlash(r.Goroutine))); err != nil {
			s.warn("goroutine profile left out: %v", err)
		}
	}
	return n
}

func (s *Series) openHeap(n *Snapshot, path string) error {
	c, err := s.open(path)
	if err != nil {
		return err
	}
	return s.AddHeap(n, c)
}

// AddHeap reduces a snapshot's heap profile to sites.
func (s *Series) AddHeap(n *Snapshot, c *capture.Capture) error {
	p, path := c.Profile, c.Path
	s.gather.add(n, c)
	// The profile says how finely it was sampled; a binary may ignore the rate that it was asked for.
	if p.Period > 0 {
		s.Rate = float64(p.Period)
	}
	t, err := s.intern.readHeap(p, s.Rate)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	n.Profiled, n.Live, n.Sites, n.Stacks = true, t.live, t.sites, t.stacks
	if n.AtRest() {
		s.rest[1] = restTable{n, t.table}
		if s.rest[0].at == nil {
			s.rest[0] = s.rest[1]
		}
	}
	if b := capture.Binary(p); b != "" && !slices.Contains(s.Binaries, b) {
		s.Binaries = append(s.Binaries, b)
	}
	if n.Time.IsZero() && p.TimeNanos > 0 {
		n.Time = time.Unix(0, p.TimeNanos)
	}
	return nil
}

// Finish makes the site table public and gives snapshots without counters of their own those of the one before.
func (s *Series) Finish() {
	s.Sites = s.intern.sites
	for i, top := range s.intern.top {
		s.Sites[i].Stack = s.Expand(top.stack)
	}
	for _, n := range s.Snaps { // sites that came later
		n.Sites = append(n.Sites, make([]Amount, len(s.Sites)-len(n.Sites))...)
	}
	for i := 1; i < len(s.Snaps); i++ {
		if s.Snaps[i].Covariates == nil {
			s.Snaps[i].Covariates = s.Snaps[i-1].Covariates
		}
	}
}

// Floors are the profiled snapshots at a quiesce.
func (s *Series) Floors() []*Snapshot { return s.Where(record.StateFloor) }

// Where are the profiled snapshots in one of the states.
func (s *Series) Where(states ...record.State) []*Snapshot {
	var out []*Snapshot
	for _, n := range s.Snaps {
		if n.Profiled && slices.Contains(states, n.State) {
			out = append(out, n)
		}
	}
	return out
}

// Peak is the profiled snapshot with the most live bytes, or nil.
func (s *Series) Peak() *Snapshot {
	var best *Snapshot
	for _, n := range s.Snaps {
		if n.Profiled && (best == nil || n.Live.Bytes > best.Live.Bytes) {
			best = n
		}
	}
	return best
}

// TopSites lists a snapshot's largest sites.
func (s *Series) TopSites(n *Snapshot, count int) []record.SiteSize {
	if n == nil {
		return nil
	}
	var ids []int
	larger := func(a, b int) int { return cmp.Or(cmp.Compare(n.Sites[b].Bytes, n.Sites[a].Bytes), a-b) }
	for id, a := range n.Sites {
		if a == (Amount{}) || len(ids) == count && larger(ids[count-1], id) < 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(ids, id, larger)
		ids = slices.Insert(ids[:min(len(ids), count-1)], at, id)
	}
	out := make([]record.SiteSize, 0, count)
	for _, id := range ids {
		out = append(out, record.SiteSize{Site: s.Sites[id].Site, Bytes: int64(n.Sites[id].Bytes)})
	}
	return out
}

// Sign is that of a number: -1, 0 or 1.
func Sign(f float64) int {
	switch {
	case f > 0:
		return 1
	case f < 0:
		return -1
	}
	return 0
}
