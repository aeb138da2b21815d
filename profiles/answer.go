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
	if healthy := byHead[record.Healthy]; len(healthy) > 0 {
		out = append(out, healthySentence(rv, healthy))
	}
	n := len(byHead[record.Inconclusive])
	for _, i := range byHead[record.Inconclusive] {
		if g := rv.Cells[i].Growth; g != nil && g.Profiles > 0 {
			out = append(out, growthSentence(g))
			n--
		}
	}
	if n > 0 {
		out = append(out, trialsAre(n, len(rv.Cells))+" inconclusive"+unexplainedText(rv, byHead[record.Inconclusive]))
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

// faultSentences are the first findings of the trials that have a fault, the commonest first, and then what else they
// have by nature that comes to alsoShare of the first.
func faultSentences(rv *record.RunVerdict) []string {
	var out []string
	type group struct {
		finding record.Finding
		cells   int
		also    bool // nowhere the first
	}
	groups := map[string]*group{}
	var order []string
	for _, v := range rv.Cells {
		if len(v.Findings) == 0 || v.Headline == record.Healthy || v.Headline == record.Inconclusive {
			continue
		}
		for i, f := range v.Findings {
			if i > 0 && (costs.KindOf(f) == "" || float64(f.AtPlan) < alsoShare*float64(v.Findings[0].AtPlan)) {
				continue
			}
			k := string(f.Class) + f.Site.Function
			if groups[k] == nil {
				groups[k] = &group{finding: f, also: true}
				order = append(order, k)
			}
			g := groups[k]
			g.cells++
			g.also = g.also && i > 0
			if f.AtPlan > g.finding.AtPlan {
				g.finding = f
			}
		}
	}
	last := map[bool]int{true: 1}
	slices.SortStableFunc(order, func(a, b string) int {
		return cmp.Or(last[groups[a].also]-last[groups[b].also], cmp.Compare(groups[b].cells, groups[a].cells),
			cmp.Compare(groups[b].finding.AtPlan, groups[a].finding.AtPlan))
	})
	for _, k := range order {
		g := groups[k]
		where, also := "", ""
		if g.also {
			also = "Also: "
		}
		if len(rv.Cells) > 1 {
			where = fmt.Sprintf(" in %d of %d trials", g.cells, len(rv.Cells))
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
	return fmt.Sprintf("%s healthy: peak %s%s", trialsAre(len(healthy), len(rv.Cells)), peaks, mark)
}

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
