package store

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
)

// write gives a file a new content.
func (r *rig) write(t *testing.T, id, text string, keep bool) Found {
	t.Helper()
	content := r.blob(t, text)
	f, err := r.Update(id, keep, func(f *resource.File) error { f.Content = content; return nil })
	require.NoError(t, err)
	return f
}

// texts are the contents of a file's revisions, oldest first. The newest must be the file's own.
func (r *rig) texts(t *testing.T, id string) (list []string) {
	t.Helper()
	revs, err := r.Revisions(id)
	require.NoError(t, err)
	f, err := r.Get(id)
	require.NoError(t, err)
	ids := map[string]bool{}
	for _, rev := range revs {
		list = append(list, contentText(t, rev.Content))
		ids[rev.ID] = true
	}
	require.Len(t, ids, len(revs), "each has an id of its own")
	require.Equal(t, f.HeadRevisionID(), revs[len(revs)-1].ID)
	require.Equal(t, contentText(t, f.Content), list[len(list)-1])
	return list
}

func inverse(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] ^= 0xff
	}
	return string(b)
}

func TestEachContentIsARevision(t *testing.T) {
	r := inForest(t)
	own := r.file(t, RootAlias, "own", "1")
	require.Equal(t, []string{"1"}, r.texts(t, own))
	r.write(t, own, "2", false)
	r.edit(t, own, func(f *resource.File) { f.Name = "renamed" })
	require.Equal(t, []string{"1", "2"}, r.texts(t, own), "a name is no revision")
	_, err := r.Alter(own)
	require.NoError(t, err)
	require.Equal(t, []string{"1", "2", inverse("2")}, r.texts(t, own))

	of := pick(t, mustTree(t, forest, 0), isPlain)
	first := r.texts(t, of)
	require.Len(t, first, 1)
	before, err := r.Get(of)
	require.NoError(t, err)
	r.write(t, of, "2", false)
	require.Equal(t, []string{first[0], "2"}, r.texts(t, of))
	revs, err := r.Revisions(of)
	require.NoError(t, err)
	require.Equal(t, before.HeadRevisionID(), revs[0].ID, "a tree's own content keeps its revision's id")

	folder, err := r.Revisions(RootAlias)
	require.NoError(t, err)
	require.Empty(t, folder)
}

func TestAlteringChangesTheBytesAndTheirSums(t *testing.T) {
	r := inForest(t)
	for _, id := range []string{r.file(t, RootAlias, "own", "text"), pick(t, mustTree(t, forest, 0), isPlain)} {
		before, err := r.Get(id)
		require.NoError(t, err)
		text, sums := contentText(t, before.Content), before.Content.Sums(corpus.AllHashes)
		for _, want := range []string{inverse(text), text} { // the second time it is as it was
			f, err := r.Alter(id)
			require.NoError(t, err)
			require.Equal(t, want, contentText(t, f.Content))
			part, err := f.Content.Open(1)
			require.NoError(t, err)
			b := make([]byte, 1)
			_, err = part.Read(b)
			require.NoError(t, err)
			require.Equal(t, want[1], b[0], "from an offset")
			require.NoError(t, part.Close())
			require.Equal(t, want == text, f.Content.Sums(corpus.AllHashes) == sums)
			require.NotEqual(t, before.HeadRevisionID(), f.HeadRevisionID())
			require.True(t, f.Modified.After(before.Modified))
			before = f
		}
	}
	_, err := r.Alter(RootAlias)
	require.ErrorIs(t, err, ErrNotFound, "a folder has no content")
}

func TestOldRevisionsGoUnlessTheyAreKept(t *testing.T) {
	r := newRig(t, t.TempDir())
	id := r.file(t, RootAlias, "own", "000")
	r.write(t, id, "001", true)
	for n := 2; n < maxRevisions+2; n++ {
		r.write(t, id, fmt.Sprintf("%03d", n), false)
	}
	texts := r.texts(t, id)
	require.Len(t, texts, maxRevisions)
	require.Equal(t, []string{"001", "003"}, texts[:2])
	require.Equal(t, int64(3*maxRevisions), r.blobs.Used())
	require.NoError(t, r.EditRevisions(id, func(revs []Revision) ([]Revision, error) { return revs[1:], nil }))
	require.Len(t, r.texts(t, id), maxRevisions-1)
	require.Equal(t, int64(3*(maxRevisions-1)), r.blobs.Used())
}

func TestContentsAreFreedWithTheirLastFile(t *testing.T) {
	r := newRig(t, t.TempDir())
	same := func(*resource.File) error { return nil }
	for _, alterations := range []int{0, 1, 2} {
		first := r.file(t, RootAlias, "own", "text")
		for range alterations {
			_, err := r.Alter(first)
			require.NoError(t, err)
		}
		want, err := r.Get(first)
		require.NoError(t, err)
		text := contentText(t, want.Content)
		second, err := r.Copy(first, same)
		require.NoError(t, err)
		require.NotEqual(t, first, second.ID)
		require.EqualValues(t, 4, r.blobs.Used(), "copies share")
		require.NoError(t, r.Delete(first))
		got, err := r.Get(second.ID)
		require.NoError(t, err)
		require.Equal(t, text, contentText(t, got.Content), "after %d alterations", alterations)
		require.NoError(t, r.Delete(second.ID))
		require.Zero(t, r.blobs.Used())
	}
	folder := r.newFolder(t, RootAlias, "folder")
	deep := r.newFolder(t, folder, "deep")
	r.write(t, r.file(t, deep, "file", "1234"), "12", false)
	require.EqualValues(t, 6, r.blobs.Used())
	require.NoError(t, r.Delete(folder))
	require.Zero(t, r.blobs.Used())
}

func TestCopiesAreFilesOfTheirOwn(t *testing.T) {
	r := inForest(t)
	tree := mustTree(t, forest, 0)
	shared := pick(t, tree, func(it *corpus.Item) bool { return it.SharedWithMe && it.Kind == corpus.Binary })
	r.edit(t, shared, func(f *resource.File) {
		f.Starred, f.ExplicitlyTrashed, f.Properties = true, true, map[string]string{"a": "b"}
		f.Permissions = []resource.Permission{{ID: "x", Role: "reader"}}
	})
	from, err := r.Get(shared)
	require.NoError(t, err)
	c, err := r.Copy(shared, func(f *resource.File) error { f.Name, f.Parent = "copy", RootAlias; return nil })
	require.NoError(t, err)
	require.Equal(t, contentText(t, from.Content), contentText(t, c.Content))
	require.Equal(t, "copy", c.Name)
	require.EqualValues(t, 1, c.Version)
	require.NotEqual(t, from.HeadRevisionID(), c.HeadRevisionID())
	require.False(t, c.Starred || c.Trashed || c.ExplicitlyTrashed || c.SharedWithMe)
	require.True(t, c.SharedAt.IsZero() && c.TrashedAt.IsZero())
	require.Empty(t, c.Properties)
	require.Empty(t, c.Permissions)
	require.Equal(t, r.Me(), *c.Owner)

	document := pick(t, tree, func(it *corpus.Item) bool { return it.Kind.Exportable() })
	c, err = r.Copy(document, func(f *resource.File) error { f.Parent = RootAlias; return nil })
	require.NoError(t, err)
	want, fromTree, err := r.Export(document)
	require.NoError(t, err)
	require.True(t, fromTree)
	got, _, err := r.Export(c.ID)
	require.NoError(t, err)
	require.Equal(t, contentText(t, want), contentText(t, got))
}

func TestExportsAreOfDocuments(t *testing.T) {
	r := inForest(t)
	tree := mustTree(t, forest, 0)
	document := pick(t, tree, func(it *corpus.Item) bool { return it.Kind.Exportable() })
	before, fromTree, err := r.Export(document)
	require.NoError(t, err)
	require.True(t, fromTree)
	require.EqualValues(t, 500, before.Size())
	r.edit(t, document, func(f *resource.File) { f.Name = "renamed" })
	after, fromTree, err := r.Export(document)
	require.NoError(t, err)
	require.True(t, fromTree)
	require.Equal(t, contentText(t, before), contentText(t, after))
	own := r.blob(t, "words")
	f, err := r.Create(resource.File{MimeType: resource.Document, Content: own})
	require.NoError(t, err)
	c, fromTree, err := r.Export(f.ID)
	require.NoError(t, err)
	require.False(t, fromTree)
	require.Equal(t, "words", contentText(t, c))
	empty, err := r.Create(resource.File{MimeType: resource.Document})
	require.NoError(t, err)
	for _, id := range []string{empty.ID, strings.Repeat("x", 33)} {
		_, _, err = r.Export(id)
		require.ErrorIs(t, err, ErrNotFound)
	}
}
