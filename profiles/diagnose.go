package profiles

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/memsoak/memsoak/profiles/capacity"
	"github.com/memsoak/memsoak/profiles/capture"
	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/growth"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

// Options are what a diagnosis takes for granted. The zero value is ready: see the fields.
type Options struct {
	// Module is the module path whose frames are blamed; empty: as recorded with the trial.
	Module string
	// PlannedFiles and LargestFile (bytes) are the planned work, by whose predicted share findings are ranked.
	// Zero: 1,000,000 files and 5 GiB.
	PlannedFiles int64
	LargestFile  int64
	// OnSeries, if not nil, is given what the growth of a passive series is judged from.
	OnSeries func(growth.Series)
}

func (o Options) withDefaults() Options {
	o.PlannedFiles = cmp.Or(o.PlannedFiles, costs.DefaultPlannedFiles)
	o.LargestFile = cmp.Or(o.LargestFile, costs.DefaultLargestFile)
	return o
}

// DiagnoseTrial judges the recorded trial in dir. It writes nothing. A missing or malformed file makes the verdict
// less certain, with a warning that names it; only a trial.json that cannot be read is an error.
func DiagnoseTrial(dir string, o Options) (*record.Verdict, error) {
	r := judgeTrial(dir, o)
	return r.verdict, r.err
}

// DiagnoseFiles judges profiles as anybody records them in production, in the order of the times inside them: of the
// heap and of goroutines, in any form that package capture reads, of one process or several. Without held states and
// floors the headline stays inconclusive; Growth says what grew, how sure that is, and what would decide the rest.
//
// covariates, if not nil, is CSV that says what the process was doing at each profile: a header of "file" or "time"
// (RFC 3339) and any fields of record.Covariates by their JSON names, such as files_done, in_flight, backlog. Profiles
// at which in_flight and backlog are both zero count as floors.
func DiagnoseFiles(paths []string, covariates io.Reader, o Options) (*record.Verdict, error) {
	s, err := series.ReadFiles(paths, covariates, o.Module)
	switch {
	case err != nil:
		return nil, err
	case covariates == nil:
		return plainVerdict(s, o), nil
	}
	return diagnose(s, o), nil
}

// ProfileFiles lists the files below a directory that may be profiles: their content decides, not their names.
func ProfileFiles(dir string) ([]string, error) { return capture.Files(dir) }

// DiagnoseRun judges every recorded trial of the run in dir, and what follows for the run as a whole. It writes
// nothing. Trials are read a few at a time, so the memory does not grow with the run. Speed trials are not judged: they
// give the model their peaks.
func DiagnoseRun(dir string, o Options) (*record.RunVerdict, error) {
	rv, _, err := diagnoseRun(dir, o, nil)
	return rv, err
}

// diagnoseRun is DiagnoseRun for a run of which some trials, by their directories, may have been judged already.
func diagnoseRun(dir string, o Options, judged map[string]*trialResult) (*record.RunVerdict,
	*capacity.Evidence, error) {
	run, err := record.ReadRun(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("diagnose run: %w", err)
	}
	plan := costs.Plan{Limit: run.Limit, LargestFile: o.LargestFile, Files: o.PlannedFiles}
	o = o.withDefaults()
	rv := &record.RunVerdict{Schema: record.RunVerdictSchema, Cells: []record.Verdict{}, Warnings: []string{}}
	e := &capacity.Evidence{Again: capacity.SameAs(run.Config)}
	for _, r := range readTrials(dir, run, o, judged) {
		if r.err != nil && r.status.Kind != record.Speed {
			rv.Lost++
		}
		switch {
		case errors.Is(r.err, os.ErrNotExist) && r.status.Outcome == "":
			rv.Warnings = append(rv.Warnings, fmt.Sprintf("%s trial %d was not run", r.cell, r.status.Index))
		case r.err != nil:
			rv.Warnings = append(rv.Warnings, r.err.Error())
			e.Trials = append(e.Trials, capacity.Unread(r.cell, r.status, run, &r.evidence))
		default:
			e.Rows = append(e.Rows, r.evidence.Rows...)
			e.Trials = append(e.Trials, r.evidence.Trials...)
			e.States = append(e.States, r.evidence.States...)
			e.Words = r.evidence.Words
			if r.kind != record.Speed {
				rv.Cells = append(rv.Cells, *r.verdict)
			} else if r.verdict.Outcome != record.OK {
				rv.Warnings = append(rv.Warnings, fmt.Sprintf("%s: the speed trial ended as %s", r.cell,
					words.OrUnknown(string(r.verdict.Outcome))))
			}
		}
	}
	peaks := e.PeakModel()
	rv.Costs = e.Costs()
	rv.Model = e.MemoryModel(peaks)
	if run.Limit > 0 {
		rv.Capacity = e.Capacity(peaks, plan)
	}
	rv.Answer = answer(rv)
	return rv, e, nil
}

// Capacity answers how many workers are safe below a limit, from a recorded run, or without a limit which is the
// smallest for the plan's workers. It reads the whole run.
func Capacity(dir string, p costs.Plan, o Options) (*record.Capacity, error) {
	_, e, err := diagnoseRun(dir, o, nil)
	if err != nil {
		return nil, err
	}
	return e.Capacity(e.PeakModel(), p), nil
}

// trialResult is a trial's share of a run's verdict: numbers, no profiles.
type trialResult struct {
	cell     record.Cell
	status   record.TrialStatus
	kind     record.TrialKind
	verdict  *record.Verdict
	evidence capacity.Evidence
	err      error
}

// judgeTrial judges the trial in dir.
func judgeTrial(dir string, o Options) *trialResult {
	r := &trialResult{}
	s, err := series.Read(dir, o.Module)
	if err != nil {
		r.err = fmt.Errorf("diagnose %s: %w", dir, err)
		return r
	}
	r.kind, r.verdict = s.Trial.Kind, diagnose(s, o)
	addHolder(dir, r.verdict)
	words.Speak(s.Trial.Item, r.verdict)
	r.evidence.Collect(s, r.verdict)
	return r
}

// readTrials judges the trials of a run that are not judged yet, in parallel: as many as there are CPUs, at most
// threshold.MaxAtOnce.
func readTrials(dir string, run *record.Run, o Options, judged map[string]*trialResult) []*trialResult {
	var all []*trialResult
	var g errgroup.Group
	g.SetLimit(min(threshold.MaxAtOnce, runtime.GOMAXPROCS(0)))
	for _, c := range run.Status {
		for _, t := range c.Trials {
			r := &trialResult{}
			all = append(all, r)
			path := filepath.Join(dir, filepath.FromSlash(c.Dir), fmt.Sprintf("trial-%d", t.Index))
			g.Go(func() error {
				if done := judged[path]; done != nil {
					*r = *done
				} else {
					*r = *judgeTrial(path, o)
				}
				if r.err == nil {
					if err := t.Agrees(r.verdict.Outcome); err != nil {
						r.err = fmt.Errorf("diagnose %s: %w", path, err)
					}
				}
				if r.verdict != nil && r.verdict.Outcome == record.OOMKilled {
					t.Outcome = record.OOMKilled // a kill that either knows of forbids
				}
				r.cell, r.status = c.Cell, t
				return nil
			})
		}
	}
	_ = g.Wait() // each result carries its own error
	return all
}
