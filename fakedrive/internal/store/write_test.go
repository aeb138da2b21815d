package store

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
)

// family is a folder with a folder and a file in it, once of the overlay and once of a tree.
type family struct{ folder, kid, file string }

func families(t *testing.T, r *rig) map[string]family {
	t.Helper()
	own := family{folder: r.newFolder(t, RootAlias, "top")}
	own.kid = r.newFolder(t, own.folder, "kid")
	own.file = r.file(t, own.kid, "file", "text")
	tree := mustTree(t, forest, 0)
	var of family
	of.file = pick(t, tree, func(it *corpus.Item) bool {
		if !isPlain(it) || it.Parent <= 0 {
			return false
		}
		kid := tree.Item(it.Parent)
		of.kid, of.folder = tree.ID(it.Parent), tree.ID(max(kid.Parent, 0))
		return kid.Parent > 0 && tree.Item(kid.Parent).Parent == 0
	})
	mixed := family{folder: pick(t, tree, func(it *corpus.Item) bool {
		return it.Kind == corpus.Folder && it.Parent == 0 && tree.ID(it.Ordinal) != of.folder
	})}
	mixed.kid = r.newFolder(t, mixed.folder, "in a tree's folder")
	mixed.file = r.file(t, mixed.kid, "file", "text")
	return map[string]family{"of the overlay": own, "of a tree": of, "below a tree's folder": mixed}
}

func TestTrashCoversWhatLiesBelow(t *testing.T) {
	r := inForest(t)
	for name, f := range families(t, r) {
		see := func(want [3]bool, explicit [3]bool) {
			t.Helper()
			listed := map[string]resource.File{}
			_, _, err := r.Scan(Scope{}, Position{}, 1000, func(f Found, _ Position) bool {
				listed[f.ID] = *f.File
				return true
			})
			require.NoError(t, err)
			for i, id := range []string{f.folder, f.kid, f.file} {
				got, err := r.Get(id)
				require.NoError(t, err)
				require.Equal(t, want[i], got.Trashed, "%s: %d", name, i)
				require.Equal(t, explicit[i], got.ExplicitlyTrashed, "%s: %d", name, i)
				require.Equal(t, want[i], listed[id].Trashed, "%s: %d, in a listing", name, i)
				require.Equal(t, explicit[i], listed[id].ExplicitlyTrashed, "%s: %d, in a listing", name, i)
			}
		}
		see([3]bool{}, [3]bool{})
		r.edit(t, f.folder, trash)
		see([3]bool{true, true, true}, [3]bool{true, false, false})
		r.edit(t, f.file, trash)
		r.edit(t, f.folder, untrash)
		see([3]bool{false, false, true}, [3]bool{false, false, true})
		r.edit(t, f.kid, trash)
		r.edit(t, f.file, untrash)
		see([3]bool{false, true, true}, [3]bool{false, true, false})
		r.edit(t, f.file, under(r.rootID))
		see([3]bool{false, true, false}, [3]bool{false, true, false})
		r.edit(t, f.file, under(f.kid))
		r.edit(t, f.kid, untrash)
		see([3]bool{}, [3]bool{})
	}
}

func TestAFileInATreesTrashIsInTheTrash(t *testing.T) {
	r := inForest(t)
	folder := pick(t, mustTree(t, forest, 0), func(it *corpus.Item) bool { return it.Kind == corpus.Folder && it.Trashed })
	f, err := r.Get(r.file(t, folder, "file", "text"))
	require.NoError(t, err)
	require.True(t, f.Trashed)
	require.False(t, f.ExplicitlyTrashed)
	r.edit(t, folder, untrash)
	f, err = r.Get(f.ID)
	require.NoError(t, err)
	require.False(t, f.Trashed)
}

func TestDeletingAFolderTakesWhatLiesBelow(t *testing.T) {
	r := inForest(t)
	for name, f := range families(t, r) {
		saved := r.file(t, f.kid, "saved", "moved out in time")
		r.edit(t, saved, under(RootAlias))
		require.NoError(t, r.Delete(f.folder), name)
		for _, id := range []string{f.folder, f.kid, f.file} {
			_, err := r.Get(id)
			require.ErrorIs(t, err, ErrNotFound, name)
			_, err = r.Alter(id)
			require.ErrorIs(t, err, ErrNotFound, name)
			_, err = r.Copy(id, func(*resource.File) error { return nil })
			require.ErrorIs(t, err, ErrNotFound, name)
			_, err = r.Revisions(id)
			require.ErrorIs(t, err, ErrNotFound, name)
			_, err = r.Create(resource.File{Parent: id})
			require.ErrorIs(t, err, ErrNoParent, name)
			require.ErrorIs(t, r.Delete(id), ErrNotFound, name)
			require.NotContains(t, r.ids(t, Scope{}, 1000), id, name)
		}
		_, err := r.Get(saved)
		require.NoError(t, err, name)
	}
}

func TestIdsThatAreTakenAreRefused(t *testing.T) {
	r := inForest(t)
	tree := mustTree(t, forest, 0)
	own, gone := r.NewID(), tree.ID(5)
	require.NoError(t, r.Delete(gone))
	_, err := r.Create(resource.File{ID: own})
	require.NoError(t, err)
	for name, id := range map[string]string{
		"own": own, "a tree's": tree.ID(6), "a tree's that was deleted": gone, "a root": r.rootID, "app data": appDataID,
	} {
		_, err := r.Create(resource.File{ID: id})
		require.ErrorIs(t, err, ErrExists, name)
	}
	require.NoError(t, r.Delete(own))
	_, err = r.Create(resource.File{ID: own})
	require.NoError(t, err, "free again")
}

func TestAFileBelongsToTheDriveOfItsFolder(t *testing.T) {
	r := inForest(t)
	shared := mustTree(t, team, 0)
	for name, c := range map[string]struct {
		parent, drive, space string
		owned                bool
	}{
		"nowhere": {"", "", "", true}, "My Drive": {RootAlias, "", "", true},
		"app data": {AppDataAlias, "", AppDataAlias, true},
		"a drive":  {shared.ID(0), shared.ID(0), "", false}, "a drive's folder": {shared.ID(1), shared.ID(0), "", false},
	} {
		made, err := r.Create(resource.File{Parent: c.parent, DriveID: "of the caller", Space: "of the caller"})
		require.NoError(t, err)
		moved := made
		if c.parent != "" {
			moved = r.edit(t, r.file(t, RootAlias, "moved", "text"), under(c.parent))
		}
		for _, f := range []Found{made, moved} {
			require.Equal(t, c.drive, f.DriveID, name)
			require.Equal(t, c.space, f.Space, name)
		}
		require.Equal(t, c.owned, made.Owner != nil, name)
	}
	back := r.edit(t, r.file(t, shared.ID(0), "theirs", "text"), under(RootAlias))
	require.Empty(t, back.DriveID)
	require.NotNil(t, back.Owner, "what is moved out of a drive has an owner")
}

func TestMovesThatDriveRefuses(t *testing.T) {
	r := inForest(t)
	tree, shared := mustTree(t, forest, 0), mustTree(t, team, 0)
	top := r.newFolder(t, RootAlias, "top")
	mid := r.newFolder(t, top, "mid")
	low := r.newFolder(t, mid, "low")
	file := r.file(t, low, "file", "text")
	folder, deleted := tree.ID(1), r.newFolder(t, RootAlias, "deleted")
	require.NoError(t, r.Delete(deleted))
	for name, c := range map[string]struct {
		id, parent string
		want       error
	}{
		"nowhere":                  {file, "1nowhere", ErrNoParent},
		"into a deleted folder":    {file, deleted, ErrNoParent},
		"into a file":              {top, file, ErrNotFolder},
		"into itself":              {top, top, ErrCycle},
		"into its grandchild":      {top, low, ErrCycle},
		"a tree's into its own":    {folder, r.newFolder(t, folder, "below"), ErrCycle},
		"a folder to another side": {top, shared.ID(0), ErrOtherSide},
		"a folder from a drive":    {shared.ID(1), RootAlias, ErrOtherSide},
		"the root":                 {RootAlias, top, ErrRoot},
		"a drive's root":           {shared.ID(0), shared.ID(1), ErrRoot},
		"sideways":                 {low, top, nil},
		"a tree's folder":          {folder, low, nil},
	} {
		before, err := r.Get(c.id)
		require.NoError(t, err)
		_, err = r.Update(c.id, false, func(f *resource.File) error { f.Parent = c.parent; return nil })
		require.ErrorIs(t, err, c.want, name)
		if c.want != nil {
			after, err := r.Get(c.id)
			require.NoError(t, err)
			require.Equal(t, before.File, after.File, "%s: a move that is refused changes nothing", name)
		}
	}
	_, err := r.Update(RootAlias, false, func(f *resource.File) error { trash(f); return nil })
	require.ErrorIs(t, err, ErrRoot)
	require.ErrorIs(t, r.Delete(RootAlias), ErrRoot)
	require.ErrorIs(t, r.Delete(shared.ID(0)), ErrRoot)
}

func TestAnUpdateThatIsRefusedChangesNothing(t *testing.T) {
	r := inForest(t)
	tree := mustTree(t, forest, 0)
	refused := errors.New("refused")
	for _, id := range []string{r.file(t, RootAlias, "own", "text"), pick(t, tree, isPlain)} {
		before, err := r.Get(id)
		require.NoError(t, err)
		token, used := r.NextChange(), r.blobs.Used()
		content := r.blob(t, "new")
		_, err = r.Update(id, false, func(f *resource.File) error {
			f.Name, f.Content = "new", content
			return refused
		})
		require.ErrorIs(t, err, refused)
		require.Equal(t, used+3, r.blobs.Used(), "the content stays the caller's")
		content.Release()
		require.Equal(t, used, r.blobs.Used())
		_, err = r.Copy(id, func(*resource.File) error { return refused })
		require.ErrorIs(t, err, refused)
		require.ErrorIs(t, r.EditRevisions(id, func(revs []Revision) ([]Revision, error) {
			revs[0].KeepForever = true
			return nil, refused
		}), refused)
		revs, err := r.Revisions(id)
		require.NoError(t, err)
		require.False(t, revs[0].KeepForever)
		after, err := r.Get(id)
		require.NoError(t, err)
		require.Equal(t, describe(t, before.File), describe(t, after.File))
		require.Equal(t, token, r.NextChange())
	}
}

func TestVersionsGrowAndIdsStay(t *testing.T) {
	r := inForest(t)
	for _, id := range []string{r.file(t, RootAlias, "own", "text"), pick(t, mustTree(t, forest, 0), isPlain)} {
		for version := int64(2); version < 4; version++ {
			f := r.edit(t, id, func(f *resource.File) { f.ID, f.Version, f.Name = "another", 77, "new" })
			require.Equal(t, id, f.ID)
			require.Equal(t, version, f.Version)
		}
		f, err := r.Alter(id)
		require.NoError(t, err)
		require.EqualValues(t, 4, f.Version)
	}
}

func TestTheOverlayHasABound(t *testing.T) {
	r := inForest(t, func(c *Config) { c.MaxFiles = 3 })
	tree := mustTree(t, forest, 0)
	plain := pick(t, tree, isPlain)
	own := r.file(t, RootAlias, "own", "text") // beside the folder of the app's data
	r.file(t, RootAlias, "second", "text")
	nothing := func(*resource.File) error { return nil }
	content := r.blob(t, "too much")
	for name, do := range map[string]func() error{
		"create":          func() error { _, err := r.Create(resource.File{Content: content}); return err },
		"copy":            func() error { _, err := r.Copy(own, nothing); return err },
		"change a tree's": func() error { _, err := r.Update(plain, false, nothing); return err },
	} {
		require.ErrorIs(t, do(), ErrFull, name)
	}
	require.EqualValues(t, 4+4+8, r.blobs.Used(), "the content of a refused file stays the caller's")
	content.Release()
	r.edit(t, own, func(f *resource.File) { f.Name = "changed" })
	require.NoError(t, r.Delete(own))
	r.file(t, RootAlias, "third", "text")
	_, err := r.Get(plain)
	require.NoError(t, err)
}

func TestEmptyTrashTakesWhatItsDriveThrewAway(t *testing.T) {
	r := inForest(t)
	tree, shared := mustTree(t, forest, 0), mustTree(t, team, 0)
	folder := r.newFolder(t, RootAlias, "folder")
	inFolder := r.file(t, folder, "in it", "text")
	theirs := r.file(t, shared.ID(0), "theirs", "text")
	r.edit(t, folder, trash)
	r.edit(t, inFolder, trash) // gone with the folder, and on its own
	r.edit(t, theirs, trash)
	others := pick(t, tree, func(it *corpus.Item) bool { return it.SharedWithMe && !it.Trashed })
	r.edit(t, others, trash) // its owner keeps it
	kept := pick(t, tree, func(it *corpus.Item) bool { return it.ExplicitlyTrashed && !it.SharedWithMe })
	r.edit(t, kept, untrash)
	gone := func(id string) bool {
		_, err := r.Get(id)
		return errors.Is(err, ErrNotFound)
	}
	require.NoError(t, r.EmptyTrash(""))
	require.True(t, gone(folder) && gone(inFolder))
	require.False(t, gone(kept) || gone(theirs) || gone(others))
	seen := 0
	for n := range tree.Len() {
		it := tree.Item(n)
		if tree.ID(n) == kept {
			continue
		}
		seen++
		above := it.Parent >= 0 && gone(tree.ID(it.Parent))
		require.Equal(t, it.ExplicitlyTrashed && !it.SharedWithMe || above, gone(tree.ID(n)), "item %d", n)
	}
	require.Positive(t, seen)
	require.NoError(t, r.EmptyTrash(shared.ID(0)))
	require.True(t, gone(theirs))
	for n := range shared.Len() {
		require.Equal(t, shared.Item(n).Trashed, gone(shared.ID(n)), "item %d of the drive", n)
	}
	require.NoError(t, r.EmptyTrash(""), "empty already")
}
