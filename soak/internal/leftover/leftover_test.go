package leftover

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func state(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED, processes can't be told by their environment here")
	}
	dir := t.TempDir()
	t.Setenv("MEMSOAK_STATE_DIR", dir)
	t.Setenv("TMPDIR", t.TempDir())
	return dir
}

// sleeper is a process in a session of its own that carries a run's mark.
func sleeper(t *testing.T, env []string) (gone func() bool) {
	t.Helper()
	cmd := exec.Command("sleep", "3600")
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	require.NoError(t, cmd.Start())
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-done })
	return func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
}

func TestTheNextLeaseClearsAwayAfterADeadRunnerAndSparesALivingOne(t *testing.T) {
	dir := state(t)
	living, err := Take("living-run")
	require.NoError(t, err)
	defer living.Release()
	dead, err := Take("dead-run")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dead.Temp(), "x"), nil, 0o600))
	goneLiving, goneDead := sleeper(t, living.Env()), sleeper(t, dead.Env())
	dead.data.Start++ // the id belongs to another process now
	require.NoError(t, dead.save())

	next, err := Take("next-run")
	require.NoError(t, err)
	defer next.Release()
	assert.Eventually(t, goneDead, 5e9, 1e6)
	assert.False(t, goneLiving())
	assert.NoDirExists(t, dead.Temp())
	assert.DirExists(t, living.Temp())
	require.Len(t, next.Warnings, 1)
	assert.Contains(t, next.Warnings[0], "cleared away after run dead-run, which was killed: 1 processes, temporary files")
	assert.NoFileExists(t, filepath.Join(dir, "dead-run.json"))
}

func TestReleaseLeavesNothing(t *testing.T) {
	dir := state(t)
	l, err := Take("run")
	require.NoError(t, err)
	gone := sleeper(t, l.Env())
	l.Release()
	assert.Eventually(t, gone, 5e9, 1e6)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
	assert.NoDirExists(t, l.Temp())
}

func TestADamagedLeaseRemovesNothing(t *testing.T) {
	dir := state(t)
	precious := t.TempDir()
	for name, l := range map[string]any{
		"a.json": lease{Run: "evil", Temp: precious, Cgroups: []string{precious}},
		"b.json": "no lease",
	} {
		b, err := json.Marshal(l)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	next, err := Take("next")
	require.NoError(t, err)
	defer next.Release()
	assert.DirExists(t, precious)
	require.Len(t, next.Warnings, 1)
	assert.Contains(t, next.Warnings[0], "not one of ours")
}
