package profiles

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/record"
)

// manySites is a subject with as many allocation sites as a real one with both SDKs in it.
func manySites() *subject {
	s := leaky()
	for i := range 600 {
		s.sources = append(s.sources, &source{size: 64 + float64(i%9)*512,
			stack: frames(fmt.Sprintf("app/deep.f%d", i), "app/deep.a", "app/deep.b", "app/deep.c", "io.Copy", "app/deep.d",
				"net/http.(*conn).serve", "app/copy.(*job).run"),
			held: func(c record.Covariates) float64 { return 20 + float64(c.InFlight) }})
	}
	return s
}

// recordRun writes a run of n cells with one attribution trial each. Three trials are made, the others are their
// copies.
func recordRun(tb testing.TB, dir string, n int, make func() *subject) {
	run := &record.Run{Schema: record.RunSchema, ID: "bench", Subject: "app"}
	var labs []*lab
	var dirs []string
	for i := range n {
		cell := record.Cell{"workers": fmt.Sprint(8 + 4*(i%3)), "cell": fmt.Sprint(i)}
		st := record.CellStatus{Cell: cell, Dir: "cells/" + cell.Dir(), Trials: []record.TrialStatus{{Index: 1,
			Kind: record.Attribution, Outcome: record.OK}}}
		run.Status = append(run.Status, st)
		path := filepath.Join(dir, filepath.FromSlash(st.Dir), "trial-1")
		if i < 3 {
			l := newLab(tb, make(), int64(8+4*i), uint64(i)).run(10)
			l.trial.Cell = cell
			labs, dirs = append(labs, l), append(dirs, l.write(path))
			continue
		}
		require.NoError(tb, os.CopyFS(path, os.DirFS(dirs[i%3])))
		trial := *labs[i%3].trial
		trial.Cell = cell
		require.NoError(tb, record.Write(filepath.Join(path, record.TrialFile), &trial))
	}
	require.NoError(tb, record.Write(filepath.Join(dir, record.RunFile), run))
}

func TestDiagnoseRunJudgesEveryCellAndTheWhole(t *testing.T) {
	dir := t.TempDir()
	recordRun(t, dir, 4, func() *subject { return newSubject(faults[7].make) })
	rv, err := DiagnoseRun(dir, Options{})
	require.NoError(t, err)
	require.Len(t, rv.Cells, 4)
	for _, v := range rv.Cells {
		require.Equal(t, record.HeadBuffer, v.Headline)
	}
	require.Contains(t, rv.Answer[0], "in 4 of 4 trials")
	require.NotNil(t, rv.Model)
	for _, term := range rv.Model.Terms {
		if term.Name == "bytes-in-flight" {
			require.InDelta(t, 1, term.Bytes, 0.05)
		}
	}
	require.Len(t, rv.Model.CrossCheck, 3)
	for w, e := range rv.Model.CrossCheck {
		require.InDelta(t, 0, e, 0.05, w)
	}
	c, err := Capacity(dir, costs.Plan{Limit: 256 << 20, LargestFile: 8 << 20, Files: 1000}, Options{})
	require.NoError(t, err)
	require.Contains(t, c.Binds, "bytes-in-flight")
	require.InDelta(t, 25, c.MaxWorkers, 4, "(256 MiB - what is not the heap's) / 8 MiB and the collector's needs")
	small, err := Capacity(dir, costs.Plan{Limit: 256 << 20, LargestFile: 5 << 30, Files: 1000}, Options{})
	require.NoError(t, err)
	require.Equal(t, -1, small.MaxWorkers)
}

func TestAPlannedButUnrunTrialIsNamed(t *testing.T) {
	dir := t.TempDir()
	recordRun(t, dir, 2, func() *subject { return newSubject(faults[0].make) })
	run, err := record.ReadRun(dir)
	require.NoError(t, err)
	run.Status[1].Trials[0].Outcome = ""
	require.NoError(t, record.Write(filepath.Join(dir, record.RunFile), run))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, run.Status[1].Dir)))
	rv, err := DiagnoseRun(dir, Options{})
	require.NoError(t, err)
	require.Len(t, rv.Cells, 1)
	require.Contains(t, rv.Warnings[0], "was not run")
}

// BenchmarkDiagnoseRun45 reads and judges a recorded run of 45 cells and prints the time and the most memory that the
// Go runtime had from the system, beyond what it had before. The figures asked for: 3 s of CPU, 150 MiB.
func BenchmarkDiagnoseRun45(b *testing.B) {
	dir := b.TempDir()
	recordRun(b, dir, 45, manySites)
	debug.FreeOSMemory()
	var most atomic.Uint64
	base := inUse()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				most.Store(max(most.Load(), inUse()))
			}
		}
	}()
	cpu := cpuSeconds(b)
	for b.Loop() {
		rv, err := DiagnoseRun(dir, Options{})
		require.NoError(b, err)
		require.Len(b, rv.Cells, 45)
	}
	b.ReportMetric((cpuSeconds(b)-cpu)/float64(b.N), "cpu-s/run")
	close(stop)
	<-done
	b.ReportMetric(float64(most.Load()-min(base, most.Load()))/(1<<20), "peak-MiB")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/run")
}

// inUse is what the Go runtime has from the system and has not given back.
func inUse() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64() - sample[1].Value.Uint64()
}

// cpuSeconds is the process's CPU time: what counts on a machine that others use too.
func cpuSeconds(b *testing.B) float64 {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
