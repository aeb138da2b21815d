package gate

import (
	"bytes"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/perf/benchfmt"

	"github.com/memsoak/memsoak/profiles/record"
)

// recorded describes a run to be written to disk as the runner would.
type recorded struct {
	held, leak float64
	rss        int64
	routines   int
	noise      func() float64 // relative, around 0
	finding    *record.Finding
	headline   record.Headline
	repeats    int
	edit       func(*record.Run)
}

func (c recorded) write(t testing.TB) *Run {
	t.Helper()
	dir := t.TempDir()
	if c.noise == nil {
		c.noise = func() float64 { return 0 }
	}
	cell := record.Cell{"workers": "10", "pool": "4"}
	run := record.Run{
		Schema: record.RunSchema, ID: "r1", Started: time.Unix(1, 0), Ended: time.Unix(2, 0), Subject: "migrator", Corpus: "mixed", Protocol: "default",
		Host:   record.Host{OS: "linux", Arch: "amd64", CPUs: 2, Cgroup: "cgroup-v1", Go: "go1.26"},
		Status: []record.CellStatus{{Cell: cell, Dir: "cells/" + cell.Dir()}},
	}
	n := 0
	for range max(1, c.repeats) {
		for _, kind := range []record.TrialKind{record.Attribution, record.Speed} {
			n++
			run.Status[0].Trials = append(run.Status[0].Trials, record.TrialStatus{Index: n, Kind: kind, Outcome: record.OK})
			trial := filepath.Join(dir, "cells", cell.Dir(), "trial-"+string(rune('0'+n)))
			require.NoError(t, os.MkdirAll(trial, 0o755))
			require.NoError(t, record.Write(filepath.Join(trial, record.TrialFile), c.trial(kind, cell, n)))
			if kind == record.Attribution {
				require.NoError(t, record.Write(filepath.Join(trial, record.VerdictFile), c.verdict(cell)))
			}
		}
	}
	if c.edit != nil {
		c.edit(&run)
	}
	require.NoError(t, record.Write(filepath.Join(dir, record.RunFile), run))
	require.NoError(t, record.Write(filepath.Join(dir, record.VerdictFile), record.RunVerdict{Schema: record.RunVerdictSchema}))
	r, err := LoadRun(dir)
	require.NoError(t, err)
	return r
}

func (c recorded) trial(kind record.TrialKind, cell record.Cell, n int) record.Trial {
	return record.Trial{
		Schema: record.TrialSchema, Kind: kind, Cell: cell, Index: n, Outcome: record.OK, Settings: cell,
		Peak:      record.Peak{RSS: int64(float64(c.rss) * (1 + 8*c.noise())), HeapLive: 8 << 20},
		Snapshots: []record.Snapshot{{State: record.StateReply, ForcedGC: 2, HeapLive: int64(c.held * (1 + c.noise()))}},
		Work:      record.Work{Files: 1000, Bytes: 1 << 30, Seconds: 10},
	}
}

func (c recorded) verdict(cell record.Cell) record.Verdict {
	v := record.Verdict{Schema: record.VerdictSchema, Cell: cell, Outcome: record.OK, Headline: c.headline}
	if v.Headline == "" {
		v.Headline = record.Healthy
	}
	if c.finding != nil {
		v.Findings = append(v.Findings, *c.finding)
	}
	for i := range 8 {
		files := int64(100 * i)
		v.Floors = append(v.Floors, record.Floor{Files: files, HeapLive: 2<<20 + int64(c.leak*float64(files)), Routines: 12 + c.routines*i})
	}
	return v
}

func healthy() recorded { return recorded{held: 20 << 20, rss: 60 << 20} }

var leak = &record.Finding{
	Class: record.Leak, Site: record.Site{Function: "app.(*Index).add", File: "internal/index/index.go", Line: 42}, BytesAtPeak: 1 << 20,
	Slope: &record.Slope{Bytes: 64, Per: "file"}, Summary: "64 bytes a file stay in app.(*Index).add",
}

func judge(t *testing.T, r *Run, base *Run, thresholds ...string) *Report {
	t.Helper()
	var o Options
	for _, e := range thresholds {
		c, err := Compile(Threshold{Expr: e})
		require.NoError(t, err)
		o.Checks = append(o.Checks, c)
	}
	if base != nil {
		b, err := NewBaseline(base)
		require.NoError(t, err)
		o.Baseline = b
	}
	rep, err := Judge(r, o)
	require.NoError(t, err)
	return rep
}

func TestEqualRunsPass(t *testing.T) {
	rep := judge(t, healthy().write(t), healthy().write(t), "peak_rss < 100MiB", "headline in [healthy]")
	assert.Equal(t, Pass, rep.Outcome, "%+v", rep.Results)
	assert.Empty(t, rep.Improvements)
}

func TestRegressionsFail(t *testing.T) {
	worse := map[string]func(*recorded){
		"held_live":           func(c *recorded) { c.held *= 1.05 },
		"peak_rss":            func(c *recorded) { c.rss = c.rss * 115 / 100 },
		"no new finding":      func(c *recorded) { c.finding = leak; c.headline = record.HeadLeak },
		"leak_bytes_per_file": func(c *recorded) { c.finding = leak; c.headline = record.HeadLeak },
		"goroutines_growth":   func(c *recorded) { c.routines = 100 },
		"floor_live":          func(c *recorded) { c.leak = 640 },
	}
	for check, edit := range worse {
		c := healthy()
		edit(&c)
		rep := judge(t, c.write(t), healthy().write(t))
		assert.Equal(t, Fail, rep.Outcome, check)
		var failed []string
		for _, f := range rep.Failures() {
			failed = append(failed, f.Check)
		}
		assert.Contains(t, failed, check)
	}
}

func TestImprovementsAreReportedAndPass(t *testing.T) {
	c := healthy()
	c.held *= 0.8
	rep := judge(t, c.write(t), healthy().write(t))
	assert.Equal(t, Pass, rep.Outcome)
	require.Len(t, rep.Improvements, 1)
	assert.Contains(t, rep.Improvements[0].Detail, "improved (-20.0 %)")
}

func TestWhatIsMissingNeverPasses(t *testing.T) {
	interrupted := healthy()
	interrupted.edit = func(r *record.Run) { r.Interrupted = true }
	rep := judge(t, interrupted.write(t), healthy().write(t), "peak_rss < 100MiB")
	assert.Equal(t, Inconclusive, rep.Outcome)

	unknown := healthy()
	unknown.headline = record.Inconclusive
	assert.Equal(t, Inconclusive, judge(t, unknown.write(t), nil, "leak_bytes_per_file < 64").Outcome)
	assert.Equal(t, Inconclusive, judge(t, unknown.write(t), healthy().write(t)).Outcome)

	damaged := healthy().write(t)
	require.NoError(t, os.WriteFile(filepath.Join(damaged.Dir, "cells", record.Cell{"workers": "10", "pool": "4"}.Dir(), "trial-1", record.TrialFile), []byte("{"), 0o644))
	again, err := LoadRun(damaged.Dir)
	require.NoError(t, err)
	assert.Equal(t, Inconclusive, judge(t, again, nil, "peak_rss < 100MiB").Outcome)

	rep = judge(t, healthy().write(t), nil, "peak_rss < 100MiB")
	assert.Equal(t, Pass, rep.Outcome)
	c, err := Compile(Threshold{Expr: "peak_rss < 1MiB", Cells: "workers >= 50"})
	require.NoError(t, err)
	rep, err = Judge(healthy().write(t), Options{Checks: []*Check{c}})
	require.NoError(t, err)
	assert.Equal(t, Inconclusive, rep.Outcome, "a threshold that no cell matches has not passed")

	_, err = Judge(healthy().write(t), Options{})
	assert.ErrorIs(t, err, ErrNothing)
}

func TestForeignBaselinesAreRefused(t *testing.T) {
	for what, edit := range map[string]func(*record.Run){
		"subject":       func(r *record.Run) { r.Subject = "rclone" },
		"corpus":        func(r *record.Run) { r.Corpus = "deep" },
		"class of host": func(r *record.Run) { r.Host.CPUs = 64 },
		"protocol":      func(r *record.Run) { r.Protocol = "passive" },
	} {
		c := healthy()
		c.edit = edit
		base, err := NewBaseline(c.write(t))
		require.NoError(t, err)
		_, err = Judge(healthy().write(t), Options{Baseline: base})
		require.ErrorIs(t, err, ErrForeign)
		assert.ErrorContains(t, err, what)
	}
	path := filepath.Join(t.TempDir(), "b.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"schema":"memsoak/baseline/v0"}`), 0o644))
	_, err := ReadBaseline(path)
	assert.ErrorIs(t, err, ErrForeign)
	c := healthy()
	c.headline = record.Inconclusive
	_, err = NewBaseline(c.write(t))
	assert.ErrorContains(t, err, "no conclusive verdict")
}

func TestOutputsPointAtTheCulprit(t *testing.T) {
	c := healthy()
	c.finding, c.headline = leak, record.HeadLeak
	r := c.write(t)
	rep := judge(t, r, nil, "leak_bytes_per_file < 64", "peak_rss < 256MiB")
	require.Equal(t, Fail, rep.Outcome)

	var text, junit, sarifOut, notes, md, bench bytes.Buffer
	require.NoError(t, rep.WriteText(&text))
	assert.Contains(t, text.String(), "app.(*Index).add (internal/index/index.go:42)")
	assert.Contains(t, text.String(), "gate: FAIL (1 passed, 1 failed, 0 inconclusive)")

	require.NoError(t, rep.WriteJUnit(&junit))
	var suites junitSuites
	require.NoError(t, xml.Unmarshal(junit.Bytes(), &suites))
	assert.Len(t, suites.Suite.Cases, 2, "one case per cell and threshold")
	assert.Equal(t, 1, suites.Failures)

	require.NoError(t, rep.WriteSARIF(&sarifOut))
	doc, err := sarif.FromBytes(sarifOut.Bytes())
	require.NoError(t, err)
	require.NoError(t, doc.Validate())
	at := doc.Runs[0].Results[0].Locations[0].PhysicalLocation
	assert.Equal(t, "internal/index/index.go", *at.ArtifactLocation.URI)
	assert.Equal(t, 42, *at.Region.StartLine)

	require.NoError(t, rep.WriteAnnotations(&notes))
	assert.True(t, strings.HasPrefix(notes.String(), "::error file=internal/index/index.go,line=42,title=memsoak%3A leak::"), notes.String())
	assert.Equal(t, 1, strings.Count(notes.String(), "\n"))

	require.NoError(t, rep.WriteMarkdown(&md))
	assert.Contains(t, md.String(), Marker)
	assert.Contains(t, md.String(), "index.go:42")

	require.NoError(t, WriteBench(&bench, r))
	reader := benchfmt.NewReader(&bench, "bench.txt")
	lines := 0
	for reader.Scan() {
		res, ok := reader.Result().(*benchfmt.Result)
		require.True(t, ok, "%v", reader.Result())
		assert.True(t, strings.HasPrefix(res.Name.String(), "Migrator/pool=4/workers=10"), res.Name)
		lines++
	}
	require.NoError(t, reader.Err())
	assert.Equal(t, 2, lines)
}
