package profiles

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

func TestAJudgeOfTrialsJudgesTheirRunWithoutReadingThemAgain(t *testing.T) {
	dir := t.TempDir()
	recordRun(t, dir, 4, func() *subject { return newSubject(faults[7].make) })
	want, err := DiagnoseRun(dir, Options{})
	require.NoError(t, err)
	run, err := record.ReadRun(dir)
	require.NoError(t, err)

	var j Judge
	for i, c := range run.Status {
		trial := filepath.Join(dir, filepath.FromSlash(c.Dir), "trial-1")
		alone, err := DiagnoseTrial(trial, Options{})
		require.NoError(t, err)
		if i == 3 {
			continue // of an earlier process, as after --resume
		}
		v, err := j.Trial(trial)
		require.NoError(t, err)
		require.Equal(t, alone, v)
		require.NoError(t, os.RemoveAll(filepath.Join(trial, record.HeapDir)), "what it doesn't read again may be gone")
	}
	got, err := j.Run(dir)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.NotNil(t, got.Model)
}

func TestATrialMadeAgainIsJudgedAgain(t *testing.T) {
	dir := t.TempDir()
	recordRun(t, dir, 1, func() *subject { return newSubject(faults[7].make) })
	run, err := record.ReadRun(dir)
	require.NoError(t, err)
	trial := filepath.Join(dir, filepath.FromSlash(run.Status[0].Dir), "trial-1")
	var j Judge
	_, err = j.Trial(trial)
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(trial))
	_, err = j.Trial(trial)
	require.ErrorIs(t, err, os.ErrNotExist)
	rv, err := j.Run(dir)
	require.NoError(t, err)
	require.Empty(t, rv.Cells, "the verdict of what was there before is forgotten")
}
