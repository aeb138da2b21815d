package ends

import (
	"fmt"
	"slices"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/growth"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

// AddGrowth adds to the verdict of a passive series what its curves say: the growth itself, suspects as findings where
// no rule has found the same function, and the hypotheses that it answers.
// onSeries, if not nil, is given what they are judged from.
func AddGrowth(s *series.Series, v *record.Verdict, onSeries func(growth.Series)) {
	g, from := s.JudgeGrowth()
	if g == nil {
		return
	}
	v.Growth = g
	if onSeries != nil {
		onSeries(from)
	}
	v.Findings = append(v.Findings, suspects(g, v.Findings)...)
	for _, h := range growthHypotheses(g) {
		i := slices.IndexFunc(v.Hypotheses, func(have record.Hypothesis) bool {
			return have.Class == h.Class &&
				have.Per == h.Per
		})
		switch {
		case i < 0:
			v.Hypotheses = append(v.Hypotheses, h)
		case v.Hypotheses[i].State != record.Found && v.Hypotheses[i].State != record.Excluded:
			v.Hypotheses[i] = h // the rules left it open
		}
	}
}

// suspects are the causes and the groups of goroutines that are alleged beside what the rules have found. What has no
// frame of the user's belongs to the goroutines or connections that a finding already names.
func suspects(g *record.Growth, found []record.Finding) []record.Finding {
	known, classes := map[string]bool{}, map[record.Class]bool{}
	for _, f := range found {
		known[f.Site.Function], classes[f.Class] = true, true
	}
	var out []record.Finding
	if !g.Allocated && !g.Difference && g.Profiles > 1 {
		for _, c := range g.Causes {
			f := suspect(&c)
			if alleged(&c, g) && !known[f.Site.Function] && !partOf(&c, classes) {
				out = append(out, f)
			}
		}
	}
	for _, m := range g.Memory {
		if m.Name == record.OutsidePart && m.State == record.Found && !classes[record.OffHeap] {
			out = append(out, suspectOutside(&m))
		}
	}
	for _, r := range g.Routines {
		if f := suspectRoutine(&r); !known[f.Site.Function] && !(f.Class == record.ConnectionLeak && classes[f.Class]) {
			out = append(out, f)
		}
	}
	return out
}

// partOf reports whether a cause belongs to a finding of one of the classes: the runtime's own memory comes with
// goroutines, and what only the standard library is in with connections.
func partOf(c *record.Cause, found map[record.Class]bool) bool {
	if c.User != nil || !blame.IsStandard(blame.Frame{Function: c.Site.Function, File: c.Site.File, Line: c.Site.Line}) {
		return false
	}
	return found[record.ConnectionLeak] || found[record.GoroutineLeak] && blame.PackagePath(c.Site.Function) == "runtime"
}

// minSuspect is how many standard deviations a cause has to grow by: one or two sampled objects come and go.
const minSuspect = 1.5

// alleged reports whether the growth of a cause is worth a finding. What rose while the total did not, or by an object
// or two of the sampler's, stands in the growth alone.
func alleged(c *record.Cause, g *record.Growth) bool {
	return c.State == record.Found || g.Total.State != record.Excluded && c.Grew() >= minSuspect*c.Noise
}

// blamed is the place of a cause that a finding names: the user's own where there is one.
func blamed(c *record.Cause) record.Site {
	site := c.Site
	if c.User != nil {
		site = *c.User
	}
	site.Function = blame.CleanName(site.Function)
	return site
}

// suspect is a cause as a finding. Growth alone doesn't say that it is a leak, so that its confidence is bounded.
func suspect(c *record.Cause) record.Finding {
	f := record.Finding{Class: record.Leak, Site: blamed(c), BytesAtPeak: int64(c.Last), Slope: c.Slope,
		Confidence: min(threshold.PassiveTrust, c.Confidence), Stack: c.Stack}
	f.Evidence = []string{fmt.Sprintf("%s in the first profile, %s in the last: up in %d of %d steps; sampling and ups "+
		"and downs make %s",
		words.Bytes(c.First), words.Bytes(c.Last), c.Up, c.Steps, words.Bytes(c.Noise))}
	switch {
	case c.Rest == nil:
		f.Evidence = append(f.Evidence,
			"there is no profile without load: a cache that isn't full and work that piles up grow alike")
	case float64(*c.Rest) < c.Grew()/2:
		f.Evidence = append(f.Evidence, fmt.Sprintf("without load %s of it were left: it was work in progress",
			words.Bytes(float64(*c.Rest))))
		f.Class = record.Metadata
	default:
		f.Evidence = append(f.Evidence, fmt.Sprintf("without load %s of it were still there", words.Bytes(float64(*c.Rest))))
	}
	f.Summary = fmt.Sprintf("%s grew by %s", f.Site.Function, words.Bytes(c.Grew()))
	return f
}

func suspectOutside(m *record.MemoryPart) record.Finding {
	return record.Finding{Class: record.OffHeap, BytesAtPeak: int64(m.Last), Slope: m.Slope,
		Confidence: min(threshold.PassiveTrust, m.Confidence),
		Summary:    fmt.Sprintf("%s grew by %s", m.Name, words.Bytes(m.Grew())),
		Evidence: []string{fmt.Sprintf("%s in the first reading, %s in the last: up in %d of %d steps", words.Bytes(m.First),
			words.Bytes(m.Last), m.Up, m.Steps), "no profile has it: its line is what calls mmap, C or an off-heap cache"}}
}

func suspectRoutine(r *record.RoutineGrowth) record.Finding {
	site := r.At
	site.Function = blame.CleanName(r.Root)
	if r.Creator != "" {
		site.Function = blame.CleanName(r.Creator)
	}
	f := record.Finding{Class: r.Class, Site: site, BytesAtPeak: r.Stack, Slope: r.Slope, Confidence: min(0.99,
		r.Confidence)}
	f.Summary = fmt.Sprintf("%.0f more goroutines of %s wait (%s)", r.Grew(), r.Root, r.Wait)
	f.Evidence = []string{fmt.Sprintf("%.0f in the first profile, %.0f in the last: up in %d of %d steps", r.First, r.Last,
		r.Up, r.Steps)}
	if r.Remain {
		f.Evidence = append(f.Evidence, "they were there when the load had stopped, and not before it began")
	}
	return f
}

// growthTarget is the growth in bytes a second, and routineTarget that in goroutines, that healthy needs excluded.
const (
	growthTarget  = 16 << 10
	routineTarget = 0.02
)

// growthHypotheses says which of the faults that grow with time the series answers.
func growthHypotheses(g *record.Growth) []record.Hypothesis {
	var out []record.Hypothesis
	if g.Profiles > 0 {
		h := record.Hypothesis{Class: record.Leak, Per: "second", Target: growthTarget, Slope: g.Total.Slope,
			Limit: g.Total.Limit}
		switch {
		case g.Total.State == record.Excluded && h.Limit > 0:
			h.State, h.Slope = record.Excluded, nil
		case g.Total.State == record.Found && retained(g):
			h.State = record.Found
		default:
			h.Needs = g.Next + ": " + g.Command
		}
		out = append(out, h)
	}
	h := record.Hypothesis{Class: record.GoroutineLeak, Per: "second", Target: routineTarget,
		Needs: "goroutine profiles beside those of the heap: " + g.Command}
	for _, r := range g.Routines {
		if r.State == record.Found && r.Class == record.GoroutineLeak {
			h.State, h.Slope, h.Limit, h.Needs = record.Found, r.Slope, r.Limit, ""
			break
		}
	}
	return append(out, h)
}

// retained reports whether most of the growth was there without load.
func retained(g *record.Growth) bool {
	kept, grew := 0.0, 0.0
	for _, c := range g.Causes {
		if c.Rest != nil {
			kept += float64(*c.Rest)
		}
		grew += c.Grew()
	}
	return grew > 0 && kept > grew/2
}
