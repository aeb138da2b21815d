package soak_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/cgroup"
	"github.com/memsoak/memsoak/soak/internal/leftover"
	"github.com/memsoak/memsoak/soak/internal/testsubject"
)

// The programs that the tests of this package run.
var fakedrivePath, soakPath string

func TestMain(m *testing.M) {
	testsubject.Main()
	dir, err := os.MkdirTemp("", "memsoak-test-")
	if err == nil {
		fakedrivePath, soakPath, err = testsubject.Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

const tinyProtocol = `
name: tiny
trials: [attribution, speed]
memprofilerate: 4096
budget: 30s
settle: 50ms
phases:
  - {name: wave, kind: wave, times: 2, files: [{count: 5, size: 1KiB}]}
  - {name: reply, kind: hold, point: upload-reply, transfers: M, size: 64KiB}
speed:
  - {name: free, kind: free}
`

// files writes a subject, a protocol and a corpus into a directory and returns it.
func files(t *testing.T, mode string) string {
	t.Helper()
	dir := t.TempDir()
	text, err := yaml.Marshal(testsubject.Spec(mode))
	require.NoError(t, err)
	for name, content := range map[string]string{"subject.yaml": string(text), "tiny.yaml": tinyProtocol,
		"corpus.yaml": "files: 10\nsize: 5000\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	t.Setenv("MEMSOAK_STATE_DIR", filepath.Join(dir, "state"))
	return dir
}

func tinyConfig(dir string) soak.Config {
	c := soak.DefaultConfig()
	c.Subject, c.Protocol, c.Corpus = filepath.Join(dir, "subject.yaml"), filepath.Join(dir, "tiny.yaml"),
		filepath.Join(dir, "corpus.yaml")
	c.Axes, c.Design = soak.Axes{axis("workers", "1", "2")}, soak.Full
	return c
}

func runner(t *testing.T, c soak.Config, shard soak.Shard, out string) *soak.Runner {
	t.Helper()
	p, err := soak.NewPlan(c, shard)
	require.NoError(t, err)
	return &soak.Runner{Plan: p, Dir: out, Fakedrive: fakedrivePath, Soak: soakPath}
}

func TestARevisionThatIsNotThereIsToldBeforeAnythingIsRecorded(t *testing.T) {
	dir := files(t, testsubject.OK)
	c := tinyConfig(dir)
	r := runner(t, c, soak.Shard{}, filepath.Join(dir, "out"))
	r.Plan.Trials[1].Settings = map[string]string{"subject_ref": "no-such-revision"}
	_, err := r.Run(t.Context())
	require.ErrorIs(t, err, soak.ErrConfig)
	assert.ErrorContains(t, err, "no-such-revision")
	assert.NoDirExists(t, r.Dir)
}

func TestARunIsRecordedWhole(t *testing.T) {
	dir := files(t, testsubject.OK)
	r := runner(t, tinyConfig(dir), soak.Shard{}, filepath.Join(dir, "out"))
	var names []string
	r.Events = func(e soak.Event) {
		if _, sampled := e.(soak.Sampled); !sampled {
			names = append(names, e.EventName())
		}
	}
	r.Judge = func(string) (*record.Verdict, error) {
		return &record.Verdict{Schema: record.VerdictSchema, Headline: record.Healthy}, nil
	}
	res, err := r.Run(t.Context())
	require.NoError(t, err)
	require.Len(t, res.Trials, 4)
	assert.Equal(t, "run-started", names[0])
	assert.Equal(t, "run-ended", names[len(names)-1])
	run, err := record.ReadRun(r.Dir)
	require.NoError(t, err)
	for _, c := range run.Status {
		for _, tr := range c.Trials {
			assert.Equal(t, record.OK, tr.Outcome)
			at := filepath.Join(r.Dir, c.Dir, fmt.Sprintf("trial-%d", tr.Index))
			kept, err := record.ReadTrial(at)
			require.NoError(t, err)
			assert.Equal(t, tr.Kind, kept.Kind)
			assert.Equal(t, c.Cell, kept.Cell)
			_, err = record.ReadVerdict(at)
			assert.NoError(t, err)
		}
	}
	assert.Empty(t, leftover.Marked(run.ID))
	leases, err := filepath.Glob(filepath.Join(dir, "state", "*"))
	require.NoError(t, err)
	assert.Empty(t, leases)

	_, err = runner(t, tinyConfig(dir), soak.Shard{}, r.Dir).Run(t.Context())
	require.ErrorIs(t, err, soak.ErrConfig, "a recorded run is not overwritten")
}

func TestShardsMergeIntoTheRunTheyArePartsOf(t *testing.T) {
	dir := files(t, testsubject.OK)
	c := tinyConfig(dir)
	c.Trials = []record.TrialKind{record.Speed}
	var shards []string
	for i := 1; i <= 2; i++ {
		out := filepath.Join(dir, fmt.Sprint("shard-", i))
		_, err := runner(t, c, soak.Shard{I: i, N: 2}, out).Run(t.Context())
		require.NoError(t, err)
		shards = append(shards, out)
	}
	m, err := soak.Merge(filepath.Join(dir, "all"), []string{shards[1], shards[0]})
	require.NoError(t, err)
	whole, err := soak.NewPlan(c, soak.Shard{})
	require.NoError(t, err)
	require.Len(t, m.Status, len(whole.Cells))
	for i, s := range m.Status {
		assert.Equal(t, whole.Cells[i], s.Cell, "cells are in the order of the whole plan")
		for k := range shards {
			from := filepath.Join(shards[k], s.Dir, "trial-1", record.TrialFile)
			if want, err := os.ReadFile(from); err == nil {
				got, err := os.ReadFile(filepath.Join(dir, "all", s.Dir, "trial-1", record.TrialFile))
				require.NoError(t, err)
				assert.Equal(t, want, got, "results are the shards' own")
			}
		}
	}
	assert.False(t, m.Interrupted)

	part, err := soak.Merge(filepath.Join(dir, "part"), shards[:1])
	require.NoError(t, err)
	assert.Contains(t, part.Warnings, "shard 2/2 is missing")
	assert.True(t, part.Interrupted)
	_, err = soak.Merge(filepath.Join(dir, "twice"), []string{shards[0], shards[0]})
	require.ErrorContains(t, err, "both have cell")
	_, err = soak.Merge(filepath.Join(dir, "all"), shards)
	require.ErrorContains(t, err, "is not empty")
}

// complete records a run of one speed trial to its end, and returns its configuration and directory.
func complete(t *testing.T) (c soak.Config, out string) {
	t.Helper()
	dir := files(t, testsubject.OK)
	c = tinyConfig(dir)
	c.Trials, c.Axes = []record.TrialKind{record.Speed}, nil
	out = filepath.Join(dir, "out")
	_, err := runner(t, c, soak.Shard{}, out).Run(t.Context())
	require.NoError(t, err)
	return c, out
}

func TestResumeRefusesAnotherConfigurationAndSaysWhatDiffers(t *testing.T) {
	c, out := complete(t)
	c.Limit, c.Seed = 1<<30, 9
	r := runner(t, c, soak.Shard{}, out)
	r.Resume = true
	_, err := r.Run(t.Context())
	require.ErrorIs(t, err, soak.ErrConfig)
	assert.ErrorContains(t, err, "limit was 2147483648, is 1073741824; seed was 1, is 9")
	r = runner(t, c, soak.Shard{}, filepath.Join(t.TempDir(), "none"))
	r.Resume = true
	_, err = r.Run(t.Context())
	require.ErrorContains(t, err, "nothing to resume")
}

func TestResumingWhatIsCompleteChangesNothing(t *testing.T) {
	c, out := complete(t)
	before, err := os.ReadFile(filepath.Join(out, record.RunFile))
	require.NoError(t, err)
	r := runner(t, c, soak.Shard{}, out)
	r.Resume = true
	res, err := r.Run(t.Context())
	require.NoError(t, err)
	assert.Empty(t, res.Trials)
	after, err := os.ReadFile(filepath.Join(out, record.RunFile))
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after), "not the time it ended, either")
}

func TestASubjectThatNeverGetsReadyIsAnErrorOfTheRun(t *testing.T) {
	dir := files(t, testsubject.DiesEarly)
	res, err := runner(t, tinyConfig(dir), soak.Shard{}, filepath.Join(dir, "out")).Run(t.Context())
	require.ErrorIs(t, err, soak.ErrNothingRan)
	assert.NotContains(t, err.Error(), "\n")
	assert.Len(t, res.Trials, 4)
}

func TestACancelledRunKeepsWhatItHas(t *testing.T) {
	dir := files(t, testsubject.OK)
	r := runner(t, tinyConfig(dir), soak.Shard{}, filepath.Join(dir, "out"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r.Events = func(e soak.Event) {
		if s, ok := e.(soak.TrialStarted); ok && s.N == 2 {
			cancel()
		}
	}
	res, err := r.Run(ctx)
	require.ErrorIs(t, err, context.Canceled)
	assert.True(t, res.Interrupted)
	run, err := record.ReadRun(r.Dir)
	require.NoError(t, err)
	assert.True(t, run.Interrupted)
	assert.Equal(t, record.OK, run.Status[0].Trials[0].Outcome)
	assert.Empty(t, run.Status[1].Trials[0].Outcome)
	assert.Empty(t, leftover.Marked(run.ID))
}

// TestTrialsRunBesideEachOther: attribution trials do, on processors of their own, speed trials don't; the recording
// has the form of a run one by one, also when it was broken off and resumed.
func TestTrialsRunBesideEachOther(t *testing.T) {
	dir := files(t, testsubject.OK)
	one := runner(t, tinyConfig(dir), soak.Shard{}, filepath.Join(dir, "one"))
	_, err := one.Run(t.Context())
	require.NoError(t, err)
	want, err := record.ReadRun(one.Dir)
	require.NoError(t, err)
	if want.Host.Cgroup == cgroup.None || runtime.NumCPU() < 2 {
		t.Skip("SKIPPED: needs two processors and a memory cgroup to run trials beside each other")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var lanes []string
	running, most := map[int]bool{}, map[record.TrialKind]int{}
	see := func(e soak.Event) {
		switch e := e.(type) {
		case soak.RunStarted:
			lanes = e.Lanes
		case soak.TrialStarted:
			running[e.N] = true
			most[e.Kind] = max(most[e.Kind], len(running))
		case soak.TrialEnded:
			delete(running, e.N)
			if e.Kind == record.Speed {
				cancel() // the first time; with a speed trial left
			}
		}
	}
	c := tinyConfig(dir)
	c.Limit = 64 << 20
	for range 2 {
		r := runner(t, c, soak.Shard{}, filepath.Join(dir, "two"))
		_, err := os.Stat(r.Dir)
		r.Parallel, r.Events, r.Resume = 2, see, err == nil
		_, err = r.Run(ctx)
		assert.Equal(t, ctx.Err(), err)
		ctx = t.Context()
	}
	require.Len(t, lanes, 2)
	assert.Equal(t, map[record.TrialKind]int{record.Attribution: 2, record.Speed: 1}, most)
	got, err := record.ReadRun(filepath.Join(dir, "two"))
	require.NoError(t, err)
	for i := range want.Status {
		for j := range want.Status[i].Trials {
			want.Status[i].Trials[j].Seconds, got.Status[i].Trials[j].Seconds = 0, 0
		}
		tr, err := record.ReadTrial(filepath.Join(dir, "two", want.Status[i].Dir, "trial-1"))
		require.NoError(t, err)
		assert.Equal(t, runtime.NumCPU()/2, tr.GOMAXPROCS)
	}
	assert.Equal(t, want.Status, got.Status)
	assert.Empty(t, leftover.Marked(got.ID))
}

// TestARunnerKilledAtAnyPointIsResumedAndLeavesNothing kills the runner with -9 after a number of its events, and once
// more after each resumption, until the run is whole. MEMSOAK_LONG tries 50 points.
func TestARunnerKilledAtAnyPointIsResumedAndLeavesNothing(t *testing.T) {
	points, workers := []int{1, 6, 11}, "1,2"
	if os.Getenv("MEMSOAK_LONG") != "" {
		points, workers = nil, "1,2,3,4"
		for i := 1; i <= 50; i++ {
			points = append(points, i)
		}
	}
	dir := files(t, testsubject.OK)
	for _, point := range points {
		t.Run(fmt.Sprint("after ", point, " events"), func(t *testing.T) {
			out := filepath.Join(dir, fmt.Sprint("out-", point))
			args := []string{"run", "--json", "--subject", "subject.yaml", "--protocol", "tiny.yaml", "--corpus", "corpus.yaml",
				"--axis", "workers=" + workers, "--design", "full", "--out", out, "--fakedrive", fakedrivePath}
			require.True(t, killAfter(t, dir, args, point), "the run ended before it could be killed")
			run, err := record.ReadRun(out)
			require.NoError(t, err)
			dead := run.ID
			var said bytes.Buffer
			cmd := exec.Command(soakPath, append(args, "--resume")...)
			cmd.Dir, cmd.Stdout = dir, &said
			require.NoError(t, cmd.Run())
			run, err = record.ReadRun(out)
			require.NoError(t, err)
			for _, c := range run.Status {
				for _, tr := range c.Trials {
					assert.Equal(t, record.OK, tr.Outcome)
				}
			}
			assert.Empty(t, leftover.Marked(dead))
			leases, err := filepath.Glob(filepath.Join(dir, "state", "*"))
			require.NoError(t, err)
			assert.Empty(t, leases)
			temps, err := filepath.Glob(filepath.Join(os.TempDir(), "memsoak-run-"+dead))
			require.NoError(t, err)
			assert.Empty(t, temps)
			assert.Contains(t, said.String(), "cleared away after run "+dead)
		})
	}
}

// killAfter runs soak and kills it with -9 after so many events; false when it ended before.
func killAfter(t *testing.T, dir string, args []string, events int) bool {
	t.Helper()
	cmd := exec.Command(soakPath, args...)
	cmd.Dir = dir
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	n := 0
	for sc := bufio.NewScanner(out); sc.Scan(); {
		var e struct{ Event string }
		require.NoError(t, json.Unmarshal(sc.Bytes(), &e), "%s", sc.Text())
		if e.Event == "sampled" {
			continue // their number depends on the machine
		}
		if n++; n == events {
			require.NoError(t, cmd.Process.Kill())
		}
	}
	err = cmd.Wait()
	return err != nil && strings.Contains(err.Error(), "killed")
}
