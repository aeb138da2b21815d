package store

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/fault/control"
	"github.com/memsoak/memsoak/fakedrive/internal/blob"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
)

// forest has a bit of everything: folders three deep, all kinds of files, each flag and a folder in the trash.
var forest = &corpus.Spec{
	Name: "forest", Seed: 7, Files: 60, Folders: 30, Depth: 3, Size: corpus.Uniform(1, 2000),
	ExportSize: corpus.Fixed(500),
	Documents:  corpus.Amount{Count: 4}, Shortcuts: corpus.Amount{Count: 3}, Dangling: corpus.Amount{Count: 1},
	Starred: corpus.Amount{Count: 7}, SharedWithMe: corpus.Amount{Count: 6}, Trashed: corpus.Amount{Count: 5},
	TrashedFolders: corpus.Amount{Count: 2},
}

// team is a tree that is a shared drive.
var team = &corpus.Spec{Name: "team", Seed: 8, Files: 20, Folders: 4, Size: corpus.Fixed(100), SharedDrive: "Team",
	Trashed: corpus.Amount{Count: 2}}

// rig is a store and what it stands on. Its clock goes a second further with each look.
type rig struct {
	*Store
	blobs *blob.Store
	ctl   *control.Control
	dir   string
}

// newRig makes a store in the folder dir, with edits to its configuration.
func newRig(t *testing.T, dir string, edits ...func(*Config)) *rig {
	t.Helper()
	r := &rig{blobs: blob.New(filepath.Join(dir, "contents"), 0, 1<<30), ctl: control.New(fault.Options{}), dir: dir}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := Config{Control: r.ctl, Me: corpus.Account(), MaxFiles: 10_000, Blobs: r.blobs, Now: func() time.Time {
		at = at.Add(time.Second)
		return at
	}}
	for _, edit := range edits {
		edit(&c)
	}
	var err error
	r.Store, err = New(c)
	require.NoError(t, err)
	return r
}

// inForest is a store with the forest in My Drive and the team's drive beside it.
func inForest(t *testing.T, edits ...func(*Config)) *rig {
	t.Helper()
	return forestIn(t, t.TempDir(), edits...)
}

func forestIn(t *testing.T, dir string, edits ...func(*Config)) *rig {
	t.Helper()
	r := newRig(t, dir, append([]func(*Config){func(c *Config) { c.Main = forest }}, edits...)...)
	_, err := r.AddTree(team, 0)
	require.NoError(t, err)
	return r
}

// blob keeps a content, as an upload does.
func (r *rig) blob(t *testing.T, text string) *blob.Blob {
	t.Helper()
	w := r.blobs.Create()
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	b, err := w.Commit()
	require.NoError(t, err)
	return b
}

// file makes a file with a content below a parent.
func (r *rig) file(t *testing.T, parent, name, text string) string {
	t.Helper()
	f, err := r.Create(resource.File{Name: name, Parent: parent, MimeType: "text/plain", Content: r.blob(t, text)})
	require.NoError(t, err)
	return f.ID
}

func (r *rig) newFolder(t *testing.T, parent, name string) string {
	t.Helper()
	f, err := r.Create(resource.File{Name: name, Parent: parent, MimeType: resource.Folder})
	require.NoError(t, err)
	return f.ID
}

// edit updates a file that is there.
func (r *rig) edit(t *testing.T, id string, edit func(f *resource.File)) Found {
	t.Helper()
	f, err := r.Update(id, false, func(f *resource.File) error {
		edit(f)
		return nil
	})
	require.NoError(t, err)
	return f
}

func trash(f *resource.File)   { f.ExplicitlyTrashed = true }
func untrash(f *resource.File) { f.ExplicitlyTrashed = false }

func under(parent string) func(*resource.File) {
	return func(f *resource.File) { f.Parent = parent }
}

func mustTree(t *testing.T, spec *corpus.Spec, generation uint64) *corpus.Tree {
	t.Helper()
	tree, err := corpus.New(spec, generation)
	require.NoError(t, err)
	return tree
}

// pick returns the id of the first item of a tree that a test wants.
func pick(t *testing.T, tree *corpus.Tree, want func(it *corpus.Item) bool) string {
	t.Helper()
	for n := int64(1); n < tree.Len(); n++ {
		if it := tree.Item(n); want(&it) {
			return tree.ID(n)
		}
	}
	t.Fatal("the tree has no such item")
	return ""
}

func isPlain(it *corpus.Item) bool {
	return it.Kind == corpus.Binary && !it.Trashed && !it.Starred && !it.SharedWithMe
}

func contentText(t *testing.T, c resource.Content) string {
	t.Helper()
	in, err := c.Open(0)
	require.NoError(t, err)
	defer in.Close()
	all, err := io.ReadAll(in)
	require.NoError(t, err)
	return string(all)
}

// describe is all of a file that a client can see, to be compared.
func describe(t *testing.T, f *resource.File) string {
	t.Helper()
	c := *f
	var content, owner string
	if c.Content != nil {
		content = fmt.Sprintf("%x", c.Content.Sums(corpus.AllHashes).SHA256) + " " + contentText(t, c.Content)
	}
	if c.Owner != nil {
		owner = fmt.Sprint(*c.Owner)
	}
	c.Content, c.Owner = nil, nil
	return fmt.Sprintf("%+v %s %s", c, owner, content)
}

// ids walks a scope in pages of a number of files and returns the ids in their order.
func (r *rig) ids(t *testing.T, sc Scope, page int) (list []string) {
	t.Helper()
	for at, more := (Position{}), true; more; {
		var err error
		at, more, err = r.Scan(sc, at, page, func(f Found, _ Position) bool {
			list = append(list, f.ID)
			return true
		})
		require.NoError(t, err)
	}
	return list
}

func TestTreesAreTheSameFilesWheneverTheyAreBuilt(t *testing.T) {
	r := inForest(t)
	tree := mustTree(t, forest, 0)
	before := make([]string, tree.Len())
	for n := range before {
		f, err := r.Get(tree.ID(int64(n)))
		require.NoError(t, err)
		require.Equal(t, int64(n), f.Ordinal)
		before[n] = describe(t, f.File)
	}
	for g := range uint64(maxTrees + 1) { // the forest is put away
		_, err := r.AddTree(&corpus.Spec{Name: "small", Files: 3}, g)
		require.NoError(t, err)
	}
	require.False(t, r.trees.Contains(tree.Key()))
	other := inForest(t)
	for n := range before {
		f, err := r.Get(tree.ID(int64(n)))
		require.NoError(t, err)
		require.Equal(t, before[n], describe(t, f.File), "rebuilt")
		f, err = other.Get(tree.ID(int64(n)))
		require.NoError(t, err)
		require.Equal(t, before[n], describe(t, f.File), "in another store")
	}
}

func TestIdsOfOtherTreesAreNotFound(t *testing.T) {
	r := inForest(t)
	tree, next := mustTree(t, forest, 0), mustTree(t, forest, 1)
	for name, id := range map[string]string{
		"past the end": tree.ID(tree.Len()), "of another generation": next.ID(1), "no id": "x", "empty": "",
		"a letter changed": tree.ID(1)[:20] + swap(tree.ID(1)[20:21]) + tree.ID(1)[21:],
	} {
		_, err := r.Get(id)
		require.ErrorIs(t, err, ErrNotFound, name)
		_, err = r.Update(id, false, func(*resource.File) error { return nil })
		require.ErrorIs(t, err, ErrNotFound, name)
		require.ErrorIs(t, r.Delete(id), ErrNotFound, name)
	}
	_, err := r.AddTree(forest, 1)
	require.NoError(t, err)
	_, err = r.Get(next.ID(1))
	require.NoError(t, err, "served now")
}

func swap(s string) string {
	if s == "A" {
		return "B"
	}
	return "A"
}

func TestRootsHaveTheirAliasesAndNames(t *testing.T) {
	for name, r := range map[string]*rig{
		"empty": newRig(t, t.TempDir()), "with a tree": inForest(t),
		"with a tree of a drive": newRig(t, t.TempDir(), func(c *Config) { c.Main = team }),
	} {
		for alias, want := range map[string]string{RootAlias: "My Drive", AppDataAlias: "appDataFolder"} {
			f, err := r.Get(alias)
			require.NoError(t, err, name)
			require.Equal(t, want, f.Name, name)
			require.True(t, f.Root && f.IsFolder(), name)
			byID, err := r.Get(f.ID)
			require.NoError(t, err, name)
			require.Equal(t, f.ID, byID.ID)
		}
		for _, d := range r.Drives() {
			f, err := r.Get(d.ID)
			require.NoError(t, err)
			require.Equal(t, "Drive", f.Name)
			require.True(t, f.Root)
			require.Nil(t, f.Owner)
		}
	}
}

func TestFilesOfATreeAreCountedOnce(t *testing.T) {
	r := inForest(t)
	tree := mustTree(t, forest, 0)
	f, err := r.Get(tree.ID(3))
	require.NoError(t, err)
	f.Listed()
	f.Listed()
	require.EqualValues(t, 1, r.ctl.Counters().Backlog)
	f = r.edit(t, f.ID, func(f *resource.File) { f.Name = "renamed" })
	f.Listed() // the same file, in the overlay
	require.EqualValues(t, 1, r.ctl.Counters().Backlog)
	f.Done()
	f.Done()
	require.Zero(t, r.ctl.Counters().Backlog)
	own, err := r.Get(r.file(t, RootAlias, "own", "text"))
	require.NoError(t, err)
	own.Listed() // a client's own file is no work to be done
	own.Done()
	require.Zero(t, r.ctl.Counters().Backlog)
}

func TestSettingsMarkFilesOfTrees(t *testing.T) {
	r := inForest(t, func(c *Config) { c.ResourceKeys, c.AbusiveEvery = true, 5 })
	tree := mustTree(t, forest, 0)
	keys, abusive := 0, 0
	for n := range tree.Len() {
		f, err := r.Get(tree.ID(n))
		require.NoError(t, err)
		it := tree.Item(n)
		require.Equal(t, it.SharedWithMe, f.ResourceKey != "", "item %d", n)
		require.Equal(t, n%5 == 0 && it.Kind == corpus.Binary, f.Abusive, "item %d", n)
		if f.ResourceKey != "" {
			keys++
		}
		if f.Abusive {
			abusive++
		}
	}
	require.Positive(t, keys)
	require.Positive(t, abusive)
}

func TestTreesBeyondTheBoundForgetTheOldestWithoutChanges(t *testing.T) {
	r := inForest(t)
	small := &corpus.Spec{Name: "small", Files: 1, Size: corpus.Fixed(1)}
	for g := range uint64(maxSources) {
		_, err := r.AddTree(small, g)
		require.NoError(t, err)
		if g == 1 {
			r.edit(t, mustTree(t, small, 1).ID(1), trash)
		}
	}
	require.Len(t, r.sources, maxSources)
	for what, c := range map[string]struct {
		id   string
		gone bool
	}{
		"the oldest": {mustTree(t, small, 0).ID(1), true}, "one with a change": {mustTree(t, small, 1).ID(1), false},
		"the second oldest": {mustTree(t, small, 2).ID(0), true}, "My Drive": {mustTree(t, forest, 0).ID(1), false},
		"the shared drive": {mustTree(t, team, 0).ID(1), false}, "a new one": {mustTree(t, small, maxSources-1).ID(1), false},
	} {
		_, err := r.Get(c.id)
		if c.gone {
			require.ErrorIs(t, err, ErrNotFound, what)
			continue
		}
		require.NoError(t, err, what)
	}
}

func TestATreeThatIsNoTreeIsRefused(t *testing.T) {
	r := newRig(t, t.TempDir())
	_, err := r.AddTree(&corpus.Spec{Name: "wrong", Files: -1}, 0)
	require.ErrorContains(t, err, "build the tree of corpus wrong: corpus: files: ")
	require.Empty(t, r.Drives())
	before, err := r.AddTree(team, 0)
	require.NoError(t, err)
	again, err := r.AddTree(team, 0)
	require.NoError(t, err)
	require.Equal(t, before, again)
	require.Len(t, r.Drives(), 1)
	require.True(t, slices.ContainsFunc(r.Drives(), func(d Drive) bool {
		return d.ID == before.RootID && d.Name == "Team" && strings.HasPrefix(d.ID, "1")
	}))
}
