package closure

import (
	"fmt"
	"slices"

	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

// Sufficiency says what the data can carry.
type Sufficiency struct {
	Contradiction string   // why nothing can be believed
	Complete      bool     // a fault would have shown: healthy can be said
	Quality       float64  // 0 to 1, a factor of the confidence
	Warnings      []string // of missing data
}

// Sufficient checks the data before any rule looks at it. No data never passes.
func Sufficient(s *series.Series) Sufficiency {
	d := Sufficiency{Quality: 1}
	if d.Contradiction = Contradiction(s); d.Contradiction != "" {
		d.Warnings = append(d.Warnings, "inconclusive: "+d.Contradiction)
		return d
	}
	if s.Trial.Kind == record.Speed {
		d.Warnings = append(d.Warnings, "a speed trial is measured, not judged: it has no floors and no held states")
		return d
	}
	floors, waves := s.Floors(), wavesAtFloors(s)
	held := len(s.Where(record.StateReply, record.StateHeader, record.StateBody))
	lack := func(format string, args ...any) { d.Warnings = append(d.Warnings, fmt.Sprintf(format, args...)) }
	d.Complete = true
	switch {
	case len(floors) == 0:
		lack("no floor was recorded: what is retained cannot be told from what is in use; record heap profiles with the " +
			"work stopped and the heap collected twice")
		d.Complete = false
	case len(floors) < threshold.MinFloors:
		lack("need >= %d floors to judge retained growth, have %d", threshold.MinFloors, len(floors))
		d.Complete = false
	}
	if waves < 2 && len(floors) > 0 {
		lack("need work between the floors: the files done differ between %d of them only", waves)
		d.Complete = false
	}
	if held < threshold.MinHolds {
		lack("need >= %d held states to tell buffers from metadata, have %d", threshold.MinHolds, held)
		d.Complete = false
	}
	if unheld(s) {
		lack("wider limits: the service called no upstream, so that nothing of it could be held. Requests in flight were " +
			"stepped by concurrency, and a size per request in flight is the least, since fewer may be in the service than at " +
			"its door; work behind replies was looked for right after the last reply of a wave, per request offered, while " +
			"the service was short of processor time")
	}
	if i := slices.IndexFunc(s.Snaps, func(n *series.Snapshot) bool { return n.Process.OutOfFDs() }); i >= 0 {
		lack("the subject ran out of descriptors: %d of %d were open after %d files", s.Snaps[i].Process.FDs,
			s.Snaps[i].Process.FDLimit, s.Snaps[i].Cov().FilesDone)
	}
	if s.Trial.Outcome != record.OK {
		lack("the trial ended early (%s): what it would have shown later is missing",
			words.OrUnknown(string(s.Trial.Outcome)))
		d.Complete, d.Quality = false, 0.9
	}
	if len(s.Warnings) > 0 {
		d.Quality *= 0.95
	}
	return d
}

// unheld says that the trial looked at a service as it ran, for want of a place to hold it at.
func unheld(s *series.Series) bool { return slices.ContainsFunc(s.Snaps, answered) }

// hurried says that work behind replies may have been done before it was looked at: of some wave the service had all
// the processor time that it could get.
func hurried(s *series.Series) bool {
	return slices.ContainsFunc(s.Snaps, func(n *series.Snapshot) bool { return answered(n) && n.Hold.Share == 0 })
}

// answered says that all requests had been answered and nothing was held.
func answered(n *series.Snapshot) bool { return n.Hold != nil && n.Hold.Point == record.PointAnswered }

// wavesAtFloors counts the floors at which more files were done than at the one before.
func wavesAtFloors(s *series.Series) int {
	n, prev := 0, int64(-1)
	for _, f := range s.Floors() {
		c := f.Cov()
		if done := c.FilesDone + c.Folders; prev >= 0 && done > prev {
			n++
		} else if prev < 0 && done > 0 {
			n++
		}
		prev = c.FilesDone + c.Folders
	}
	return n
}

// Contradiction looks for data that cannot be of one process in order.
func Contradiction(s *series.Series) string {
	if len(s.Binaries) > 1 {
		slices.Sort(s.Binaries)
		return fmt.Sprintf("the profiles are of %d different binaries: %v", len(s.Binaries), s.Binaries)
	}
	var prev *series.Snapshot
	for _, n := range s.Snaps {
		if prev == nil {
			prev = n
			continue
		}
		if n.Time.Before(prev.Time) {
			return fmt.Sprintf("snapshot %d is earlier (%s) than snapshot %d before it (%s): wrong order, or the clock jumped",
				n.Seq, n.Time.Format("15:04:05.000"), prev.Seq, prev.Time.Format("15:04:05.000"))
		}
		if n.Time.Sub(prev.Time) > threshold.MaxGap {
			return fmt.Sprintf("between snapshots %d and %d the clock jumps by %s", prev.Seq, n.Seq, n.Time.Sub(prev.Time))
		}
		a, b := prev.Cov(), n.Cov()
		if n.Covariates != nil && (b.FilesDone < a.FilesDone || b.FilesListed < a.FilesListed || b.BytesDone < a.BytesDone) {
			return fmt.Sprintf("counters run backwards between snapshots %d and %d (files done %d, then %d): wrong order, or "+
				"a restart", prev.Seq, n.Seq, a.FilesDone, b.FilesDone)
		}
		if n.Runtime != nil && prev.Runtime != nil && n.Runtime.NumGC < prev.Runtime.NumGC {
			return fmt.Sprintf("the subject restarted between snapshots %d and %d: its count of collections fell from %d to %d",
				prev.Seq, n.Seq, prev.Runtime.NumGC, n.Runtime.NumGC)
		}
		prev = n
	}
	return ""
}
