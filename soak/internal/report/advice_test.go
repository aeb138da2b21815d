package report_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/drawn"
	"github.com/memsoak/memsoak/soak/internal/report"
)

// rejudged rewrites the verdict of a fixture's run.
func rejudged(t *testing.T, dir string, change func(*record.RunVerdict)) {
	t.Helper()
	v, err := record.ReadRunVerdict(dir)
	require.NoError(t, err)
	change(v)
	require.NoError(t, record.Write(filepath.Join(dir, record.VerdictFile), v))
}

// The first screen says death before anything else, then the cause, then what to change.
func TestFirstScreenOfAKilledRun(t *testing.T) {
	dir, _ := small(t, drawn.Options{})
	page, md := generate(t, dir)
	seen := text(t, page)
	for _, s := range []string{seen, strings.ReplaceAll(md, `\`, "")} {
		death, lead := strings.Index(s, "Killed for memory: workers 50 · gomemlimit 1800MiB · pool 40"), strings.Index(s,
			"buffer-file: 1.0 byte")
		todo := strings.Index(s, "Stream the body instead of holding it")
		assert.True(t, 0 < death && death < lead && lead < todo, "death at %d, cause at %d, cure at %d", death, lead, todo)
	}
	has(t, page, `class="mark oom"`, "the kill is marked on the curve of capacity, too")
}

// A healthy run says what it would have seen: the worst limit over its cells.
func TestFirstScreenOfAHealthyRun(t *testing.T) {
	dir, _ := small(t, drawn.Options{Axes: drawn.Small()[:1]})
	rejudged(t, dir, func(v *record.RunVerdict) {
		v.Answer = []string{"healthy"}
		for i := range v.Cells {
			c := &v.Cells[i]
			c.Outcome, c.Headline, c.Findings = record.OK, record.Healthy, nil
			c.Hypotheses = []record.Hypothesis{
				{Class: record.Leak, Per: "file", State: record.Excluded, Limit: float64(20 + 10*i), Target: 64},
				{Class: record.GoroutineLeak, Per: "file", State: record.Excluded, Limit: 0.004, Target: 0.02}}
		}
	})
	page, _ := generate(t, dir)
	seen := text(t, page)
	has(t, seen, "More than 40 B per file, 0.004 goroutines per file would have been seen.")
	has(t, seen, "more than 20 B per file would have been seen", "each cell has its own limit")
	hasNot(t, seen, "What to do.")
}

// A run that does not know says which experiment decides, and what no finding explains.
func TestFirstScreenOfAnInconclusiveRun(t *testing.T) {
	dir, _ := small(t, drawn.Options{Axes: []record.Axis{{Name: "workers", Values: []string{"3"}}}})
	rejudged(t, dir, func(v *record.RunVerdict) {
		c := &v.Cells[0]
		c.Outcome, c.Headline, c.Findings = record.OK, record.Inconclusive, nil
		c.Hypotheses = []record.Hypothesis{{Class: record.Leak, Per: "byte", State: record.Open,
			Needs: "waves of large files between floors"}}
		c.Closure = &record.Closure{Unexplained: 3 << 20, Kind: "live-heap", Contrast: "floor 1 to floor 9",
			Sites: []record.SiteSize{{Site: record.Site{Function: "main.keep"}, Bytes: 2 << 20}}}
	})
	page, _ := generate(t, dir)
	seen := text(t, page)
	has(t, seen, "To decide it: waves of large files between floors.")
	has(t, seen, "is explained by no finding (floor 1 to floor 9)")
	has(t, seen, "most of it at main.keep 2.0 MiB")
}

// A run of which one trial is open is not healthy, whichever of them has the larger peak.
func TestFirstScreenOfARunThatIsHealthyInPart(t *testing.T) {
	for open := range 2 {
		dir, _ := small(t, drawn.Options{Axes: []record.Axis{{Name: "workers", Values: []string{"3", "6"}}}})
		rejudged(t, dir, func(v *record.RunVerdict) {
			for i := range v.Cells {
				c := &v.Cells[i]
				c.Outcome, c.Headline, c.Findings = record.OK, record.Healthy, nil
				if i == open {
					c.Headline = record.Inconclusive
				}
			}
		})
		_, md := generate(t, dir)
		first, _, _ := strings.Cut(md, "\n")
		assert.Contains(t, first, "inconclusive")
	}
}

// A recording has words of its own: no corpus, no matrix, no limit.
func TestRecordingHasWordsOfItsOwn(t *testing.T) {
	dir, run := small(t, drawn.Options{Axes: []record.Axis{{Name: "workers", Values: []string{"3"}}}})
	run.Protocol, run.Corpus, run.Limit = "record", "", 0
	run.Config = map[string]any{"pprof": "http://127.0.0.1:6060/debug/pprof", "metrics": ""}
	run.Ended = run.Started.Add(90 * time.Second)
	require.NoError(t, record.Write(filepath.Join(dir, record.RunFile), run))
	page, _ := generate(t, dir)
	seen := text(t, page)
	has(t, seen, "uploader, recorded")
	has(t, seen, "soak record --pprof http://127.0.0.1:6060/debug/pprof")
	for _, not := range []string{"corpus", "Matrix", "memory limit", "design, protocol"} {
		hasNot(t, seen, not)
	}
}

// "Run this cell again" has every setting that the run was given.
func TestRunAgainKeepsAllSettings(t *testing.T) {
	dir, run := small(t, drawn.Options{})
	run.Protocol, run.Seed = "quick", 7
	run.Config = map[string]any{"subject_file": "./copier.yaml", "subject": map[string]any{"Name": "copier"},
		"protocol": map[string]any{"Name": "quick"}, "duration": "2m0s", "node": float64(4 << 30),
		"set": map[string]any{"tls": "true", "mode": "a b"}}
	require.NoError(t, record.Write(filepath.Join(dir, record.RunFile), run))
	page, _ := generate(t, dir)
	has(t, text(t, page),
		"soak run --subject ./copier.yaml --corpus mixed --axis workers=50 --axis gomemlimit=1800MiB --axis pool=40 "+
			"--set 'mode=a b' --set tls=true --limit 2GiB --node 4GiB --duration 2m0s --protocol quick --seed 7")
}

// Every class has a cure, so that no first screen is left without one.
func TestEveryClassHasACure(t *testing.T) {
	for _, c := range record.Classes() {
		assert.NotEmpty(t, report.Cure(c, "file"), "class %s", c)
		assert.NotRegexp(t, "largest file|tree|transfer|upload", report.Cure(c, record.ItemRequest),
			"class %s of a service", c)
	}
}

// TestAServicesPageSpeaksOfRequests has the fixture's run of a service, with a slope per file and one an item.
func TestAServicesPageSpeaksOfRequests(t *testing.T) {
	dir, _ := small(t, drawn.Options{})
	trials, err := filepath.Glob(filepath.Join(dir, "cells", "*", "trial-*"))
	require.NoError(t, err)
	for _, d := range trials {
		tr, err := record.ReadTrial(d)
		require.NoError(t, err)
		tr.Item = record.ItemRequest
		require.NoError(t, record.Write(filepath.Join(d, record.TrialFile), tr))
	}
	rejudged(t, dir, func(v *record.RunVerdict) {
		for i := range v.Cells {
			fs := v.Cells[i].Findings
			fs[0].Slope = &record.Slope{Bytes: 2173, Per: "file"}
			fs[1].Slope = &record.Slope{Bytes: 205, Per: "distinct-item"}
			v.Cells[i].Hypotheses = []record.Hypothesis{{Class: record.Metadata, Per: "backlog-item", State: record.Open}}
		}
		v.Model.Terms = append(v.Model.Terms, record.Term{Name: "files", Bytes: 300})
	})
	run, err := record.ReadRun(dir)
	require.NoError(t, err)
	run.Corpus = ""
	require.NoError(t, record.Write(filepath.Join(dir, record.RunFile), run))
	page, md := generate(t, dir)
	seen := text(t, page)
	assert.Contains(t, seen, "requests done")
	assert.NotContains(t, seen, "files done")
	assert.NotContains(t, seen, "backlog item")
	assert.NotContains(t, page, " corpus", "it copies none")
	assert.NotContains(t, page, ", recorded", "it was steered")
	for _, s := range []string{seen, md} {
		assert.Contains(t, s, "2.1 KiB per request")
		assert.Contains(t, s, "205 B per key")
		assert.NotContains(t, s, "per file")
		assert.NotContains(t, s, "distinct item")
	}
}
