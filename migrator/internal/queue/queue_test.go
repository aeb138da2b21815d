package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/memsoak/memsoak/migrator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, dir string) *Queue {
	t.Helper()
	q, _, err := Open(dir)
	require.NoError(t, err)
	return q
}

func take(t *testing.T, q *Queue, k migrator.Kind) *migrator.Lease {
	t.Helper()
	l, err := q.Take(t.Context(), k)
	require.NoError(t, err)
	return l
}

func files(from, n int) []migrator.Item {
	items := make([]migrator.Item, n)
	for i := range items {
		items[i] = migrator.Item{Kind: migrator.File, ID: fmt.Sprint("id", from+i), Key: fmt.Sprintf("%0300d", from+i),
			Size: 1}
	}
	return items
}

// abandon lets a queue go as kill -9 does: nothing is written any more.
func abandon(t *testing.T, q *Queue) {
	t.Helper()
	close(q.stop)
	<-q.done
	require.NoError(t, q.closeFiles())
}

var root = migrator.Item{Kind: migrator.Folder, ID: "root"}

func TestEndComesAfterTheLastFolder(t *testing.T) {
	q := open(t, t.TempDir())
	defer q.Close()
	require.NoError(t, q.Push(t.Context(), root))
	folder := take(t, q, migrator.Folder)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 3 {
			l, err := q.Take(context.Background(), migrator.File)
			if assert.NoError(t, err) {
				assert.Equal(t, fmt.Sprint("id", i), l.Item.ID)
				assert.NoError(t, q.Settle(context.Background(), l, migrator.Result{Outcome: migrator.Copied, Bytes: 5}))
			}
		}
		_, err := q.Take(context.Background(), migrator.File)
		assert.ErrorIs(t, err, io.EOF)
	})
	require.NoError(t, q.Settle(t.Context(), folder, migrator.Result{Outcome: migrator.Listed, Produced: files(0, 3)}))
	wg.Wait()
	_, err := q.Take(t.Context(), migrator.Folder)
	require.ErrorIs(t, err, io.EOF)
	totals, err := q.Totals(t.Context())
	require.NoError(t, err)
	assert.Equal(t, migrator.Totals{Folders: 1, Files: 3, Size: 3, Listed: 1, Copied: 3, Bytes: 15}, totals)
}

// TestNothingIsLostOrRepeated drops the queue at many points: every file is settled once or more, those that were
// settled before a drop aren't delivered after it.
func TestNothingIsLostOrRepeated(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir)
	require.NoError(t, q.Push(t.Context(), root))
	const n = 20_000
	folder := take(t, q, migrator.Folder)
	for at := 0; at < n; at += 1000 {
		r := migrator.Result{Outcome: migrator.Returned, Produced: append(files(at, 1000),
			migrator.Item{Kind: migrator.Folder, ID: "root", Page: fmt.Sprint(at)})}
		if at+1000 == n {
			r = migrator.Result{Outcome: migrator.Listed, Produced: files(at, 1000)}
		}
		require.NoError(t, q.Settle(t.Context(), folder, r))
		if at%7000 == 0 {
			abandon(t, q)
			q = open(t, dir)
		}
		if at+1000 < n {
			folder = take(t, q, migrator.Folder)
		}
	}
	settled := map[string]bool{}
	for len(settled) < n {
		var leases []*migrator.Lease
		for range min(1500, n-len(settled)) {
			leases = append(leases, take(t, q, migrator.File))
		}
		for i, l := range leases {
			if i%50 == 4 && len(settled) < n-2000 {
				continue // dropped in a worker's hands
			}
			require.False(t, settled[l.Item.ID], "%s was settled before", l.Item.ID)
			settled[l.Item.ID] = true
			require.NoError(t, q.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Copied, Bytes: 1}))
		}
		abandon(t, q)
		if len(settled)%997 < 500 {
			q = open(t, dir)
		} else {
			q = open(t, dir)
			require.NoError(t, q.Close())
			q = open(t, dir)
		}
	}
	_, err := q.Take(t.Context(), migrator.File)
	require.ErrorIs(t, err, io.EOF)
	totals, err := q.Totals(t.Context())
	require.NoError(t, err)
	assert.Equal(t, int64(n), totals.Copied)
	assert.Equal(t, int64(n), totals.Files)
	require.NoError(t, q.Close())
}

// TestTornWrites cuts the journal and the lanes at every kind of place: the queue opens, and an item whose settle was
// cut off comes back.
func TestTornWrites(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir)
	require.NoError(t, q.Push(t.Context(), root))
	l := take(t, q, migrator.Folder)
	require.NoError(t, q.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Listed, Produced: files(0, 10)}))
	journal, size := q.journalPath(q.gen), q.size
	abandon(t, q)
	whole, err := os.ReadFile(journal)
	require.NoError(t, err)
	require.Len(t, whole, int(size))
	lane, err := os.ReadFile(filepath.Join(dir, "files-0000000000000000.seg"))
	require.NoError(t, err)

	cut := t.TempDir()
	for _, file := range []string{"folders-0000000000000000.seg", "files-0000000000000000.seg"} {
		b, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(cut, file), b, 0o600))
	}
	require.NoError(t, os.WriteFile(filepath.Join(cut, filepath.Base(journal)), whole[:size-1], 0o600))
	q = open(t, cut)
	assert.Equal(t, "root", take(t, q, migrator.Folder).Item.ID, "the settle that was cut off didn't happen")
	require.NoError(t, q.Close())

	require.NoError(t, os.WriteFile(filepath.Join(dir, "files-0000000000000000.seg"), lane[:len(lane)-3], 0o600))
	q = open(t, dir)
	assert.Equal(t, "root", take(t, q, migrator.Folder).Item.ID, "a power cut lost what the settle commits")
	require.NoError(t, q.Close())
}

// TestParkedLinesThatAPowerCutLost has settles whose items were given up, and a parked file that has not all of their
// lines.
func TestParkedLinesThatAPowerCutLost(t *testing.T) {
	for name, spoil := range map[string]func(b []byte) []byte{
		"cut":   func(b []byte) []byte { return b[:len(b)-3] },
		"zeros": func(b []byte) []byte { return append(b[:len(b)-40], make([]byte, 40)...) },
		"gone":  func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			q := open(t, dir)
			require.NoError(t, q.Push(t.Context(), files(0, 2)...))
			for range 2 {
				l := take(t, q, migrator.File)
				require.NoError(t, q.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Failed,
					Parked: []migrator.Parked{{ID: l.Item.ID, Path: "a file", Outcome: migrator.Failed, Detail: "it was refused"}}}))
			}
			abandon(t, q)
			path := filepath.Join(dir, ParkedFile)
			whole, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, spoil(bytes.Clone(whole)), 0o600))
			q = open(t, dir)
			again := take(t, q, migrator.File)
			require.NotNil(t, again, "the item whose line is lost comes again")
			require.NoError(t, q.Settle(t.Context(), again, migrator.Result{Outcome: migrator.Copied}))
			require.NoError(t, q.Close())
			left, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.True(t, bytes.HasPrefix(whole, left), "whole lines alone: %q", left)
			if len(left) == 0 {
				return
			}
			require.NoError(t, os.WriteFile(path, nil, 0o600))
			_, _, err = Open(dir)
			require.ErrorIs(t, err, ErrDamaged, "what was committed and is gone is said")
		})
	}
}

func TestDamageIsSaid(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir)
	require.NoError(t, q.Push(t.Context(), root))
	require.NoError(t, q.Close())
	gens, err := journals(dir)
	require.NoError(t, err)
	path := filepath.Join(dir, fmt.Sprintf("journal-%016x", gens[0]))
	require.NoError(t, os.WriteFile(path, []byte("something else"), 0o600))
	_, _, err = Open(dir)
	require.ErrorIs(t, err, ErrDamaged)
	_, _, err = Peek(dir)
	require.ErrorIs(t, err, ErrDamaged)
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir)
	_, _, err := Open(dir)
	require.ErrorIs(t, err, ErrInUse)
	_, inUse, err := Peek(dir)
	require.NoError(t, err)
	assert.True(t, inUse)
	require.NoError(t, q.Close())
}

func TestCheckpointComesBack(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir)
	require.NoError(t, q.Push(t.Context(), files(0, 1)...))
	l := take(t, q, migrator.File)
	assert.False(t, l.Again)
	require.NoError(t, q.Checkpoint(t.Context(), l, []byte("half")))
	for range 2 { // from the journal's entries, then from its snapshot
		abandon(t, q)
		q = open(t, dir)
		l = take(t, q, migrator.File)
		assert.True(t, l.Again)
		assert.Equal(t, "half", string(l.State))
	}
	require.NoError(t, q.Close())
}

// TestDiskIsGivenBack: segments whose items are settled are removed.
func TestDiskIsGivenBack(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir)
	for at := range 40 {
		items := files(at*1000, 1000)
		require.NoError(t, q.Push(t.Context(), items...))
		for range items {
			require.NoError(t, q.Settle(t.Context(), take(t, q, migrator.File), migrator.Result{Outcome: migrator.Copied}))
		}
	}
	require.NoError(t, q.Close())
	size := int64(0)
	require.NoError(t, filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		info, ierr := d.Info()
		size += info.Size()
		return errors.Join(err, ierr)
	}))
	assert.Less(t, size, int64(segmentSize+journalGrow))
}
