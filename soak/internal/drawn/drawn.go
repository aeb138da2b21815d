// Package drawn makes runs out of the reduced recordings in profiles/testdata, as they are or with something that went
// wrong: a kill, a crash, work left undone, other settings. Tests draw runs from it and check what holds for every run.
//
// [Write] makes a run of many cells from a story in which an upload buffers whole files, for tests of what shows them.
// It follows from the options alone, so two calls write the same bytes. The package is for tests alone.
package drawn

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/profile"

	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/record"
)

// Recording is a recorded trial without its profiles: stacks, and what each held in each snapshot.
type Recording struct {
	Name    string          `json:"-"`
	Trial   record.Trial    `json:"trial"`
	Samples []record.Sample `json:"samples"`
	Frames  []blame.Frame   `json:"frames"`
	Stacks  [][]int         `json:"stacks"` // of frames, leaf first
	Snaps   []Snap          `json:"snaps"`  // by snapshot of the trial
}

// Snap has a row for each stack that is not empty: its number and values.
type Snap struct {
	Period   int64      `json:"period,omitempty"`
	Build    string     `json:"build,omitempty"`
	Heap     [][4]int64 `json:"heap,omitempty"`     // stack, objects, bytes, bytes allocated
	Routines [][2]int64 `json:"routines,omitempty"` // stack, goroutines
}

// suffix of the file of a recording.
const suffix = ".json.gz"

// Names are the recordings in a directory, in order.
func Names(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no recording in %s", dir)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), suffix)
	}
	return files, err
}

// Read reads a recording by its name. Each call returns one of its own, to be changed.
func Read(dir, name string) (*Recording, error) {
	f, err := os.Open(filepath.Join(dir, name+suffix))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	r := &Recording{Name: name}
	if err := json.NewDecoder(z).Decode(r); err != nil {
		return nil, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	return r, nil
}

// Workers is the recording's setting; of a cell named so are its trials.
func (r *Recording) Workers() string { return r.Trial.Settings["workers"] }

// SetWorkers names another count of workers.
func (r *Recording) SetWorkers(n string) {
	r.Trial.Settings = maps.Clone(r.Trial.Settings)
	r.Trial.Settings["workers"] = n
}

// write makes the trial's directory.
func (r *Recording) write(dir string) error {
	for _, d := range []string{record.HeapDir, record.RoutineDir} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	for i := range r.Trial.Snapshots {
		n, x := &r.Trial.Snapshots[i], r.Snaps[i]
		n.Heap, n.Goroutine = "", ""
		if len(x.Heap) > 0 {
			n.Heap = fmt.Sprintf("%s/%04d.pb.gz", record.HeapDir, i)
			if err := r.heap(x, n.Time).write(filepath.Join(dir, n.Heap)); err != nil {
				return err
			}
		}
		if len(x.Routines) > 0 {
			n.Goroutine = fmt.Sprintf("%s/%04d.pb.gz", record.RoutineDir, i)
			if err := r.routines(x, n.Time).write(filepath.Join(dir, n.Goroutine)); err != nil {
				return err
			}
		}
	}
	if err := writeSamples(dir, r.Samples); err != nil {
		return err
	}
	return record.Write(filepath.Join(dir, record.TrialFile), r.Trial)
}

func writeSamples(dir string, samples []record.Sample) error {
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	for _, s := range samples {
		if err := enc.Encode(s); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, record.SamplesFile), lines.Bytes(), 0o644)
}

func (r *Recording) heap(x Snap, at time.Time) *builder {
	b := r.builder(x, at, heapTypes)
	b.p.Period, b.p.PeriodType = x.Period, &profile.ValueType{Type: "space", Unit: "bytes"}
	for _, row := range x.Heap {
		b.add(r.stack(row[0]), row[1], row[3], row[1], row[2])
	}
	return b
}

func (r *Recording) routines(x Snap, at time.Time) *builder {
	b := r.builder(x, at, routineTypes)
	for _, row := range x.Routines {
		b.add(r.stack(row[0]), row[1])
	}
	return b
}

func (r *Recording) builder(x Snap, at time.Time, types []*profile.ValueType) *builder {
	b := newBuilder(at, types)
	b.p.Mapping = []*profile.Mapping{{ID: 1, File: "/bin/subject", BuildID: x.Build}}
	return b
}

func (r *Recording) stack(number int64) (out []blame.Frame) {
	for _, id := range r.Stacks[number] {
		out = append(out, r.Frames[id])
	}
	return out
}

// WriteRun makes a run's directory of recordings, each a trial of the cell of its workers, and judges it as a run is
// judged when it ends: verdict.json of each trial and of the run.
func WriteRun(dir string, limit int64, all ...*Recording) (*record.RunVerdict, error) {
	run := record.Run{Schema: record.RunSchema, ID: "drawn", Started: time.Unix(1, 0), Ended: time.Unix(2, 0),
		Subject: "specimen", Corpus: "mixed",
		Protocol: "default", Limit: limit, Host: record.Host{OS: "linux", Arch: "amd64", CPUs: 2, Cgroup: "cgroup-v2",
			Go: "go1.26"}}
	for _, r := range all {
		cell := record.Cell{"workers": r.Workers()}
		i := slices.IndexFunc(run.Status, func(c record.CellStatus) bool { return c.Cell.String() == cell.String() })
		if i < 0 {
			i = len(run.Status)
			run.Status = append(run.Status, record.CellStatus{Cell: cell, Dir: "cells/" + cell.Dir()})
		}
		c := &run.Status[i]
		r.Trial.Cell, r.Trial.Index = cell, len(c.Trials)+1
		c.Trials = append(c.Trials, record.TrialStatus{Index: r.Trial.Index, Kind: r.Trial.Kind, Outcome: r.Trial.Outcome})
		if err := r.write(trialDir(dir, cell, r.Trial.Index)); err != nil {
			return nil, err
		}
	}
	if err := record.Write(filepath.Join(dir, record.RunFile), run); err != nil {
		return nil, err
	}
	v, err := profiles.DiagnoseRun(dir, profiles.Options{})
	if err != nil {
		return nil, err
	}
	for _, c := range v.Cells {
		if err := record.Write(filepath.Join(trialDir(dir, c.Cell, c.Trial), record.VerdictFile), c); err != nil {
			return nil, err
		}
	}
	return v, record.Write(filepath.Join(dir, record.VerdictFile), v)
}

func trialDir(dir string, c record.Cell, index int) string {
	return filepath.Join(dir, "cells", c.Dir(), fmt.Sprintf("trial-%d", index))
}
