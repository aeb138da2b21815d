package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestFullDiskForTheQueue: a run whose queue finds no space ends with one line that says what to do, and the same
// command continues when there is space again.
func TestFullDiskForTheQueue(t *testing.T) {
	w := newWorld(t)
	row(t, "disk full", "one line, then "+complete, func() string { return "a tmpfs of 64 KiB" })
	disk := filepath.Join(w.dir, "state")
	require.NoError(t, os.Mkdir(disk, 0o700))
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("NOT TESTED: a full disk, since mounting a small one needs root: ", err)
	}
	t.Cleanup(func() { assert.NoError(t, unix.Unmount(disk, 0)) })
	tr := w.tree(crashTree, 1)
	r := w.start("copy", tr.root, "full", "--workers", "1")
	require.Error(t, r.wait())
	assert.Equal(t, 1, r.cmd.ProcessState.ExitCode())
	var said []string
	for line := range strings.Lines(r.out.String()) {
		if strings.HasPrefix(line, "migrator: ") || strings.Contains(line, "no space left") {
			said = append(said, line)
		}
	}
	assert.Len(t, said, 1, "%s", &r.out)
	assert.Contains(t, r.out.String(), "migrator: no space left for the queue: free some below "+disk)

	require.NoError(t, unix.Mount("tmpfs", disk, "tmpfs", unix.MS_REMOUNT, "size=8m"))
	w.finish("copy", tr.root, "full")
	w.verify(tr, "full")
}
