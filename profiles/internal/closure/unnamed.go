package closure

import (
	"slices"

	"github.com/memsoak/memsoak/profiles/internal/finding"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/record"
)

// unnamed is the largest site at a trial's peak, with its bytes there, where it has the better part of the live heap
// and no finding is of it: whatever the findings say, they say nothing of the peak.
func unnamed(s *series.Series, found []*finding.Judged) record.SiteSize {
	n := s.Peak()
	if n == nil {
		return record.SiteSize{}
	}
	most, bytes := -1, 0.0
	for id, a := range n.Sites {
		if a.Bytes > bytes && !s.Sites[id].OfRuntime() { // the runtime's own are explained
			most, bytes = id, a.Bytes
		}
	}
	if bytes < threshold.UnnamedMin || bytes < threshold.UnnamedShare*n.Live.Bytes {
		return record.SiteSize{}
	}
	named := func(j *finding.Judged) bool {
		if j.Class == record.GCHeadroom && holds(s, most) > bytes/2 {
			return false // what the line leaves to the collector says nothing of what it keeps while transfers are held
		}
		return slices.Contains(j.Sites, most) || slices.Contains(j.Members, most) ||
			j.Site.Function == s.Sites[most].Function
	}
	if slices.ContainsFunc(found, named) {
		return record.SiteSize{}
	}
	return record.SiteSize{Site: s.Sites[most].Site, Bytes: int64(bytes)}
}

// holds is the most that a site has in a held state, of which the garbage was collected.
func holds(s *series.Series, id int) (most float64) {
	for _, n := range s.Snaps {
		if n.State.Held() {
			most = max(most, n.Sites[id].Bytes)
		}
	}
	return most
}
