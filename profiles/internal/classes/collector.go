package classes

import (
	"fmt"
	"math"
	"slices"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/internal/finding"
	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// JudgeCollector judges the garbage collector's part: headroom, thrash, spans that are not returned.
func JudgeCollector(s *series.Series) []*finding.Judged {
	var out []*finding.Judged
	for _, j := range []*finding.Judged{thrash(s), headroom(s), unreturned(s)} {
		if j != nil {
			out = append(out, j)
		}
	}
	return out
}

// running are the snapshots taken while work was under way freely, with no collection forced: their profile is the
// live set of the last collection.
func running(s *series.Series) []*series.Snapshot {
	var out []*series.Snapshot
	for _, n := range s.Where(record.StateFree, record.StateHigh, record.StatePress) {
		if n.ForcedGC == 0 && n.Runtime != nil {
			out = append(out, n)
		}
	}
	return out
}

// headroom compares garbage with live bytes: while work runs freely, and at the ends of equal waves, before their
// floors collect it.
func headroom(s *series.Series) *finding.Judged {
	var garbage, live []float64
	for _, n := range running(s) {
		garbage = append(garbage, float64(n.Runtime.HeapAlloc)-n.Live.Bytes)
		live = append(live, n.Live.Bytes)
	}
	for _, n := range s.Floors() {
		if n.HeapBefore > 0 && s.PhaseKind(n.Phase) == "wave" {
			garbage = append(garbage, math.Max(0, float64(n.HeapBefore)-n.Live.Bytes))
			live = append(live, n.Live.Bytes)
		}
	}
	if len(garbage) < 3 {
		return nil
	}
	g, l := trend.Quantile(garbage, 0.9), trend.Median(live)
	if g < threshold.GarbageMin || g < threshold.GarbageFactor*l {
		return nil
	}
	site := busiest(s)
	j := &finding.Judged{Owner: site.Owner, Frames: site.Stack, Term: fit.Term{Amount: g}}
	j.Class, j.Site, j.Key = record.GCHeadroom, site.Site, string(record.GCHeadroom)
	j.Evidence = append(j.Evidence,
		fmt.Sprintf("%d readings while work ran or had just ended: garbage %s at the 90th percentile, live %s at the "+
			"median; GOGC=%s",
			len(garbage), words.Bytes(g), words.Bytes(l), s.Setting("gogc", "100")))
	return j
}

// busiest is the user's site that allocated most.
func busiest(s *series.Series) blame.Site {
	score := map[int]float64{}
	for _, n := range s.Snaps {
		for id, a := range n.Sites {
			if s.Sites[id].Owner == blame.OwnerUser {
				score[id] = math.Max(score[id], a.Alloc)
			}
		}
	}
	if id, ok := Largest(score); ok {
		return *s.Sites[id]
	}
	return blame.Site{}
}

// thrash looks for a collector that works against GOMEMLIMIT: near the limit, much of the CPU spent collecting.
func thrash(s *series.Series) *finding.Judged {
	limit, err := units.ParseBytes(s.Setting("gomemlimit", "off"))
	if err != nil || limit == 0 {
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
			if share := (gcSeconds(s, x) - gcSeconds(s, prev)) / cpu; cpu > 0.1 && share >= 0 {
				shares, totals = append(shares, math.Min(share, 1)), append(totals, float64(x.Runtime.Sys-x.Runtime.HeapReleased))
			}
		}
		prev = x
	}
	for _, n := range running(s) {
		shares, totals = append(shares, n.Runtime.GCCPU), append(totals, float64(n.Runtime.Sys-n.Runtime.HeapReleased))
	}
	bad := 0
	var worst, total float64
	for i := range shares {
		if shares[i] > threshold.ThrashCPU && totals[i] > threshold.ThrashLimit*float64(limit) {
			bad++
			if shares[i] > worst {
				worst, total = shares[i], totals[i]
			}
		}
	}
	if bad < 2 {
		return nil
	}
	site := busiest(s)
	j := &finding.Judged{Owner: site.Owner, Frames: site.Stack, Term: fit.Term{Amount: total}}
	j.Class, j.Site, j.Key = record.GCThrash, site.Site, string(record.GCThrash)
	j.Evidence = append(j.Evidence,
		fmt.Sprintf("the runtime held %s under a GOMEMLIMIT of %s and spent %.0f %% of the CPU collecting (%d of %d "+
			"readings above %.0f %%)",
			words.Bytes(total), words.Bytes(float64(limit)), 100*worst, bad, len(shares), 100*threshold.ThrashCPU))
	return j
}

// gcSeconds is the collector's CPU time at a sample: the runtime gives it as a share of the available CPU time.
func gcSeconds(s *series.Series, x *record.Sample) float64 {
	return x.Runtime.GCCPU * x.Time.Sub(s.Trial.Started).Seconds() * math.Max(1, float64(s.Trial.GOMAXPROCS))
}

// unreturned compares spans without objects with the objects, at the floor where the most is unused after the work's
// own peak has had time to go: the median floor decides, so that one just after a large hold does not.
func unreturned(s *series.Series) *finding.Judged {
	var partly, free, live []float64
	for _, n := range s.Floors() {
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
	if p < threshold.UnusedMin || p < threshold.UnusedFactor*l {
		return nil
	}
	score := map[int]float64{}
	fs := s.Floors()
	for id, a := range fs[len(fs)-1].Sites {
		if s.Sites[id].Owner == blame.OwnerUser && a != (series.Amount{}) {
			score[id] = a.Bytes
		}
	}
	var site blame.Site
	if id, ok := Largest(score); ok {
		site = *s.Sites[id]
	}
	j := &finding.Judged{Owner: site.Owner, Frames: site.Stack, Term: fit.Term{Amount: p}}
	j.Class, j.Site, j.Key = record.Unreturned, site.Site, string(record.Unreturned)
	j.Evidence = append(j.Evidence,
		fmt.Sprintf("at the later floors, in the median, %s of spans are partly used by %s of objects, and %s are free "+
			"spans not returned",
			words.Bytes(p), words.Bytes(l), words.Bytes(trend.Median(slices.Clone(free[half:])))))
	return j
}
