package gate

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/stat"
	"github.com/memsoak/memsoak/profiles/record"
)

// The figures of the gate: how often it fails equal recordings, how often it catches what it should. They are computed
// from trials that were really recorded, kept as summaries below testdata; `make gate-bench` prints them, and
// `make gate-bench RECORD=1` records new ones.

// spreadFile has, for each recorded set, its repeats: each a summary of one trial of each kind in each cell.
const spreadFile = "testdata/spread.json"

type spread map[string][]*Baseline

func readSpread(t *testing.T) spread {
	t.Helper()
	raw, err := os.ReadFile(spreadFile)
	require.NoError(t, err)
	var s spread
	require.NoError(t, json.Unmarshal(raw, &s))
	return s
}

// TestRecordSpread writes spreadFile from recorded runs: MEMSOAK_GATE_SPREAD=name=dir,name=dir.
func TestRecordSpread(t *testing.T) {
	from := os.Getenv("MEMSOAK_GATE_SPREAD")
	if from == "" {
		t.Skip("writes testdata: make gate-bench RECORD=1")
	}
	s := spread{}
	for _, set := range strings.Split(from, ",") {
		name, dir, _ := strings.Cut(set, "=")
		run, err := LoadRun(dir)
		require.NoError(t, err)
		s[name] = repeatsOf(run)
	}
	raw, err := json.Marshal(s)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(spreadFile, append(raw, '\n'), 0o644))
}

// repeatsOf takes a run apart: the first has the first trial of each kind of each cell, and so on.
func repeatsOf(r *Run) []*Baseline {
	var out []*Baseline
	for n := 0; ; n++ {
		one, complete := *r, true
		one.Cells = nil
		for _, c := range r.Cells {
			seen, picked := map[record.TrialKind]int{}, []TrialData(nil)
			for _, t := range c.Trials {
				if seen[t.Trial.Kind] == n && t.Trial.Outcome != "" {
					picked = append(picked, t)
				}
				seen[t.Trial.Kind]++
			}
			complete = complete && len(picked) == len(seen)
			c.Trials = picked
			one.Cells = append(one.Cells, c)
		}
		if !complete {
			return out
		}
		b := summarise(&one)
		for i := range b.Cells {
			b.Cells[i].Sites = nil
		}
		out = append(out, b)
	}
}

const (
	benchRuns    = 200
	benchRepeats = 3 // the default of soak gate --against
)

// draw makes two recordings of benchRepeats repeats out of those recorded. No trial is in both, and each quantity of
// each cell is redrawn, so that few recorded trials give many different runs.
func draw(from []*Baseline, rng *rand.Rand) (base, head *Baseline) {
	b, h := *from[0], *from[0]
	b.Cells, h.Cells = nil, nil
	for i, c := range from[0].Cells {
		cells := [2]BaselineCell{}
		for side := range cells {
			cells[side] = BaselineCell{Cell: c.Cell, Values: map[string][]float64{}, Outcomes: map[record.Outcome]int{}}
		}
		for _, rule := range rules {
			for k, n := range rng.Perm(len(from))[:2*benchRepeats] {
				side := &cells[k%2]
				side.Values[rule.quantity] = append(side.Values[rule.quantity], from[n].Cells[i].Values[rule.quantity]...)
			}
		}
		for k, n := range rng.Perm(len(from))[:2*benchRepeats] {
			cells[k%2].take(from[n].Cells[i])
		}
		b.Cells, h.Cells = append(b.Cells, cells[0]), append(h.Cells, cells[1])
	}
	return &b, &h
}

// take adds another recording's findings and outcomes.
func (c *BaselineCell) take(o BaselineCell) {
	c.Verdicts += o.Verdicts
	for k, n := range o.Outcomes {
		c.Outcomes[k] += n
	}
	for _, f := range o.Findings {
		c.count([]record.Finding{{Class: f.Class, Site: record.Site{Function: f.Function}}})
	}
}

// only is one cell of each recording, under a common name.
func only(from []*Baseline, settings string) []*Baseline {
	var out []*Baseline
	for _, b := range from {
		one := *b
		one.Cells = nil
		for _, c := range b.Cells {
			if c.Cell.String() == settings {
				c.Cell = record.Cell{}
				one.Cells = append(one.Cells, c)
			}
		}
		out = append(out, &one)
	}
	return out
}

// failed is how many of benchRuns comparisons fail; inject makes the heads worse.
func failed(from []*Baseline, inject func(head *Baseline, rng *rand.Rand)) (n int, why map[string]int) {
	rng, why := rand.New(rand.NewPCG(7, 11)), map[string]int{}
	for range benchRuns {
		base, head := draw(from, rng)
		if inject != nil {
			inject(head, rng)
		}
		c := compare(base, head)
		if c.Outcome() == Fail {
			n++
		}
		for _, r := range c.Results {
			if r.Outcome == Fail {
				why[r.Check]++
			}
		}
	}
	return n, why
}

// scaled raises a quantity in every cell by what by says for the cell's recorded values.
func scaled(from []*Baseline, quantity string, by func(values []float64) float64) func(*Baseline, *rand.Rand) {
	return func(head *Baseline, _ *rand.Rand) {
		for i := range head.Cells {
			var all []float64
			for _, b := range from {
				all = append(all, b.Cells[i].Values[quantity]...)
			}
			v := head.Cells[i].Values[quantity]
			for k := range v {
				v[k] *= 1 + by(all)
			}
		}
	}
}

// replaced makes the head one of other recordings.
func replaced(by []*Baseline) func(*Baseline, *rand.Rand) {
	return func(head *Baseline, rng *rand.Rand) {
		_, other := draw(by, rng)
		*head = *other
	}
}

func TestFigures(t *testing.T) {
	s := readSpread(t)
	migrator, canary := s["migrator"], s["canary"]
	healthy := only(canary, "leak_bytes=0 leak_goroutines=0")
	require.GreaterOrEqual(t, min(len(migrator), len(healthy)), 2*benchRepeats)
	t.Logf("%d repeats of %d cells of the migrator, %d of the canary; gate runs of %d repeats; noise between equal "+
		"trials:", len(migrator), len(migrator[0].Cells), len(healthy), benchRepeats)
	for _, r := range rules {
		for i, c := range migrator[0].Cells {
			var v []float64
			for _, b := range migrator {
				v = append(v, b.Cells[i].Values[r.quantity]...)
			}
			if len(v) > 1 {
				t.Logf("  %-22s %-12s mean %10.4g  sd %8.3g (%.2f %%)", r.quantity, c.Cell, stat.Mean(v), stat.Deviation(v),
					100*stat.Deviation(v)/max(1, stat.Mean(v)))
			}
		}
	}
	say := func(what, asked string, n int, why map[string]int) {
		t.Logf("%-62s asked %-14s measured %d of %d  %v", what, asked, n, benchRuns, why)
	}
	n, why := failed(migrator, nil)
	say("equal runs of the migrator that fail", "<= 1 of 200", n, why)
	assert.LessOrEqual(t, n, 1)
	n, why = failed(healthy, nil)
	say("equal runs of the canary that fail", "<= 1 of 200", n, why)
	assert.LessOrEqual(t, n, 1)

	const caught = benchRuns * 95 / 100
	for _, x := range []struct {
		what   string
		from   []*Baseline
		inject func(*Baseline, *rand.Rand)
	}{
		{"held live heap +5 %", migrator, scaled(migrator, "held_live", func([]float64) float64 { return 0.05 })},
		{"peak RSS + max(10 %, 4 x the A/A spread)", migrator, scaled(migrator, "peak_rss", func(v []float64) float64 {
			return max(0.10, 4*stat.Deviation(v)/stat.Mean(v))
		})},
		{"64 B a file leaked (canary, recorded)", healthy, replaced(only(canary, "leak_bytes=64 leak_goroutines=0"))},
		{"one more goroutine a file (canary, recorded)", healthy, replaced(only(canary, "leak_bytes=0 leak_goroutines=1"))},
	} {
		n, why := failed(x.from, x.inject)
		say(x.what+" caught", ">= 190 of 200", n, why)
		assert.GreaterOrEqual(t, n, caught, x.what)
	}
}

// TestFiftyCells times the gate on a run of fifty cells with two trials each, as large as real ones.
func TestFiftyCells(t *testing.T) {
	r := healthy()
	r.noise = func() float64 { return 0 }
	trial, verdict := r.trial(record.Attribution, nil, 1), r.verdict(nil)
	for range 40 {
		s := trial.Snapshots[0]
		s.Process, s.Cgroup, s.Covariates = &record.Process{Sockets: map[string]int{"established": 40}}, &record.Cgroup{},
			&record.Covariates{}
		s.Runtime, s.Metrics = &record.Runtime{}, map[string]float64{}
		for i := range 30 {
			s.Metrics[fmt.Sprintf("migrator_metric_%d_total", i)] = 1e9
		}
		trial.Snapshots = append(trial.Snapshots, s)
	}
	for i := range 12 {
		f := *leak
		f.Class, f.Slope = record.Cache, nil
		f.Stack = make([]string, 20+i)
		verdict.Findings = append(verdict.Findings, f)
	}
	dir := t.TempDir()
	run := record.Run{Schema: record.RunSchema, ID: "fifty", Started: time.Unix(1, 0), Ended: time.Unix(2, 0),
		Subject: "migrator"}
	for i := range 50 {
		cell := record.Cell{"workers": fmt.Sprint(i)}
		status := record.CellStatus{Cell: cell, Dir: "cells/" + cell.Dir()}
		for n, kind := range []record.TrialKind{record.Attribution, record.Speed} {
			status.Trials = append(status.Trials, record.TrialStatus{Index: n + 1, Kind: kind, Outcome: record.OK})
			at := filepath.Join(dir, status.Dir, fmt.Sprintf("trial-%d", n+1))
			require.NoError(t, os.MkdirAll(at, 0o755))
			trial.Kind, trial.Cell, trial.Settings = kind, cell, cell
			require.NoError(t, record.Write(filepath.Join(at, record.TrialFile), trial))
			require.NoError(t, record.Write(filepath.Join(at, record.VerdictFile), verdict))
		}
		run.Status = append(run.Status, status)
	}
	require.NoError(t, record.Write(filepath.Join(dir, record.RunFile), run))
	require.NoError(t, record.Write(filepath.Join(dir, record.VerdictFile),
		record.RunVerdict{Schema: record.RunVerdictSchema}))
	loaded, err := LoadRun(dir)
	require.NoError(t, err)
	base, err := NewBaseline(loaded)
	require.NoError(t, err)
	check, err := Compile(Threshold{Expr: "peak_rss < 1GiB"})
	require.NoError(t, err)

	begun, cpu := time.Now(), processorTime(t)
	again, err := LoadRun(dir)
	require.NoError(t, err)
	rep, err := Judge(again, Options{Checks: []*Check{check}, Baseline: base})
	took, worked := time.Since(begun), processorTime(t)-cpu
	require.NoError(t, err)
	assert.Equal(t, Pass, rep.Outcome, "%v", rep.Failures())
	t.Logf("%-62s asked %-14s measured %.2f s of processor time, %.2f s by the clock",
		"gate over a recorded run of 50 cells", "<= 2 s", worked.Seconds(), took.Seconds())
	if os.Getenv("MEMSOAK_GATE_BENCH") != "" {
		assert.LessOrEqual(t, worked, 2*time.Second)
	}
}

// processorTime is what this process has used so far; unlike the clock it doesn't depend on who else is at work.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
