package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
)

const journalFile = "journal.ndjson"

// kept is a store in dir that keeps its state there.
func kept(t *testing.T, dir string, edits ...func(*Config)) *rig {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "contents"), 0o700))
	r := forestIn(t, dir, edits...)
	require.NoError(t, r.Open(filepath.Join(dir, journalFile)))
	return r
}

// state is all that clients can see of a store, by id, but for the times of its roots, which are those of its start.
func (r *rig) state(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, sc := range []Scope{{AllDrives: true}, {Space: AppDataAlias}} {
		for _, id := range r.ids(t, sc, 1000) {
			f, err := r.Get(id)
			require.NoError(t, err)
			all[id] = describe(t, f.File)
			revs, err := r.Revisions(id)
			require.NoError(t, err)
			for _, v := range revs {
				if v.Content == nil {
					continue
				}
				all[id+" "+v.ID] = contentText(t, v.Content) + v.Modified.String() + v.MimeType + v.OriginalFilename
				if v.KeepForever {
					all[id+" "+v.ID] += " forever"
				}
			}
		}
	}
	for _, d := range r.Drives() {
		all[d.ID] = d.Name + d.Created.String()
		if d.Hidden {
			all[d.ID] += " hidden"
		}
	}
	return all
}

func TestStateSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	r := kept(t, dir)
	tree, shared := mustTree(t, forest, 0), mustTree(t, team, 0)
	folder := r.newFolder(t, RootAlias, "folder")
	own := r.file(t, folder, "own", "text")
	r.write(t, own, "second", true)
	hidden := r.file(t, AppDataAlias, "hidden", "settings")
	r.edit(t, r.file(t, shared.ID(0), "theirs", "in the trash"), trash)
	altered, twice := r.file(t, folder, "altered", "x"), r.file(t, folder, "altered twice", "y")
	for _, id := range []string{altered, twice, twice, pick(t, tree, isPlain)} {
		_, err := r.Alter(id)
		require.NoError(t, err)
	}
	_, err := r.Copy(pick(t, tree, isPlain), func(f *resource.File) error { f.Parent = folder; return nil })
	require.NoError(t, err)
	r.edit(t, tree.ID(1), func(f *resource.File) { f.Parent, f.Name = folder, "moved" })
	require.NoError(t, r.Delete(tree.ID(2)))
	gone := r.file(t, RootAlias, "gone", "gone")
	require.NoError(t, r.Delete(gone))
	r.edit(t, pick(t, tree, func(it *corpus.Item) bool { return it.Kind.Exportable() }), func(f *resource.File) {
		f.Properties, f.Starred = map[string]string{"a": "b"}, true
		f.Permissions = []resource.Permission{{ID: "1", Role: "reader", Type: "anyone"}}
	})
	d, err := r.AddDrive("drive")
	require.NoError(t, err)
	r.file(t, d.ID, "in the drive", "text")
	_, err = r.EditDrive(d.ID, func(d *Drive) { d.Hidden = true })
	require.NoError(t, err)
	token, total, thrown := r.NextChange(), int64(0), int64(0)
	want, order := r.state(t), r.ids(t, Scope{AllDrives: true}, 1000)
	total, thrown = r.Usage()
	used := r.blobs.Used()
	for restart := range 3 {
		if restart != 1 { // the second time it was killed
			require.NoError(t, r.Close())
		}
		r = kept(t, dir)
		require.Equal(t, want, r.state(t), "restart %d", restart)
		require.Equal(t, order, r.ids(t, Scope{AllDrives: true}, 1000))
		require.Equal(t, token, r.NextChange())
		gotTotal, gotThrown := r.Usage()
		require.Equal(t, []int64{total, thrown}, []int64{gotTotal, gotThrown})
		require.Equal(t, used, r.blobs.Used())
	}
	next := r.file(t, RootAlias, "after the restarts", "new")
	list := r.ids(t, Scope{Parents: []string{RootAlias}}, 1000)
	require.Equal(t, next, list[len(list)-1], "the last in its folder")
	require.NoError(t, r.Delete(hidden))
	require.Equal(t, used+int64(len("new")-len("settings")), r.blobs.Used(), "freed with its file")
}

func TestTheLastDriveStaysDeletedAfterARestart(t *testing.T) {
	dir := t.TempDir()
	r := kept(t, dir)
	d, err := r.AddDrive("drive")
	require.NoError(t, err)
	require.NoError(t, r.DeleteDrive(d.ID, false))
	require.Len(t, r.Drives(), 1)
	require.NoError(t, r.Close())
	require.Len(t, kept(t, dir).Drives(), 1, "only the tree's is there")
}

func TestTokensGrowAcrossRestarts(t *testing.T) {
	for name, change := range map[string]func(*rig) error{
		"a file": func(r *rig) error { _, err := r.Create(resource.File{}); return err },
		"a drive": func(r *rig) error {
			d, err := r.AddDrive("drive")
			if err == nil {
				err = r.DeleteDrive(d.ID, false)
			}
			return err
		},
		"nothing": func(*rig) error { return nil },
	} {
		dir := t.TempDir()
		r := kept(t, dir)
		require.NoError(t, change(r))
		token := r.NextChange()
		r = kept(t, dir) // it was killed
		require.Equal(t, token, r.NextChange(), name)
		_, _, ok := r.Changes(token, 10)
		require.True(t, ok, name)
		if token > firstToken {
			_, _, ok = r.Changes(token-1, 10)
			require.False(t, ok, "%s: changes are forgotten, and that is said", name)
		}
	}
}

func TestAJournalThatWasCutShortIsReadToTheCut(t *testing.T) {
	dir := t.TempDir()
	r := kept(t, dir)
	r.file(t, RootAlias, "whole", "text")
	want := r.state(t)
	require.NoError(t, r.Close())
	name := filepath.Join(dir, journalFile)
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	lines := strings.SplitAfter(string(text), "\n")
	cut := string(text) + lines[len(lines)-2][:10]
	require.NoError(t, os.WriteFile(name, []byte(cut), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "contents", "zz"), []byte("of an upload"), 0o600))
	r = kept(t, dir)
	require.Equal(t, want, r.state(t))
	require.NoFileExists(t, filepath.Join(dir, "contents", "zz"), "what no file refers to is removed")
	require.NoError(t, r.Close())
	require.Equal(t, want, kept(t, dir).state(t))
}

func TestAJournalThatCannotBeReadIsNotReplaced(t *testing.T) {
	file := func(name, content string) string {
		return `{"put":{"file":{"ID":"` + name + `"},"seq":9,"content":` + content + "}}\n"
	}
	tree := mustTree(t, &corpus.Spec{Name: "other", Files: 3, Size: corpus.Fixed(1)}, 0)
	for name, c := range map[string]struct{ text, want string }{
		"no JSON":           {"{}\nnonsense\n", "line 2: "},
		"no content":        {file("a", `{"blob":"1","sums":{}}`), "no such file"},
		"no sums":           {file("a", `{"blob":"1"}`), "state of a in "},
		"a path as a name":  {file("a", `{"blob":"../1","sums":{}}`), "bad name"},
		"a tree not served": {file("a", `{"tree":"`+tree.ID(1)+`"}`), "no tree has the item " + tree.ID(1)},
	} {
		dir := t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(dir, "contents"), 0o700))
		path := filepath.Join(dir, journalFile)
		require.NoError(t, os.WriteFile(path, []byte(c.text), 0o600))
		err := forestIn(t, dir).Open(path)
		require.ErrorContains(t, err, c.want, name)
		require.ErrorContains(t, err, path, name)
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, c.text, string(got), "%s: it is there to be looked at", name)
	}
}

func TestChangesToATreeThatIsNotServedAreLeftOut(t *testing.T) {
	dir := t.TempDir()
	r := kept(t, dir)
	plain := pick(t, mustTree(t, forest, 0), isPlain)
	r.edit(t, plain, func(f *resource.File) { f.Name = "renamed" })
	require.NoError(t, r.Close())
	r = kept(t, dir, func(c *Config) { c.Main = nil })
	_, err := r.Get(plain)
	require.ErrorIs(t, err, ErrNotFound)
	require.NoError(t, r.Close())
}

func TestAFullDiskIsSaidAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	r := kept(t, dir)
	require.NoError(t, r.log.f.Close())
	var err error
	r.log.f, err = os.Open(filepath.Join(dir, journalFile)) // which cannot be written
	require.NoError(t, err)
	id := r.file(t, RootAlias, "file", "text")
	_, err = r.Get(id)
	require.NoError(t, err, "the Drive continues")
	require.ErrorContains(t, r.Close(), "keep the state: ")
	require.NoError(t, newRig(t, t.TempDir()).Close(), "a store without a journal")
}
