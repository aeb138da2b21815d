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
	return s.hypotheses(s.judge(f.options.withDefaults())), nil
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
