package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/drawn"
	"github.com/memsoak/memsoak/soak/internal/report"
)

// soakCommand runs a command line in-process.
func soakCommand(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

// heapProfiles writes n heap profiles of this very process.
func heapProfiles(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		runtime.GC()
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("heap.%02d.pb.gz", i)))
		require.NoError(t, err)
		require.NoError(t, pprof.Lookup("heap").WriteTo(f, 0))
		require.NoError(t, f.Close())
	}
	return dir
}

func TestDiagnosePlainProfiles(t *testing.T) {
	dir := heapProfiles(t, 9)
	code, out, errs := soakCommand("diagnose", dir)
	require.Equal(t, exitcode.OK, code, errs)
	assert.Contains(t, out, "live heap")
	assert.Contains(t, out, "soak record --pprof")

	code, out, errs = soakCommand("diagnose", "--strict", "--json", dir)
	require.Equal(t, exitcode.Inconclusive, code)
	assert.Empty(t, errs, "the verdict says it")
	var v record.Verdict
	require.NoError(t, json.Unmarshal([]byte(out), &v))
	assert.Equal(t, record.Inconclusive, v.Headline)
	assert.NotEmpty(t, v.TopAtPeak)
	assert.NotEmpty(t, v.Warnings)
}

// TestARunThatLostATrialIsNotFine removes the record of one of its trials.
func TestARunThatLostATrialIsNotFine(t *testing.T) {
	dir := t.TempDir()
	run, err := drawn.Write(dir, drawn.Options{Axes: drawn.Small()})
	require.NoError(t, err)
	lost := filepath.Join(dir, filepath.FromSlash(run.Status[0].Dir), "trial-1", record.TrialFile)
	require.NoError(t, os.WriteFile(lost, []byte("{"), 0o644))
	code, out, errs := soakCommand("diagnose", "--strict", "--json", dir)
	require.Equal(t, exitcode.Inconclusive, code, errs)
	var rv record.RunVerdict
	require.NoError(t, json.Unmarshal([]byte(out), &rv))
	assert.Equal(t, 1, rv.Lost)
	assert.Contains(t, strings.Join(rv.Answer, "\n"), "without a verdict")
	page, err := os.ReadFile(filepath.Join(dir, report.MarkdownFile))
	require.NoError(t, err)
	assert.Contains(t, string(page), "without a verdict")
	_, out, _ = soakCommand("diagnose", dir)
	answer, _, _ := strings.Cut(out, "warning:")
	for _, line := range strings.Split(answer, "\n") {
		if !strings.HasPrefix(line, "What decides: ") {
			assert.LessOrEqual(t, len(line), pageWidth)
		}
	}
}

func TestDiagnoseRefuses(t *testing.T) {
	profiles := heapProfiles(t, 1)
	table := filepath.Join(profiles, "work.csv")
	require.NoError(t, os.WriteFile(table, []byte("file,nonsense\na,1\n"), 0o644))
	runDir := t.TempDir()
	_, err := drawn.Write(runDir, drawn.Options{Axes: drawn.Small()})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no argument":        {[]string{"diagnose"}, exitcode.UsageError, "see 'soak diagnose --help'"},
		"an empty directory": {[]string{"diagnose", t.TempDir()}, exitcode.UsageError, "nor profiles"},
		"a missing file":     {[]string{"diagnose", "gone.pb.gz"}, exitcode.UsageError, "gone.pb.gz"},
		"a wrong size":       {[]string{"diagnose", "--largest-file=big", profiles}, exitcode.UsageError, `"big"`},
		"no files":           {[]string{"diagnose", "--files=0", profiles}, exitcode.UsageError, "--files"},
		"a wrong column": {[]string{"diagnose", "--covariates", table, profiles}, exitcode.UsageError,
			"nonsense"},
		"a table with a run":     {[]string{"diagnose", "--covariates", table, runDir}, exitcode.UsageError, "has its own"},
		"a plan without a limit": {[]string{"plan", runDir}, exitcode.UsageError, "--limit"},
		"a plan of wrong files":  {[]string{"plan", runDir, "--limit=1Gi", "--files=many"}, exitcode.UsageError, "many"},
		"a plan without a run":   {[]string{"plan", profiles, "--limit=1Gi"}, exitcode.UsageError, "run.json"},
	} {
		code, _, errs := soakCommand(c.args...)
		assert.Equal(t, c.code, code, name)
		assert.Contains(t, errs, c.says, name)
	}
}

func TestARunOfAnotherSchemaIsRefusedByName(t *testing.T) {
	old, now := t.TempDir(), t.TempDir()
	for _, dir := range []string{old, now} {
		_, err := drawn.Write(dir, drawn.Options{Axes: drawn.Small()})
		require.NoError(t, err)
	}
	file := filepath.Join(old, record.RunFile)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	text = []byte(strings.Replace(string(text), record.RunSchema, "memsoak/run/v0", 1))
	require.NoError(t, os.WriteFile(file, text, 0o644))
	for _, args := range [][]string{{"plan", old, "--limit=1Gi"}, {"diagnose", old}, {"gate", old}, {"diff", old, now},
		{"diff", now, old}, {"report", old}, {"verify", old}, {"merge", old, now, "--out", t.TempDir()},
		{"baseline", "accept", old}, {"run", "--resume", "--out", old}} {
		code, _, errs := soakCommand(args...)
		assert.Equal(t, exitcode.UsageError, code, args)
		assert.Contains(t, errs, `unknown schema "memsoak/run/v0"`, args)
		assert.Equal(t, 1, strings.Count(errs, "\n"), "%s: one line, not %q", args, errs)
	}
}

func TestDiagnoseRunWritesTheVerdictsAgain(t *testing.T) {
	dir := t.TempDir()
	_, err := drawn.Write(dir, drawn.Options{Axes: drawn.Small()})
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(dir, record.VerdictFile)))
	code, out, errs := soakCommand("diagnose", "--json", dir)
	require.Equal(t, exitcode.OK, code, errs)
	var printed record.RunVerdict
	require.NoError(t, json.Unmarshal([]byte(out), &printed))
	written, err := record.ReadRunVerdict(dir)
	require.NoError(t, err)
	assert.Equal(t, printed.Answer, written.Answer)
	require.NotEmpty(t, written.Cells)
	trial, err := record.ReadVerdict(filepath.Join(dir, "cells", written.Cells[0].Cell.Dir(), "trial-1"))
	require.NoError(t, err)
	assert.Equal(t, written.Cells[0].Headline, trial.Headline)
	size := func() string {
		page, err := os.ReadFile(filepath.Join(dir, "report.md"))
		require.NoError(t, err, "the reports are written with the verdict")
		return regexp.MustCompile(`largest file [0-9.]+ .iB`).FindString(string(page))
	}
	own := size()
	require.NotEmpty(t, own)
	code, _, errs = soakCommand("diagnose", dir, "--largest-file", "1MiB")
	require.Equal(t, exitcode.OK, code, errs)
	assert.Equal(t, "largest file 1.0 MiB", size(), "flags are for the reports too")
	code, _, errs = soakCommand("diagnose", dir)
	require.Equal(t, exitcode.OK, code, errs)
	assert.Equal(t, own, size())
}
