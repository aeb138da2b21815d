package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/checkout"
	"github.com/memsoak/memsoak/profiles/record"
)

// steered is a short protocol that holds transfers, so that it needs a subject which the fakes can steer.
const steered = `
name: steered
trials: [attribution, speed]
memprofilerate: 4096
budget: 60s
settle: 100ms
phases:
  - {name: idle, kind: idle, for: 20ms}
  - {name: wave, kind: wave, times: 2, files: [{count: 10, size: 4KiB}]}
  - {name: reply, kind: hold, point: upload-reply, transfers: M, size: 64KiB}
  - {name: header, kind: hold, point: download-header, transfers: M, backlog: 20, size: 1KiB}
speed:
  - {name: free, kind: free}
`

// TestTheSameMatrixOverMigratorAndOverRclone runs the two subjects, one of which is from outside this repository,
// through the same experiment with the same fakes.
func TestTheSameMatrixOverMigratorAndOverRclone(t *testing.T) {
	if testing.Short() {
		t.Skip("records trials")
	}
	rclone, err := filepath.Abs(filepath.Join("..", "..", "..", ".tools", "rclone"))
	require.NoError(t, err)
	root, err := checkout.Root(t.Context())
	require.NoError(t, err)
	programs(t)
	t.Setenv("MEMSOAK_STATE_DIR", filepath.Join(t.TempDir(), "state"))
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("steered.yaml", []byte(steered), 0o644))
	// The subject files name the programs from the project's own folder.
	require.NoError(t, os.MkdirAll(".tools", 0o755))
	require.NoError(t, os.Symlink(rclone, filepath.Join(".tools", "rclone")))
	build := exec.Command("go", "build", "-o", filepath.Join(must(os.Getwd()), "bin")+"/", "./migrator/cmd/migrator")
	build.Dir = root
	said, err := build.CombinedOutput()
	require.NoError(t, err, "%s", said)

	for _, subject := range []string{"migrator", "rclone"} {
		t.Run(subject, func(t *testing.T) {
			if _, err := os.Stat(rclone); err != nil && subject == "rclone" {
				t.Skipf("SKIPPED, %s is missing: `make rclone` builds it", rclone)
			}
			code, stdout, stderr := soakCmd("run", "--subject", subject, "--protocol", "steered.yaml", "--corpus", "tiny",
				"--axis", "workers=2,3", "--every", "100ms", "--out", subject)
			require.Equal(t, 0, code, "%s\n%s", stdout, stderr)
			isComplete(t, subject)
			code, stdout, stderr = soakCmd("verify", subject)
			assert.Equal(t, 0, code, "what was copied is what was to be copied: %s\n%s", stdout, stderr)
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// isComplete looks for everything that a recorded run of two cells with two trials each has.
func isComplete(t *testing.T, dir string) {
	t.Helper()
	run, err := record.ReadRun(dir)
	require.NoError(t, err)
	assert.False(t, run.Interrupted)
	require.Len(t, run.Status, 2)
	for _, c := range run.Status {
		require.Len(t, c.Trials, 2, c.Cell)
		for i, kind := range []record.TrialKind{record.Attribution, record.Speed} {
			assert.Equal(t, kind, c.Trials[i].Kind)
			trialIsComplete(t, filepath.Join(dir, c.Dir, []string{"trial-1", "trial-2"}[i]), kind)
		}
	}
	verdict, err := record.ReadRunVerdict(dir)
	require.NoError(t, err)
	assert.Len(t, verdict.Cells, 2)
	assert.NotEmpty(t, verdict.Answer)
	for _, name := range []string{"report.html", "report.md"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Regexp(t, "workers[= ]3", string(text), name)
	}
}

func trialIsComplete(t *testing.T, dir string, kind record.TrialKind) {
	t.Helper()
	tr, err := record.ReadTrial(dir)
	require.NoError(t, err)
	require.Equal(t, record.OK, tr.Outcome, "%s: %s", dir, tr.Reason)
	assert.Equal(t, kind, tr.Kind)
	assert.NotEmpty(t, tr.Subject.Module, "whose frames are blamed")
	assert.Positive(t, tr.Peak.RSS)
	assert.Positive(t, tr.Work.Files)
	ofKernel, ofFakes := 0, 0 // the last sample may be broken off by the end of the trial, before the fakes answered
	require.NoError(t, record.ReadSamples(dir, func(s record.Sample) bool {
		if s.Process != nil {
			ofKernel++
		}
		if s.Covariates != nil {
			ofFakes++
		}
		return true
	}))
	assert.Positive(t, ofKernel)
	assert.Positive(t, ofFakes)
	states := map[record.State]int{}
	for _, s := range tr.Snapshots {
		states[s.State]++
		if s.State == record.StateFree || s.State == record.StateHigh {
			continue // light ones, without goroutines
		}
		assert.Positive(t, s.HeapLive, s.Phase)
		for _, name := range []string{s.Heap, s.Goroutine} {
			info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name)))
			require.NoError(t, err)
			assert.Positive(t, info.Size(), name)
		}
		if s.State.Held() {
			assert.Positive(t, s.Covariates.InFlight, "%s: the fakes hold what the subject has begun", s.Phase)
		}
	}
	if kind == record.Attribution {
		assert.Equal(t, map[record.State]int{record.StateIdle: 1, record.StateFloor: 4, record.StateReply: 1,
			record.StateHeader: 1}, withoutLight(states), tr.Warnings)
	}
	v, err := record.ReadVerdict(dir)
	require.NoError(t, err)
	assert.Equal(t, record.OK, v.Outcome)
	for _, name := range []string{"subject.log", "sink.ndjson.gz"} {
		assert.FileExists(t, filepath.Join(dir, name))
	}
}

// withoutLight leaves out the snapshots that come as they may.
func withoutLight(states map[record.State]int) map[record.State]int {
	for _, s := range []record.State{record.StateFree, record.StateHigh, record.StatePress} {
		delete(states, s)
	}
	return states
}
