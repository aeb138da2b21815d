package replay

import (
	"slices"
	"time"

	"memsoak/profiles/record"
)

// moment is when the subject held the most while it copied the corpus.
type moment struct {
	usage   int64 // charged to the cgroup, or resident where there is none
	rss     int64
	anon    int64 // the most of the process's own, in that time
	now     record.Covariates
	began   record.Covariates // when the copy of the corpus began
	last    record.Covariates // the last that was seen of it
	took    time.Duration     // from the beginning of the copy to its end, a kill or the cut
	sampled bool
}

// freePhase is the phase in which the corpus is copied.
const freePhase = "free"

// fullest finds the moment in a recorded trial whose corpus was copied for so long at most: what a subject still holds after
// it was broken off is not looked at. A trial that never came to the corpus has none: sampled is false.
func fullest(t *record.Trial, samples []record.Sample, free time.Duration) moment {
	var m moment
	i := slices.IndexFunc(t.Phases, func(p record.Phase) bool { return p.Kind == freePhase })
	if i < 0 {
		return m
	}
	phase := t.Phases[i]
	m.took = min(phase.End.Sub(phase.Start), free)
	if t.OOM != nil {
		m.took = t.OOM.Time.Sub(phase.Start)
	}
	all := readings(t, samples)
	for _, s := range all {
		if s.Covariates != nil && s.Time.Before(phase.Start) {
			m.began = *s.Covariates
		}
	}
	m.last = m.began
	for _, s := range all {
		u := usage(s)
		if s.Covariates == nil || s.Time.Before(phase.Start) || s.Time.After(phase.Start.Add(free)) {
			continue
		}
		m.last = *s.Covariates
		if u > m.usage {
			m.usage, m.now, m.sampled = u, *s.Covariates, true
		}
		if s.Process != nil {
			m.rss, m.anon = max(m.rss, s.Process.RSS), max(m.anon, s.Process.Anon)
		}
	}
	return m
}

// readings are the samples and those that came with a profile, in their order: on a busy machine there may be few.
func readings(t *record.Trial, samples []record.Sample) []record.Sample {
	all := slices.Clone(samples)
	for _, s := range t.Snapshots {
		all = append(all, s.Sample)
	}
	slices.SortStableFunc(all, func(a, b record.Sample) int { return a.Time.Compare(b.Time) })
	return all
}

// usage is what the limit is compared with.
func usage(s record.Sample) int64 {
	switch {
	case s.Cgroup != nil:
		return s.Cgroup.Usage
	case s.Process != nil:
		return s.Process.RSS
	}
	return 0
}

// held is how much a finding came to at the moment: its slope times what was there. Buffers per worker fill with
// what is transferred, so they hold no more than twice the bytes in flight. What has no slope is what the verdict says
// of its size.
func (m moment) held(f record.Finding) int64 {
	if f.Slope == nil {
		return f.BytesAtPeak
	}
	n, b := m.now, m.began
	var units int64
	switch f.Slope.Per {
	case "backlog-item":
		units = n.Backlog
	case "listed-file":
		units = n.FilesListed - b.FilesListed
	case "file":
		units = n.FilesDone - b.FilesDone
	case "distinct-item":
		units = n.Distinct - b.Distinct
		if f.Bound > 0 {
			units = min(units, f.Bound)
		}
	case "byte":
		units = n.BytesDone - b.BytesDone
	case "byte-in-flight":
		units = n.BytesInFlight
	case "request":
		units = n.Requests - b.Requests
	case "page":
		units = n.Pages - b.Pages
	case "connection":
		units = n.ConnsOpen
	case "worker":
		return min(int64(f.Slope.Bytes*float64(n.InFlight)), 2*n.BytesInFlight)
	default:
		return f.BytesAtPeak
	}
	return int64(f.Slope.Bytes * float64(max(0, units)))
}
