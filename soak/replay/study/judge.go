package study

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
)

// The outcomes of a cell.
const (
	Survived = "survived"
	// Inconclusive was ended before its state was decided: not all was listed, copied or killed.
	Inconclusive = "inconclusive"
	Killed       = "oom-killed"
	NodeCrashed  = "node crashed" // the limit of the cgroup that stands for the node was hit
	Failed       = "failed"       // for a reason that isn't memory
)

// Cell is one row on one corpus: its end, and what the recorded verdict says of it.
type Cell struct {
	Row    string `json:"row"`
	Corpus string `json:"corpus"`
	// Dir is the run's directory: its report, and every flame graph.
	Dir string `json:"dir"`

	Outcome string `json:"outcome"`
	// Predicted says that no limit could be set: the outcome is what the peak says would have become of it.
	Predicted bool          `json:"predicted,omitempty"`
	Why       string        `json:"why,omitempty"` // of a failure
	After     time.Duration `json:"after_ns"`      // of copying, to the kill or the end
	Cut       bool          `json:"cut,omitempty"` // broken off after its time, with work left
	Files     int64         `json:"files"`         // copied by then
	Listed    int64         `json:"listed"`
	Of        int64         `json:"of"`   // files of the corpus
	Rate      float64       `json:"rate"` // content bytes a second
	// Early says that it didn't come as far as the corpus: what became of it did so in the states before.
	Early bool `json:"early,omitempty"`
	// Hung says that it was not killed but hung at the limit and answered nothing any more.
	Hung bool `json:"hung,omitempty"`

	Peak     int64           `json:"peak"` // while the corpus was copied, bytes, without pages of files
	Anon     int64           `json:"anon"` // the most anonymous memory then
	Limit    int64           `json:"limit"`
	Headline record.Headline `json:"headline"`
	// Culprit is the finding that held the most at the fullest moment.
	Culprit *Share `json:"culprit,omitempty"`
	// Shares are all findings of held memory with what they came to then, and Holds is the hypothesis with the most of it.
	Shares []Share    `json:"shares"`
	Holds  Hypothesis `json:"holds"`
	Part   float64    `json:"part"` // of the explained memory that Holds makes up

	Stable *Stability `json:"stable,omitempty"` // with repeats
}

// Share is a finding's part of the memory at the fullest moment.
type Share struct {
	Class      record.Class  `json:"class"`
	Site       record.Site   `json:"site"`
	Slope      *record.Slope `json:"slope,omitempty"`
	Bytes      int64         `json:"bytes"`
	AtMost     int64         `json:"at_most"` // what it held in the state with most of it, bytes
	Hypothesis Hypothesis    `json:"hypothesis"`
}

// Line is the culprit as a person reads it.
func (s *Share) Line() string {
	name := s.Site.Function
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		name = name[i+1:]
	}
	if s.Site.File == "" {
		return name
	}
	return fmt.Sprintf("%s %s:%d", name, filepath.Base(s.Site.File), s.Site.Line)
}

// Stability counts repeats that agree with the first.
type Stability struct {
	Runs      int `json:"runs"`
	Headlines int `json:"headlines"` // with the same headline
	Culprits  int `json:"culprits"`  // and with the same function as the culprit
	Outcomes  int `json:"outcomes"`
}

// judgeCell reads one recorded trial.
func judgeCell(row Row, c Corpus, free time.Duration, t *record.Trial, v *record.Verdict,
	samples []record.Sample) Cell {
	m := fullest(t, samples, free)
	t = ofCorpus(t)
	cell := Cell{Row: row.Name, Corpus: c.Name, After: m.took, Of: c.Files, Peak: m.usage, Anon: m.anon, Limit: row.Limit,
		Headline: record.Headline(v.Headline.String()),
		Files:    m.last.FilesDone - m.began.FilesDone, Listed: m.last.FilesListed - m.began.FilesListed}
	if cell.Early = !m.reached; t.OOM != nil && m.reached {
		cell.Files = t.OOM.FilesDone - m.began.FilesDone
	}
	if m.took > 0 {
		cell.Rate = float64(m.last.BytesDone-m.began.BytesDone) / m.took.Seconds()
	}
	cell.Cut = slices.ContainsFunc(t.Phases, func(p record.Phase) bool { return p.Name == freePhase && p.CutOff })
	cell.outcome(row, t, m)
	cell.explain(v, m)
	return cell
}

// outcome says what became of the trial, or what would have where no limit could be set.
func (c *Cell) outcome(row Row, t *record.Trial, m moment) {
	if t.Isolation.Kind == "none" {
		c.Predicted = true
		peak := max(m.usage, m.rss)
		switch {
		case row.Node > 0 && row.Node < row.Limit && peak > row.Node:
			c.Outcome = NodeCrashed
		case row.Limit > 0 && peak > row.Limit:
			c.Outcome = Killed
		default:
			c.Outcome = Survived
		}
		if t.Outcome != record.OK && c.Outcome == Survived {
			c.Outcome, c.Why = Failed, t.Reason
		}
		if c.Outcome == Survived && c.undecided(t) {
			c.Outcome = Inconclusive
		}
		return
	}
	most := m.charged
	if m.sampled { // what hangs is not sampled any more: the kernel counted on
		most = max(most, t.Peak.Cgroup)
	}
	switch {
	case t.OOM != nil && t.OOM.Node:
		c.Outcome, c.Peak = NodeCrashed, max(c.Peak, t.OOM.Limit)
	case t.Outcome == record.OOMKilled:
		c.Outcome, c.Peak = Killed, max(c.Peak, row.Limit)
	case t.Outcome == record.OK && c.undecided(t):
		c.Outcome = Inconclusive
	case t.Outcome == record.OK:
		c.Outcome = Survived
	case t.Outcome == record.Timeout && row.Node > 0 && row.Node < row.Limit && most >= full(row.Node):
		c.Outcome, c.Hung, c.Peak = NodeCrashed, true, max(c.Peak, most)
	case t.Outcome == record.Timeout && row.Limit > 0 && most >= full(row.Limit):
		c.Outcome, c.Hung, c.Peak = Killed, true, max(c.Peak, most)
	default:
		c.Outcome, c.Why = Failed, t.Reason
	}
}

// undecided reports whether a trial that ended well had not come to its end: it was broken off with files not listed,
// or left work undone by itself.
func (c *Cell) undecided(t *record.Trial) bool {
	if c.Cut {
		return c.Listed < c.Of
	}
	effort, _, _ := t.DidWork()
	return effort != record.AllWork
}

// full is from where on a limit counts as reached.
func full(limit int64) int64 { return limit / 100 * 97 }

// holdsShare is the part of the explained memory that a hypothesis has to make up to be the one that holds, and
// explainedShare that of the peak that has to be explained at all.
const (
	holdsShare     = 0.5
	explainedShare = 0.05
)

// explain sizes the findings at the fullest moment and finds the hypothesis that holds.
func (c *Cell) explain(v *record.Verdict, m moment) {
	c.Holds, c.Shares = NoneOf, []Share{}
	if !m.sampled {
		return
	}
	held := slices.DeleteFunc(slices.Clone(v.Findings), func(f record.Finding) bool { return garbage(f.Class) })
	by := map[Hypothesis]int64{}
	var all int64
	for i, bytes := range m.sizes(held) {
		f := held[i]
		s := Share{Class: f.Class, Site: f.Site, Slope: f.Slope, Bytes: bytes, AtMost: f.BytesAtPeak,
			Hypothesis: HypothesisOf(f)}
		c.Shares = append(c.Shares, s)
		by[s.Hypothesis] += s.Bytes
		all += s.Bytes
	}
	slices.SortStableFunc(c.Shares, func(a, b Share) int { return cmp.Compare(b.Bytes, a.Bytes) })
	if len(c.Shares) == 0 || all == 0 {
		return
	}
	c.Culprit = &c.Shares[0]
	if c.Headline == record.Healthy || float64(all) < explainedShare*float64(c.Peak) {
		return // a bounded part that fits explains no kill, and a tiny part explains nothing
	}
	for _, h := range append(Hypotheses(), NoneOf) {
		if part := float64(by[h]) / float64(all); part > c.Part {
			c.Part = part
			if part >= holdsShare {
				c.Holds = h
			}
		}
	}
}

// garbage says that a class is about memory that nothing holds: it comes on top of held memory, by the collector's
// settings.
func garbage(c record.Class) bool {
	return c == record.GCHeadroom || c == record.GCThrash || c == record.Unreturned
}

// stability compares repeats with the first.
func stability(cells []Cell) *Stability {
	s := &Stability{Runs: len(cells)}
	for i := range cells {
		a, b := &cells[0], &cells[i]
		if a.Headline != b.Headline {
			continue
		}
		s.Headlines++
		if a.function() == b.function() {
			s.Culprits++
		}
	}
	for i := range cells {
		if cells[i].Outcome == cells[0].Outcome {
			s.Outcomes++
		}
	}
	return s
}

func (c *Cell) function() string {
	if c.Culprit == nil {
		return ""
	}
	return c.Culprit.Site.Function
}
