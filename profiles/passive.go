package profiles

import (
	"fmt"
	"math"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// judgePassive says of a series without states what its curves can say: which of the user's sites kept growing. Nothing
// it finds is certain, since a cache that fills and a backlog that builds up look the same.
func (s *Series) judgePassive(decided []*judged) []*judged {
	snaps := make([]int, 0, len(s.Snaps))
	for i, n := range s.Snaps {
		if n.Profiled {
			snaps = append(snaps, i)
		}
	}
	if len(snaps) < minPassive {
		return nil
	}
	known := map[string]bool{}
	for _, j := range decided {
		known[j.Site.Function] = true
	}
	var out []*judged
	hours := make([]float64, len(snaps))
	for k, i := range snaps {
		hours[k] = s.Snaps[i].Time.Sub(s.Snaps[snaps[0]].Time).Hours()
	}
	for id, site := range s.Sites {
		if known[site.Function] {
			continue
		}
		q := s.siteQuantity(id)
		y := make([]float64, len(snaps))
		for k, i := range snaps {
			y[k] = q.values[i]
		}
		if j := s.growing(id, q, snaps, hours, y); j != nil {
			out = append(out, j)
		}
	}
	return out
}

// growing tests one site's curve.
func (s *Series) growing(id int, q *quantity, snaps []int, hours, y []float64) *judged {
	k, line := trend.MannKendall(y), trend.TheilSen(hours, y)
	first, last := snaps[0], snaps[len(snaps)-1]
	grew := y[len(y)-1] - y[0]
	noise := math.Sqrt(q.variance[first] + q.variance[last] + q.grain*q.grain)
	if !k.OK || k.Z < passiveZ || !line.OK || grew < minT*noise || grew < passiveGrowth*y[len(y)-1] {
		return nil
	}
	half := len(y) / 2
	late := trend.TheilSen(hours[half:], y[half:])
	t := term{unit: unit{name: "second", class: record.Leak}, slope: line.Slope / 3600, se: noise / math.Max(1e-9, hours[len(hours)-1]*3600),
		amount: grew, share: 1, from: [2]int{first, last}, steps: len(snaps), retainedTerm: true}
	j := &judged{term: t, owner: s.Sites[id].Owner, stack: s.Sites[id].Stack, passive: true}
	j.Class, j.Site = record.Leak, s.Sites[id].Site
	j.Slope = &record.Slope{Bytes: t.slope, Per: "second", CI95: t.ci95()}
	j.key = fmt.Sprint("passive|", j.Site.Function)
	j.Evidence = append(j.Evidence, fmt.Sprintf("%s at %s, %s at %s: a rising trend over %d profiles (Mann-Kendall z = %.1f), %s an hour (Theil-Sen)",
		bytesText(y[0]), s.Snaps[first].Time.UTC().Format("15:04:05"), bytesText(y[len(y)-1]), s.Snaps[last].Time.UTC().Format("15:04:05"),
		len(y), k.Z, bytesText(line.Slope)))
	if late.OK && late.Slope < lateShare*line.Slope {
		j.Evidence = append(j.Evidence, fmt.Sprintf("it flattens: %s an hour in the second half, as a cache that fills would", bytesText(late.Slope)))
	} else {
		j.Evidence = append(j.Evidence, "it does not flatten")
	}
	return j
}

// experiments says what would decide what a passive series cannot.
func (s *Series) experiments(js []*judged) []string {
	var out []string
	for _, j := range js {
		if j.passive {
			out = append(out, "what grows may be a leak, a cache that is not full yet, or work that piles up; three floors would decide: stop the work, "+
				"fetch /debug/pprof/heap?gc=1 twice, work through N files, floor, the same N files again, floor, N new files, floor. Growth in each is a leak; "+
				"not with the same files: kept per distinct item; gone at the floors: work in progress. 'soak run' does this by itself")
			break
		}
	}
	if len(s.where(record.StateReply, record.StateHeader, record.StateBody)) == 0 {
		out = append(out, "buffers per worker and buffers of whole files look alike while the mix of files stays the same; profiles with transfers of two sizes "+
			"and two numbers of workers held at the upload would tell them apart: 'soak run' with the service as its subject holds them")
	}
	return out
}
