package queue

import (
	"fmt"
	"io"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/memsoak/memsoak/migrator"
)

// TestFullDisk fills the disk under a queue: it says so, refuses further work, and continues from the last settle that
// succeeded when there is space again.
func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=512k"); err != nil {
		t.Skip("NOT TESTED: a full disk, since mounting a small one needs root: ", err)
	}
	t.Cleanup(func() { assert.NoError(t, unix.Unmount(disk, 0)) })
	dir := filepath.Join(disk, "queue")
	q := open(t, dir)
	require.NoError(t, q.Push(t.Context(), root))
	const page = 100
	kept := 0
	var full error
	for full == nil {
		require.Less(t, kept, 10_000, "512 KiB hold more than three megabytes")
		more := append(files(kept, page), migrator.Item{Kind: migrator.Folder, ID: "root", Page: fmt.Sprint(kept + page)})
		l := take(t, q, migrator.Folder)
		if full = q.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Returned, Produced: more}); full == nil {
			kept += page
		}
	}
	assert.ErrorIs(t, full, unix.ENOSPC)
	assert.ErrorContains(t, full, "no space left for the queue: free some below "+dir+" and run again")
	_, err := q.Take(t.Context(), migrator.File)
	assert.ErrorIs(t, err, unix.ENOSPC, "what the files hold isn't sure any more")
	require.NoError(t, q.Close())

	if q, _, err := Open(dir); err == nil { // the failed first try may have left room for a journal
		require.NoError(t, q.Close())
	} else {
		assert.ErrorIs(t, err, unix.ENOSPC)
	}
	require.NoError(t, unix.Mount("tmpfs", disk, "tmpfs", unix.MS_REMOUNT, "size=8m"))
	q, resumed, err := Open(dir)
	require.NoError(t, err)
	assert.True(t, resumed)
	again := take(t, q, migrator.Folder)
	if kept > 0 {
		assert.Equal(t, fmt.Sprint(kept), again.Item.Page, "the page whose settle failed comes again")
	}
	require.NoError(t, q.Settle(t.Context(), again, migrator.Result{Outcome: migrator.Listed, Produced: files(kept,
		page)}))
	for i := range kept + page {
		l := take(t, q, migrator.File)
		assert.Equal(t, fmt.Sprint("id", i), l.Item.ID)
		require.NoError(t, q.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Copied}))
	}
	_, err = q.Take(t.Context(), migrator.File)
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, q.Close())
}
