package profiles

import (
	"fmt"
	"slices"

	"github.com/memsoak/memsoak/profiles/record"
)

// sufficiency says what the data can carry.
type sufficiency struct {
	contradiction string   // why nothing can be believed
	complete      bool     // a fault would have shown: healthy can be said
	quality       float64  // 0 to 1, a factor of the confidence
	warnings      []string // of missing data
}

// sufficient checks the data before any rule looks at it. No data never passes.
func (s *Series) sufficient() sufficiency {
	d := sufficiency{quality: 1}
	if d.contradiction = s.contradiction(); d.contradiction != "" {
		d.warnings = append(d.warnings, "inconclusive: "+d.contradiction)
		return d
	}
	if s.Trial.Kind == record.Speed {
		d.warnings = append(d.warnings, "a speed trial is measured, not judged: it has no floors and no held states")
		return d
	}
	floors, waves := s.floors(), s.wavesAtFloors()
	held := len(s.where(record.StateReply, record.StateHeader, record.StateBody))
	lack := func(format string, args ...any) { d.warnings = append(d.warnings, fmt.Sprintf(format, args...)) }
	d.complete = true
	switch {
	case len(floors) == 0:
		lack("no floor was recorded: what is retained cannot be told from what is in use; record heap profiles with the " +
			"work stopped and the heap collected twice")
		d.complete = false
	case len(floors) < minFloors:
		lack("need >= %d floors to judge retained growth, have %d", minFloors, len(floors))
		d.complete = false
	}
	if waves < 2 && len(floors) > 0 {
		lack("need work between the floors: the files done differ between %d of them only", waves)
		d.complete = false
	}
	if held < minHolds {
		lack("need >= %d held states to tell buffers from metadata, have %d", minHolds, held)
		d.complete = false
	}
	if s.unheld() {
		lack("wider limits: the service called no upstream, so that nothing of it could be held. Requests in flight were " +
			"stepped by concurrency, and a size per request in flight is the least, since fewer may be in the service than at " +
			"its door; work behind replies was looked for right after the last reply of a wave, per request offered, while " +
			"the service was short of processor time")
	}
	if s.Trial.Outcome != record.OK {
		lack("the trial ended early (%s): what it would have shown later is missing", orUnknown(string(s.Trial.Outcome)))
		d.complete, d.quality = false, 0.9
	}
	if len(s.Warnings) > 0 {
		d.quality *= 0.95
	}
	return d
}

// unheld says that the trial looked at a service as it ran, for want of a place to hold it at.
func (s *Series) unheld() bool { return slices.ContainsFunc(s.Snaps, (*Snapshot).answered) }

// hurried says that work behind replies may have been done before it was looked at: of some wave the service had all
// the processor time that it could get.
func (s *Series) hurried() bool {
	return slices.ContainsFunc(s.Snaps, func(n *Snapshot) bool { return n.answered() && n.Hold.Share == 0 })
}

// answered says that all requests had been answered and nothing was held.
func (n *Snapshot) answered() bool { return n.Hold != nil && n.Hold.Point == record.PointAnswered }

// orUnknown is the text, or "not finished" for an empty one.
func orUnknown(t string) string {
	if t == "" {
		return "not finished"
	}
	return t
}

// wavesAtFloors counts the floors at which more files were done than at the one before.
func (s *Series) wavesAtFloors() int {
	n, prev := 0, int64(-1)
	for _, f := range s.floors() {
		c := f.cov()
		if done := c.FilesDone + c.Folders; prev >= 0 && done > prev {
			n++
		} else if prev < 0 && done > 0 {
			n++
		}
		prev = c.FilesDone + c.Folders
	}
	return n
}

// contradiction looks for data that cannot be of one process in order.
func (s *Series) contradiction() string {
	if len(s.binaries) > 1 {
		slices.Sort(s.binaries)
		return fmt.Sprintf("the profiles are of %d different binaries: %v", len(s.binaries), s.binaries)
	}
	var prev *Snapshot
	for _, n := range s.Snaps {
		if prev == nil {
			prev = n
			continue
		}
		if n.Time.Before(prev.Time) {
			return fmt.Sprintf("snapshot %d is earlier (%s) than snapshot %d before it (%s): wrong order, or the clock jumped",
				n.Seq, n.Time.Format("15:04:05.000"), prev.Seq, prev.Time.Format("15:04:05.000"))
		}
		if n.Time.Sub(prev.Time) > maxGap {
			return fmt.Sprintf("between snapshots %d and %d the clock jumps by %s", prev.Seq, n.Seq, n.Time.Sub(prev.Time))
		}
		a, b := prev.cov(), n.cov()
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
