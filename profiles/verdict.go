package profiles

import (
	"cmp"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/classes"
	"github.com/memsoak/memsoak/profiles/internal/closure"
	"github.com/memsoak/memsoak/profiles/internal/ends"
	"github.com/memsoak/memsoak/profiles/internal/finding"
	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/record"
)

// diagnose judges the series.
func diagnose(s *series.Series, o Options) *record.Verdict {
	o = o.withDefaults()
	t := s.Trial
	v := &record.Verdict{Schema: record.VerdictSchema, Cell: t.Cell, Trial: t.Index, Outcome: t.Outcome,
		Headline: record.Inconclusive, Peak: t.Peak, Waterfall: s.Waterfall(), Findings: []record.Finding{},
		Warnings: []string{}}
	peak := s.Peak()
	if peak != nil {
		v.Peak.HeapLive = max(v.Peak.HeapLive, int64(peak.Live.Bytes))
	}
	v.TopAtPeak = s.TopSites(peak, threshold.TopSiteCount)
	for _, f := range s.Floors() {
		v.Floors = append(v.Floors, floorOf(f))
		v.TopAtFloor = s.TopSites(f, threshold.TopSiteCount)
	}
	d := closure.Sufficient(s)
	switch {
	case t.Kind == record.Speed:
	case d.Contradiction != "":
		v.Hypotheses = closure.Undecided(s, d.Contradiction)
	case peak == nil:
		v.Hypotheses = closure.Undecided(s, "no heap profile was read: profiles of the subject")
	}
	if d.Contradiction == "" && peak != nil {
		e := judge(s, o)
		js := e.Found
		v.Costs = finding.Costs(s, js)
		v.Hypotheses, v.Closure = closure.Hypotheses(s, e), closure.Closure(s, e)
		d.Complete = d.Complete && closure.AllExcluded(v.Hypotheses)
		v.Headline, v.Confidence = headline(s, e, d)
		d.Warnings = append(d.Warnings, closure.OpenWarnings(v.Hypotheses)...)
		if len(js) > 0 && js[0].Term.RetainedTerm && !js[0].Passive && len(js[0].Sites) > 0 {
			d.Warnings = append(d.Warnings, noPath)
		}
		for _, j := range js[:min(len(js), threshold.MaxFindings)] {
			v.Findings = append(v.Findings, j.Finding)
		}
	}
	ends.AddGrowth(s, v, o.OnSeries)
	if t.Subject.Pprof != "" && d.Contradiction == "" {
		d.Warnings = nil // a recording has no states to miss: its Growth says what would decide
	}
	v.Warnings = append(v.Warnings, d.Warnings...)
	v.Warnings = append(v.Warnings, t.Warnings...)
	v.Warnings = append(v.Warnings, s.Warnings...)
	return v
}

func floorOf(n *series.Snapshot) record.Floor {
	f := record.Floor{Seq: n.Seq, HeapLive: int64(n.Live.Bytes), Files: n.Cov().FilesDone}
	if n.Process != nil {
		f.RSS = n.Process.RSS
	}
	for _, c := range n.Routines {
		f.Routines += c
	}
	return f
}

// judge runs all rules and returns the findings, the most important first, with what they leave unexplained.
func judge(s *series.Series, o Options) *closure.Explained {
	u := fit.UnitsOf(s)
	js := finding.MergeByFunction(append(classes.JudgeProcess(s, u), classes.JudgeSites(s, u)...))
	for _, j := range js {
		finding.Explain(s, j)
	}
	js = finding.WholeRoutines(finding.Adopt(finding.AbsorbParts(js)))
	left := closure.RemainderOf(s, js, u)
	if j := closure.JudgeRemainder(s, left, u); j != nil {
		js = append(js, j)
	}
	js = append(js, ends.JudgeEnd(s, js)...)
	js = append(js, classes.JudgeStatic(s, js)...)
	js = append(js, classes.JudgeCollector(s)...)
	finding.BoundByTotal(s, js)
	for _, j := range js {
		complete(s, j, o)
	}
	full := broke(s) && !ends.Fits(s) // the live memory breaks the limit, whatever the collector does
	slices.SortStableFunc(js, func(a, b *finding.Judged) int {
		return cmp.Or(
			cmp.Compare(boolInt(costs.KindOf(a.Finding) == ""), boolInt(costs.KindOf(b.Finding) == "")),
			cmp.Compare(boolInt(a.Passive), boolInt(b.Passive)),
			cmp.Compare(boolInt(full && a.Class.Headline() == record.HeadHeadroom),
				boolInt(full && b.Class.Headline() == record.HeadHeadroom)),
			cmp.Compare(b.AtPlan, a.AtPlan),
			cmp.Compare(a.Class.Rank(), b.Class.Rank()),
			cmp.Compare(a.Key, b.Key))
	})
	return closure.Explain(s, explainsFirst(js), left)
}

// complete fills in what follows from the rest of a finding.
func complete(s *series.Series, j *finding.Judged, o Options) {
	j.BytesAtPeak = int64(j.Term.Amount)
	j.Bound = int64(math.Round(j.Term.Bound))
	j.AtPlan = int64(math.Min(atPlan(s, j, o), math.MaxInt64/4))
	j.Confidence = confidence(j.Term)
	if j.Passive {
		j.Confidence = math.Min(j.Confidence, threshold.PassiveTrust)
	}
	j.Stack = s.Blamer().Text(j.Frames)
	j.Summary = finding.Summarize(j)
	if j.Class == record.BufferWorker && len(j.Sites) > 0 {
		j.Summary += finding.SizesText(s, j)
	}
}

// confidence turns a t statistic into the probability that the term is real, never above 0.99: the model itself may
// be wrong.
func confidence(t fit.Term) float64 {
	if t.Slope == 0 {
		return 0.9
	}
	return math.Min(0.99, math.Erf(t.T()/2/math.Sqrt2))
}

// atPlan is the predicted size of a finding at the planned work, by the computation of a plan: all memory that comes
// with the unit, times the units that the work comes to.
func atPlan(s *series.Series, j *finding.Judged, o Options) float64 {
	if j.Slope == nil {
		return j.Term.Amount
	}
	bytes := j.Bytes()
	flight := 1.0
	for _, n := range s.Snaps {
		flight = math.Max(flight, float64(n.Cov().InFlight))
	}
	plan := costs.Plan{LargestFile: o.LargestFile, Files: o.PlannedFiles}
	if units, ok := costs.RatesOf(s.Trial).Planned(j.Slope.Per, j.Term.Bound, plan, flight); ok {
		return cmp.Or(bytes, j.Slope.Bytes) * units
	}
	return j.Term.Amount
}

// boolInt is 1 for true.
func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// headline applies the rule: faults by nature first, the one with the largest predicted share; what settings bound only
// where it is what breaks the limit, and nothing is suspected that no setting bounds; healthy only when the data would
// have shown a fault.
func headline(s *series.Series, e *closure.Explained, d closure.Sufficiency) (record.Headline, float64) {
	js := e.Found
	if len(js) > 0 && costs.KindOf(js[0].Finding) != "" {
		if js[0].Passive {
			return record.Inconclusive, 0
		}
		return costs.KindOf(js[0].Finding), js[0].Confidence * d.Quality
	}
	if k, ok := bounded(s, js); ok && e.Unnamed.Bytes == 0 {
		return k, 0.9 * d.Quality
	}
	if !d.Complete {
		return record.Inconclusive, 0
	}
	return record.Healthy, 0.95 * d.Quality
}

// bounded is the headline of the finding that breaks the limit, when one does and the largest finding is bounded by
// settings.
func bounded(s *series.Series, js []*finding.Judged) (record.Headline, bool) {
	if len(js) == 0 {
		return "", false
	}
	broke := broke(s)
	i := slices.IndexFunc(js, func(j *finding.Judged) bool { return j.Class == record.GCThrash })
	if i < 0 && !broke {
		return "", false
	}
	top := js[max(i, 0)]
	if broke && !ends.Fits(s) {
		at := slices.IndexFunc(js, func(j *finding.Judged) bool {
			return !j.Passive && j.Class.Headline() != record.HeadHeadroom
		})
		if at < 0 {
			return "", false
		}
		top = js[at]
	}
	return top.Class.Headline(), true
}

// broke reports whether the trial was killed by its limit or came near it. Of a subject in a cgroup the charge counts:
// resident file pages go when the limit presses.
func broke(s *series.Series) bool {
	limit, peak := s.Trial.Isolation.Limit, s.Trial.Peak.Bytes()
	return s.Trial.Outcome == record.OOMKilled || limit > 0 && float64(peak) > threshold.LimitShare*float64(limit)
}

// explainsFirst moves a leak of goroutines or connections ahead of a leak of memory that leads, as it may be what holds
// it; and a leak of memory ahead of what the same function holds for files in flight, as that is never released.
func explainsFirst(js []*finding.Judged) []*finding.Judged {
	if len(js) == 0 {
		return js
	}
	i := slices.IndexFunc(js, func(j *finding.Judged) bool {
		switch js[0].Class {
		case record.Leak:
			return j.Class == record.GoroutineLeak || j.Class == record.ConnectionLeak
		case record.BufferFile:
			return j.Class == record.Leak && j.Site.Function == js[0].Site.Function
		}
		return false
	})
	if i < 0 {
		return js
	}
	head := js[i]
	return slices.Insert(slices.Delete(js, i, i+1), 0, head)
}

// plainVerdict is the verdict of profiles of which only the times are known: what grew, and nothing of why.
func plainVerdict(s *series.Series, o Options) *record.Verdict {
	t := s.Trial
	v := &record.Verdict{Schema: record.VerdictSchema, Cell: t.Cell, Trial: t.Index, Outcome: t.Outcome,
		Headline: record.Inconclusive,
		Peak:     t.Peak, Waterfall: []record.Part{}, Findings: []record.Finding{}, Warnings: []string{}}
	peak := s.Peak()
	if peak != nil {
		v.Peak.HeapLive = max(v.Peak.HeapLive, int64(peak.Live.Bytes))
	}
	v.TopAtPeak = s.TopSites(peak, threshold.TopSiteCount)
	ends.AddGrowth(s, v, o.OnSeries)
	v.Warnings = append(v.Warnings, s.Warnings...)
	return v
}
