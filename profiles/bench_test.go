package profiles

import (
	"fmt"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"memsoak/profiles/record"
)

// manySites is a subject with as many allocation sites as a real one with both SDKs in it.
func manySites() *subject {
	s := leaky()
	for i := range 600 {
		s.sources = append(s.sources, &source{size: 64 + float64(i%9)*512,
			stack: frames(fmt.Sprintf("app/deep.f%d", i), "app/deep.a", "app/deep.b", "app/deep.c", "io.Copy", "app/deep.d", "net/http.(*conn).serve", "app/copy.(*job).run"),
			held:  func(c record.Covariates) float64 { return 20 + float64(c.InFlight) }})
	}
	return s
}

// recordRun writes a run of n cells with one attribution trial each.
func recordRun(tb testing.TB, dir string, n int, make func() *subject) {
	run := &record.Run{Schema: record.RunSchema, ID: "bench", Subject: "app"}
	for i := range n {
		l := newLab(tb, make(), int64(2+i%24), uint64(i)).run(9)
		l.trial.Cell = record.Cell{"workers": fmt.Sprint(l.workers), "cell": fmt.Sprint(i)}
		st := record.CellStatus{Cell: l.trial.Cell, Dir: "cells/" + l.trial.Cell.Dir(), Trials: []record.TrialStatus{{Index: 1, Kind: record.Attribution, Outcome: record.OK}}}
		l.write(filepath.Join(dir, filepath.FromSlash(st.Dir), "trial-1"))
		run.Status = append(run.Status, st)
	}
	require.NoError(tb, record.Write(filepath.Join(dir, record.RunFile), run))
}

// BenchmarkDiagnoseRun45 reads and judges a recorded run of 45 cells and prints the time and the most memory that the
// Go runtime had from the system, beyond what it had before. The figures asked for: 10 s, 300 MiB.
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
