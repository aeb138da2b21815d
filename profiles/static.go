package profiles

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/record"
)

const (
	// staticMin is what a function keeps for the life of the process, whatever the work, that is worth saying.
	staticMin = 8 << 20
	// staticSpread is by how much it may differ between floors.
	staticSpread = 0.1
)

// judgeStatic names memory kept for the life of the process: as much at each floor, and in no other finding.
func (s *Series) judgeStatic(found []*judged) []*judged {
	floors := s.floors()
	if len(floors) < minFloors {
		return nil
	}
	known := map[string]bool{}
	for _, j := range found {
		known[j.Site.Function] = true
	}
	lines := map[string][]int{}
	for id, site := range s.Sites {
		if !site.ofRuntime() && !known[site.Function] {
			lines[site.Function] = append(lines[site.Function], id)
		}
	}
	var out []*judged
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
		out = append(out, s.staticFinding(ids, lo))
	}
	return out
}

// staticFinding is at the line with the most bytes.
func (s *Series) staticFinding(ids []int, bytes float64) *judged {
	last := s.floors()[len(s.floors())-1]
	id := slices.MaxFunc(ids, func(a, b int) int { return sign(last.Sites[a].Bytes - last.Sites[b].Bytes) })
	site := s.Sites[id]
	j := &judged{owner: site.Owner, stack: site.Stack, term: term{amount: bytes}, members: ids}
	j.Class, j.Site, j.key = record.Static, site.Site, fmt.Sprint(record.Static, "|", site.Function)
	j.Evidence = append(j.Evidence, fmt.Sprintf("%s at each of %d floors, whatever was done between them",
		bytesText(bytes), len(s.floors())))
	return j
}
