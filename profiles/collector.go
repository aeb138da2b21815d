package profiles

import (
	"fmt"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// judgeCollector judges the garbage collector's part: headroom, thrash, spans that are not returned.
func (s *Series) judgeCollector() []*judged {
	var out []*judged
	for _, j := range []*judged{s.thrash(), s.headroom(), s.unreturned()} {
		if j != nil {
			out = append(out, j)
		}
	}
	return out
}

// running are the snapshots taken while work was under way freely, with no collection forced: their profile is the
// live set of the last collection.
func (s *Series) running() []*Snapshot {
	var out []*Snapshot
	for _, n := range s.where(record.StateFree, record.StateHigh, record.StatePress) {
		if n.ForcedGC == 0 && n.Runtime != nil {
			out = append(out, n)
		}
	}
	return out
}

// headroom compares garbage with live bytes: while work runs freely, and at the ends of equal waves, before their
// floors collect it.
func (s *Series) headroom() *judged {
	var garbage, live []float64
	for _, n := range s.running() {
		garbage = append(garbage, float64(n.Runtime.HeapAlloc)-n.Live.Bytes)
		live = append(live, n.Live.Bytes)
	}
	for _, n := range s.floors() {
		if n.HeapBefore > 0 && s.phaseKind(n.Phase) == "wave" {
			garbage = append(garbage, math.Max(0, float64(n.HeapBefore)-n.Live.Bytes))
			live = append(live, n.Live.Bytes)
		}
	}
	if len(garbage) < 3 {
		return nil
	}
	g, l := trend.Quantile(garbage, 0.9), trend.Median(live)
	if g < garbageMin || g < garbageFactor*l {
		return nil
	}
	site := s.busiest()
	j := &judged{owner: site.Owner, stack: site.Stack, term: term{amount: g}}
	j.Class, j.Site, j.key = record.GCHeadroom, site.Site, string(record.GCHeadroom)
	j.Evidence = append(j.Evidence,
		fmt.Sprintf("%d readings while work ran or had just ended: garbage %s at the 90th percentile, live %s at the "+
			"median; GOGC=%s",
			len(garbage), bytesText(g), bytesText(l), s.setting("gogc", "100")))
	return j
}

// busiest is the user's site that allocated most.
func (s *Series) busiest() Site {
	score := map[int]float64{}
	for _, n := range s.Snaps {
		for id, a := range n.Sites {
			if s.Sites[id].Owner == OwnerUser {
				score[id] = math.Max(score[id], a.Alloc)
			}
		}
	}
	if id, ok := largest(score); ok {
		return *s.Sites[id]
	}
	return Site{}
}

// setting is a setting of the trial or of its cell, or the other value where it has none.
func (s *Series) setting(name, otherwise string) string {
	for _, m := range []map[string]string{s.Trial.Settings, s.Trial.Cell} {
		if v := m[name]; v != "" {
			return v
		}
	}
	return otherwise
}

// thrash looks for a collector that works against GOMEMLIMIT: near the limit, much of the CPU spent collecting.
func (s *Series) thrash() *judged {
	limit, ok := parseSize(s.setting("gomemlimit", "off"))
	if !ok || limit == 0 {
		return nil
	}
	var shares, totals []float64
	var prev *record.Sample
	for i := range s.Samples {
		x := &s.Samples[i]
		if x.Runtime == nil || x.Process == nil {
			continue
		}
		if prev != nil && x.Runtime.NumGC > prev.Runtime.NumGC {
			cpu := x.Process.CPUSeconds - prev.Process.CPUSeconds
			if share := (s.gcSeconds(x) - s.gcSeconds(prev)) / cpu; cpu > 0.1 && share >= 0 {
				shares, totals = append(shares, math.Min(share, 1)), append(totals, float64(x.Runtime.Sys-x.Runtime.HeapReleased))
			}
		}
		prev = x
	}
	for _, n := range s.running() {
		shares, totals = append(shares, n.Runtime.GCCPU), append(totals, float64(n.Runtime.Sys-n.Runtime.HeapReleased))
	}
	bad := 0
	var worst, total float64
	for i := range shares {
		if shares[i] > thrashCPU && totals[i] > thrashLimit*float64(limit) {
			bad++
			if shares[i] > worst {
				worst, total = shares[i], totals[i]
			}
		}
	}
	if bad < 2 {
		return nil
	}
	site := s.busiest()
	j := &judged{owner: site.Owner, stack: site.Stack, term: term{amount: total}}
	j.Class, j.Site, j.key = record.GCThrash, site.Site, string(record.GCThrash)
	j.Evidence = append(j.Evidence,
		fmt.Sprintf("the runtime held %s under a GOMEMLIMIT of %s and spent %.0f %% of the CPU collecting (%d of %d "+
			"readings above %.0f %%)",
			bytesText(total), bytesText(float64(limit)), 100*worst, bad, len(shares), 100*thrashCPU))
	return j
}

// gcSeconds is the collector's CPU time at a sample: the runtime gives it as a share of the available CPU time.
func (s *Series) gcSeconds(x *record.Sample) float64 {
	return x.Runtime.GCCPU * x.Time.Sub(s.Trial.Started).Seconds() * math.Max(1, float64(s.Trial.GOMAXPROCS))
}

// unreturned compares spans without objects with the objects, at the floor where the most is unused after the work's
// own peak has had time to go: the median floor decides, so that one just after a large hold does not.
func (s *Series) unreturned() *judged {
	var partly, free, live []float64
	for _, n := range s.floors() {
		if r := n.Runtime; r != nil {
			partly = append(partly, float64(r.HeapInuse-r.HeapAlloc))
			free = append(free, float64(r.HeapIdle-r.HeapReleased))
			live = append(live, float64(r.HeapAlloc))
		}
	}
	if len(live) < 3 {
		return nil
	}
	half := len(live) / 2
	p, l := trend.Median(partly[half:]), trend.Median(live[half:])
	if p < unusedMin || p < unusedFactor*l {
		return nil
	}
	score := map[int]float64{}
	fs := s.floors()
	for id, a := range fs[len(fs)-1].Sites {
		if s.Sites[id].Owner == OwnerUser && a != (Amount{}) {
			score[id] = a.Bytes
		}
	}
	var site Site
	if id, ok := largest(score); ok {
		site = *s.Sites[id]
	}
	j := &judged{owner: site.Owner, stack: site.Stack, term: term{amount: p}}
	j.Class, j.Site, j.key = record.Unreturned, site.Site, string(record.Unreturned)
	j.Evidence = append(j.Evidence,
		fmt.Sprintf("at the later floors, in the median, %s of spans are partly used by %s of objects, and %s are free "+
			"spans not returned",
			bytesText(p), bytesText(l), bytesText(trend.Median(slices.Clone(free[half:])))))
	return j
}
