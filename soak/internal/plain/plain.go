// Package plain makes a recorded run out of profiles of any names and forms, so that all that reads runs reads them
// too. It is not for judging them: a run that it makes has no verdict yet.
package plain

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/memsoak/memsoak/profiles/capture"
	"github.com/memsoak/memsoak/profiles/record"
)

// together is how far apart a heap and a goroutine profile may be to be of one moment.
const together = 2 * time.Second

// read is a profile with its time.
type read struct {
	*capture.Capture
	at time.Time
}

// Run writes the profiles into dir as a run of one recorded trial of a subject. Files that are no profiles of memory
// are left out and named in the trial's warnings.
func Run(files []string, subject, dir string) (*record.Run, error) {
	all, warnings := readAll(files)
	if len(all) == 0 {
		return nil, fmt.Errorf("no profile of the heap or of goroutines: %v", warnings)
	}
	cell := record.Cell{}
	status := record.CellStatus{Cell: cell, Dir: "cells/" + cell.Dir(), Trials: []record.TrialStatus{{Index: 1,
		Kind: record.Passive, Outcome: record.OK}}}
	t := &record.Trial{Schema: record.TrialSchema, Kind: record.Passive, Cell: cell, Settings: map[string]string{},
		Index: 1, Subject: record.Subject{Name: subject}, Isolation: record.Isolation{Kind: "none"}, Outcome: record.OK,
		Started: all[0].at, Ended: all[len(all)-1].at, Warnings: warnings}
	trial := filepath.Join(dir, filepath.FromSlash(status.Dir), "trial-1")
	for _, sub := range []string{record.HeapDir, record.RoutineDir} {
		if err := os.MkdirAll(filepath.Join(trial, sub), 0o755); err != nil {
			return nil, err
		}
	}
	for _, r := range all {
		if err := add(t, trial, r); err != nil {
			return nil, err
		}
	}
	status.Trials[0].Seconds = t.Ended.Sub(t.Started).Seconds()
	run := &record.Run{Schema: record.RunSchema, ID: "plain", Started: t.Started, Ended: t.Ended, Subject: subject,
		Protocol: "record", Repeats: 1, Axes: []record.Axis{}, Host: record.Host{Cgroup: "none"}, Config: map[string]any{},
		Status: []record.CellStatus{status}}
	if err := record.Write(filepath.Join(trial, record.TrialFile), t); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(trial, record.SamplesFile), nil, 0o644); err != nil {
		return nil, err
	}
	return run, record.Write(filepath.Join(dir, record.RunFile), run)
}

// readAll reads what says something of memory, in the order of time; in the order given where a time is missing.
func readAll(files []string) (all []read, warnings []string) {
	timed, notes := true, map[string]int{}
	for _, f := range files {
		c, err := capture.Read(f)
		switch {
		case err != nil:
			warnings = append(warnings, fmt.Sprintf("left out: %v", err))
			continue
		case c.Kind == capture.Other || c.Kind == capture.Heap && c.InuseBytes == capture.Missing:
			warnings = append(warnings, fmt.Sprintf("left out: %s says nothing of what is live", f))
			continue
		}
		for _, n := range c.Notes {
			notes[n.Text]++
		}
		timed = timed && !c.Time().IsZero()
		all = append(all, read{c, c.Time()})
	}
	for _, text := range slices.Sorted(maps.Keys(notes)) {
		warnings = append(warnings, fmt.Sprintf("%d of %d profiles: %s", notes[text], len(all), text))
	}
	for i := range all {
		if !timed {
			all[i].at = time.Unix(int64(i)*int64(together/time.Second+1), 0).UTC()
			all[i].Profile.TimeNanos = all[i].at.UnixNano()
		}
	}
	slices.SortStableFunc(all, func(a, b read) int { return a.at.Compare(b.at) })
	if !timed {
		warnings = append(warnings,
			"a profile has no time inside: they are in the order of their names, and times and rates "+
				"mean nothing")
	}
	return all, warnings
}

// add writes a profile as the heap or the goroutines of a snapshot.
func add(t *record.Trial, trial string, r read) error {
	n := len(t.Snapshots)
	path := func(s *record.Snapshot) *string {
		if r.Kind == capture.Goroutine {
			return &s.Goroutine
		}
		return &s.Heap
	}
	if n == 0 || *path(&t.Snapshots[n-1]) != "" || r.at.Sub(t.Snapshots[n-1].Time) > together {
		s := record.Snapshot{Seq: n + 1, State: record.StateFree, Phase: "free"}
		s.Time = r.at
		t.Snapshots = append(t.Snapshots, s)
		n++
	}
	s := &t.Snapshots[n-1]
	kind := map[capture.Kind]string{capture.Heap: record.HeapDir, capture.Goroutine: record.RoutineDir}[r.Kind]
	*path(s) = fmt.Sprintf("%s/%04d-%s.pb.gz", kind, s.Seq, s.Phase)
	if r.Kind == capture.Heap {
		for _, x := range r.Profile.Sample {
			s.HeapLive += r.Value(x, r.InuseBytes)
		}
		t.Peak.HeapLive = max(t.Peak.HeapLive, s.HeapLive)
	}
	f, err := os.Create(filepath.Join(trial, filepath.FromSlash(*path(s))))
	if err != nil {
		return err
	}
	return cmp.Or(r.Profile.Write(f), f.Close())
}
