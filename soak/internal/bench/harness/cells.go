package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/memsoak/memsoak/internal/stat"
	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/report"
)

// ofCells runs cells of the default protocol as soak run does, both trials, with verdicts and report, and accounts for
// the CPU time of this process: what it takes beside a subject at work, and what it takes when the subject has ended.
func (b *bench) ofCells() error {
	s, err := b.migrator()
	if err != nil {
		return err
	}
	c := soak.DefaultConfig()
	c.Repeats = b.cells
	r, err := b.runner(c, s, "cells", time.Second)
	if err != nil {
		return err
	}
	var judge profiles.Judge
	var after float64
	r.Judge = func(dir string) (*record.Verdict, error) {
		since := ownCPU()
		defer func() { after += ownCPU() - since }()
		return judge.Trial(dir)
	}
	stop, err := b.profiled()
	if err != nil {
		return err
	}
	defer stop()
	begun, before := time.Now(), ownCPU()
	res, err := r.Run(context.Background())
	if err != nil {
		return err
	}
	var seconds float64 // of trials
	for _, t := range res.Trials {
		if t.Outcome != record.OK {
			return fmt.Errorf("trial %d of the default protocol: %s: %s", t.Index, t.Outcome, t.Reason)
		}
		seconds += t.Seconds
	}
	beside := ownCPU() - before - after
	since := ownCPU()
	if err := conclude(r.Dir, &judge); err != nil {
		return err
	}
	after += ownCPU() - since
	took := time.Since(begun).Seconds()

	n := float64(b.cells)
	b.row("a cell, both trials, default protocol"+b.mean(), "<= 30 s", fmt.Sprintf("%.1f s", took/n), took/n <= 30)
	share := beside / seconds
	b.row("harness CPU while subjects run, fakes not counted", "<= 10 % of a core", fmt.Sprintf("%.1f %% (%.2f s a cell)",
		100*share, beside/n), share <= 0.10)
	share = (beside + after) / took
	b.row("harness CPU with verdicts and report, made when subjects have ended", "<= 10 % of a core",
		fmt.Sprintf("%.1f %% (%.2f s a cell)", 100*share, (beside+after)/n), share <= 0.10)
	b.perFile(res.Trials)
	return nil
}

// mean says over how many cells a figure is a mean.
func (b *bench) mean() string { return fmt.Sprintf(" (mean of %d)", b.cells) }

// conclude writes a run's verdict and report.
func conclude(dir string, judge *profiles.Judge) error {
	v, err := judge.Run(dir)
	if err == nil {
		err = record.Write(filepath.Join(dir, record.VerdictFile), v)
	}
	return errors.Join(err, report.Generate(context.Background(), dir))
}

// perFile prints what a file costs the subject in each kind of trial.
func (b *bench) perFile(trials []soak.TrialEnded) {
	cost := map[record.TrialKind][]float64{}
	for _, t := range trials {
		if t.Work.Files > 0 {
			cost[t.Kind] = append(cost[t.Kind], 1000*t.Work.CPU/float64(t.Work.Files))
		}
	}
	b.row("attribution trial, subject's CPU per file (small files, 4 KiB sampling)", printed, fmt.Sprintf("%.2f ms",
		stat.Median(cost[record.Attribution])), true)
	b.row("speed trial, subject's CPU per file (mixed corpus)", printed, fmt.Sprintf("%.2f ms",
		stat.Median(cost[record.Speed])), true)
}

// profiled begins a CPU profile of this process, if one is asked for, which stop ends.
func (b *bench) profiled() (stop func(), err error) {
	if b.profile == "" {
		return func() {}, nil
	}
	f, err := os.Create(b.profile)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close() // a profile that is cut off is seen when it is read
	}, nil
}

// ownCPU is the CPU time of this process in seconds, its children not counted.
func ownCPU() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}
