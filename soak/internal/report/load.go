package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/pyroscope"
)

// Run is a run's directory, read as far as it can be read.
type Run struct {
	Dir     string
	Record  *record.Run
	Verdict *record.RunVerdict // nil while there is none
	Cells   []*Cell            // in the order of run.json
	// Pushed are the Pyroscope servers that have the run's profiles.
	Pushed []pyroscope.Entry
	// Problems name damaged or missing parts, one line each.
	Problems []string

	lead  *record.Verdict // what the first line of the answer is about; nil where no trial has a fault
	cause *record.Finding
}

// Cell is one cell of a run with its trials.
type Cell struct {
	Cell   record.Cell
	Dir    string // below the run's directory, slash-separated
	Trials []*Trial
}

// Trial is one trial, read as far as it can be read.
type Trial struct {
	Index   int
	Dir     string // below the run's directory, slash-separated
	Status  record.TrialStatus
	Record  *record.Trial   // nil when planned, running or unreadable
	Verdict *record.Verdict // nil when there is none
	Samples []record.Sample
	// Problems name damaged or missing parts, one line each.
	Problems []string
}

// Load reads the run in dir. It fails only when run.json itself cannot be read; everything else that is missing or
// damaged is named in Problems. Trials are read concurrently.
func Load(ctx context.Context, dir string) (*Run, error) {
	rec, err := record.ReadRun(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not a run: it has no %s", dir, record.RunFile)
	}
	if err != nil {
		return nil, err
	}
	run := &Run{Dir: dir, Record: rec}
	run.Verdict, err = record.ReadRunVerdict(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		run.Problems = append(run.Problems, oneLine(dir, err))
	}
	if run.Pushed, err = pyroscope.Targets(dir); err != nil {
		run.Problems = append(run.Problems, oneLine(dir, err))
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, st := range rec.Status {
		cell := &Cell{Cell: st.Cell, Dir: st.Dir}
		run.Cells = append(run.Cells, cell)
		if !filepath.IsLocal(filepath.FromSlash(st.Dir)) {
			run.Problems = append(run.Problems, fmt.Sprintf("cell %s: its directory %q is outside the run", st.Cell, st.Dir))
			continue
		}
		for _, ts := range withFound(dir, st) {
			t := &Trial{Index: ts.Index, Status: ts, Dir: fmt.Sprintf("%s/trial-%d", st.Dir, ts.Index)}
			cell.Trials = append(cell.Trials, t)
			g.Go(func() error {
				t.read(dir)
				return ctx.Err()
			})
		}
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	run.settle()
	run.adoptVerdicts()
	if run.Verdict != nil {
		run.lead, run.cause = profiles.Lead(run.Verdict)
	}
	run.speak()
	return run, nil
}

// withFound lists the trials of run.json and those that are on disk without being listed, by index.
func withFound(dir string, st record.CellStatus) []record.TrialStatus {
	trials := slices.Clone(st.Trials)
	entries, _ := os.ReadDir(filepath.Join(dir, filepath.FromSlash(st.Dir)))
	for _, e := range entries {
		n, err := strconv.Atoi(strings.TrimPrefix(e.Name(), "trial-"))
		if err != nil || n < 1 || e.Name() != fmt.Sprintf("trial-%d", n) {
			continue
		}
		if !slices.ContainsFunc(trials, func(t record.TrialStatus) bool { return t.Index == n }) {
			trials = append(trials, record.TrialStatus{Index: n})
		}
	}
	slices.SortFunc(trials, func(a, b record.TrialStatus) int { return a.Index - b.Index })
	return trials
}

// read fills the trial from its directory below run.
func (t *Trial) read(run string) {
	dir := filepath.Join(run, filepath.FromSlash(t.Dir))
	note := func(err error) {
		if err != nil && (t.Status.Outcome != "" || !errors.Is(err, fs.ErrNotExist)) {
			t.Problems = append(t.Problems, oneLine(run, err))
		}
	}
	var err error
	t.Record, err = record.ReadTrial(dir)
	note(err)
	if err == nil && t.Status.Kind == "" {
		t.Status.Kind, t.Status.Outcome = t.Record.Kind, t.Record.Outcome
		t.Status.Seconds = t.Record.Ended.Sub(t.Record.Started).Seconds()
	}
	t.Verdict, err = record.ReadVerdict(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		note(err)
	}
	note(record.ReadSamples(dir, func(s record.Sample) bool {
		t.Samples = append(t.Samples, s)
		return true
	}))
}

// settle leaves trials out of which run.json and trial.json say different outcomes, and with them a verdict of the run
// that doesn't know of it: its answer would stand beside an outcome that it was not made for.
func (r *Run) settle() {
	for _, cell := range r.Cells {
		for _, t := range cell.Trials {
			if t.Record == nil {
				continue
			}
			err := t.Status.Agrees(t.Record.Outcome)
			if err == nil {
				continue
			}
			text := t.Dir + ": " + err.Error()
			known := func(warning string) bool { return strings.Contains(warning, text) }
			t.Record, t.Verdict, t.Samples = nil, nil, nil
			if r.Verdict == nil || !slices.ContainsFunc(r.Verdict.Warnings, known) {
				r.Verdict, t.Problems = nil, append(t.Problems, text)
			}
		}
	}
}

// adoptVerdicts gives trials without a verdict.json of their own the one of the run's verdict, if it has one.
func (r *Run) adoptVerdicts() {
	if r.Verdict == nil {
		return
	}
	for _, cell := range r.Cells {
		for _, t := range cell.Trials {
			if t.Verdict != nil {
				continue
			}
			i := slices.IndexFunc(r.Verdict.Cells, func(v record.Verdict) bool {
				return v.Trial == t.Index && v.Cell.String() == cell.Cell.String()
			})
			if i >= 0 {
				t.Verdict = &r.Verdict.Cells[i]
			}
		}
	}
}

// requestUnits are the units and terms of a service in its words: an item is a request.
var requestUnits = map[string]string{"file": "request", "files": "requests done", "distinct-item": "key",
	"distinct": "keys", "backlog-item": "queued request", "large-file": "large request", "worker": "request in flight"}

// speak puts the units of a service's verdicts into its words. Nothing is decided by them from here on.
func (r *Run) speak() {
	isService := func(c *Cell) bool {
		return slices.ContainsFunc(c.Trials, func(t *Trial) bool {
			return t.Record != nil && t.Record.Item == record.ItemRequest
		})
	}
	if !slices.ContainsFunc(r.Cells, isService) {
		return
	}
	word := func(unit *string) { *unit = cmp.Or(requestUnits[*unit], *unit) }
	speakOf := func(v *record.Verdict) {
		for i := range v.Findings {
			if s := v.Findings[i].Slope; s != nil {
				word(&s.Per)
			}
		}
		for i := range v.Hypotheses {
			h := &v.Hypotheses[i]
			if word(&h.Per); h.Slope != nil {
				word(&h.Slope.Per)
			}
		}
	}
	for _, c := range r.Cells {
		for _, t := range c.Trials {
			if t.Verdict != nil {
				speakOf(t.Verdict)
			}
		}
	}
	if r.Verdict == nil {
		return
	}
	for i := range r.Verdict.Cells { // what a trial shares with the run is in its words already
		speakOf(&r.Verdict.Cells[i])
	}
	if m := r.Verdict.Model; m != nil {
		for i := range m.Terms {
			word(&m.Terms[i].Name)
		}
	}
}

// oneLine is err's text on one line, with paths below the run's directory made relative to it.
func oneLine(dir string, err error) string {
	s := strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "")
	return strings.Join(strings.Fields(s), " ")
}

// Main is the trial that the cell is shown by: the first judged one that is meant for judging, else the first judged,
// else the first recorded. It is nil when nothing was recorded.
func (c *Cell) Main() *Trial {
	var best *Trial
	rank := func(t *Trial) int {
		switch {
		case t.Record == nil && t.Verdict == nil && len(t.Samples) == 0:
			return 0
		case t.Verdict == nil:
			return 1
		case t.Status.Kind == record.Speed:
			return 2
		default:
			return 3
		}
	}
	for _, t := range c.Trials {
		if r := rank(t); r > 0 && (best == nil || r > rank(best)) {
			best = t
		}
	}
	return best
}

// VerdictOf is the cell's verdict: the run's, else that of its main trial. It is nil when there is none.
func (r *Run) VerdictOf(c *Cell) *record.Verdict {
	if r.Verdict != nil {
		for i, v := range r.Verdict.Cells {
			if v.Cell.String() == c.Cell.String() {
				return &r.Verdict.Cells[i]
			}
		}
	}
	if t := c.Main(); t != nil {
		return t.Verdict
	}
	return nil
}

// Peak is the running maximum of every quantity over the cell's trials.
func (c *Cell) Peak() record.Peak {
	var p record.Peak
	for _, t := range c.Trials {
		p.Join(t.peak())
	}
	return p
}

// peak is the trial's: of one that has not ended, that of its samples so far.
func (t *Trial) peak() record.Peak {
	var p record.Peak
	if t.Record != nil {
		p.Join(t.Record.Peak)
	}
	if t.Verdict != nil {
		p.Join(t.Verdict.Peak)
	}
	if p.Bytes() == 0 {
		for _, s := range t.Samples {
			p.See(s)
		}
	}
	return p
}

// Outcome is the worst outcome of the cell's trials; empty when none has ended.
func (c *Cell) Outcome() record.Outcome {
	order := []record.Outcome{"", record.OK, record.Timeout, record.WaveFailed, record.Crashed, record.OOMKilled}
	var worst record.Outcome
	for _, t := range c.Trials {
		if slices.Index(order, t.Status.Outcome) > slices.Index(order, worst) {
			worst = t.Status.Outcome
		}
	}
	return worst
}

// Done counts the trials that have ended, and all.
func (r *Run) Done() (ended, all int) {
	for _, c := range r.Cells {
		for _, t := range c.Trials {
			all++
			if t.Status.Outcome != "" {
				ended++
			}
		}
	}
	return ended, all
}

// Took is how long the run took, or has taken until its last sample while it runs.
func (r *Run) Took() time.Duration {
	end := r.Record.Ended
	for _, c := range r.Cells {
		for _, t := range c.Trials {
			if n := len(t.Samples); n > 0 && r.Record.Ended.IsZero() && t.Samples[n-1].Time.After(end) {
				end = t.Samples[n-1].Time
			}
		}
	}
	return max(0, end.Sub(r.Record.Started))
}

// AllProblems are the run's problems and those of its trials, each with where it is.
func (r *Run) AllProblems() []string {
	out := slices.Clone(r.Problems)
	for _, c := range r.Cells {
		for _, t := range c.Trials {
			out = append(out, t.Problems...)
		}
	}
	return out
}
