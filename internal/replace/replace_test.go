package replace

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFileReplacesTheWholeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	require.NoError(t, os.WriteFile(path, make([]byte, 100_000), 0o600))
	require.NoError(t, File(path, []byte("new"), 0o644))
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "new", string(b))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o644), info.Mode())
}

func TestFailureLeavesTheOldFileAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.json")
	require.NoError(t, File(path, []byte("old"), 0o600))
	stop := errors.New("enough")
	err := With(path, 0o600, func(w io.Writer) error {
		_, err := io.WriteString(w, "ne")
		require.NoError(t, err)
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "old", string(b), "before all is written")
		return stop
	})
	require.ErrorIs(t, err, stop)
	require.EqualError(t, err, "write "+path+": enough")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary file")
	err = File(filepath.Join(dir, "none", "x.json"), nil, 0o600)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "write "+filepath.Join(dir, "none", "x.json"))
}
