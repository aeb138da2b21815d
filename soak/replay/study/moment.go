package study

import (
	"slices"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
)

// moment is when the subject held the most while it copied the corpus.
type moment struct {
	usage   int64 // charged to the cgroup but for pages of files, or resident where there is none
	charged int64 // with them: the most that the limit was compared with
	rss     int64
	anon    int64               // the most of the process's own, in that time
	full    []record.Covariates // of all readings with next to as much usage
	began   record.Covariates   // when the copy of the corpus began
	last    record.Covariates   // the last that was seen of it
	took    time.Duration       // from the beginning of the copy to its end, a kill or the cut
	reached bool                // the corpus
	sampled bool
}

// nextToFull is the part of the most usage from which a reading counts as one of the fullest: garbage is given back
// later, so that usage stays where it is while held memory comes and goes.
const nextToFull = 0.9

// freePhase is the phase in which the corpus is copied.
const freePhase = "free"

// fullest finds the moment in a recorded trial whose corpus was copied for so long at most: what a subject still holds
// after it was broken off is not looked at. A trial that never came to the corpus has none: sampled is false.
func fullest(t *record.Trial, samples []record.Sample, free time.Duration) moment {
	var m moment
	i := slices.IndexFunc(t.Phases, func(p record.Phase) bool { return p.Kind == freePhase })
	if i < 0 {
		return m
	}
	phase := t.Phases[i]
	m.reached = true
	m.took = min(phase.End.Sub(phase.Start), free)
	if t.OOM != nil && i == len(t.Phases)-1 {
		m.took = t.OOM.Time.Sub(phase.Start)
	}
	all := readings(t, samples)
	m.began = before(t, all, phase.Start)
	m.last = m.began
	to := phase.Start.Add(free)
	if i++; i < len(t.Phases) && !t.Phases[i].Start.After(to) {
		to = t.Phases[i].Start.Add(-1)
	}
	copying := m.copying(all, phase.Start, to)
	for _, s := range copying {
		m.last, m.sampled = *s.Covariates, true
		m.usage = max(m.usage, s.Held())
		if s.Cgroup != nil {
			m.charged = max(m.charged, s.Cgroup.Usage)
		}
		if s.Process != nil {
			m.rss, m.anon = max(m.rss, s.Process.RSS), max(m.anon, s.Process.Anon)
		}
	}
	for _, s := range copying {
		if float64(s.Held()) >= nextToFull*float64(m.usage) {
			m.full = append(m.full, *s.Covariates)
		}
	}
	return m
}

// ofCorpus is a trial up to the copy of its corpus, which ended well where further work came: what a diagnosis asks for
// besides is none of the history's.
func ofCorpus(t *record.Trial) *record.Trial {
	i := slices.IndexFunc(t.Phases, func(p record.Phase) bool { return p.Kind == freePhase })
	if i < 0 || i == len(t.Phases)-1 {
		return t
	}
	own := *t
	own.Outcome, own.OOM, own.Phases = record.OK, nil, t.Phases[:i+1]
	return &own
}

// copying are the readings of that time, from where the first of the corpus was listed: until then there may be garbage
// of the work before.
func (m moment) copying(all []record.Sample, from, to time.Time) []record.Sample {
	var out []record.Sample
	for _, s := range all {
		if s.Covariates != nil && !s.Time.Before(from) && !s.Time.After(to) {
			out = append(out, s)
		}
	}
	if i := slices.IndexFunc(out,
		func(s record.Sample) bool { return s.Covariates.FilesListed > m.began.FilesListed }); i > 0 {
		return out[i:]
	}
	return out
}

// before is what had been done when the phase that began then began. Where the last reading is older than the end of
// the work before, the files of the earlier phases say how many there were.
func before(t *record.Trial, all []record.Sample, begun time.Time) (c record.Covariates) {
	for _, s := range all {
		if s.Covariates != nil && s.Time.Before(begun) {
			c = *s.Covariates
		}
	}
	var files int64
	for _, p := range t.Phases {
		if p.Failed != "" {
			return c
		}
		if p.Start.Before(begun) {
			files += p.Files
		}
	}
	c.FilesDone, c.FilesListed = max(c.FilesDone, files), max(c.FilesListed, files)
	return c
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

// sizes are how much each of the findings came to at the one of the fullest readings at which they came to the most
// together.
func (m moment) sizes(fs []record.Finding) []int64 {
	best, most := make([]int64, len(fs)), int64(-1)
	for _, n := range m.full {
		now, sum := make([]int64, len(fs)), int64(0)
		for i, f := range fs {
			now[i] = m.held(f, n)
			sum += now[i]
		}
		if sum > most {
			best, most = now, sum
		}
	}
	return best
}

// held is how much a finding came to with so much under way: its slope times the work that was there. Buffers per
// worker fill with transferred bytes, so they hold no more than twice the bytes in flight. What has no slope is what
// the verdict says of its size.
func (m moment) held(f record.Finding, n record.Covariates) int64 {
	if f.Slope == nil {
		return f.BytesAtPeak
	}
	b := m.began
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
