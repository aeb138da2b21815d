package profiles

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

// answer is the run in a few lines, the most important first.
func answer(rv *record.RunVerdict) []string {
	out := []string{}
	byHead := map[record.Headline][]int{}
	for i, v := range rv.Cells {
		byHead[v.Headline] = append(byHead[v.Headline], i)
	}
	out = append(out, faultSentences(rv)...)
	n := len(byHead[record.Inconclusive])
	for _, i := range byHead[record.Inconclusive] {
		if g := rv.Cells[i].Growth; g != nil && g.Profiles > 0 {
			out = append(out, growthSentence(g))
			n--
		}
	}
	if rv.Lost > 0 && len(rv.Cells) > 0 {
		out = append(out, trialsAre(rv.Lost, trialsOf(rv))+" without a verdict; the warnings say why")
	}
	if n > 0 {
		out = append(out, trialsAre(n, trialsOf(rv))+" inconclusive"+unexplainedText(rv, byHead[record.Inconclusive]))
	}
	if healthy := byHead[record.Healthy]; len(healthy) > 0 {
		out = append(out, healthySentence(rv, healthy))
	}
	if len(rv.Cells) == 0 {
		out = append(out, "nothing was recorded, so nothing can be said")
	}
	if rv.Capacity != nil {
		out = append(out, rv.Capacity.Answer...)
	}
	return out
}

// unexplainedText says what grew most in the trials that are inconclusive, where that is much and has a place.
func unexplainedText(rv *record.RunVerdict, cells []int) string {
	var most *record.Closure
	for _, i := range cells {
		c := rv.Cells[i].Closure
		if c != nil && len(c.Sites) > 0 && c.Unexplained >= threshold.LeastUnexplained &&
			(most == nil || c.Unexplained > most.Unexplained) {
			most = c
		}
	}
	if most == nil {
		return "; the warnings say what is missing"
	}
	at := most.Sites[0]
	return fmt.Sprintf(": %s of growth that no finding explains, %s of it from %s (%s:%d); the warnings say what decides",
		words.Bytes(float64(most.Unexplained)), words.Bytes(float64(at.Bytes)),
		words.Short(blame.CleanName(at.Site.Function)), at.Site.File,
		at.Site.Line)
}

// culprit is the findings of the same class and function, over the trials that have a fault.
type culprit struct {
	finding *record.Finding // the largest of them
	leads   *record.Verdict // the trial with the highest peak of those whose headline is about it; nil for none
	cells   int
}

// Leading is the finding that a trial's headline is about, which need not be the largest: nil where the trial is
// healthy or inconclusive.
func Leading(v *record.Verdict) *record.Finding {
	if v == nil || len(v.Findings) == 0 || v.Headline == "" || v.Headline == record.Healthy ||
		v.Headline == record.Inconclusive {
		return nil
	}
	i := slices.IndexFunc(v.Findings, func(f record.Finding) bool {
		return cmp.Or(costs.KindOf(f), f.Class.Headline()) == v.Headline
	})
	return &v.Findings[max(i, 0)]
}

// Lead is what the first line of a run's answer is about: a trial and the finding that its headline is about; nil where
// no trial has a fault.
func Lead(rv *record.RunVerdict) (*record.Verdict, *record.Finding) {
	if all := culprits(rv); len(all) > 0 {
		return all[0].leads, Leading(all[0].leads)
	}
	return nil, nil
}

// culprits are the leading findings of the trials that have a fault, the commonest first, and then what else they have
// by nature that comes to alsoShare of the leading one.
func culprits(rv *record.RunVerdict) []*culprit {
	groups := map[string]*culprit{}
	var out []*culprit
	for i := range rv.Cells {
		v := &rv.Cells[i]
		lead := Leading(v)
		if lead == nil {
			continue
		}
		for j := range v.Findings {
			f := &v.Findings[j]
			if f != lead && (costs.KindOf(*f) == "" || float64(f.AtPlan) < alsoShare*float64(lead.AtPlan)) {
				continue
			}
			k := string(f.Class) + f.Site.Function
			g := groups[k]
			if g == nil {
				g = &culprit{finding: f}
				groups[k], out = g, append(out, g)
			}
			g.cells++
			if f == lead && (g.leads == nil || v.Peak.Bytes() > g.leads.Peak.Bytes()) {
				g.leads = v
			}
			if f.AtPlan > g.finding.AtPlan {
				g.finding = f
			}
		}
	}
	slices.SortStableFunc(out, func(a, b *culprit) int {
		return cmp.Or(boolInt(a.leads == nil)-boolInt(b.leads == nil), cmp.Compare(b.cells, a.cells),
			cmp.Compare(b.finding.AtPlan, a.finding.AtPlan))
	})
	return out
}

// faultSentences are the faults in words.
func faultSentences(rv *record.RunVerdict) []string {
	var out []string
	for _, g := range culprits(rv) {
		where, also := "", ""
		if g.leads == nil {
			also = "Also: "
		}
		if all := trialsOf(rv); all > 1 {
			where = fmt.Sprintf(" in %d of %d trials", g.cells, all)
		}
		out = append(out, fmt.Sprintf("%s%s (%s%s)", also, g.finding.Summary, g.finding.Class, where))
	}
	return out
}

// alsoShare is the part of the first finding's memory at the planned work from which another fault is worth a line.
const alsoShare = 0.05

// growthSentence is the text of a verdict on uncontrolled profiles: the total, and the place that grew most.
func growthSentence(g *record.Growth) string {
	t := &g.Total
	out := fmt.Sprintf("live heap %s to %s in %d profiles (growth %s): ", words.Bytes(t.First),
		words.Bytes(t.Last), g.Profiles, t.State)
	switch {
	case len(g.Causes) == 0 && len(g.Routines) == 0:
		return out + "no place grew beyond its ups and downs"
	case len(g.Causes) == 0:
		r := &g.Routines[0]
		return out + fmt.Sprintf("%.0f goroutines of %s became %.0f", r.First, r.Root, r.Last)
	case g.Profiles == 1:
		return out + fmt.Sprintf("most of it, %s, is from %s", words.Bytes(g.Causes[0].Last),
			g.Causes[0].Site.Function)
	}
	c := &g.Causes[0]
	return out + fmt.Sprintf("%s grew by %s", c.Site.Function, words.Bytes(c.Grew()))
}

// healthySentence says how many trials are healthy, and between which peaks.
func healthySentence(rv *record.RunVerdict, healthy []int) string {
	var lo, hi int64
	var mark string
	for _, i := range healthy {
		n, kind := rv.Cells[i].Peak.Memory()
		if lo == 0 || n < lo {
			lo = n
		}
		hi, mark = max(hi, n), kind.Mark()
	}
	peaks := words.Bytes(float64(lo))
	if hi != lo {
		peaks += " to " + words.Bytes(float64(hi))
	}
	return fmt.Sprintf("%s healthy: peak %s%s", trialsAre(len(healthy), trialsOf(rv)), peaks, mark)
}

// trialsOf is how many trials the run was to be judged by.
func trialsOf(rv *record.RunVerdict) int { return len(rv.Cells) + rv.Lost }

// trialsAre begins a sentence about some of the trials.
func trialsAre(n, all int) string {
	if all == 1 {
		return "The trial is"
	}
	if n == 1 {
		return fmt.Sprintf("1 of %d trials is", all)
	}
	return fmt.Sprintf("%d of %d trials are", n, all)
}
