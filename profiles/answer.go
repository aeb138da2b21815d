package profiles

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/memsoak/memsoak/profiles/record"
)

// answer is the run in a few lines, the most important first.
func answer(rv *record.RunVerdict) []string {
	out := []string{}
	byHead := map[record.Headline][]int{}
	for i, v := range rv.Cells {
		byHead[v.Headline] = append(byHead[v.Headline], i)
	}
	type group struct {
		finding record.Finding
		cells   int
	}
	groups := map[string]*group{}
	var order []string
	for _, v := range rv.Cells {
		if len(v.Findings) == 0 || v.Headline == record.Healthy || v.Headline == record.Inconclusive {
			continue
		}
		f := v.Findings[0]
		k := string(f.Class) + f.Site.Function
		if groups[k] == nil {
			groups[k] = &group{finding: f}
			order = append(order, k)
		}
		g := groups[k]
		g.cells++
		if f.AtPlan > g.finding.AtPlan {
			g.finding = f
		}
	}
	slices.SortStableFunc(order, func(a, b string) int {
		return cmp.Or(cmp.Compare(groups[b].cells, groups[a].cells), cmp.Compare(groups[b].finding.AtPlan, groups[a].finding.AtPlan))
	})
	for _, k := range order {
		g := groups[k]
		out = append(out, fmt.Sprintf("%s (%s in %d of %d trials)", g.finding.Summary, g.finding.Class, g.cells, len(rv.Cells)))
	}
	if n := len(byHead[record.Healthy]); n > 0 {
		var lo, hi int64
		for _, i := range byHead[record.Healthy] {
			rss := rv.Cells[i].Peak.RSS
			if lo == 0 || rss < lo {
				lo = rss
			}
			hi = max(hi, rss)
		}
		out = append(out, fmt.Sprintf("%d of %d trials are healthy: peak RSS %s to %s", n, len(rv.Cells), bytesText(float64(lo)), bytesText(float64(hi))))
	}
	if n := len(byHead[record.Inconclusive]); n > 0 {
		out = append(out, fmt.Sprintf("%d of %d trials are inconclusive; their warnings say what is missing", n, len(rv.Cells)))
	}
	if len(rv.Cells) == 0 {
		out = append(out, "nothing was recorded, so nothing can be said")
	}
	return append(out, capacityLine(rv.Capacity)...)
}

func capacityLine(c *record.Capacity) []string {
	switch {
	case c == nil:
		return nil
	case c.MaxWorkers < 0:
		return []string{fmt.Sprintf("Below %s not even one worker is safe: %s", bytesText(float64(c.Limit)), c.Binds)}
	case c.AtLeast:
		return []string{fmt.Sprintf("Below %s memory does not bind up to %d workers, as far as this matrix can tell", bytesText(float64(c.Limit)), c.MaxWorkers)}
	}
	return []string{fmt.Sprintf("Below %s up to %d workers are safe with GOMEMLIMIT=%dMiB; what binds first is %s",
		bytesText(float64(c.Limit)), c.MaxWorkers, c.GOMEMLIMIT>>20, c.Binds)}
}
