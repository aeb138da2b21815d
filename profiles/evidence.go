package profiles

import (
	"fmt"
	"math"
	"strings"

	numbers "github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
)

// describe says what a snapshot's state was, in the numbers that a person needs to check a contrast.
func (s *Series) describe(i int) string {
	n := s.Snaps[i]
	c := n.cov()
	held := count(c.InFlight, "transfer")
	if h := n.Hold; h != nil {
		switch h.Point {
		case record.PointConnections:
			return fmt.Sprintf("snapshot %d: %s open and idle", n.Seq, count(h.Held, "connection"))
		case record.PointAnswered:
			return fmt.Sprintf("snapshot %d: right after the last reply to %s", n.Seq, count(h.Held, "request"))
		case record.PointRequestBody:
			return fmt.Sprintf("snapshot %d: %s of %s held in their body", n.Seq, held, bytesText(perTransfer(c)))
		case record.PointReplyBody:
			return fmt.Sprintf("snapshot %d: %s held in the body of a reply of %s", n.Seq, held, bytesText(perTransfer(c)))
		case record.PointRunning:
			return fmt.Sprintf("snapshot %d: %s in flight, none held", n.Seq, count(c.InFlight, "request"))
		}
	}
	switch n.State {
	case record.StateReply:
		return fmt.Sprintf("snapshot %d: %s of %s held at the upload's reply", n.Seq, held,
			bytesText(perTransfer(c)))
	case record.StateHeader:
		return fmt.Sprintf("snapshot %d: %s held at the download's header, %d files waiting", n.Seq, held,
			c.Backlog)
	case record.StateBody:
		return fmt.Sprintf("snapshot %d: %s of %s held in mid-body", n.Seq, held, bytesText(perTransfer(c)))
	case record.StateList:
		return fmt.Sprintf("snapshot %d: a listing held, %d files listed", n.Seq, c.FilesListed)
	case record.StateFloor:
		return fmt.Sprintf("snapshot %d: floor after %d files", n.Seq, c.FilesDone)
	case record.StateIdle:
		return fmt.Sprintf("snapshot %d: idle after %d files", n.Seq, c.FilesDone)
	}
	return fmt.Sprintf("snapshot %d: %s, %d files done, %d in flight", n.Seq, n.State, c.FilesDone, c.InFlight)
}

// perTransfer is the mean size of the transfers that have a body, bytes; 0 without one.
func perTransfer(c record.Covariates) float64 {
	if n := c.InFlight - c.AtHeader; n > 0 {
		return float64(c.BytesInFlight) / float64(n)
	}
	return 0
}

// explain writes the evidence of a site's finding: the values in the states whose contrast decided.
func (s *Series) explain(j *judged) {
	if len(j.sites) == 0 {
		return
	}
	q := s.siteQuantity(j.sites...)
	t := &j.term
	switch {
	case j.Class == record.Cache:
		j.Evidence = append(j.Evidence,
			fmt.Sprintf("rises by %s per %s up to about %.0f of them, then stays at %s while more of them come",
				bytesText(t.slope), itemText(t.name), t.bound, bytesText(q.values[t.from[1]])))
	case t.retainedTerm:
		s.explainRetained(j, q)
	default:
		a, b := t.from[0], t.from[1]
		j.Evidence = append(j.Evidence,
			fmt.Sprintf("%s with %s", bytesText(q.values[b]), s.describe(b)),
			fmt.Sprintf("%s with %s", bytesText(q.values[a]), s.describe(a)),
			fmt.Sprintf("gone at rest: %s at the next floor; over %d held states this term explains %.0f %% of the range "+
				"(t = %s)",
				bytesText(s.nextRest(q, b)), t.steps, 100*math.Min(1, t.share), tText(t.t())))
	}
}

func (s *Series) explainRetained(j *judged, q *quantity) {
	t := &j.term
	a, b := t.from[0], t.from[1]
	j.Evidence = append(j.Evidence,
		fmt.Sprintf("%s (%s) against %s (%s), nothing under way in either: %+.0f %s, t = %s over %d floors",
			bytesText(q.values[b]), s.describe(b), bytesText(q.values[a]), s.describe(a), t.values[b]-t.values[a],
			itemText(t.name), tText(t.t()), t.steps))
	if c := s.contrast(q, t); c != "" {
		j.Evidence = append(j.Evidence, c)
	}
}

// contrast names the step between floors that tells a unit from the usual alternative: repeated work for distinct
// items, an idle stretch for time, folders without files for files.
func (s *Series) contrast(q *quantity, t *term) string {
	idx := s.rest(q)
	for k := 1; k < len(idx); k++ {
		a, b := s.Snaps[idx[k-1]], s.Snaps[idx[k]]
		ca, cb := a.cov(), b.cov()
		grew := q.values[idx[k]] - q.values[idx[k-1]]
		files, distinct := cb.FilesDone-ca.FilesDone, cb.Distinct-ca.Distinct
		switch {
		case t.name == "distinct-item" || t.name == "file":
			if files > 20 && distinct*10 < files {
				return fmt.Sprintf("a repeated wave of %d files, %d of them new, added %s", files, distinct, bytesText(grew))
			}
		case t.name == "second" && files == 0 && b.Time.After(a.Time):
			return fmt.Sprintf("%.0f s without any work added %s", b.Time.Sub(a.Time).Seconds(), bytesText(grew))
		}
	}
	return ""
}

// nextRest is the quantity at the first rest after a snapshot, or the last before it.
func (s *Series) nextRest(q *quantity, i int) float64 {
	for k := i + 1; k < len(s.Snaps); k++ {
		if s.Snaps[k].atRest() && q.measured(k) {
			return q.values[k]
		}
	}
	for k := i - 1; k >= 0; k-- {
		if s.Snaps[k].atRest() && q.measured(k) {
			return q.values[k]
		}
	}
	return 0
}

// heldSizes are the least and the largest mean size of the files whose transfers held something, or may have where so
// few samples were expected that none came; 0: they had none.
func (s *Series) heldSizes(j *judged) (lo, hi float64) {
	q := s.siteQuantity(j.sites...)
	lo = math.Inf(1)
	for i, n := range s.Snaps {
		size, expected := perTransfer(n.cov()), j.term.slope*float64(n.cov().InFlight)
		if n.State.Held() && size > 0 && q.measured(i) && (q.values[i] > expected/8 || expected < minStepGrains*q.grain) {
			lo, hi = math.Min(lo, size), math.Max(hi, size)
		}
	}
	return lo, hi
}

// oneSize reports whether files of about one size alone were held where something shows: what it holds of others is
// not known.
func oneSize(lo, hi float64) bool { return hi > 0 && hi < minBacklogRange*lo }

// sizesText says of which sizes the files were whose transfers held something.
func (s *Series) sizesText(j *judged) string {
	switch lo, hi := s.heldSizes(j); {
	case hi == 0:
		return ""
	case oneSize(lo, hi):
		return fmt.Sprintf(" Only files of %s were held where it shows.", bytesText(hi))
	default:
		return fmt.Sprintf(" Files of %s to %s were held where it shows.", bytesText(lo), bytesText(hi))
	}
}

// mayGrow is what decides about something held per transfer that could as well be a part of each file's bytes; "" where
// sizes tell them apart.
func (s *Series) mayGrow(found []*judged, target float64) string {
	for _, j := range found {
		if j.Class != record.BufferWorker || j.term.retainedTerm || len(j.sites) == 0 {
			continue
		}
		if lo, hi := s.heldSizes(j); oneSize(lo, hi) && j.term.slope > target*lo {
			return fmt.Sprintf("files of other sizes held where %s has %s per worker: only those of %s were",
				short(j.Site.Function), bytesText(j.term.slope), bytesText(hi))
		}
	}
	return ""
}

func tText(t float64) string {
	if t > 999 {
		return "over 999"
	}
	return fmt.Sprintf("%.1f", t)
}

// summarize writes the sentence that a person would say.
func summarize(j *judged) string {
	name, at := short(j.Site.Function), ""
	if j.Site.Line > 0 {
		at = fmt.Sprintf(" (%s:%d)", j.Site.File, j.Site.Line)
	}
	if name == "" {
		name = "The process"
	}
	size, per := "", ""
	if j.Slope != nil {
		size, per = bytesText(j.Slope.Bytes), itemText(j.Slope.Per)
	}
	peak := bytesText(float64(j.BytesAtPeak))
	if j.passive {
		return fmt.Sprintf("%s%s kept growing, by %s an hour: a leak, a cache that is not full, or a backlog.", name, at,
			bytesText(3600*j.Slope.Bytes))
	}
	switch j.Class {
	case record.Leak:
		return fmt.Sprintf("%s%s leaks: %s more stays behind with every %s; no end shows in %s of them.", name, at, size, per,
			numbers.Comma(int64(j.term.amount/math.Max(j.term.slope, 1e-9))))
	case record.GoroutineLeak:
		return fmt.Sprintf("Goroutines never end in %s%s: %s stays behind with every %s.", name, at, size, per)
	case record.ConnectionLeak:
		return fmt.Sprintf("Connections opened through %s%s are never given back: %s stays behind with every %s.", name, at,
			size, per)
	case record.Metadata:
		if j.term.retainedTerm {
			return fmt.Sprintf("%s%s remembers %s for every %s that it has seen; no bound shows in this trial.", name, at, size,
				per)
		}
		return fmt.Sprintf("%s%s holds %s for every %s until the work is done.", name, at, size, per)
	case record.BufferFile:
		return fmt.Sprintf("%s%s holds files in memory: %.2g bytes for every byte of the files in flight.", name, at,
			j.Slope.Bytes)
	case record.BufferWorker:
		return fmt.Sprintf("%s%s holds %s per worker.", name, at, size)
	case record.BufferPool:
		return fmt.Sprintf("%s%s holds %s per open connection.", name, at, size)
	case record.Cache:
		return fmt.Sprintf("%s%s is bounded: it grows by %s per %s and stopped at about %d of them.", name, at, size, per,
			j.Bound)
	case record.Static:
		return fmt.Sprintf("%s%s keeps %s for the life of the process, whatever the work.", name, at, peak)
	case record.GCHeadroom:
		return peak + " of garbage waits for the collector, most of it made by " + name + at +
			"; a lower GOGC or a GOMEMLIMIT would cap it."
	case record.GCThrash:
		return "GOMEMLIMIT is too low for what is live: the collector eats the CPU (most garbage is from " + name + at + ")."
	case record.Unreturned:
		return peak + " lies in spans that a few objects keep from being returned; most of those are from " + name + at + "."
	case record.Stacks:
		return fmt.Sprintf("Deep stacks: %s per goroutine in %s%s.", size, name, at)
	case record.OffHeap:
		return fmt.Sprintf("%s outside the Go heap (mmap or cgo): %s per %s.", peak, size, per)
	case record.PageCache:
		return fmt.Sprintf("%s of file pages or tmpfs is charged to the process's cgroup: %s per %s.", peak, size, per)
	}
	return strings.TrimSpace(name + at)
}
