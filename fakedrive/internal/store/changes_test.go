package store

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/internal/resource"
)

// since are the changes from a token on, in pages of a size, as words, and the token after them.
func (r *rig) since(t *testing.T, from int64, page int) (list []Change, next int64) {
	t.Helper()
	for {
		part, to, ok := r.Changes(from, page)
		require.True(t, ok)
		require.LessOrEqual(t, len(part), page)
		list = append(list, part...)
		if len(part) < page || to == r.NextChange() {
			return list, to
		}
		require.Greater(t, to, from)
		from = to
	}
}

func TestChangesAreEachFilesNewest(t *testing.T) {
	r := inForest(t)
	shared := mustTree(t, team, 0)
	start := r.NextChange()
	require.EqualValues(t, firstToken, start)
	a := r.file(t, RootAlias, "a", "1")
	folder := r.newFolder(t, RootAlias, "folder")
	inside := r.file(t, folder, "inside", "2")
	theirs := r.file(t, shared.ID(0), "theirs", "3")
	hidden := r.file(t, AppDataAlias, "hidden", "4")
	r.edit(t, a, trash)
	_, err := r.Alter(theirs)
	require.NoError(t, err)
	require.NoError(t, r.EditRevisions(inside, func(v []Revision) ([]Revision, error) { return v, nil }))
	require.NoError(t, r.Delete(folder))
	d, err := r.AddDrive("new")
	require.NoError(t, err)
	_, err = r.EditDrive(d.ID, func(d *Drive) { d.Name = "newer" })
	require.NoError(t, err)
	r.edit(t, d.ID, func(f *resource.File) { f.FolderColor = "#ff0000" })
	want := []Change{
		{FileID: hidden, Space: AppDataAlias}, {FileID: a}, {FileID: theirs, DriveID: shared.ID(0)},
		{FileID: inside, Removed: true}, {FileID: folder, Removed: true},
		{FileID: d.ID, DriveID: d.ID, IsDrive: true}, {FileID: d.ID, DriveID: d.ID},
	}
	for _, page := range []int{1, 2, 3, 100} {
		list, next := r.since(t, start, page)
		require.Equal(t, r.NextChange(), next)
		last := start
		for i := range list {
			require.GreaterOrEqual(t, list[i].Token, last)
			require.False(t, list[i].Time.IsZero())
			last = list[i].Token + 1
			list[i].Token, list[i].Time = 0, want[0].Time
		}
		require.Equal(t, want, list, "in pages of %d", page)
	}
	none, next, ok := r.Changes(r.NextChange(), 10)
	require.True(t, ok)
	require.Empty(t, none)
	require.Equal(t, r.NextChange(), next)
}

func TestTokensThatHaveNoChangesAreRefused(t *testing.T) {
	r := newRig(t, t.TempDir())
	_, _, ok := r.Changes(firstToken-1, 10)
	require.False(t, ok, "before the first")
	_, _, ok = r.Changes(firstToken+1, 10)
	require.False(t, ok, "of the future")
	id := r.file(t, RootAlias, "file", "1")
	_, _, ok = r.Changes(firstToken, 10)
	require.True(t, ok)
	for range maxChanges {
		r.edit(t, id, func(*resource.File) {})
	}
	_, _, ok = r.Changes(firstToken, 10)
	require.False(t, ok, "forgotten")
	require.EqualValues(t, firstToken+1+maxChanges, r.NextChange(), "tokens are consecutive")
	list, next, ok := r.Changes(r.NextChange()-maxChanges/2, 10)
	require.True(t, ok)
	require.Len(t, list, 1)
	require.Equal(t, r.NextChange(), next)
}

func TestSharedDrivesComeAndGo(t *testing.T) {
	r := inForest(t)
	tree := mustTree(t, team, 0)
	first, err := r.AddDrive("first")
	require.NoError(t, err)
	second, err := r.AddDrive("second")
	require.NoError(t, err)
	names := func() (list []string) {
		for _, d := range r.Drives() {
			list = append(list, d.Name)
		}
		return list
	}
	require.Equal(t, []string{"Team", "first", "second"}, names(), "oldest first")
	file := r.file(t, first.ID, "file", "text")
	require.ErrorIs(t, r.DeleteDrive(first.ID, false), ErrNotEmpty)
	require.ErrorIs(t, r.DeleteDrive(tree.ID(0), true), ErrRoot, "a tree")
	require.ErrorIs(t, r.DeleteDrive("0Anowhere", true), ErrNotFound)
	_, err = r.EditDrive("0Anowhere", func(*Drive) {})
	require.ErrorIs(t, err, ErrNotFound)
	for _, id := range []string{first.ID, tree.ID(0)} {
		d, err := r.EditDrive(id, func(d *Drive) { d.Hidden = true })
		require.NoError(t, err)
		got, err := r.Drive(id)
		require.NoError(t, err)
		require.Equal(t, d, got)
		require.True(t, got.Hidden)
	}
	require.NoError(t, r.DeleteDrive(second.ID, false), "empty")
	require.NoError(t, r.DeleteDrive(first.ID, true), "with all that is in it")
	require.Equal(t, []string{"Team"}, names())
	require.Zero(t, r.blobs.Used())
	for _, id := range []string{file, first.ID, second.ID} {
		_, err := r.Get(id)
		require.ErrorIs(t, err, ErrNotFound)
		_, err = r.Drive(id)
		require.ErrorIs(t, err, ErrNotFound)
	}
	list, _ := r.since(t, firstToken, 100)
	last := list[len(list)-1]
	require.Equal(t, first.ID, last.FileID)
	require.True(t, last.Removed && last.IsDrive)
}

func TestADriveOfThingsThrownAwayIsEmpty(t *testing.T) {
	r := inForest(t)
	d, err := r.AddDrive("drive")
	require.NoError(t, err)
	folder := r.newFolder(t, d.ID, "folder")
	kept, thrown := r.file(t, folder, "kept", "1"), r.file(t, d.ID, "thrown", "2")
	r.edit(t, thrown, trash)
	require.ErrorIs(t, r.DeleteDrive(d.ID, false), ErrNotEmpty)
	r.edit(t, kept, trash)
	require.ErrorIs(t, r.DeleteDrive(d.ID, false), ErrNotEmpty, "the folder is not in the trash")
	r.edit(t, kept, untrash)
	r.edit(t, folder, trash)
	require.NoError(t, r.DeleteDrive(d.ID, false), "a drive can be deleted that has no items but in the trash")
	require.Zero(t, r.blobs.Used())
}

func TestSharedDrivesHaveABound(t *testing.T) {
	r := newRig(t, t.TempDir())
	for range maxSources {
		_, err := r.AddDrive("drive")
		require.NoError(t, err)
	}
	_, err := r.AddDrive("one more")
	require.ErrorIs(t, err, ErrFull)
	require.NoError(t, r.DeleteDrive(r.Drives()[0].ID, false))
	_, err = r.AddDrive("in its place")
	require.NoError(t, err)
}
