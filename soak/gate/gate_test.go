package gate

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/internal/version"
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
	change     func(*record.Trial)
	judge      func(*record.Verdict)
}

func (c recorded) write(t testing.TB) *Run {
	t.Helper()
	dir := t.TempDir()
	if c.noise == nil {
		c.noise = func() float64 { return 0 }
	}
	cell := record.Cell{"workers": "10", "pool": "4"}
	run := record.Run{
		Schema: record.RunSchema, ID: "r1", Started: time.Unix(1, 0), Ended: time.Unix(2, 0), Subject: "migrator",
		Corpus: "mixed", Protocol: "default",
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
			tr := c.trial(kind, cell, n)
			if c.change != nil {
				c.change(&tr)
			}
			run.Status[0].Trials[n-1].Outcome = tr.Outcome
			require.NoError(t, record.Write(filepath.Join(trial, record.TrialFile), tr))
			if kind == record.Attribution {
				v := c.verdict(cell)
				v.Outcome = tr.Outcome
				if c.judge != nil {
					c.judge(&v)
				}
				require.NoError(t, record.Write(filepath.Join(trial, record.VerdictFile), v))
			}
		}
	}
	if c.edit != nil {
		c.edit(&run)
	}
	require.NoError(t, record.Write(filepath.Join(dir, record.RunFile), run))
	require.NoError(t, record.Write(filepath.Join(dir, record.VerdictFile),
		record.RunVerdict{Schema: record.RunVerdictSchema}))
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
		v.Floors = append(v.Floors, record.Floor{Files: files, HeapLive: 2<<20 + int64(c.leak*float64(files)), Routines: 12 +
			c.routines*i})
	}
	return v
}

func healthy() recorded { return recorded{held: 20 << 20, rss: 60 << 20} }

var leak = &record.Finding{
	Class: record.Leak, Site: record.Site{Function: "app.(*Index).add", File: "internal/index/index.go", Line: 42},
	BytesAtPeak: 1 << 20,
	Slope:       &record.Slope{Bytes: 64, Per: "file"}, Summary: "64 bytes a file stay in app.(*Index).add",
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
	require.NoError(t, os.WriteFile(filepath.Join(damaged.Dir, "cells", record.Cell{"workers": "10", "pool": "4"}.Dir(),
		"trial-1", record.TrialFile), []byte("{"), 0o644))
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

// dead are trials that measure something else than what a threshold means.
var dead = map[string]struct {
	edit func(*record.Trial)
	want Outcome
}{
	"killed":      {func(t *record.Trial) { t.Outcome = record.OOMKilled }, Fail},
	"crashed":     {func(t *record.Trial) { t.Outcome = record.Crashed }, Fail},
	"wave failed": {func(t *record.Trial) { t.Outcome = record.WaveFailed }, Fail},
	"timeout":     {func(t *record.Trial) { t.Outcome = record.Timeout }, Inconclusive},
	"unfinished":  {func(t *record.Trial) { t.Outcome = "" }, Inconclusive},
	"idle":        {func(t *record.Trial) { t.Work = record.Work{Seconds: 1} }, Inconclusive},
	"half done": {func(t *record.Trial) {
		t.Phases = append(t.Phases, record.Phase{Name: "wave-1", Kind: "wave", Files: 60, Counted: true, Copied: 30})
	}, Inconclusive},
	"half done by its totals": {func(t *record.Trial) {
		t.Phases = append(t.Phases, record.Phase{Name: "wave-1", Kind: "wave", Files: 2 * t.Work.Files})
	}, Inconclusive},
}

func TestNoThresholdPassesOnATrialThatDiedOrDidNothing(t *testing.T) {
	for name, c := range dead {
		for _, kind := range []record.TrialKind{record.Attribution, record.Speed} {
			run := healthy()
			run.change = func(tr *record.Trial) {
				if tr.Kind == kind {
					c.edit(tr)
				}
			}
			r := run.write(t)
			for quantity := range quantities {
				expr := quantity + " < 1e18"
				switch quantities[quantity].unit {
				case "word", "call":
					continue
				}
				rep := judge(t, r, nil, expr)
				assert.Equal(t, c.want, rep.Outcome, "%s %s: %s", name, kind, expr)
				for _, x := range rep.Results {
					assert.False(t, x.Check == expr && x.Outcome != Inconclusive, "%s %s: %s is %s", name, kind, expr, x.Outcome)
				}
			}
			assert.NotEqual(t, Pass, judge(t, r, nil, "headline in [healthy]").Outcome, name)
			assert.NotEqual(t, Pass, judge(t, r, healthy().write(t)).Outcome, "%s against a baseline", name)
		}
	}
}

func TestImpliedChecksAreTurnedOffByName(t *testing.T) {
	idle := healthy()
	idle.change = dead["idle"].edit
	checks, err := CompileAll([]Threshold{{Expr: "peak_rss < 256MiB"}, {Without: "work"}})
	require.NoError(t, err)
	rep, err := Judge(idle.write(t), Options{Checks: checks})
	require.NoError(t, err)
	assert.Equal(t, Pass, rep.Outcome, "%+v", rep.Results)

	killed := healthy()
	killed.change = dead["killed"].edit
	checks, err = CompileAll([]Threshold{{Expr: "outcome = oom-killed"}, {Without: "outcome"}})
	require.NoError(t, err)
	rep, err = Judge(killed.write(t), Options{Checks: checks})
	require.NoError(t, err)
	assert.Equal(t, Pass, rep.Outcome, "the kill is what is wanted: %+v", rep.Results)

	_, err = CompileAll([]Threshold{{Without: "luck"}})
	assert.ErrorContains(t, err, "there are outcome and work")
	_, err = Judge(healthy().write(t), Options{Checks: checks[1:]})
	assert.ErrorIs(t, err, ErrNothing, "nothing but a check turned off can't fail")
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
}

// TestAnInconclusiveCellSaysWhyAndWhatToRun: at the base nothing is compared, at the run the check of findings is open.
func TestAnInconclusiveCellSaysWhyAndWhatToRun(t *testing.T) {
	hypotheses := []record.Hypothesis{{Class: record.Leak, Per: "file", State: record.Excluded},
		{Class: record.Leak, Per: "second", Needs: "300 seconds of rest"}, {Class: record.Metadata, Per: "page", Needs: "x"}}
	warned := func(v *record.Verdict) { v.Warnings = []string{"no floor was recorded"} }
	for want, c := range map[string]struct {
		verdict func(*record.Verdict)
		trial   func(*record.Trial)
		edit    func(*record.Run)
	}{
		"trial 1 is inconclusive: soak diagnose says what is missing": {},
		"trial 1 is inconclusive: no floor was recorded":              {verdict: warned},
		"trial 1 leaves leak per second open: 300 seconds of rest": {
			verdict: func(v *record.Verdict) { v.Hypotheses = hypotheses }},
		"trial 1 is inconclusive: no floor was recorded; its time ended at 60s: run again with a larger budget": {
			verdict: warned, trial: func(t *record.Trial) { t.Effort = &record.Effort{Capped: true, CapSeconds: 60} }},
		"trial 1 ended as oom-killed: soak report says how; mend that and run again": {
			trial: func(t *record.Trial) { t.Outcome = record.OOMKilled }},
		"trial 1 finished no file: soak report says how; mend that and run again": {
			trial: func(t *record.Trial) { t.Work = record.Work{} }},
		"no trial to diagnose was recorded: soak run --resume records what is missing": {
			edit: func(r *record.Run) { r.Status[0].Trials = r.Status[0].Trials[1:] }},
	} {
		r := healthy()
		r.headline, r.judge, r.change, r.edit = record.Inconclusive, c.verdict, c.trial, c.edit
		run := r.write(t)
		_, err := NewBaseline(run)
		require.EqualError(t, err, "cell pool=4 workers=10 of run r1 has no conclusive verdict to compare with: "+want)
		details := map[string]string{}
		for _, x := range judge(t, run, healthy().write(t), "leak_bytes_per_file < 64").Results {
			details[x.Check] = x.Detail
		}
		assert.Equal(t, "no trial with a conclusive verdict: "+want, details[checkFindings])
		if c.trial == nil {
			assert.Contains(t, details["leak_bytes_per_file < 64"], want)
		}
	}
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
	assert.Contains(t, text.String(), "gate: FAIL (3 passed, 1 failed, 0 inconclusive)")

	require.NoError(t, rep.WriteJUnit(&junit))
	var suites junitSuites
	require.NoError(t, xml.Unmarshal(junit.Bytes(), &suites))
	assert.Len(t, suites.Suite.Cases, 4, "one case per cell and threshold, and the two that are implied")
	assert.Equal(t, 1, suites.Failures)

	require.NoError(t, rep.WriteSARIF(&sarifOut))
	var doc struct { // the names of the schema, from https://docs.oasis-open.org/sarif/sarif/v2.1.0/
		Version string
		Runs    []struct{ Tool, Results json.RawMessage }
	}
	require.NoError(t, json.Unmarshal(sarifOut.Bytes(), &doc))
	assert.Equal(t, "2.1.0", doc.Version)
	assert.JSONEq(t, `{"driver": {"name": "memsoak", "informationUri": "https://github.com/memsoak/memsoak",
		"version": "`+version.Read().String()+`",
		"rules": [{"id": "leak", "shortDescription": {"text": "memsoak gate: leak"}}]}}`, string(doc.Runs[0].Tool))
	want, err := json.Marshal(map[string]any{"text": rep.causes()[0].text()})
	require.NoError(t, err)
	assert.JSONEq(t, `[{"ruleId": "leak", "ruleIndex": 0, "level": "error", "message": `+string(want)+`,
		"locations": [{"physicalLocation": {"artifactLocation": {"uri": "internal/index/index.go"},
			"region": {"startLine": 42}}}],
		"partialFingerprints": {"memsoak/v1": "`+rep.causes()[0].fingerprint()+`"}}]`, string(doc.Runs[0].Results))

	require.NoError(t, rep.WriteAnnotations(&notes))
	assert.True(t, strings.HasPrefix(notes.String(),
		"::error file=internal/index/index.go,line=42,title=memsoak%3A leak::"), notes.String())
	assert.Equal(t, 1, strings.Count(notes.String(), "\n"))

	require.NoError(t, rep.WriteMarkdown(&md))
	assert.Contains(t, md.String(), Marker)
	assert.Contains(t, md.String(), "index.go:42")

	require.NoError(t, WriteBench(&bench, r))
	lines := strings.Split(strings.TrimSuffix(bench.String(), "\n"), "\n")
	assert.Subset(t, lines, []string{"subject: migrator", ""}, "keys stand before the lines that they are of")
	assert.Regexp(t, `^BenchmarkMigrator/pool=4/workers=10\S* \d+( \S+ \S+)+$`, lines[len(lines)-1])
	assert.Equal(t, 2, strings.Count(bench.String(), "\nBenchmark"))
}

// One leak breaks a slope, a sum, a headline and a count: it is one cause.
func TestACauseIsOneAnnotationWithAStableName(t *testing.T) {
	c := healthy()
	c.finding, c.headline = leak, record.HeadLeak
	rep := judge(t, c.write(t), nil, "leak_bytes_per_file < 64", "growth_bytes_per_file < 64", "headline in [healthy]",
		"findings == 0")
	require.Len(t, rep.Failures(), 4)
	var notes, out bytes.Buffer
	require.NoError(t, rep.WriteAnnotations(&notes))
	assert.Equal(t, 1, strings.Count(notes.String(), "::error"), notes.String())
	assert.Equal(t, 1, strings.Count(notes.String(), leak.Summary), "it is said once")
	assert.NotContains(t, notes.String(), "leak_bytes_per_file < 64: leak_bytes_per_file", "no stutter")

	require.NoError(t, rep.WriteSARIF(&out))
	var doc sarifLog
	require.NoError(t, json.Unmarshal(out.Bytes(), &doc))
	require.Len(t, doc.Runs[0].Results, 1)
	assert.Equal(t, "leak", doc.Runs[0].Results[0].RuleID)
	assert.NotEmpty(t, doc.Runs[0].Results[0].Fingerprints["memsoak/v1"])

	moved := *leak
	moved.Site.Line = 99
	c.finding = &moved
	again := judge(t, c.write(t), nil, "leak_bytes_per_file < 64")
	assert.Equal(t, rep.causes()[0].fingerprint(), again.causes()[0].fingerprint(), "lines move, the cause stays")
}

// A table that is there from the start is the largest finding, and adds nothing for a file.
func TestAThresholdPointsAtWhatMakesItsQuantity(t *testing.T) {
	finding := func(c record.Class, function string, peak int64) record.Finding {
		return record.Finding{Class: c, Site: record.Site{Function: function, File: "main.go"}, BytesAtPeak: peak}
	}
	queue, leak := finding(record.Metadata, "main.queue", 1<<20), finding(record.Leak, "main.record", 8<<20)
	table := finding(record.Static, "main.table", 64<<20)
	v := &record.Verdict{Headline: record.HeadMetadata, Findings: []record.Finding{queue, table, leak},
		Costs: []record.Cost{
			{Class: record.Metadata, Site: queue.Site, Per: "backlog-item", Bytes: 100},
			{Class: record.Static, Site: table.Site, Bytes: 64 << 20, Bounded: true},
			{Class: record.Leak, Site: leak.Site, Per: "file", Bytes: 200},
		}}
	trial := &record.Trial{Kind: record.Attribution, Outcome: record.OK, Snapshots: []record.Snapshot{
		{Sample: record.Sample{Covariates: &record.Covariates{FilesDone: 1000}}}}}
	r := &Run{Cells: []CellData{{Cell: record.Cell{}, Trials: []TrialData{{Trial: trial, Verdict: v}}}}}
	for quantity, want := range map[string]string{"growth_bytes_per_file": "main.record", "headline": "main.queue",
		"peak": "main.table", "bytes_per_listed_file": "main.table"} {
		f := r.culprit(record.Cell{}, quantity)
		require.NotNil(t, f, quantity)
		assert.Equal(t, want, f.Site.Function, quantity)
	}
}

func TestRuleIDsAreNamesWithoutFigures(t *testing.T) {
	c := healthy()
	c.held *= 2
	rep := judge(t, c.write(t), healthy().write(t), "peak_rss < 1MiB", "max_workers(2Gi) > 4")
	c.change = dead["killed"].edit
	ids := map[string]bool{}
	for _, x := range append(rep.Failures(), judge(t, c.write(t), nil, "peak_rss < 1MiB").Failures()...) {
		ids[ruleID(x)] = true
	}
	assert.Equal(t, map[string]bool{"held_live": true, "peak_rss": true, "outcome": true}, ids)
}

func TestGrowthIsTheSumOfTheUnboundedRows(t *testing.T) {
	v := &record.Verdict{Headline: record.HeadLeak, Costs: []record.Cost{
		{Class: record.Leak, Per: "file", Bytes: 100},
		{Class: record.Metadata, Per: "listed-file", Bytes: 50},
		{Class: record.Metadata, Per: "distinct-item", Bytes: 25},
		{Class: record.Leak, Per: "page", Bytes: 4000},
		{Class: record.Leak, Per: "byte", Bytes: 0.01},
		{Class: record.Leak, Per: "second", Bytes: 3000},
		{Class: record.Cache, Per: "distinct-item", Bytes: 999, Bounded: true},
		{Class: record.BufferWorker, Per: "worker", Bytes: 1 << 20, Bounded: true},
		{Class: record.BufferFile, Per: "byte-in-flight", Bytes: 1},
	}}
	start := time.Unix(0, 0)
	cov := &record.Covariates{FilesDone: 1000, Pages: 10, BytesDone: 1_000_000, Requests: 2000}
	trial := &record.Trial{Kind: record.Attribution, Outcome: record.OK, Work: record.Work{Files: 1000},
		Snapshots: []record.Snapshot{{Sample: record.Sample{Time: start}},
			{Sample: record.Sample{Time: start.Add(10 * time.Second), Covariates: cov}}}}
	q := Measure(CellData{Trials: []TrialData{{Trial: trial, Verdict: v}}})
	got, ok := q.Get("growth_bytes_per_file")
	require.True(t, ok)
	assert.InDelta(t, 100+50+25+40+10+30, got, 1e-6)
	beside, _ := Measure(CellData{Trials: []TrialData{{Trial: trial, Verdict: v}}, Beside: 7}).Get("growth_bytes_per_file")
	assert.InDelta(t, got+7, beside, 1e-6, "what the run's model has beside the rows")
	none, _ := Measure(CellData{Trials: []TrialData{{Trial: trial, Verdict: &record.Verdict{Headline: record.Healthy}}},
		Beside: 7}).Get("growth_bytes_per_file")
	assert.Zero(t, none, "a cell in which nothing grows, of a run that grows")
	got, _ = q.Get("leak_bytes_per_file")
	assert.InDelta(t, 100, got, 1e-6, "its meaning is that of before")
	for unexplained, known := range map[int64]bool{900 << 10: true, 3 << 20: false} {
		open := *v
		open.Closure = &record.Closure{Unexplained: unexplained, Contrast: "floor 1 to floor 9"}
		_, ok = Measure(CellData{Trials: []TrialData{{Trial: trial, Verdict: &open}}}).Get("growth_bytes_per_file")
		assert.Equal(t, known, ok, "%d bytes that no finding explains, beside 255 kB", unexplained)
	}
}

func TestSizesOfThresholdsAreThoseOfFlags(t *testing.T) {
	for text, want := range map[string]float64{"2G": 2e9, "2Gi": 2 << 30, "2GiB": 2 << 30, "2GB": 2e9, "64k": 64e3,
		"64K": 64e3, "1.5MiB": 3 << 19, "7B": 7, "1%": 0.01} {
		got, ok := number(text)
		assert.True(t, ok, text)
		assert.InDelta(t, want, got, 1e-9, text)
		if !strings.HasSuffix(text, "%") {
			size, err := units.ParseBytes(text)
			require.NoError(t, err)
			assert.EqualValues(t, size, got)
			c, err := Compile(Threshold{Expr: "peak_rss < " + text})
			require.NoError(t, err)
			assert.Equal(t, Pass, c.Eval(measured(map[string]any{"peak_rss": want - 1})).Outcome, text)
			assert.Equal(t, Fail, c.Eval(measured(map[string]any{"peak_rss": want})).Outcome, text)
		}
	}
	_, err := Compile(Threshold{Expr: "peak_rss < 2Gx"})
	assert.Error(t, err)
}

func TestABaselineOfSchemaV1IsReadWithoutItsCosts(t *testing.T) {
	b, err := NewBaseline(healthy().write(t))
	require.NoError(t, err)
	b.Schema = baselineV1
	path := filepath.Join(t.TempDir(), "b.json")
	require.NoError(t, record.Write(path, b))
	old, err := ReadBaseline(path)
	require.NoError(t, err)
	assert.NotContains(t, old.Cells[0].Values, "leak_bytes_per_file")
	assert.Contains(t, old.Cells[0].Values, "held_live")
	rep, err := Judge(healthy().write(t), Options{Baseline: old})
	require.NoError(t, err)
	assert.Contains(t, strings.Join(rep.Warnings, " "), "schema v1")
}
