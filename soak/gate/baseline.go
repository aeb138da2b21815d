package gate

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/memsoak/memsoak/internal/bounded"
	"github.com/memsoak/memsoak/profiles/record"
)

// BaselineSchema is the schema of a baseline file.
const BaselineSchema = "memsoak/baseline/v2"

// baselineV1 has costs by other rules: slopes of objects alone, without what comes with them. It is read without these.
const baselineV1 = "memsoak/baseline/v1"

// ErrForeign is returned, wrapped, for a baseline that can't be compared with a run: another schema, subject, corpus,
// protocol, settings or class of host.
var ErrForeign = errors.New("foreign baseline")

// Baseline is an accepted result, a small JSON file that is committed.
type Baseline struct {
	Schema   string    `json:"schema"`
	Accepted time.Time `json:"accepted"`
	RunID    string    `json:"run_id"`
	Subject  string    `json:"subject"`
	Version  string    `json:"version,omitempty"` // of the subject
	Corpus   string    `json:"corpus"`
	Protocol string    `json:"protocol"`
	Limit    int64     `json:"limit"`
	// Settings are those that are no axis, nil where the baseline is from before they were kept.
	Settings record.Cell    `json:"settings"`
	Host     record.Host    `json:"host"`
	Cells    []BaselineCell `json:"cells"`

	note string // what a reader of the comparison has to know
}

// BaselineCell has the measurements of one cell: each quantity once per trial that has it.
type BaselineCell struct {
	Cell     record.Cell          `json:"cell"`
	Values   map[string][]float64 `json:"values"`
	Findings []FindingCount       `json:"findings"`
	// Verdicts is the number of trials with a conclusive verdict, which Findings count among.
	Verdicts int `json:"verdicts"`
	// Outcomes counts how the trials ended.
	Outcomes map[record.Outcome]int `json:"outcomes"`
	// Sites are the largest holders of live heap at the peak, the mean over the trials; a rise is blamed on the one
	// that grew most.
	Sites []record.SiteSize `json:"sites,omitempty"`

	open string // what a cell of a run without Verdicts leaves open
}

// keptSites bounds BaselineCell.Sites, so that a baseline stays small.
const keptSites = 12

// FindingCount says in how many trials a class was found at a function.
type FindingCount struct {
	Class    record.Class `json:"class"`
	Function string       `json:"function"`
	Trials   int          `json:"trials"`
}

// NewBaseline takes a run's results as a baseline. It refuses a run that is not whole.
func NewBaseline(r *Run) (*Baseline, error) {
	if r.Run.Interrupted || r.Run.Ended.IsZero() {
		return nil, fmt.Errorf("run %s was interrupted: finish it with soak run --resume first", r.Run.ID)
	}
	b := summarise(r)
	for _, c := range b.Cells {
		if c.Verdicts == 0 {
			return nil, fmt.Errorf("cell %s of run %s has no conclusive verdict to compare with: %s", c.Cell, r.Run.ID, c.open)
		}
	}
	if len(b.Cells) == 0 {
		return nil, fmt.Errorf("run %s has no cells", r.Run.ID)
	}
	return b, nil
}

// summarise reduces a run to the quantities compared.
func summarise(r *Run) *Baseline {
	b := &Baseline{
		Schema: BaselineSchema, Accepted: r.Run.Ended, RunID: r.Run.ID, Subject: r.Run.Subject, Corpus: r.Run.Corpus,
		Protocol: r.Run.Protocol, Limit: r.Run.Limit, Host: r.Run.Host,
	}
	for _, c := range r.Cells {
		b.Settings = r.fixed(c.Settings)
		cell := BaselineCell{Cell: c.Cell, Values: map[string][]float64{}, Outcomes: map[record.Outcome]int{}}
		for _, t := range c.Trials {
			if t.Trial.Subject.Version != "" {
				b.Version = t.Trial.Subject.Version
			}
			cell.Outcomes[t.Trial.Outcome]++
			if t.Trial.Outcome != record.OK || undone(t.Trial) != "" {
				continue
			}
			one := Measure(CellData{Cell: c.Cell, Trials: []TrialData{t}})
			for _, rule := range rules {
				if v, ok := one.Get(rule.quantity); ok && rule.from(t.Trial.Kind) {
					cell.Values[rule.quantity] = append(cell.Values[rule.quantity], v)
				}
			}
			if t.Verdict != nil && t.Trial.Kind != record.Speed && t.Verdict.Headline.String() != string(record.Inconclusive) {
				cell.Verdicts++
				cell.count(t.Verdict.Findings)
				cell.add(t.Verdict.TopAtPeak)
			}
		}
		cell.trim()
		if cell.Verdicts == 0 {
			cell.open = c.Open()
		}
		b.Cells = append(b.Cells, cell)
	}
	return b
}

// cell returns the results of a cell, nil when there are none.
func (b *Baseline) cell(c record.Cell) *BaselineCell {
	i := slices.IndexFunc(b.Cells, func(x BaselineCell) bool { return x.Cell.String() == c.String() })
	if i < 0 {
		return nil
	}
	return &b.Cells[i]
}

// add sums up a trial's sites by function.
func (c *BaselineCell) add(sites []record.SiteSize) {
	for _, s := range sites {
		i := slices.IndexFunc(c.Sites, func(x record.SiteSize) bool { return x.Site.Function == s.Site.Function })
		if i < 0 {
			c.Sites = append(c.Sites, s)
		} else {
			c.Sites[i].Bytes += s.Bytes
		}
	}
}

// trim makes means of the sums and keeps the largest.
func (c *BaselineCell) trim() {
	for i := range c.Sites {
		c.Sites[i].Bytes /= int64(c.Verdicts)
	}
	slices.SortStableFunc(c.Sites, func(a, b record.SiteSize) int { return cmp.Compare(b.Bytes, a.Bytes) })
	c.Sites = c.Sites[:min(keptSites, len(c.Sites))]
}

func (c *BaselineCell) count(findings []record.Finding) {
	seen := map[FindingCount]bool{}
	for _, f := range findings {
		key := FindingCount{Class: f.Class, Function: f.Site.Function}
		if seen[key] {
			continue
		}
		seen[key] = true
		i := slices.IndexFunc(c.Findings, func(x FindingCount) bool {
			return x.Class == key.Class &&
				x.Function == key.Function
		})
		if i < 0 {
			c.Findings = append(c.Findings, key)
			i = len(c.Findings) - 1
		}
		c.Findings[i].Trials++
	}
}

// ReadBaseline reads and checks a baseline file.
func ReadBaseline(path string) (*Baseline, error) {
	raw, err := bounded.ReadFile(path, bounded.Baseline)
	if err == nil {
		err = bounded.JSON(raw, bounded.Baseline)
	}
	if err != nil {
		return nil, err
	}
	var b Baseline
	if err := json.Unmarshal(raw, &b); err != nil {
		return nil, fmt.Errorf("read baseline %s: %w", path, err)
	}
	switch b.Schema {
	case BaselineSchema:
	case baselineV1:
		b.dropCosts()
	default:
		return nil, fmt.Errorf("read baseline %s: %w: schema %q, want %q; make it anew with soak baseline accept", path,
			ErrForeign, b.Schema, BaselineSchema)
	}
	if len(b.Cells) == 0 {
		return nil, fmt.Errorf("read baseline %s: it has no cells", path)
	}
	return &b, nil
}

// dropCosts leaves out what v1 measured by other rules.
func (b *Baseline) dropCosts() {
	for _, c := range b.Cells {
		for _, s := range slopes {
			delete(c.Values, s.quantity)
		}
	}
	b.note = "the baseline is of schema v1: costs (leak_bytes_per_file and the like) are not compared; accept a new one " +
		"with soak baseline accept"
}

// fits says why b can't be compared with other, nil when it can.
func (b *Baseline) fits(other *Baseline) error {
	settings := b.Settings
	if settings == nil {
		settings = other.Settings
	}
	for _, d := range []struct{ what, a, b string }{
		{"subject", b.Subject, other.Subject},
		{"corpus", b.Corpus, other.Corpus},
		{"protocol", b.Protocol, other.Protocol},
		{"limit", fmt.Sprint(b.Limit), fmt.Sprint(other.Limit)},
		{"set of fixed settings", settings.String(), other.Settings.String()},
		{"class of host", hostClass(b.Host), hostClass(other.Host)},
	} {
		if d.a != d.b {
			return fmt.Errorf("%w: its %s is %s, the run's is %s", ErrForeign, d.what, d.a, d.b)
		}
	}
	return nil
}

// hostClass is what has to agree for memory figures to be comparable: page size and allocator follow the architecture,
// the runtime's per-P caches follow the number of CPUs.
func hostClass(h record.Host) string {
	return fmt.Sprintf("%s/%s, %d CPUs, %s, %s", h.OS, h.Arch, h.CPUs, h.Cgroup, h.Go)
}
