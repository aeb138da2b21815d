package profiles

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"memsoak/profiles/record"
)

// Options are what a diagnosis takes for granted. The zero value is ready: see the fields.
type Options struct {
	// Module is the module path whose frames are blamed; empty: as recorded with the trial.
	Module string
	// PlannedFiles and LargestFile (bytes) are the planned work, by whose predicted share findings are ranked.
	// Zero: 1,000,000 files and 5 GiB.
	PlannedFiles int64
	LargestFile  int64
}

// Planned work when nobody said otherwise.
const (
	DefaultPlannedFiles = 1_000_000
	DefaultLargestFile  = 5 << 30
)

func (o Options) withDefaults() Options {
	o.PlannedFiles = cmp.Or(o.PlannedFiles, DefaultPlannedFiles)
	o.LargestFile = cmp.Or(o.LargestFile, DefaultLargestFile)
	return o
}

// DiagnoseTrial judges the recorded trial in dir. It writes nothing. What is missing or malformed makes the verdict
// less certain, with a warning that names it; only a trial.json that cannot be read is an error.
func DiagnoseTrial(dir string, o Options) (*record.Verdict, error) {
	s, err := ReadSeries(dir, o)
	if err != nil {
		return nil, fmt.Errorf("diagnose %s: %w", dir, err)
	}
	return s.Diagnose(o), nil
}

// DiagnoseRun judges every recorded trial of the run in dir, one at a time, and what follows for the run as a whole.
// It writes nothing.
func DiagnoseRun(dir string, o Options) (*record.RunVerdict, error) {
	run, err := record.ReadRun(dir)
	if err != nil {
		return nil, fmt.Errorf("diagnose run: %w", err)
	}
	rv := &record.RunVerdict{Schema: record.RunVerdictSchema, Cells: []record.Verdict{}, Answer: []string{}, Warnings: []string{}}
	for _, c := range run.Status {
		for _, t := range c.Trials {
			v, err := DiagnoseTrial(filepath.Join(dir, filepath.FromSlash(c.Dir), fmt.Sprintf("trial-%d", t.Index)), o)
			switch {
			case errors.Is(err, os.ErrNotExist) && t.Outcome == "":
				rv.Warnings = append(rv.Warnings, fmt.Sprintf("%s trial %d was not run", c.Cell, t.Index))
			case err != nil:
				rv.Warnings = append(rv.Warnings, err.Error())
			default:
				rv.Cells = append(rv.Cells, *v)
			}
		}
	}
	return rv, nil
}
