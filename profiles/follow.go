package profiles

import (
	"fmt"

	"github.com/memsoak/memsoak/profiles/record"
)

// Follower judges a trial while it is being recorded. Each Update reads only the snapshots that are new, so that asking
// after every phase costs no more than reading the trial once. It is for one goroutine.
type Follower struct {
	dir     string
	options Options
	series  *Series
	read    int // snapshots of the trial that the series has
	last    int // sequence number of the last of them
}

// NewFollower follows the trial that is recorded in dir, which needs no trial.json yet.
func NewFollower(dir string, o Options) *Follower { return &Follower{dir: dir, options: o} }

// Update returns the hypotheses as they stand now. The trial counts as under way: that it has not ended makes nothing
// open. The error is that of reading trial.json.
func (f *Follower) Update() ([]record.Hypothesis, error) {
	t, err := record.ReadTrial(f.dir)
	if err != nil {
		return nil, fmt.Errorf("follow %s: %w", f.dir, err)
	}
	f.take(t)
	s := f.series
	if why := s.contradiction(); why != "" {
		return s.undecided(why), nil
	}
	if s.peak() == nil {
		return s.undecided("no heap profile was read: profiles of the subject"), nil
	}
	e := s.judge(f.options.withDefaults())
	hs := s.hypotheses(e)
	for i := range hs {
		h := &hs[i]
		if h.State == record.Found && s.fillable(e.found, h) {
			h.State, h.Needs = record.Open, "more of the same work: buffers of the workers that fill up grow alike so far"
		}
	}
	return hs, nil
}

// fillSize is what a buffer of a worker holds once it is full, in bytes, of those in use: bufio has 4 KiB, copies have
// 32 KiB, and a buffer that doubles has room for as much again.
const fillSize = 64 << 10

// fillable reports whether all that grows with the unit of a hypothesis would fit into a buffer for each transfer in
// flight: such a growth ends when they are full. More of the work tells.
func (s *Series) fillable(found []*judged, h *record.Hypothesis) bool {
	flight := int64(1)
	for _, n := range s.Snaps {
		flight = max(flight, n.cov().InFlight)
	}
	grown, some := 0.0, false
	for _, j := range found {
		if j.Class == h.Class && j.Slope != nil && j.Slope.Per == h.Per && j.term.retainedTerm && !j.routines {
			grown, some = grown+j.term.amount, true
		}
	}
	return some && grown < fillSize*float64(flight)
}

// take adds the snapshots that are new. A trial whose recorder dropped a snapshot that was read is read from its
// beginning.
func (f *Follower) take(t *record.Trial) {
	fits := f.series != nil && len(t.Snapshots) >= f.read && (f.read == 0 || t.Snapshots[f.read-1].Seq == f.last)
	if !fits {
		f.series, f.read, f.last = newSeries(t, f.options), 0, 0
	}
	f.series.Trial = t
	for ; f.read < len(t.Snapshots); f.read++ {
		f.series.Snaps = append(f.series.Snaps, f.series.readSnapshot(f.dir, t.Snapshots[f.read]))
		f.last = t.Snapshots[f.read].Seq
	}
	f.series.finish()
}
