package report

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
)

// Options change what the page offers beyond the recorded facts. The zero value is the page of a file.
type Options struct {
	// Live says that the page is served and may change: it looks for a new state at StateURL.
	Live     bool
	StateURL string
	State    string
	// Home is where the page's name links to; empty for none.
	Home string
	// SnapshotLinks are the places to go from a snapshot of a trial with a record; nil for none.
	SnapshotLinks func(t *Trial, s record.Snapshot) []Link
}

// limit is the memory limit that a trial ran in: its own where known, else the run's. 0 is none.
func (Options) limit(r *Run, t *Trial) int64 {
	if t.Record != nil {
		return t.Record.Isolation.Limit
	}
	return r.Record.Limit
}

// pageData is what the template shows.
type pageData struct {
	Options
	*Run
	Headline record.Headline
	Lead     string
	More     []string
	Deaths   []string // cells that ended before their time, by what ended them
	Todo     string   // what to change, or what would decide
	Seen     string   // what a healthy run would have shown
	Facts    []fact
	Heat     heatMap
	Culprits []culprit
	Capacity *figure
	Views    []*cellView
	Warnings []string
}

// fact is a figure at the top of the page.
type fact struct {
	Name  string
	Value template.HTML
	Note  string
}

// culprit is a finding over all cells: the same class at the same place.
type culprit struct {
	record.Finding            // of the cell where it is largest
	Cell           string     // title of that cell
	Anchor         string     // its id on the page
	Cells          int        // in how many cells
	Slopes         [2]float64 // smallest and largest slope
}

// frameBudget is how many boxes all flame graphs of a page have together: it keeps a page of 45 cells below 3 MB.
const frameBudget = 5400

// build gathers everything the page shows. Cells are built concurrently.
func build(ctx context.Context, run *Run, opt Options) (*pageData, error) {
	d := &pageData{Options: opt, Run: run, Views: make([]*cellView, len(run.Cells))}
	b := cellBuilder{run: run, opt: opt, budget: min(320, max(30, frameBudget/(2*max(1, len(run.Cells)))))}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range run.Cells {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			d.Views[i] = b.build(i)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	d.Heat = newHeatMap(run.Record, d.Views)
	d.answer()
	d.Culprits = d.gather()
	d.facts()
	d.Warnings = run.Warnings()
	if worst := d.worst(); worst != nil {
		worst.Open = true
	}
	if run.Verdict != nil {
		kills, most := workersTried(d.Views)
		d.Capacity = capacity(run.Verdict.Capacity, kills, most)
	}
	return d, nil
}

// answer is the run's verdict in words, or the reason why there is none.
func (d *pageData) answer() {
	d.Headline = record.Inconclusive
	if w := d.worst(); d.lead != nil {
		d.Headline = d.lead.Headline
	} else if d.Verdict != nil && d.Verdict.Lost == 0 && w != nil && w.Headline != "" {
		d.Headline = w.Headline
	}
	d.Lead, d.More = d.Answer()
	d.Deaths, d.Todo, d.Seen = d.deaths(), d.todo(), d.seen()
}

// Answer is the run's verdict in words, the most important line first; without a verdict it says why.
func (r *Run) Answer() (lead string, more []string) {
	if r.Verdict != nil && len(r.Verdict.Answer) > 0 {
		return r.Verdict.Answer[0], r.Verdict.Answer[1:]
	}
	if ended, all := r.Done(); ended < all && r.Record.Ended.IsZero() {
		return fmt.Sprintf("The run goes on: %d of %s done.", ended, plural(all, "trial")), nil
	}
	if slices.ContainsFunc(r.Cells, func(c *Cell) bool { return c.Main() != nil && c.Main().Verdict != nil }) {
		return "Trials were judged, the run as a whole was not: soak diagnose RUN does it.", nil
	}
	return "No verdict: nothing can be said from what was recorded.", nil
}

// worst is the cell that the answer is about: that of its first line; where this is of no fault, the one with the
// largest peak among those that are not healthy, else the largest of all.
func (d *pageData) worst() *cellView {
	if d.lead != nil {
		i := slices.IndexFunc(d.Views, func(v *cellView) bool { return v.Cell.Cell.String() == d.lead.Cell.String() })
		if i >= 0 {
			return d.Views[i]
		}
	}
	var best *cellView
	rank := func(v *cellView) int {
		switch v.Headline {
		case record.Healthy:
			return 0
		case "", record.Inconclusive:
			return 1
		}
		return 2
	}
	for _, v := range d.Views {
		if v.Trial == nil {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(rank(v), rank(best)), cmp.Compare(v.Peak.Bytes(), best.Peak.Bytes())) > 0 {
			best = v
		}
	}
	return best
}

func peakOf(v *cellView) (int64, record.PeakKind) {
	if v == nil {
		return 0, record.PeakNone
	}
	return v.Peak.Memory()
}

func (d *pageData) facts() {
	ended, all := d.Done()
	outcomes := map[record.Outcome]int{}
	var top *cellView
	for _, v := range d.Views {
		outcomes[v.Outcome]++
		if top == nil || v.Peak.Bytes() > top.Peak.Bytes() {
			top = v
		}
	}
	if n := outcomes[record.OOMKilled]; n > 0 {
		d.Facts = append(d.Facts, fact{"killed for memory", template.HTML(plural(n, "cell")), "of " + plural(len(d.Views),
			"cell")})
	}
	if c := d.capacityAnswer(); c.Name != "" {
		d.Facts = append(d.Facts, c)
	}
	if recorded(d.Record) {
		d.Facts = append(d.Facts, fact{"recorded for", template.HTML(duration(d.Took())), plural(d.snapshots(), "snapshot")})
		if n, kind := peakOf(top); n > 0 {
			d.Facts = append(d.Facts, fact{"highest peak" + kind.Mark(), size(n), ""})
		}
		return
	}
	if n, kind := peakOf(top); n > 0 {
		d.Facts = append(d.Facts, fact{"highest peak" + kind.Mark(), size(n), top.Title})
	}
	note := fmt.Sprintf("%d of %s done", ended, plural(all, "trial"))
	if ended == all {
		note = plural(all, "trial")
	}
	d.Facts = append(d.Facts, fact{"matrix", template.HTML(plural(len(d.Views), "cell")), note + " in " +
		duration(d.Took())})
	if d.Record.Limit > 0 {
		d.Facts = append(d.Facts, fact{"memory limit", size(d.Record.Limit), Printable(d.Record.Host.Cgroup)})
	}
}

// Matrix reports whether there are cells to compare.
func (d *pageData) Matrix() bool { return len(d.Views) > 1 && !d.Recorded() }

// snapshots counts the snapshots of all trials.
func (d *pageData) snapshots() int {
	n := 0
	for _, v := range d.Views {
		if v.Trial != nil && v.Trial.Record != nil {
			n += len(v.Trial.Record.Snapshots)
		}
	}
	return n
}

// Title is what the page is about.
func (d *pageData) Title() string { return Title(d.Record) }

// Title is what a run is about: a subject and its corpus, if it copies one, or a recorded process.
func Title(r *record.Run) string {
	switch {
	case recorded(r):
		return r.Subject + ", recorded"
	case r.Corpus == "":
		return r.Subject
	}
	corpus := filepath.Base(r.Corpus)
	return r.Subject + " on the " + strings.TrimSuffix(corpus, filepath.Ext(corpus)) + " corpus"
}

// Recorded reports whether the run is a recording.
func (d *pageData) Recorded() bool { return recorded(d.Record) }

func (d *pageData) capacityAnswer() fact {
	if d.Verdict == nil || d.Verdict.Capacity == nil {
		return fact{}
	}
	c := d.Verdict.Capacity
	name := many(c.Words) + " that fit"
	switch {
	case c.AtLeast:
		return fact{name, template.HTML(fmt.Sprintf("≥ %d", c.MaxWorkers)), "in " + Bytes(c.Limit)}
	case c.Perhaps > 0:
		return fact{name, template.HTML(fmt.Sprintf("%d to %d", max(c.MaxWorkers, 0), c.Perhaps)), "in " + Bytes(c.Limit)}
	case c.MaxWorkers > 0:
		return fact{name, template.HTML(fmt.Sprintf("%d", c.MaxWorkers)), "in " + Bytes(c.Limit)}
	case c.MaxWorkers < 0 && c.Fits != nil:
		least := ""
		if c.Fits.AtLeast {
			least = "≥ "
		}
		return fact{itemsOf(c.Words) + " that fit", template.HTML(least + units.Comma(int64(c.Fits.Files))),
			fmt.Sprintf("in %s with %d %s", Bytes(c.Limit), c.Fits.Workers, many(c.Words))}
	case c.MaxWorkers < 0:
		return fact{name, "none", "in " + Bytes(c.Limit)}
	}
	return fact{}
}

// Warnings are those of the run, its verdict and its model, and every problem, each once.
func (r *Run) Warnings() []string {
	all := slices.Clone(r.Record.Warnings)
	if r.Record.Interrupted {
		all = append(all, "the run was interrupted: some cells were not measured")
	}
	if v := r.Verdict; v != nil {
		all = append(all, v.Warnings...)
		if v.Model != nil {
			all = append(all, v.Model.Warnings...)
		}
		if v.Capacity != nil {
			all = append(all, v.Capacity.Warnings...)
		}
	}
	return once(append(all, r.AllProblems()...))
}

// once is lines without repeats, in their order.
func once(lines []string) []string {
	var out []string
	for _, l := range lines {
		if !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	return out
}

// gather groups the findings of all cells by class and place, the one that the answer is about first, then the largest.
func (d *pageData) gather() []culprit {
	byPlace := map[string]*culprit{}
	for _, v := range d.Views {
		for _, f := range v.Findings {
			key := strings.Join([]string{string(f.Class), f.Site.Function, f.Site.File}, "\x00")
			c := byPlace[key]
			if c == nil {
				c = &culprit{Finding: f.Finding, Cell: v.Title, Anchor: v.ID}
				if f.Slope != nil {
					c.Slopes = [2]float64{f.Slope.Bytes, f.Slope.Bytes}
				}
				byPlace[key] = c
			}
			c.Cells++
			if f.Slope != nil {
				c.Slopes = [2]float64{min(c.Slopes[0], f.Slope.Bytes), max(c.Slopes[1], f.Slope.Bytes)}
			}
			if f.BytesAtPeak > c.BytesAtPeak {
				c.Finding, c.Cell, c.Anchor = f.Finding, v.Title, v.ID
			}
		}
	}
	var out []culprit
	for _, k := range slices.Sorted(maps.Keys(byPlace)) {
		out = append(out, *byPlace[k])
	}
	rank := leading(d.cause)
	slices.SortStableFunc(out, func(a, b culprit) int {
		return cmp.Or(cmp.Compare(rank(a.Finding), rank(b.Finding)), cmp.Compare(b.BytesAtPeak, a.BytesAtPeak))
	})
	return out
}
