package profiles

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/record"
)

// Diagnose judges the series.
func (s *Series) Diagnose(o Options) *record.Verdict {
	o = o.withDefaults()
	t := s.Trial
	v := &record.Verdict{Schema: record.VerdictSchema, Cell: t.Cell, Trial: t.Index, Outcome: t.Outcome,
		Headline: record.Inconclusive, Peak: t.Peak, Waterfall: s.waterfall(), Findings: []record.Finding{},
		Warnings: []string{}}
	peak := s.peak()
	if peak != nil {
		v.Peak.HeapLive = max(v.Peak.HeapLive, int64(peak.Live.Bytes))
	}
	v.TopAtPeak = s.topSites(peak, topSiteCount)
	for _, f := range s.floors() {
		v.Floors = append(v.Floors, floorOf(f))
		v.TopAtFloor = s.topSites(f, topSiteCount)
	}
	d := s.sufficient()
	switch {
	case t.Kind == record.Speed:
	case d.contradiction != "":
		v.Hypotheses = s.undecided(d.contradiction)
	case peak == nil:
		v.Hypotheses = s.undecided("no heap profile was read: profiles of the subject")
	}
	if d.contradiction == "" && peak != nil {
		e := s.judge(o)
		js := e.found
		v.Costs = s.costs(js)
		v.Hypotheses, v.Closure = s.hypotheses(e), s.closure(e)
		d.complete = d.complete && allExcluded(v.Hypotheses)
		v.Headline, v.Confidence = s.headline(js, d)
		d.warnings = append(d.warnings, openWarnings(v.Hypotheses)...)
		if len(js) > 0 && js[0].term.retainedTerm && !js[0].passive && len(js[0].sites) > 0 {
			d.warnings = append(d.warnings, noPath)
		}
		for _, j := range js[:min(len(js), maxFindings)] {
			v.Findings = append(v.Findings, j.Finding)
		}
	}
	s.addGrowth(v, o.OnSeries)
	if t.Subject.Pprof != "" && d.contradiction == "" {
		d.warnings = nil // a recording has no states to miss: its Growth says what would decide
	}
	v.Warnings = append(v.Warnings, d.warnings...)
	v.Warnings = append(v.Warnings, t.Warnings...)
	v.Warnings = append(v.Warnings, s.Warnings...)
	return v
}

func floorOf(n *Snapshot) record.Floor {
	f := record.Floor{Seq: n.Seq, HeapLive: int64(n.Live.Bytes), Files: n.cov().FilesDone}
	if n.Process != nil {
		f.RSS = n.Process.RSS
	}
	for _, c := range n.Routines {
		f.Routines += c
	}
	return f
}

// judge runs all rules and returns the findings, the most important first, with what they leave unexplained.
func (s *Series) judge(o Options) *explained {
	u := s.units()
	js := mergeByFunction(append(s.judgeProcess(u), s.judgeSites(u)...))
	for _, j := range js {
		s.explain(j)
	}
	js = wholeRoutines(adopt(absorb(js)))
	left := s.remainder(js, u)
	if j := s.judgeRemainder(left, u); j != nil {
		js = append(js, j)
	}
	js = append(js, s.judgeEnd(js)...)
	js = append(js, s.judgeStatic(js)...)
	js = append(js, s.judgeCollector()...)
	s.boundByTotal(js)
	for _, j := range js {
		s.complete(j, o)
	}
	full := s.broke() && !s.fits() // the live memory breaks the limit, whatever the collector does
	slices.SortStableFunc(js, func(a, b *judged) int {
		return cmp.Or(
			cmp.Compare(byNature(a.Finding), byNature(b.Finding)),
			cmp.Compare(boolInt(a.passive), boolInt(b.passive)),
			cmp.Compare(boolInt(full && ofCollector(a.Class)), boolInt(full && ofCollector(b.Class))),
			cmp.Compare(b.AtPlan, a.AtPlan),
			cmp.Compare(rank(a.Class), rank(b.Class)),
			cmp.Compare(a.key, b.key))
	})
	return s.explainedBy(explainsFirst(js), left)
}

// complete fills in what follows from the rest of a finding.
func (s *Series) complete(j *judged, o Options) {
	j.BytesAtPeak = int64(j.term.amount)
	j.Bound = int64(math.Round(j.term.bound))
	j.AtPlan = int64(math.Min(s.atPlan(j, o), math.MaxInt64/4))
	j.Confidence = confidence(j.term)
	if j.passive {
		j.Confidence = math.Min(j.Confidence, passiveTrust)
	}
	j.Stack = s.blamer().Text(j.stack)
	j.Summary = summarize(j)
	if j.Class == record.BufferWorker && len(j.sites) > 0 {
		j.Summary += s.sizesText(j)
	}
}

// confidence turns a t statistic into the probability that the term is real, never above 0.99: the model itself may
// be wrong.
func confidence(t term) float64 {
	if t.slope == 0 {
		return 0.9
	}
	return math.Min(0.99, math.Erf(t.t()/2/math.Sqrt2))
}

// atPlan is the predicted size of a finding at the planned work, by the computation of a plan: all memory that comes
// with the unit, times the units that the work comes to.
func (s *Series) atPlan(j *judged, o Options) float64 {
	if j.Slope == nil {
		return j.term.amount
	}
	bytes := j.bytes()
	flight := 1.0
	for _, n := range s.Snaps {
		flight = math.Max(flight, float64(n.cov().InFlight))
	}
	plan := Plan{LargestFile: o.LargestFile, Files: o.PlannedFiles}
	if units, ok := RatesOf(s.Trial).planned(j.Slope.Per, j.term.bound, plan, flight); ok {
		return cmp.Or(bytes, j.Slope.Bytes) * units
	}
	return j.term.amount
}

// boolInt is 1 for true.
func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// byNature is 0 for what grows without bound as the work grows, 1 for what settings bound.
func byNature(f record.Finding) int {
	if kindOf(f) == "" {
		return 1
	}
	return 0
}

// kindOf is the headline that a finding makes by its nature, empty for what settings bound.
func kindOf(f record.Finding) record.Headline {
	switch f.Class {
	case record.Leak, record.GoroutineLeak, record.ConnectionLeak:
		return record.HeadLeak
	case record.Metadata:
		return record.HeadMetadata
	case record.BufferFile:
		return record.HeadBuffer
	case record.OffHeap, record.PageCache:
		if f.Class == record.PageCache && !f.Unreclaimable || f.Slope == nil {
			return ""
		}
		switch f.Slope.Per {
		case "worker", "connection", "goroutine":
			return ""
		}
		return record.HeadOffHeap
	}
	return ""
}

// rank breaks ties by the order of the rule.
func rank(c record.Class) int {
	return slices.Index([]record.Class{record.Leak, record.GoroutineLeak, record.ConnectionLeak, record.Metadata,
		record.BufferFile,
		record.OffHeap, record.PageCache, record.BufferWorker, record.BufferPool, record.Cache, record.Static, record.Stacks,
		record.GCHeadroom,
		record.GCThrash, record.Unreturned}, c)
}

// headline applies the rule: faults by nature first, the one with the largest predicted share; what settings bound only
// where it is what breaks the limit, and nothing is suspected that no setting bounds; healthy only when the data would
// have shown a fault.
func (s *Series) headline(js []*judged, d sufficiency) (record.Headline, float64) {
	if len(js) > 0 && byNature(js[0].Finding) == 0 {
		if js[0].passive {
			return record.Inconclusive, 0
		}
		return kindOf(js[0].Finding), js[0].Confidence * d.quality
	}
	if k, ok := s.bounded(js); ok {
		return k, 0.9 * d.quality
	}
	if !d.complete {
		return record.Inconclusive, 0
	}
	return record.Healthy, 0.95 * d.quality
}

// bounded is the headline of the finding that breaks the limit, when one does and the largest finding is bounded by
// settings.
func (s *Series) bounded(js []*judged) (record.Headline, bool) {
	if len(js) == 0 {
		return "", false
	}
	broke := s.broke()
	i := slices.IndexFunc(js, func(j *judged) bool { return j.Class == record.GCThrash })
	if i < 0 && !broke {
		return "", false
	}
	top := js[max(i, 0)]
	if broke && !s.fits() {
		at := slices.IndexFunc(js, func(j *judged) bool { return !j.passive && !ofCollector(j.Class) })
		if at < 0 {
			return "", false
		}
		top = js[at]
	}
	switch top.Class {
	case record.GCHeadroom, record.GCThrash, record.Unreturned:
		return record.HeadHeadroom, true
	case record.PageCache, record.OffHeap:
		return record.HeadOffHeap, true
	}
	return record.HeadBuffer, true
}

// broke reports whether the trial was killed by its limit or came near it. Of a subject in a cgroup the charge counts:
// resident file pages go when the limit presses.
func (s *Series) broke() bool {
	limit, peak := s.Trial.Isolation.Limit, s.Trial.Peak.Bytes()
	return s.Trial.Outcome == record.OOMKilled || limit > 0 && float64(peak) > limitShare*float64(limit)
}

// ofCollector reports whether a class is about garbage and not about live memory.
func ofCollector(c record.Class) bool {
	return c == record.GCHeadroom || c == record.GCThrash || c == record.Unreturned
}

// absorb folds findings that are parts of another fault into it: the heap that leaked goroutines and connections hold,
// and the second name of one thing.
func absorb(js []*judged) []*judged {
	var heads []*judged
	for _, c := range []record.Class{record.ConnectionLeak, record.GoroutineLeak} {
		for _, j := range js {
			if j.Class == c {
				heads = append(heads, j)
			}
		}
	}
	if len(heads) == 0 {
		return js
	}
	head := heads[0]
	return slices.DeleteFunc(js, func(j *judged) bool {
		if j == head || !partClass(j, head) || !heldBy(j, head) {
			return false
		}
		head.absorb(j)
		return true
	})
}

// adopt folds what the network packages allocated and a leak with the same unit keeps, as the header of each request,
// into that leak: the allocation has no frame of the user's, what keeps it has.
func adopt(js []*judged) []*judged {
	return slices.DeleteFunc(js, func(j *judged) bool {
		if j.Class != record.Leak || j.owner != OwnerConnection || !j.term.retainedTerm {
			return false
		}
		var head *judged
		for _, o := range js {
			keeps := o != nil && o.Class == record.Leak && o.owner == OwnerUser && o.term.retainedTerm &&
				o.Slope.Per == j.Slope.Per
			if keeps && o.term.slope > j.term.slope && (head == nil || o.term.slope > head.term.slope) {
				head = o
			}
		}
		if head == nil {
			return false
		}
		head.absorb(j)
		return true
	})
}

// partClass reports whether j can be a part of head by its class. What a request left with a connection is gone from
// the floors, where idle connections are closed: held states show it, as if it went with each listed file.
func partClass(j, head *judged) bool {
	switch j.Class {
	case record.Leak, record.GoroutineLeak, record.ConnectionLeak:
		return j.term.retainedTerm
	case record.Metadata:
		return j.Slope.Per == "listed-file" && head.Class == record.ConnectionLeak && j.owner == OwnerUser &&
			makesRequest(j.stack)
	}
	return false
}

// absorb adds to a finding another that is a part of it.
func (j *judged) absorb(o *judged) {
	j.take(o)
	if j.most == 0 {
		j.most = j.term.amount
	}
	// As everywhere, the line with the most bytes stands for its function.
	line := o.Site.Function == j.Site.Function && o.term.amount > j.most
	j.term.slope += o.term.slope
	j.term.se = math.Hypot(j.term.se, o.term.se)
	j.term.amount += o.term.amount
	j.Slope.Bytes, j.Slope.CI95 = j.term.slope, j.term.ci95()
	j.Evidence = append(j.Evidence, fmt.Sprintf("with it stays %s per %s from %s %s:%d", bytesText(o.Slope.Bytes),
		itemText(o.Slope.Per),
		short(o.Site.Function), o.Site.File, o.Site.Line))
	if j.Site.Function == "" || j.owner != OwnerUser && o.owner == OwnerUser || line {
		j.Site, j.owner, j.stack, j.most = o.Site, o.owner, o.stack, o.term.amount
	}
}

// heldBy reports whether what leaks in j is held by the leaked goroutines or connections of head: what goes through the
// network packages with connections, what the same package made with goroutines, and what has no frame of the user's.
func heldBy(j, head *judged) bool {
	switch {
	case j.Class != record.Leak && j.Class != record.Metadata:
		return true
	case (j.Slope.Per == "second") != (head.Slope.Per == "second"):
		return false
	case j.owner != OwnerUser || j.Site.Function == head.Site.Function:
		return true
	case head.Class == record.ConnectionLeak:
		return throughNetwork(j.stack)
	}
	return packagePath(j.Site.Function) == packagePath(head.Site.Function)
}

// explainsFirst moves a leak of goroutines or connections ahead of a leak of memory that leads: it may be what holds
// it.
func explainsFirst(js []*judged) []*judged {
	if len(js) == 0 || js[0].Class != record.Leak {
		return js
	}
	i := slices.IndexFunc(js, func(j *judged) bool {
		return j.Class == record.GoroutineLeak ||
			j.Class == record.ConnectionLeak
	})
	if i < 0 {
		return js
	}
	head := js[i]
	return slices.Insert(slices.Delete(js, i, i+1), 0, head)
}
