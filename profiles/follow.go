package profiles

import (
	"fmt"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/internal/closure"
	"github.com/memsoak/memsoak/profiles/internal/finding"
	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// Follower judges a trial while it is being recorded. Each Update reads only the snapshots that are new, so that asking
// after every phase costs no more than reading the trial once. It is for one goroutine.
type Follower struct {
	dir     string
	options Options
	series  *series.Series
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
	if why := closure.Contradiction(s); why != "" {
		return closure.Undecided(s, why), nil
	}
	if s.Peak() == nil {
		return closure.Undecided(s, "no heap profile was read: profiles of the subject"), nil
	}
	e := judge(s, f.options.withDefaults())
	hs := closure.Hypotheses(s, e)
	for i := range hs {
		h := &hs[i]
		switch {
		case h.State != record.Found:
		case fillable(s, e.Found, h):
			h.State, h.Needs = record.Open, "more of the same work: buffers of the workers that fill up grow alike so far"
		case h.Per == "error" && s.Snaps[len(s.Snaps)-1].Cov().Failed < minErrors:
			h.State, h.Needs = record.Open, "more failed transfers: a ring of the last of them grows alike until it is full"
		case unsampled(s, e.Found, h):
			h.State, h.Needs = record.Open, "more of the same work: too few samples of the growth to name its line"
		case stopped(s, e.Found, h):
			h.State, h.Needs = record.Open, "more of the same work: the last of it added next to nothing"
		}
	}
	return hs, nil
}

// fillSize is what a buffer of a worker holds once it is full, in bytes, of those in use: bufio has 4 KiB, copies have
// 32 KiB, and a buffer that doubles has room for as much again.
const fillSize = 64 << 10

// fillable reports whether all that grows with the unit of a hypothesis would fit into a buffer for each transfer in
// flight: such a growth ends when they are full. More of the work tells.
func fillable(s *series.Series, found []*finding.Judged, h *record.Hypothesis) bool {
	flight := int64(1)
	for _, n := range s.Snaps {
		flight = max(flight, n.Cov().InFlight)
	}
	grown, some := 0.0, false
	for _, j := range found {
		if j.Class == h.Class && j.Slope != nil && j.Slope.Per == h.Per && j.Term.RetainedTerm && !j.Routines {
			grown, some = grown+j.Term.Amount, true
		}
	}
	return some && grown < fillSize*float64(flight)
}

// unsampled reports whether what grows has no line because it is no more than a few samples of the heap profile, as in
// a process that runs with Go's own rate. Growth over many lines has samples enough and no line all the same.
func unsampled(s *series.Series, found []*finding.Judged, h *record.Hypothesis) bool {
	return slices.ContainsFunc(found, func(j *finding.Judged) bool {
		return j.Class == h.Class && j.Slope != nil && j.Slope.Per == h.Per && j.Term.RetainedTerm && j.Site.Function == "" &&
			j.Term.Amount < threshold.LineSamples*s.Rate
	})
}

// take adds the snapshots that are new. A trial whose recorder dropped a snapshot that was read is read from its
// beginning.
func (f *Follower) take(t *record.Trial) {
	fits := f.series != nil && len(t.Snapshots) >= f.read && (f.read == 0 || t.Snapshots[f.read-1].Seq == f.last)
	if !fits {
		f.series, f.read, f.last = series.New(t, f.options.Module), 0, 0
	}
	f.series.Trial = t
	for ; f.read < len(t.Snapshots); f.read++ {
		f.series.Snaps = append(f.series.Snaps, f.series.ReadSnapshot(f.dir, t.Snapshots[f.read]))
		f.last = t.Snapshots[f.read].Seq
	}
	f.series.Finish()
}

// minErrors is how many failures a leak per error has to come of: rings of the last 100, or 256, are common.
const minErrors = 300

const (
	// lastPart is the part of the work that has to have added less than stoppedShare of what the growth would have.
	lastPart     = 0.2
	stoppedShare = 0.3
)

// stopped reports whether the growth of a hypothesis may have ended: by far too little came with the last of the work,
// as of a full ring. A slice with room to spare does the same, so that more of the work has to tell.
func stopped(s *series.Series, found []*finding.Judged, h *record.Hypothesis) bool {
	for _, j := range found {
		if j.Class != h.Class || j.Slope == nil || j.Slope.Per != h.Per || !j.Term.RetainedTerm || len(j.Sites) == 0 {
			continue
		}
		q, x := fit.OfSites(s, j.Sites...), j.Term.Values
		idx := fit.Rest(s, q)
		if len(idx) < threshold.MinFloors || len(x) < len(s.Snaps) {
			continue
		}
		first, last := idx[0], idx[len(idx)-1]
		from := last
		for k := len(idx) - 1; k > 0 && x[last]-x[from] < lastPart*(x[last]-x[first]); k-- {
			from = idx[k-1]
		}
		expected, came := j.Term.Slope*(x[last]-x[from]), q.Values[last]-q.Values[from]
		sd := math.Sqrt(math.Abs(q.Variance[last]-q.Variance[from]) + trend.Square(q.Grain))
		if came < stoppedShare*expected && expected-came > 2*sd {
			return true
		}
	}
	return false
}
