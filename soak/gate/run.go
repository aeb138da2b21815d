package gate

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/record"
)

// Run is a recorded run, read whole: small files only, no profiles.
type Run struct {
	Dir     string
	Run     *record.Run
	Verdict *record.RunVerdict // nil when the run has none
	Cells   []CellData
	Damaged []string // what could not be read, one line each
}

// LoadRun reads a run's directory. A trial that can't be read is named in Damaged; a run.json that can't is an error.
func LoadRun(dir string) (*Run, error) {
	r := &Run{Dir: dir}
	var err error
	if r.Run, err = record.ReadRun(dir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s is not a run's directory: it has no %s: %w", dir, record.RunFile, fs.ErrNotExist)
		}
		return nil, err
	}
	if r.Verdict, err = record.ReadRunVerdict(dir); err != nil {
		r.Damaged = append(r.Damaged, err.Error())
	}
	beside := 0.0
	if r.Verdict != nil && r.Verdict.Model != nil {
		beside = r.Verdict.Model.Beside
	}
	most := capacity(dir)
	for _, c := range r.Run.Status {
		cell, damaged := loadCell(dir, c)
		cell.MaxWorkers, cell.Beside = most, beside
		r.Cells, r.Damaged = append(r.Cells, cell), append(r.Damaged, damaged...)
	}
	return r, nil
}

// capacity answers max_workers(limit) for a run's directory, each limit once. It reads the profiles again, so it is
// asked only when a threshold wants it.
func capacity(dir string) func(limit int64) (Workers, bool) {
	known := map[int64]Workers{}
	return func(limit int64) (Workers, bool) {
		n, ok := known[limit]
		if !ok {
			c, err := profiles.Capacity(dir, costs.Plan{Limit: limit}, profiles.Options{})
			if err == nil {
				n = Workers{Most: c.MaxWorkers, Open: c.AtLeast || c.Perhaps > 0, Perhaps: c.Perhaps}
			}
			known[limit] = n
		}
		return Workers{Most: max(n.Most, 0), Open: n.Open, Perhaps: n.Perhaps}, n.Most != 0
	}
}

// LoadCell reads what a run has recorded of one cell so far, with what could not be read.
func LoadCell(dir string, cell record.Cell) (CellData, []string, error) {
	run, err := record.ReadRun(dir)
	if err != nil {
		return CellData{}, nil, err
	}
	i := slices.IndexFunc(run.Status, func(c record.CellStatus) bool { return c.Cell.String() == cell.String() })
	if i < 0 {
		return CellData{}, nil, fmt.Errorf("run %s has no cell %s", run.ID, cell)
	}
	c := run.Status[i]
	c.Trials = slices.DeleteFunc(c.Trials, func(t record.TrialStatus) bool { return t.Outcome == "" })
	data, damaged := loadCell(dir, c)
	return data, damaged, nil
}

func loadCell(dir string, c record.CellStatus) (cell CellData, damaged []string) {
	cell = CellData{Cell: c.Cell, Settings: map[string]string{}}
	for _, t := range c.Trials {
		path := filepath.Join(dir, filepath.FromSlash(c.Dir), fmt.Sprintf("trial-%d", t.Index))
		trial, err := record.ReadTrial(path)
		if err != nil {
			damaged = append(damaged, err.Error())
			continue
		}
		if err := t.Agrees(trial.Outcome); err != nil {
			damaged = append(damaged, fmt.Sprintf("cell %s: %v", c.Cell, err))
			continue
		}
		maps.Copy(cell.Settings, trial.Settings)
		v, err := record.ReadVerdict(path)
		if err != nil && trial.Kind != record.Speed {
			damaged = append(damaged, err.Error())
		}
		if err == nil {
			if err = costs.Check(trial, v); err != nil {
				v, damaged = nil, append(damaged, fmt.Sprintf("read %s: %v", path, err))
			}
		}
		cell.Trials = append(cell.Trials, TrialData{Trial: trial, Verdict: v})
	}
	maps.Copy(cell.Settings, c.Cell)
	return cell, damaged
}

// Split parts a run by one of its axes: with has the cells in which the axis has the value, without the others. The
// axis is taken out of the cells' names, so that both can be compared.
func (r *Run) Split(axis, value string) (with, without *Run) {
	part := func(keep bool) *Run {
		out := &Run{Dir: r.Dir, Run: r.Run, Verdict: r.Verdict, Damaged: r.Damaged}
		for _, c := range r.Cells {
			if (c.Cell[axis] == value) == keep {
				c.Cell = maps.Clone(c.Cell)
				delete(c.Cell, axis)
				out.Cells = append(out.Cells, c)
			}
		}
		return out
	}
	return part(true), part(false)
}

// fixed are the settings of a cell that are no axis of the run.
func (r *Run) fixed(settings map[string]string) record.Cell {
	out := record.Cell(maps.Clone(settings))
	for _, c := range r.Run.Status {
		maps.DeleteFunc(out, func(name, _ string) bool { _, axis := c.Cell[name]; return axis })
	}
	return out
}

func (r *Run) cell(c record.Cell) *CellData {
	for i := range r.Cells {
		if r.Cells[i].Cell.String() == c.String() {
			return &r.Cells[i]
		}
	}
	return nil
}

// finding returns the cell's finding of a class at a function, nil when it has none.
func (r *Run) finding(c record.Cell, class record.Class, function string) *record.Finding {
	return r.largest(c, func(f record.Finding) bool { return f.Class == class && f.Site.Function == function })
}

// culprit is the finding that a threshold over a quantity points at: the one that makes up most of the quantity, else
// the largest of all.
func (r *Run) culprit(c record.Cell, quantity string) *record.Finding {
	if f := r.slopeOf(c, quantity); f != nil {
		return f
	}
	switch quantity {
	case growthQuantity:
		if f := r.growsMost(c); f != nil {
			return f
		}
	case "headline":
		if f := r.first(c); f != nil {
			return f
		}
	}
	return r.largest(c, func(f record.Finding) bool { return f.Site.File != "" })
}

// slopeOf is the largest of the findings that add up to a quantity, nil for none.
func (r *Run) slopeOf(c record.Cell, quantity string) *record.Finding {
	if quantity == "goroutines_growth" {
		return r.largest(c, func(f record.Finding) bool {
			return f.Class == record.GoroutineLeak || f.Class == record.ConnectionLeak
		})
	}
	for _, s := range slopes {
		if s.quantity == quantity {
			return r.largest(c, func(f record.Finding) bool { return f.Slope != nil && s.of(f.Class, f.Slope.Per) })
		}
	}
	return nil
}

// growsMost is the finding whose cost adds most for each finished file, nil for none. A large one that doesn't
// grow adds nothing.
func (r *Run) growsMost(c record.Cell) *record.Finding {
	cell := r.cell(c)
	if cell == nil {
		return nil
	}
	var most *record.Finding
	grew := 0.0
	for _, t := range cell.Trials {
		if t.Verdict == nil {
			continue
		}
		rates := costs.RatesOf(t.Trial)
		for _, row := range costs.Of(t.Verdict) {
			i := slices.IndexFunc(t.Verdict.Findings, func(f record.Finding) bool {
				return f.Class == row.Class && f.Site.Function == row.Site.Function
			})
			if g := costs.Growth([]record.Cost{row}, rates); i >= 0 && g > grew {
				most, grew = &t.Verdict.Findings[i], g
			}
		}
	}
	return most
}

// first is the finding that a cell's headline is of, nil for none.
func (r *Run) first(c record.Cell) *record.Finding {
	cell := r.cell(c)
	if cell == nil {
		return nil
	}
	for _, t := range cell.Trials {
		if f := profiles.Leading(t.Verdict); f != nil {
			return f
		}
	}
	return nil
}

func (r *Run) largest(c record.Cell, want func(record.Finding) bool) *record.Finding {
	cell := r.cell(c)
	if cell == nil {
		return nil
	}
	var best *record.Finding
	for _, t := range cell.Trials {
		if t.Verdict == nil {
			continue
		}
		for i := range t.Verdict.Findings {
			f := &t.Verdict.Findings[i]
			if want(*f) && (best == nil || f.BytesAtPeak > best.BytesAtPeak) {
				best = f
			}
		}
	}
	return best
}
