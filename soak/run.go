package soak

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
)

// newRun is the run.json of a run that begins.
func (r *Runner) newRun() (*record.Run, error) {
	p := r.Plan
	config, err := configMap(p)
	if err != nil {
		return nil, err
	}
	run := &record.Run{
		Schema: record.RunSchema, ID: newID(), Started: time.Now(), Seed: p.Config.Seed, Subject: p.Subject.Name,
		Corpus: p.Config.Corpus, Design: string(p.Config.Design), Protocol: p.Protocol.Name, Repeats: p.Config.Repeats,
		Limit: int64(p.Config.Limit), Axes: p.Config.Axes, Config: config, Host: host(), Warnings: slices.Clone(p.Warnings),
	}
	if p.Subject.Load != nil { // the requests are all that it is given
		run.Corpus = ""
	}
	byCell := map[string]int{}
	for _, s := range p.Trials {
		i, ok := byCell[s.Cell.String()]
		if !ok {
			i = len(run.Status)
			byCell[s.Cell.String()] = i
			run.Status = append(run.Status, record.CellStatus{Cell: s.Cell, Dir: "cells/" + s.Cell.Dir()})
		}
		run.Status[i].Trials = append(run.Status[i].Trials, record.TrialStatus{Index: s.Index, Kind: s.Kind})
	}
	for i := range run.Status {
		slices.SortFunc(run.Status[i].Trials, func(a, b record.TrialStatus) int { return a.Index - b.Index })
	}
	return run, nil
}

// newID is a run's id: the time, for people, and some randomness, for shards that begin in the same second.
func newID() string {
	var b [3]byte
	_, _ = rand.Read(b[:]) // never fails
	return time.Now().UTC().Format("20060102-150405-") + hex.EncodeToString(b[:])
}

// configMap is what decides a run's results: the configuration, the subject and the protocol, as JSON has them.
func configMap(p *Plan) (map[string]any, error) {
	kept := map[string]any{
		"subject": p.Subject.Public(), "subject_file": p.Config.Subject, "corpus": p.Config.Corpus,
		"subject_ref": p.Config.SubjectRef, "axes": p.Config.Axes, "design": p.Config.Design,
		"center": p.Config.Center, "cells": p.Config.Cells, "only": p.Config.Only, "set": p.Config.Set,
		"limit": int64(p.Config.Limit),
		"node":  int64(p.Config.Node), "repeats": p.Config.Repeats, "seed": p.Config.Seed, "protocol": p.Protocol,
		"duration": p.Config.Duration, "thresholds": p.Config.Thresholds, "shard": p.Shard.String(),
	}
	// A protocol's file, without which no command line can name it.
	if c := p.Config.Protocol; c != p.Protocol.Name && serviceProtocols[c] != p.Protocol.Name {
		kept["protocol_file"] = c
	}
	b, err := json.Marshal(kept)
	if err != nil {
		return nil, fmt.Errorf("encode configuration: %w", err)
	}
	var m map[string]any
	err = json.Unmarshal(b, &m)
	if p.Subject.Attach != nil {
		m["attached"] = true
	}
	return m, err
}

// resume reads the run that is in the directory and compares its configuration.
func (r *Runner) resume() (map[string]bool, error) {
	run, err := record.ReadRun(r.Dir)
	if err != nil {
		return nil, fmt.Errorf("resume: %w", err)
	}
	now, err := configMap(r.Plan)
	if err != nil {
		return nil, err
	}
	if diff := differences("", run.Config, now); len(diff) > 0 {
		return nil, fmt.Errorf("%w: %s was recorded with another configuration: %s", ErrConfig, r.Dir, strings.Join(diff,
			"; "))
	}
	run.Interrupted = false
	r.run = run
	done := map[string]bool{}
	for _, c := range run.Status {
		for _, t := range c.Trials {
			dir := fmt.Sprintf("%s/trial-%d", c.Dir, t.Index)
			if t.Outcome == "" {
				continue
			}
			// run.json may say more than a disk that filled up has kept.
			if kept, err := record.ReadTrial(filepath.Join(r.Dir, filepath.FromSlash(dir))); err == nil &&
				kept.Outcome == t.Outcome {
				done[dir] = true
			}
		}
	}
	if len(done) < len(r.Plan.Trials) {
		run.Ended = time.Time{}
	}
	return done, nil
}

// differences says where b differs from a, by path: "limit was 1, is 2".
func differences(path string, a, b any) []string {
	if reflect.DeepEqual(a, b) {
		return nil
	}
	x, ok1 := a.(map[string]any)
	y, ok2 := b.(map[string]any)
	if !ok1 || !ok2 {
		return []string{fmt.Sprintf("%s was %s, is %s", path, short(a), short(b))}
	}
	keys := maps.Clone(x)
	maps.Copy(keys, y)
	var out []string
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		at := k
		if path != "" {
			at = path + "." + k
		}
		out = append(out, differences(at, x[k], y[k])...)
	}
	return out
}

func short(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if len(b) > 120 {
		return string(b[:120]) + "..."
	}
	return string(b)
}

// host describes this machine.
func host() record.Host {
	h := record.Host{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version()}
	describeHost(&h)
	if info, ok := debug.ReadBuildInfo(); ok {
		h.Memsoak = info.Main.Version
		for _, kv := range info.Settings {
			if kv.Key == "vcs.revision" {
				h.Memsoak = kv.Value
			}
		}
	}
	return h
}
