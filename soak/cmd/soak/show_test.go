package main

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/drawn"
	"github.com/memsoak/memsoak/soak/internal/pyroscope/pyrotest"
)

func recordedRun(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	_, err := drawn.Write(dir, drawn.Options{Axes: drawn.Small()[:1]})
	require.NoError(t, err)
	return dir
}

// commandLine runs a command line in this process.
func commandLine(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestReportCommand(t *testing.T) {
	dir := recordedRun(t)
	code, out, _ := commandLine("report", dir)
	assert.Equal(t, exitcode.OK, code)
	assert.Equal(t, filepath.Join(dir, "report.html")+"\n"+filepath.Join(dir, "report.md")+"\n", out)
	assert.FileExists(t, filepath.Join(dir, "report.html"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "verdict.json"), []byte("{"), 0o644))
	code, out, _ = commandLine("report", "--json", dir)
	assert.Equal(t, exitcode.OK, code, "a damaged run is reported in part")
	var v struct {
		HTML     string
		Cells    int
		Problems []string
	}
	require.NoError(t, json.Unmarshal([]byte(out), &v))
	assert.Equal(t, 3, v.Cells)
	assert.Equal(t, []string{"read verdict.json: unexpected end of JSON input"}, v.Problems)
}

func TestPushCommand(t *testing.T) {
	dir := recordedRun(t)
	server := &pyrotest.Server{RejectOlderThan: -1}
	srv := httptest.NewServer(server)
	defer srv.Close()
	code, out, errs := commandLine("push", dir, "--pyroscope", srv.URL, "--grafana", "http://127.0.0.1:3000", "--check",
		"--json")
	require.Equal(t, exitcode.OK, code, errs)
	var v pushReport
	require.NoError(t, json.Unmarshal([]byte(out), &v))
	n, err := drawn.Profiles(dir)
	require.NoError(t, err)
	const cells = 3 // each with its peak once more, under the trial's own name
	n += 2 * cells
	assert.Equal(t, n, v.Stored)
	assert.Equal(t, n, v.Checked)
	assert.Equal(t, n/2, v.Services, "a service has a heap and a goroutine profile")
	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	require.NoError(t, err)
	for _, want := range []string{srv.URL + "/pyroscope/render-diff?leftFrom=", "http://127.0.0.1:3000/explore?"} {
		assert.True(t, strings.Contains(string(page), want), "the report has no link to %s", want)
	}
	code, out, _ = commandLine("push", dir, "--pyroscope", srv.URL, "--pyroscope-shown", "http://shown:4040")
	assert.Equal(t, exitcode.OK, code)
	assert.Contains(t, out, "0 profiles sent")
	assert.Len(t, server.Profiles(), n)
	page, err = os.ReadFile(filepath.Join(dir, "report.html"))
	require.NoError(t, err)
	assert.Contains(t, string(page), "http://shown:4040/pyroscope/render-diff?", "what a person can open")
}

func TestPushOfAnOldRunSaysWhatToDo(t *testing.T) {
	srv := httptest.NewServer(&pyrotest.Server{})
	defer srv.Close()
	code, out, errs := commandLine("push", recordedRun(t), "--pyroscope", srv.URL)
	assert.Equal(t, exitcode.Error, code)
	assert.Contains(t, out, "-validation.reject-older-than=0")
	assert.Contains(t, errs, "not sent: ")
}

func TestShowingCommandsRefuseBadInput(t *testing.T) {
	dir, empty := recordedRun(t), t.TempDir()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"report of nothing":     {[]string{"report"}, "see 'soak report --help'"},
		"report of no run":      {[]string{"report", empty}, "is not a run: it has no run.json"},
		"report of newer run":   {[]string{"report", newer(t)}, `unknown schema "memsoak/run/v9"`},
		"view of no run":        {[]string{"view", empty}, "no run in"},
		"view beyond loopback":  {[]string{"view", dir, "--listen", "0.0.0.0:0"}, "give a loopback address"},
		"view of nothing":       {[]string{"view"}, "see 'soak view --help'"},
		"push without a server": {[]string{"push", dir}, "--pyroscope URL is missing"},
		"push to nowhere":       {[]string{"push", dir, "--pyroscope", "nowhere"}, `--pyroscope: want http://host:port`},
		"push of no run":        {[]string{"push", empty, "--pyroscope", "http://127.0.0.1:1"}, "is not a run"},
		"plan of no run":        {[]string{"plan", empty, "--limit", "2Gi"}, "is not a run"},
		"unknown flag":          {[]string{"report", "--no-such-flag", dir}, "unknown flag"},
	} {
		code, _, errs := commandLine(c.args...)
		assert.Equal(t, exitcode.UsageError, code, name)
		assert.Contains(t, errs, c.want, name)
		assert.Equal(t, 1, strings.Count(strings.TrimSpace(errs), "\n")+1, "%s: one line, not %q", name, errs)
	}
}

func newer(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, record.RunFile), []byte(`{"schema":"memsoak/run/v9"}`), 0o644))
	return dir
}

func TestShowingCommandsHaveHelpWithAnExample(t *testing.T) {
	for _, name := range []string{"report", "view", "push"} {
		code, out, _ := commandLine(name, "--help")
		assert.Equal(t, exitcode.OK, code)
		assert.Contains(t, out, "Examples:\n  soak "+name)
	}
}
