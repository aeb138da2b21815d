package finding

import (
	"fmt"
	"math"
	"strings"

	numbers "github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

// Describe says what a snapshot's state was, in the numbers that a person needs to check a contrast.
func Describe(s *series.Series, i int) string {
	n := s.Snaps[i]
	c := n.Cov()
	held := words.Count(c.InFlight, "transfer")
	if h := n.Hold; h != nil {
		switch h.Point {
		case record.PointConnections:
			return fmt.Sprintf("snapshot %d: %s open and idle", n.Seq, words.Count(h.Held, "connection"))
		case record.PointAnswered:
			return fmt.Sprintf("snapshot %d: right after the last reply to %s", n.Seq, words.Count(h.Held, "request"))
		case record.PointRequestBody:
			return fmt.Sprintf("snapshot %d: %s of %s held in their body", n.Seq, held, words.Bytes(PerTransfer(c)))
		case record.PointReplyBody:
			return fmt.Sprintf("snapshot %d: %s held in the body of a reply of %s", n.Seq, held, words.Bytes(PerTransfer(c)))
		case record.PointRunning:
			return fmt.Sprintf("snapshot %d: %s in flight, none held", n.Seq, words.Count(c.InFlight, "request"))
		}
	}
	switch n.State {
	case record.StateReply:
		return fmt.Sprintf("snapshot %d: %s of %s held at the upload's reply", n.Seq, held,
			words.Bytes(PerTransfer(c)))
	case record.StateHeader:
		return fmt.Sprintf("snapshot %d: %s held at the download's header, %d files waiting", n.Seq, held,
			c.Backlog)
	case record.StateBody:
		return fmt.Sprintf("snapshot %d: %s of %s held in mid-body", n.Seq, held, words.Bytes(PerTransfer(c)))
	case record.StateList:
		return fmt.Sprintf("snapshot %d: a listing held, %d files listed", n.Seq, c.FilesListed)
	case record.StateFloor:
		return fmt.Sprintf("snapshot %d: floor after %d files", n.Seq, c.FilesDone)
	case record.StateIdle:
		return fmt.Sprintf("snapshot %d: idle after %d files", n.Seq, c.FilesDone)
	}
	return fmt.Sprintf("snapshot %d: %s, %d files done, %d in flight", n.Seq, n.State, c.FilesDone, c.InFlight)
}

// PerTransfer is the mean size of the transfers that have a body, bytes; 0 without one.
func PerTransfer(c record.Covariates) float64 {
	if n := c.InFlight - c.AtHeader; n > 0 {
		return float64(c.BytesInFlight) / float64(n)
	}
	return 0
}

// Explain writes the evidence of a site's finding: the values in the states whose contrast decided.
func Explain(s *series.Series, j *Judged) {
	if len(j.Sites) == 0 {
		return
	}
	q := fit.OfSites(s, j.Sites...)
	t := &j.Term
	switch {
	case j.Class == record.Cache:
		j.Evidence = append(j.Evidence,
			fmt.Sprintf("rises by %s per %s up to about %.0f of them, then stays at %s while more of them come",
				words.Bytes(t.Slope), words.Item(t.Name), t.Bound, words.Bytes(q.Values[t.From[1]])))
	case t.RetainedTerm:
		explainRetained(s, j, q)
	default:
		a, b := t.From[0], t.From[1]
		j.Evidence = append(j.Evidence,
			fmt.Sprintf("%s with %s", words.Bytes(q.Values[b]), Describe(s, b)),
			fmt.Sprintf("%s with %s", words.Bytes(q.Values[a]), Describe(s, a)),
			fmt.Sprintf("gone at rest: %s at the next floor; over %d held states this term explains %.0f %% of the range "+
				"(t = %s)",
				words.Bytes(nextRest(s, q, b)), t.Steps, 100*math.Min(1, t.Share), tText(t.T())))
	}
}

func explainRetained(s *series.Series, j *Judged, q *fit.Quantity) {
	t := &j.Term
	a, b := t.From[0], t.From[1]
	j.Evidence = append(j.Evidence,
		fmt.Sprintf("%s (%s) against %s (%s), nothing under way in either: %+.0f %s, t = %s over %d floors",
			words.Bytes(q.Values[b]), Describe(s, b), words.Bytes(q.Values[a]), Describe(s, a), t.Values[b]-t.Values[a],
			words.Item(t.Name), tText(t.T()), t.Steps))
	if c := contrast(s, q, t); c != "" {
		j.Evidence = append(j.Evidence, c)
	}
}

// contrast names the step between floors that tells a unit from the usual alternative: repeated work for distinct
// items, an idle stretch for time, folders without files for files.
func contrast(s *series.Series, q *fit.Quantity, t *fit.Term) string {
	idx := fit.Rest(s, q)
	for k := 1; k < len(idx); k++ {
		a, b := s.Snaps[idx[k-1]], s.Snaps[idx[k]]
		ca, cb := a.Cov(), b.Cov()
		grew := q.Values[idx[k]] - q.Values[idx[k-1]]
		files, distinct := cb.FilesDone-ca.FilesDone, cb.Distinct-ca.Distinct
		switch {
		case t.Name == "distinct-item" || t.Name == "file":
			if files > 20 && distinct*10 < files {
				return fmt.Sprintf("a repeated wave of %d files, %d of them new, added %s", files, distinct, words.Bytes(grew))
			}
		case t.Name == "second" && files == 0 && b.Time.After(a.Time):
			return fmt.Sprintf("%.0f s without any work added %s", b.Time.Sub(a.Time).Seconds(), words.Bytes(grew))
		}
	}
	return ""
}

// nextRest is the quantity at the first rest after a snapshot, or the last before it.
func nextRest(s *series.Series, q *fit.Quantity, i int) float64 {
	for k := i + 1; k < len(s.Snaps); k++ {
		if s.Snaps[k].AtRest() && q.Measured(k) {
			return q.Values[k]
		}
	}
	for k := i - 1; k >= 0; k-- {
		if s.Snaps[k].AtRest() && q.Measured(k) {
			return q.Values[k]
		}
	}
	return 0
}

// heldSizes are the least and the largest mean size of the files whose transfers held something, or may have where so
// few samples were expected that none came; 0: they had none.
func heldSizes(s *series.Series, j *Judged) (lo, hi float64) {
	q := fit.OfSites(s, j.Sites...)
	lo = math.Inf(1)
	for i, n := range s.Snaps {
		size, expected := PerTransfer(n.Cov()), j.Term.Slope*float64(n.Cov().InFlight)
		if n.State.Held() && size > 0 && q.Measured(i) &&
			(q.Values[i] > expected/8 || expected < threshold.MinStepGrains*q.Grain) {
			lo, hi = math.Min(lo, size), math.Max(hi, size)
		}
	}
	return lo, hi
}

// oneSize reports whether files of about one size alone were held where something shows: what it holds of others is
// not known.
func oneSize(lo, hi float64) bool { return hi > 0 && hi < threshold.MinBacklogRange*lo }

// SizesText says of which sizes the files were whose transfers held something.
func SizesText(s *series.Series, j *Judged) string {
	switch lo, hi := heldSizes(s, j); {
	case hi == 0:
		return ""
	case oneSize(lo, hi):
		return fmt.Sprintf(" Only files of %s were held where it shows.", words.Bytes(hi))
	default:
		return fmt.Sprintf(" Files of %s to %s were held where it shows.", words.Bytes(lo), words.Bytes(hi))
	}
}

// MayGrow is what decides about something held per transfer that could as well be a part of each file's bytes; "" where
// sizes tell them apart.
func MayGrow(s *series.Series, found []*Judged, target float64) string {
	for _, j := range found {
		if j.Class != record.BufferWorker || j.Term.RetainedTerm || len(j.Sites) == 0 {
			continue
		}
		if lo, hi := heldSizes(s, j); oneSize(lo, hi) && j.Term.Slope > target*lo {
			return fmt.Sprintf("files of other sizes held where %s has %s per worker: only those of %s were",
				words.Short(j.Site.Function), words.Bytes(j.Term.Slope), words.Bytes(hi))
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

// Summarize writes the sentence that a person would say.
func Summarize(j *Judged) string {
	name, at := words.Short(j.Site.Function), ""
	if j.Site.Line > 0 {
		at = fmt.Sprintf(" (%s:%d)", j.Site.File, j.Site.Line)
	}
	if name == "" {
		name = "The process"
	}
	size, per := "", ""
	if j.Slope != nil {
		size, per = words.Bytes(j.Slope.Bytes), words.Item(j.Slope.Per)
	}
	peak := words.Bytes(float64(j.BytesAtPeak))
	if j.Passive {
		return fmt.Sprintf("%s%s kept growing, by %s an hour: a leak, a cache that is not full, or a backlog.", name, at,
			words.Bytes(3600*j.Slope.Bytes))
	}
	switch j.Class {
	case record.Leak:
		return fmt.Sprintf("%s%s leaks: %s more stays behind with every %s; no end shows in %s of them.", name, at, size, per,
			numbers.Comma(int64(j.Term.Amount/math.Max(j.Term.Slope, 1e-9))))
	case record.GoroutineLeak:
		return fmt.Sprintf("Goroutines never end in %s%s: %s stays behind with every %s.", name, at, size, per)
	case record.ConnectionLeak:
		return fmt.Sprintf("Connections opened through %s%s are never given back: %s stays behind with every %s.", name, at,
			size, per)
	case record.Metadata:
		if j.Term.RetainedTerm {
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
