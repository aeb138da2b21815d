package blob

import (
	"bytes"
	"crypto/md5"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/corpus"
)

func put(t *testing.T, s *Store, p []byte) *Blob {
	t.Helper()
	w := s.Create()
	for i := 0; i < len(p); i += 1000 {
		_, err := w.Write(p[i:min(i+1000, len(p))])
		require.NoError(t, err)
	}
	b, err := w.Commit()
	require.NoError(t, err)
	return b
}

func files(t *testing.T, dir string) int {
	t.Helper()
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	return len(list)
}

func TestContentsAreInMemoryOrInFiles(t *testing.T) {
	dir := t.TempDir()
	s := New(dir, 10_000, 10<<20)
	small, large := bytes.Repeat([]byte("a"), 5000), bytes.Repeat([]byte("bc"), 300_000)
	a, b, c := put(t, s, small), put(t, s, large), put(t, s, small)
	require.Empty(t, a.Name())
	require.NotEmpty(t, b.Name())
	require.Empty(t, c.Name(), "there was room for two")
	d := put(t, s, small)
	require.NotEmpty(t, d.Name(), "memory is used up")
	require.Equal(t, 2, files(t, dir))
	for i, want := range map[*Blob][]byte{a: small, b: large, d: small} {
		r, err := i.Open(10)
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.Equal(t, want[10:], got)
		require.Equal(t, md5.Sum(want), i.Sums(corpus.AllHashes).MD5)
	}
	b.Retain()
	b.Release()
	require.Equal(t, 2, files(t, dir), "a copy still refers to it")
	r, err := b.Open(0)
	require.NoError(t, err)
	b.Release()
	d.Release()
	require.Zero(t, files(t, dir))
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Len(t, got, len(large), "a reader that is open reads on")
	a.Release()
	c.Release()
	require.Zero(t, s.Used())
}

func TestAFolderIsMadeForTheFirstFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := New(dir, 10, 1000)
	put(t, s, []byte("small"))
	require.NoDirExists(t, dir)
	put(t, s, []byte("larger than the memory"))
	require.DirExists(t, dir)
}

func TestTheBoundHolds(t *testing.T) {
	dir := t.TempDir()
	s := New(dir, 1000, 10_000)
	w := s.Create()
	_, err := w.Write(make([]byte, 9000))
	require.NoError(t, err)
	_, err = w.Write(make([]byte, 2000))
	require.ErrorIs(t, err, ErrFull)
	require.EqualValues(t, 9000, w.Size())
	w.Abort()
	w.Abort()
	require.Zero(t, s.Used())
	require.Zero(t, files(t, dir))
	put(t, s, make([]byte, 10_000)).Release()
}

func TestAdopt(t *testing.T) {
	dir := t.TempDir()
	b := put(t, New(dir, 0, 1<<20), []byte("hello"))
	s := New(dir, 0, 1<<20)
	again, err := s.Adopt(b.Name(), b.Sums(corpus.AllHashes))
	require.NoError(t, err)
	require.EqualValues(t, 5, again.Size())
	other := put(t, s, []byte("x"))
	require.NotEqual(t, b.Name(), other.Name(), "names are not used twice")
	_, err = s.Adopt("../x", corpus.Sums{})
	require.Error(t, err)
}
