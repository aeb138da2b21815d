package classes

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/internal/finding"
	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

const (
	// staticMin is what a function keeps for the life of the process, whatever the work, that is worth saying.
	staticMin = 8 << 20
	// staticSpread is by how much it may differ between floors.
	staticSpread = 0.1
)

// JudgeStatic names memory kept for the life of the process: as much at each floor, and in no other finding.
func JudgeStatic(s *series.Series, found []*finding.Judged) []*finding.Judged {
	floors := s.Floors()
	if len(floors) < threshold.MinFloors {
		return nil
	}
	known := map[string]bool{}
	for _, j := range found {
		known[j.Site.Function] = true
	}
	lines := map[string][]int{}
	for id, site := range s.Sites {
		if !site.OfRuntime() && !known[site.Function] {
			lines[site.Function] = append(lines[site.Function], id)
		}
	}
	var out []*finding.Judged
	for _, fn := range slices.Sorted(maps.Keys(lines)) {
		ids := lines[fn]
		lo, hi := math.Inf(1), 0.0
		for _, f := range floors {
			sum := 0.0
			for _, id := range ids {
				sum += f.Sites[id].Bytes
			}
			lo, hi = math.Min(lo, sum), math.Max(hi, sum)
		}
		if lo < staticMin || hi-lo > staticSpread*lo {
			continue
		}
		out = append(out, staticFinding(s, ids, lo))
	}
	return out
}

// staticFinding is at the line with the most bytes.
func staticFinding(s *series.Series, ids []int, bytes float64) *finding.Judged {
	last := s.Floors()[len(s.Floors())-1]
	id := slices.MaxFunc(ids, func(a, b int) int { return series.Sign(last.Sites[a].Bytes - last.Sites[b].Bytes) })
	site := s.Sites[id]
	j := &finding.Judged{Owner: site.Owner, Frames: site.Stack, Term: fit.Term{Amount: bytes}, Members: ids}
	j.Class, j.Site, j.Key = record.Static, site.Site, fmt.Sprint(record.Static, "|", site.Function)
	j.Evidence = append(j.Evidence, fmt.Sprintf("%s at each of %d floors, whatever was done between them",
		words.Bytes(bytes), len(s.Floors())))
	return j
}
