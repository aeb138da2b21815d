package main

import (
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/cgroup"
	"github.com/memsoak/memsoak/soak/internal/testsubject"
)

const shortProtocol = `
name: short
trials: [attribution, speed]
memprofilerate: 4096
budget: 60s
settle: 50ms
phases:
  - {name: wave, kind: wave, times: 2, files: [{count: 5, size: 1KiB}]}
speed:
  - {name: free, kind: free}
`

// inScratch changes into a folder with a subject of the given behaviour, a short protocol and a small corpus.
func inScratch(t *testing.T, mode, corpus string) {
	t.Helper()
	if testing.Short() {
		t.Skip("records trials")
	}
	programs(t)
	t.Chdir(t.TempDir())
	subject, err := yaml.Marshal(testsubject.Spec(mode))
	require.NoError(t, err)
	for name, content := range map[string]string{"subject.yaml": string(subject), "short.yaml": shortProtocol,
		"corpus.yaml": corpus} {
		require.NoError(t, os.WriteFile(name, []byte(content), 0o644))
	}
	t.Setenv("MEMSOAK_STATE_DIR", filepath.Join(t.TempDir(), "state"))
}

// The subject keeps each file whole, so what it needs grows by a file's size with each worker: the two searches, which
// look along the limit and along the workers, have to agree with that and with each other.
func TestLimitIsFoundByRealKills(t *testing.T) {
	parent, err := cgroup.Open("limit-test", 0, func(string) {})
	if err != nil {
		t.Skipf("SKIPPED, this machine lets us make no cgroup: %v", err)
	}
	require.NoError(t, parent.Close())
	const fileSize = 24 << 20
	inScratch(t, testsubject.Buffer, "files: 8\nsize: 24MiB\n")
	common := []string{"limit", "--subject", "subject.yaml", "--protocol", "short.yaml", "--corpus", "corpus.yaml",
		"--json"}

	code, stdout, stderr := soakCmd(append(common, "--set", "workers=2", "--step", "16MiB", "--max", "512MiB", "--out",
		"kept")...)
	require.Equal(t, 0, code, "%s\n%s", stdout, stderr)
	held, err := filepath.Glob("kept/*-held/cells/*/trial-1")
	require.NoError(t, err)
	require.NotEmpty(t, held, "what survives freely has to survive a whole file in each worker")
	for _, dir := range held {
		got, err := record.ReadTrial(dir)
		require.NoError(t, err)
		hold := got.Phases[len(got.Phases)-1].Hold
		if got.Outcome == record.OK {
			require.NotNil(t, hold)
			assert.Equal(t, 2, hold.Held)
			assert.EqualValues(t, fileSize, got.Snapshots[len(got.Snapshots)-1].Covariates.Largest)
		}
	}
	var limit struct {
		Smallest int64 `json:"smallest_limit"`
		Tried    []struct {
			Value    int64
			Survived bool
		}
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &limit), stdout)
	assert.Greater(t, limit.Smallest, int64(2*fileSize), "two files are held whole")
	assert.Less(t, limit.Smallest, int64(512<<20))
	killed := 0
	for _, try := range limit.Tried {
		if !try.Survived {
			killed++
			assert.Less(t, try.Value, limit.Smallest, "nothing that was killed fits")
		}
	}
	assert.Positive(t, killed, "nothing was killed, so the border is no border")

	code, stdout, stderr = soakCmd(append(common, "--set", "workers=9", "--step", "512MiB", "--max", "512MiB")...)
	require.Equal(t, 0, code, "%s\n%s", stdout, stderr)
	assert.Contains(t, stdout, `"free_runs_alone":"the corpus has no 9 files with content"`)
	code, stdout, stderr = soakCmd(append(common, "--workers", "--limit", "96MiB", "--max-workers", "8")...)
	require.Equal(t, 0, code, "%s\n%s", stdout, stderr)
	var workers struct {
		Most int64 `json:"most_workers"`
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &workers), stdout)
	assert.LessOrEqual(t, workers.Most, int64(96<<20/fileSize), "no more files fit into the limit")
}

func TestLimitRefusesWhatMakesNoSense(t *testing.T) {
	for _, args := range [][]string{
		{"limit", "--step", "0"},
		{"limit", "--tries", "0"},
		{"limit", "--max", "1KiB"},
		{"limit", "--max", "many"},
		{"limit", "--workers", "--max-workers", "0"},
		{"limit", "--subject", "nowhere.yaml"},
	} {
		code, _, stderr := soakCmd(args...)
		assert.Equal(t, 2, code, "%v: %s", args, stderr)
		assert.NotEmpty(t, stderr)
	}
}

// keptForTest is what the recorded process leaks.
var keptForTest [][]byte

// A process that runs already is recorded into a run that the other commands read, and its leak is seen.
func TestRecordOfARunningProcess(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", func(w http.ResponseWriter, r *http.Request) {
		keptForTest = append(keptForTest, make([]byte, 1<<20))
		pprof.Index(w, r)
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	t.Cleanup(func() { keptForTest = nil })
	t.Chdir(t.TempDir())

	code, stdout, stderr := soakCmd("record", "--pprof", srv.URL+"/debug/pprof", "--every", "50ms", "--for", "2s", "--out",
		"run", "--json")
	require.Equal(t, 0, code, "%s\n%s", stdout, stderr)
	var said struct{ Dir string }
	require.NoError(t, json.Unmarshal([]byte(stdout), &said), stdout)
	assert.Equal(t, "run", said.Dir)
	run, err := record.ReadRun("run")
	require.NoError(t, err)
	at := filepath.Join("run", run.Status[0].Dir, "trial-1")
	trial, err := record.ReadTrial(at)
	require.NoError(t, err)
	assert.Equal(t, record.Passive, trial.Kind)
	require.Greater(t, len(trial.Snapshots), 3)
	for _, s := range trial.Snapshots {
		assert.FileExists(t, filepath.Join(at, s.Heap))
		assert.Positive(t, s.Runtime.HeapAlloc)
	}
	verdict, err := record.ReadVerdict(at)
	require.NoError(t, err)
	assert.NotEmpty(t, verdict.Headline)
	assert.FileExists(t, "run/report.html")

	code, stdout, stderr = soakCmd("diagnose", "run", "--json")
	assert.Equal(t, 0, code, stderr)
	assert.Contains(t, stdout, "TestRecordOfARunningProcess", "what grows is named")

	code, _, stderr = soakCmd("record", "--pprof", srv.URL+"/debug/pprof", "--for", "1s", "--out", "run")
	assert.Equal(t, 2, code, stderr)
	assert.Contains(t, stderr, "has a recorded run")
}

func TestRecordOfNothing(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	t.Chdir(t.TempDir())
	for args, want := range map[[2]string]int{{"--pprof", "nonsense"}: 2, {"--pprof", srv.URL + "/debug/pprof"}: 1} {
		code, _, stderr := soakCmd("record", args[0], args[1], "--every", "50ms", "--for", "300ms", "--out", "run")
		assert.Equal(t, want, code, "%v: %s", args, stderr)
		assert.NotEmpty(t, stderr)
		assert.NoDirExists(t, filepath.Join("run", "cells"), "a recording of nothing leaves no run")
	}
}

// With --duration the equal waves go on around the clock, each with its floor.
func TestDurationRepeatsTheWaves(t *testing.T) {
	inScratch(t, testsubject.OK, "files: 10\nsize: 5000\n")
	waves := func(out string, flags ...string) (floors int, took time.Duration) {
		code, stdout, stderr := soakCmd(append([]string{"run", "--subject", "subject.yaml", "--protocol", "short.yaml",
			"--corpus", "corpus.yaml",
			"--trials", "attribution", "--set", "workers=2", "--out", out, "--json"}, flags...)...)
		require.Equal(t, 0, code, "%s\n%s", stdout, stderr)
		run, err := record.ReadRun(out)
		require.NoError(t, err)
		trial, err := record.ReadTrial(filepath.Join(out, run.Status[0].Dir, "trial-1"))
		require.NoError(t, err)
		require.Equal(t, record.OK, trial.Outcome, trial.Reason)
		for _, s := range trial.Snapshots {
			if s.State == record.StateFloor {
				floors++
			}
		}
		return floors, time.Duration(run.Status[0].Trials[0].Seconds * float64(time.Second))
	}
	short, once := waves("short")
	long, took := waves("long", "--duration", "3s")
	if once < time.Second { // a slow machine has no time for more
		assert.Greater(t, long, short+1)
	}
	assert.GreaterOrEqual(t, took, 3*time.Second)

	// "Run this cell again" of the report is a command that soak takes, in any folder.
	page, err := os.ReadFile("long/report.html")
	require.NoError(t, err)
	line := regexp.MustCompile(`<code>soak (run [^<]*)</code>`).FindSubmatch(page)
	require.NotNil(t, line)
	t.Chdir(t.TempDir())
	args := strings.Fields(html.UnescapeString(string(line[1])))
	for _, want := range []string{"short.yaml", "--duration 3s", "--set workers=2"} {
		assert.Contains(t, strings.Join(args, " "), want)
	}
	code, stdout, stderr := soakCmd(append(args, "--dry-run")...)
	assert.Equal(t, 0, code, "%v: %s", args, stderr)
	assert.Contains(t, stdout, "1 cell, 1 trial, protocol short")
}

// An axis of revisions builds the subject at each and leaves the checkout alone; only the leaking one leaks.
func TestSubjectsOfTwoRevisions(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and records trials")
	}
	programs(t)
	s, revs, _ := newScratch(t)
	t.Chdir(s.dir)
	s.build(revs[1])
	s.write("runs/refs.yaml",
		[]byte("subject: subject.yaml\nprotocol: tiny.yaml\ndesign: full\nset: {memprofilerate: 512, workers: 4}\n"))
	code, stdout, stderr := soakCmd("run", "-f", "runs/refs.yaml", "--axis", "subject_ref="+revs[1]+","+revs[2], "--out",
		"runs/refs", "--json")
	require.Equal(t, 0, code, "%s\n%s", stdout, stderr)
	run, err := record.ReadRun("runs/refs")
	require.NoError(t, err)
	leaks := map[string]bool{}
	for _, c := range run.Status {
		verdict, err := record.ReadVerdict(filepath.Join("runs/refs", c.Dir, "trial-1"))
		require.NoError(t, err)
		leaks[c.Cell["subject_ref"]] = verdict.Headline == record.Headline(record.Leak)
	}
	assert.Equal(t, map[string]bool{revs[1]: false, revs[2]: true}, leaks)
	assert.Empty(t, s.sh("git", "status", "--porcelain"))

	code, _, stderr = soakCmd("run", "-f", "soak.yaml", "--subject-ref", "no-such-revision", "--out", "runs/none",
		"--json")
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, "no such revision")
}
