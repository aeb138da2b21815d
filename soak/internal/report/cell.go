package report

import (
	"cmp"
	"fmt"
	"html/template"
	"path/filepath"
	"slices"

	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/pyroscope"
)

// cellView is what the page shows of one cell.
type cellView struct {
	ID       string
	Cell     *Cell
	Title    string
	Outcome  record.Outcome
	Headline record.Headline
	Verdict  *record.Verdict
	Peak     record.Peak
	Trial    *Trial // the one that is shown; nil when nothing was recorded
	Open     bool
	Recorded bool // from a process that memsoak had not started

	Spark     template.HTML
	Waterfall []bar
	Timeline  *figure
	Floors    *figure
	FloorText string
	Findings  []findingView
	Flames    []*flame
	Routines  []routineGroup
	Rerun     string
	Service   string
	Growth    *record.Growth // of profiles without a controlled load
	Looked    []looked
	Closure   *record.Closure
	Links     []Link
	Snapshots []snapshotView
	Notes     []string // what could not be shown, and the trial's own warnings
}

// item is the word for what the trial's work is counted in.
func (v *cellView) item() string {
	if v.Trial != nil && v.Trial.Record != nil {
		return cmp.Or(v.Trial.Record.Item, "file")
	}
	return "file"
}

// Items is that word for many.
func (v *cellView) Items() string { return v.item() + "s" }

// figure is a chart drawn for wide and for narrow pages, with its key.
type figure struct {
	Wide, Slim template.HTML
	Key        []keyEntry
}

type keyEntry struct{ Ink, Text string }

// bar is one step of the waterfall, in percent of the whole.
type bar struct {
	Part, Detail string
	Bytes        int64
	Left, Width  float64
	Total        bool
}

// findingView is a finding with its stack in two parts: the shown frames, and those behind a click.
type findingView struct {
	record.Finding
	Deeper []string
	Source []sourceLine
}

// stackShown is how many frames of a stack are shown without a click.
const stackShown = 8

// snapshotView is a row of the table of snapshots.
type snapshotView struct {
	record.Snapshot
	Live  int64
	Links []Link
}

// Link is a place to go.
type Link struct{ Text, URL string }

// cellBuilder makes the views of cells; its fields are read only.
type cellBuilder struct {
	run    *Run
	opt    Options
	budget int // frames per flame graph
}

// build makes the view of the n-th cell. It is safe for concurrent use.
func (b cellBuilder) build(n int) *cellView {
	c := b.run.Cells[n]
	v := &cellView{
		ID: fmt.Sprintf("cell-%d", n+1), Cell: c, Title: cellText(b.run.Record, c.Cell), Outcome: c.Outcome(),
		Verdict: b.run.VerdictOf(c), Peak: c.Peak(), Trial: c.Main(), Rerun: rerun(b.run.Record, c),
		Recorded: recorded(b.run.Record),
	}
	if v.Verdict != nil {
		v.Headline, v.Growth = v.Verdict.Headline, v.Verdict.Growth
		v.Notes = append(v.Notes, v.Verdict.Warnings...)
		v.Looked, v.Closure = lookedFor(v.Verdict), v.Verdict.Closure
		if v.Growth != nil { // the other hypotheses need work that is steered
			v.Looked = slices.DeleteFunc(v.Looked, func(l looked) bool {
				return l.Per != "second" && l.State != string(record.Found)
			})
		}
	}
	if v.Trial == nil {
		return v
	}
	v.Notes = append(v.Notes, v.Trial.Problems...)
	defer func() { v.Notes = once(v.Notes) }()
	b.figures(v)
	v.Waterfall = waterfall(v.Verdict)
	if v.Trial.Record != nil {
		v.Notes = append(v.Notes, v.Trial.Record.Warnings...)
		if why := v.Trial.Record.Isolation.Why; why != "" {
			v.Notes = append(v.Notes, "no memory limit: "+why)
		}
		b.profiles(v)
		b.snapshots(v)
		v.Service = pyroscope.Service(b.run.Record, v.Trial.Record.Cell, v.Trial.Record.Index)
		for _, target := range b.run.Pushed {
			for _, l := range pyroscope.Links(target, b.run.Record, v.Trial.Record) {
				v.Links = append(v.Links, Link(l))
			}
		}
	}
	if v.Verdict != nil {
		for _, f := range v.Verdict.Findings {
			fv := findingView{Finding: f, Source: source(f.Site.File, f.Site.Line)}
			if len(f.Stack) > stackShown+2 {
				fv.Stack, fv.Deeper = f.Stack[:stackShown], f.Stack[stackShown:]
			}
			v.Findings = append(v.Findings, fv)
		}
		rank := leading(profiles.Leading(v.Verdict))
		slices.SortStableFunc(v.Findings, func(x, y findingView) int {
			return cmp.Or(cmp.Compare(rank(x.Finding), rank(y.Finding)), cmp.Compare(y.BytesAtPeak, x.BytesAtPeak))
		})
	}
	return v
}

// leading ranks the finding that a headline is about before all others: it can be small at a peak, where a larger tree
// would make it the largest.
func leading(lead *record.Finding) func(record.Finding) int {
	return func(f record.Finding) int {
		if lead != nil && lead.Class == f.Class && lead.Site == f.Site {
			return -1
		}
		return 0
	}
}

// figures draws timeline, floors and sparkline.
func (b cellBuilder) figures(v *cellView) {
	if v.Spark = sparkline(v.Trial.Samples); len(v.Trial.Samples) > 1 {
		v.Timeline = timeline(v.Trial, b.opt.limit(b.run, v.Trial))
	}
	if v.Verdict != nil && len(v.Verdict.Floors) > 1 {
		v.Floors, v.FloorText = floors(v.Verdict, v.item())
	}
}

// profiles draws the flame graphs and groups the goroutines at the peak.
func (b cellBuilder) profiles(v *cellView) {
	rec, dir := v.Trial.Record, filepath.Join(b.run.Dir, filepath.FromSlash(v.Trial.Dir))
	note := func(err error) {
		v.Notes = append(v.Notes, fmt.Sprintf("snapshot: %s", oneLine(b.run.Dir, err)))
	}
	paint := painter{blamer: blame.NewBlamer(rec.Subject.Module), culprits: culprits(v.Verdict)}
	top, live, err := peak(dir, rec)
	if err != nil {
		note(err)
	}
	if top != nil {
		title := fmt.Sprintf("Live bytes at the peak: snapshot %d, %s in %s", top.Seq, words(string(top.State)), top.Phase)
		f := paint.draw(title, live, b.budget)
		f.ID = v.ID + "-peak"
		v.Flames = append(v.Flames, f)
	}
	if g, err := b.growth(v, dir, paint); err != nil {
		note(err)
	} else if g != nil {
		g.ID = v.ID + "-growth"
		v.Flames = append(v.Flames, g)
	}
	if top != nil && top.Goroutine != "" {
		if path, err := inside(dir, top.Goroutine); err != nil {
			note(err)
		} else if v.Routines, err = routines(path, rec.Subject.Module); err != nil {
			note(err)
		}
	}
}

// growth draws what the last floor holds more than the first after the warm-up, or the last profile more than the first
// of one process without a controlled load; nil without two of them.
func (b cellBuilder) growth(v *cellView, dir string, paint painter) (*flame, error) {
	var fl []record.Snapshot
	for _, s := range v.Trial.Record.Snapshots {
		if s.State == record.StateFloor && s.Heap != "" {
			fl = append(fl, s)
		}
	}
	between := "floors"
	if g := v.Growth; len(fl) < 2 && g != nil && g.Lives == 1 && !g.Difference {
		between, fl = "profiles", slices.DeleteFunc(slices.Clone(v.Trial.Record.Snapshots), func(s record.Snapshot) bool {
			return s.Heap == ""
		})
	}
	if len(fl) < 2 {
		return nil, nil
	}
	first, last := fl[0], fl[len(fl)-1]
	before, err := heapOf(dir, &first)
	if err != nil {
		return nil, err
	}
	after, err := heapOf(dir, &last)
	if err != nil {
		return nil, err
	}
	grown, shrunk := after.minus(before)
	f := paint.draw(fmt.Sprintf("Growth between %s: snapshot %d to %d", between, first.Seq, last.Seq), grown, b.budget)
	f.Shrunk = shrunk
	return f, nil
}

// snapshots lists the trial's snapshots with their links.
func (b cellBuilder) snapshots(v *cellView) {
	if b.opt.SnapshotLinks == nil {
		return
	}
	for _, s := range v.Trial.Record.Snapshots {
		sv := snapshotView{Snapshot: s, Links: b.opt.SnapshotLinks(v.Trial, s)}
		if sv.Live = s.HeapLive; s.Runtime != nil {
			sv.Live = s.Runtime.HeapAlloc
		}
		v.Snapshots = append(v.Snapshots, sv)
	}
}

// culprits are the functions of a verdict's findings.
func culprits(v *record.Verdict) map[string]bool {
	m := map[string]bool{}
	if v != nil {
		for _, f := range v.Findings {
			if f.Site.Function != "" {
				m[f.Site.Function] = true
			}
		}
	}
	return m
}

// peakCandidates is how many of the snapshots with the most heap in use are read to find the peak: heap in use has
// garbage in it, so the highest of it need not be the highest live heap.
const peakCandidates = 4

// PeakSnapshot is the snapshot with the largest live heap of the trial in dir; nil when it has no heap profile that
// can be read.
func PeakSnapshot(dir string, t *record.Trial) *record.Snapshot {
	s, _, _ := peak(dir, t)
	return s
}

// peak is PeakSnapshot with the live bytes by stack. The error is that of the last profile that could not be read.
func peak(dir string, t *record.Trial) (best *record.Snapshot, live weights, err error) {
	var with []*record.Snapshot
	for i := range t.Snapshots {
		if t.Snapshots[i].Heap != "" {
			with = append(with, &t.Snapshots[i])
		}
	}
	use := func(s *record.Snapshot) int64 {
		if s.Runtime == nil {
			return s.HeapLive
		}
		return s.Runtime.HeapAlloc
	}
	slices.SortStableFunc(with, func(a, b *record.Snapshot) int { return cmp.Compare(use(b), use(a)) })
	var most int64 = -1
	for _, s := range with[:min(len(with), peakCandidates)] {
		w, e := heapOf(dir, s)
		if e != nil {
			err = e
			continue
		}
		if n := w.total(); n > most {
			best, live, most = s, w, n
		}
	}
	return best, live, err
}

// heapOf reads the live bytes of a snapshot of the trial in dir.
func heapOf(dir string, s *record.Snapshot) (weights, error) {
	path, err := inside(dir, s.Heap)
	if err != nil {
		return nil, err
	}
	return liveBytes(path)
}

// inside joins a recorded path to a directory and refuses one that leaves it, also by way of a link.
func inside(dir, rel string) (string, error) {
	if !filepath.IsLocal(filepath.FromSlash(rel)) {
		return "", fmt.Errorf("path %q leaves the run", rel)
	}
	path := filepath.Join(dir, filepath.FromSlash(rel))
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	base, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	if r, err := filepath.Rel(base, real); err != nil || !filepath.IsLocal(r) {
		return "", fmt.Errorf("path %q leaves the run", rel)
	}
	return path, nil
}

// waterfall stacks the parts of a verdict to the resident peak. A part below zero (memory in the runtime's account that
// was never touched) steps back.
func waterfall(v *record.Verdict) []bar {
	if v == nil {
		return nil
	}
	var sum, whole int64
	for _, p := range v.Waterfall {
		sum += p.Bytes
		whole = max(whole, sum)
	}
	if sum <= 0 {
		return nil
	}
	at := func(n int64) float64 { return 100 * float64(max(0, n)) / float64(whole) }
	var bars []bar
	var left int64
	for _, p := range v.Waterfall {
		lo, hi := min(left, left+p.Bytes), max(left, left+p.Bytes)
		left += p.Bytes
		if p.Bytes == 0 && p.Part == "remainder" {
			continue
		}
		bars = append(bars, bar{Part: p.Part, Detail: p.Detail, Bytes: p.Bytes, Left: at(lo), Width: at(hi) - at(lo)})
	}
	return append(bars, bar{Part: "resident", Bytes: sum, Width: at(sum), Total: true})
}
