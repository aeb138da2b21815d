package view_test

import (
	"net/url"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/drawn"
	"github.com/memsoak/memsoak/soak/internal/report"
)

// firstScreen is the visible text whose line begins within the first 900 pixels of a page that is 1280 wide.
const firstScreen = `(() => {
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), out = [];
	for (let n = walk.nextNode(); n; n = walk.nextNode()) {
		const range = document.createRange();
		range.selectNodeContents(n);
		const box = range.getBoundingClientRect();
		if (n.textContent.trim() && box.height > 0 && box.top >= 0 && box.top < 900 && box.left < 1280)
			out.push(n.textContent.trim());
	}
	return out.join(" ").replace(/\s+/g, " ");
})()`

// TestFirstScreenAnswers has the report of a run with a fault, of one without, of one that was killed and of a
// recording: what holds the memory, where, how much, what to do, how many fit.
func TestFirstScreenAnswers(t *testing.T) {
	b := newBrowser(t)
	for _, tc := range []struct {
		name   string
		cells  []string // of the axis workers
		change func(v *record.Verdict, rv *record.RunVerdict, trial *record.Trial)
		want   []string
	}{
		{"fault", []string{"3", "10"}, nil, []string{`\(\*uploader\)\.put`, `upload\.go:88`, `1\.0+2? (B|byte)`, `(?i)stream`,
			`workers that fit 22 in`}},
		{"killed", []string{"3", "50"}, nil, []string{`(?i)killed`, `\(\*uploader\)\.put`, `upload\.go:88`, `(?i)stream`}},
		{"healthy", []string{"1"}, healthy, []string{`(?i)healthy`, `(?i)would have been (seen|found)|seen from|excluded`,
			`workers`}},
		{"recording", []string{"10"}, recording, []string{`\(\*uploader\)\.put`, `upload\.go:88`, `uploader, recorded`,
			`To decide it: a longer recording`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			_, err := drawn.Write(dir, drawn.Options{Axes: []record.Axis{{Name: "workers", Values: tc.cells}}})
			require.NoError(t, err)
			if tc.change != nil {
				changeTrials(t, dir, tc.change)
			}
			if tc.name == "recording" {
				asRecorded(t, dir)
			}
			require.NoError(t, report.Generate(t.Context(), dir))
			b.open((&url.URL{Scheme: "file", Path: filepath.Join(dir, report.HTMLFile)}).String(), 1280, "light")
			text := eval[string](b, firstScreen)
			t.Log(text)
			for _, w := range tc.want {
				assert.Regexp(t, w, text)
			}
			assert.NotContains(t, text, "NaN")
			assert.NotContains(t, text, "undefined")
		})
	}
}

// changeTrials rewrites the records of a run.
func changeTrials(t *testing.T, dir string, change func(v *record.Verdict, rv *record.RunVerdict,
	trial *record.Trial)) {
	t.Helper()
	rv, err := record.ReadRunVerdict(dir)
	require.NoError(t, err)
	for i := range rv.Cells {
		v := &rv.Cells[i]
		at := filepath.Join(dir, "cells", v.Cell.Dir(), "trial-1")
		trial, err := record.ReadTrial(at)
		require.NoError(t, err)
		change(v, rv, trial)
		require.NoError(t, record.Write(filepath.Join(at, record.VerdictFile), v))
		require.NoError(t, record.Write(filepath.Join(at, record.TrialFile), trial))
	}
	require.NoError(t, record.Write(filepath.Join(dir, record.VerdictFile), rv))
}

func healthy(v *record.Verdict, rv *record.RunVerdict, _ *record.Trial) {
	v.Headline, v.Findings = record.Healthy, []record.Finding{}
	v.Hypotheses = []record.Hypothesis{
		{Class: record.Leak, Per: "file", State: record.Excluded, Limit: 57, Target: 64},
		{Class: record.BufferFile, Per: "byte-in-flight", State: record.Excluded, Limit: 0.01, Target: 0.05}}
	rv.Answer = []string{"nothing gathers: a leak of 57 B per file would have been seen"}
}

func recording(v *record.Verdict, rv *record.RunVerdict, trial *record.Trial) {
	trial.Kind, trial.Subject.Pprof = record.Passive, "http://127.0.0.1:6060/debug/pprof"
	v.Headline = record.Inconclusive
	v.Hypotheses = []record.Hypothesis{{Class: record.Leak, Per: "second", State: record.Open, Target: 64,
		Needs: "a longer recording"}}
	rv.Capacity, rv.Answer = nil, []string{"live heap 12 MiB -> 550 MiB: s3.(*uploader).put grows"}
}

// asRecorded makes a run the recording of a process.
func asRecorded(t *testing.T, dir string) {
	t.Helper()
	run, err := record.ReadRun(dir)
	require.NoError(t, err)
	run.Protocol, run.Corpus, run.Axes = "record", "", nil
	require.NoError(t, record.Write(filepath.Join(dir, record.RunFile), run))
}
