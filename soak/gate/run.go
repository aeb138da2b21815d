package gate

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"memsoak/profiles/record"
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
			return nil, fmt.Errorf("%s is not a run's directory: it has no %s", dir, record.RunFile)
		}
		return nil, err
	}
	if r.Verdict, err = record.ReadRunVerdict(dir); err != nil {
		r.Damaged = append(r.Damaged, err.Error())
	}
	for _, c := range r.Run.Status {
		cell := CellData{Cell: c.Cell, Settings: map[string]string{}}
		for _, t := range c.Trials {
			path := filepath.Join(dir, filepath.FromSlash(c.Dir), fmt.Sprintf("trial-%d", t.Index))
			trial, err := record.ReadTrial(path)
			if err != nil {
				r.Damaged = append(r.Damaged, err.Error())
				continue
			}
			for k, v := range trial.Settings {
				cell.Settings[k] = v
			}
			v, err := record.ReadVerdict(path)
			if err != nil && trial.Kind != record.Speed {
				r.Damaged = append(r.Damaged, err.Error())
			}
			cell.Trials = append(cell.Trials, TrialData{Trial: trial, Verdict: v})
		}
		for k, v := range c.Cell {
			cell.Settings[k] = v
		}
		r.Cells = append(r.Cells, cell)
	}
	return r, nil
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

// culprit is the finding that a quantity's rise points at: the largest of the quantity's own findings, else of all.
func (r *Run) culprit(c record.Cell, quantity string) *record.Finding {
	for _, s := range slopes {
		if s.quantity == quantity {
			if f := r.largest(c, func(f record.Finding) bool { return f.Slope != nil && s.of(f) }); f != nil {
				return f
			}
		}
	}
	return r.largest(c, func(f record.Finding) bool { return f.Site.File != "" })
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
