package store

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
)

// treeIDs are the ids of the items of a tree that keep takes, in the tree's order.
func treeIDs(tree *corpus.Tree, keep func(n int64, it *corpus.Item) bool) (ids []string) {
	for n := range tree.Len() {
		if it := tree.Item(n); keep(n, &it) {
			ids = append(ids, tree.ID(n))
		}
	}
	return ids
}

func below(n int64, _ *corpus.Item) bool { return n > 0 }

func childrenOf(parent int64) func(int64, *corpus.Item) bool {
	return func(_ int64, it *corpus.Item) bool { return it.Parent == parent }
}

// scopes are places to look in, with the items of the two trees that are there.
func scopes(main, shared *corpus.Tree) map[string]struct {
	Scope
	want []string
} {
	starred, trashed, with := corpus.Starred, corpus.Trashed, corpus.SharedWithMe
	return map[string]struct {
		Scope
		want []string
	}{
		"My Drive":           {Scope{}, treeIDs(main, below)},
		"My Drive, by space": {Scope{Space: "drive"}, treeIDs(main, below)},
		"a shared drive":     {Scope{DriveID: shared.ID(0)}, treeIDs(shared, below)},
		"all drives":         {Scope{AllDrives: true}, append(treeIDs(main, below), treeIDs(shared, below)...)},
		"another drive":      {Scope{DriveID: "0Anowhere"}, nil},
		"app data":           {Scope{Space: AppDataAlias}, nil},
		"another space":      {Scope{Space: "photos"}, nil},
		"the root":           {Scope{Parents: []string{RootAlias}}, treeIDs(main, childrenOf(0))},
		"the root, twice":    {Scope{Parents: []string{RootAlias, main.ID(0)}}, treeIDs(main, childrenOf(0))},
		"two folders": {Scope{Parents: []string{main.ID(2), main.ID(1)}},
			slices.Concat(treeIDs(main, childrenOf(2)), treeIDs(main, childrenOf(1)))},
		"a file":          {Scope{Parents: []string{main.ID(main.Len() - 1)}}, nil},
		"a shared folder": {Scope{Parents: []string{shared.ID(0)}, AllDrives: true}, treeIDs(shared, childrenOf(0))},
		"starred":         {Scope{Flag: &starred}, treeIDs(main, func(_ int64, it *corpus.Item) bool { return it.Starred })},
		"shared with me": {Scope{Flag: &with},
			treeIDs(main, func(_ int64, it *corpus.Item) bool { return it.SharedWithMe })},
		"in a drive's trash": {Scope{Flag: &trashed, DriveID: shared.ID(0)},
			treeIDs(shared, func(_ int64, it *corpus.Item) bool { return it.ExplicitlyTrashed })},
	}
}

func TestPagesOfAnySizeListEachFileOnce(t *testing.T) {
	r := inForest(t)
	for name, c := range scopes(mustTree(t, forest, 0), mustTree(t, team, 0)) {
		whole := r.ids(t, c.Scope, 1000)
		require.ElementsMatch(t, c.want, whole, name)
		if c.Flag == nil {
			require.Equal(t, c.want, whole, "%s: in the order of the tree", name)
		}
		for _, page := range []int{1, 2, 7} {
			require.Equal(t, whole, r.ids(t, c.Scope, page), "%s in pages of %d", name, page)
		}
	}
}

func TestAFileThatIsNotTakenIsTheNextPagesFirst(t *testing.T) {
	r := inForest(t)
	r.file(t, RootAlias, "own", "text")
	var all []string
	for at, more := (Position{}), true; more; {
		taken := 0
		var err error
		at, more, err = r.Scan(Scope{}, at, 1000, func(f Found, _ Position) bool {
			if taken == 3 {
				return false
			}
			taken++
			all = append(all, f.ID)
			return true
		})
		require.NoError(t, err)
	}
	require.Equal(t, r.ids(t, Scope{}, 1000), all)
}

func TestParentsThatAreNotInScopeAreNotFound(t *testing.T) {
	r := inForest(t)
	shared := mustTree(t, team, 0)
	deleted := r.newFolder(t, RootAlias, "deleted")
	require.NoError(t, r.Delete(deleted))
	for name, sc := range map[string]Scope{
		"none":                        {Parents: []string{"1nowhere"}},
		"one of two":                  {Parents: []string{RootAlias, "1nowhere"}},
		"deleted":                     {Parents: []string{deleted}},
		"of a shared drive":           {Parents: []string{shared.ID(0)}},
		"of My Drive, in a drive":     {Parents: []string{RootAlias}, DriveID: shared.ID(0)},
		"of My Drive, among app data": {Parents: []string{RootAlias}, Space: AppDataAlias},
	} {
		_, _, err := r.Scan(sc, Position{}, 10, func(Found, Position) bool { return true })
		require.ErrorIs(t, err, ErrNotFound, name)
	}
}

func TestOwnFilesAreListedWhereTheyWerePut(t *testing.T) {
	r := inForest(t)
	main, shared := mustTree(t, forest, 0), mustTree(t, team, 0)
	mine := r.file(t, RootAlias, "mine", "1")
	deep := r.file(t, main.ID(1), "in a tree's folder", "2")
	theirs := r.file(t, shared.ID(1), "in the drive", "3")
	hidden := r.file(t, AppDataAlias, "settings", "4")
	d, err := r.AddDrive("new")
	require.NoError(t, err)
	inNew := r.file(t, d.ID, "in a new drive", "5")
	for name, c := range map[string]struct {
		Scope
		want []string
	}{
		"My Drive":         {Scope{}, []string{mine, deep}},
		"a shared drive":   {Scope{DriveID: shared.ID(0)}, []string{theirs}},
		"the new drive":    {Scope{DriveID: d.ID}, []string{inNew}},
		"all":              {Scope{AllDrives: true}, []string{mine, deep, theirs, inNew}},
		"app data":         {Scope{Space: AppDataAlias}, []string{hidden}},
		"the app's folder": {Scope{Space: AppDataAlias, Parents: []string{AppDataAlias}}, []string{hidden}},
		"a folder":         {Scope{Parents: []string{main.ID(1)}}, []string{deep}},
	} {
		got := slices.DeleteFunc(r.ids(t, c.Scope, 5), func(id string) bool {
			_, _, inTree := r.locate(id)
			return inTree
		})
		require.Equal(t, c.want, got, name)
	}
}

// TestListingsUnderWayMissNothing changes files ahead of a listing and behind it: each file that is there all the
// time is listed once.
func TestListingsUnderWayMissNothing(t *testing.T) {
	main, shared := mustTree(t, forest, 0), mustTree(t, team, 0)
	changes := map[string]func(r *rig, id string) error{
		"altered": func(r *rig, id string) error { _, err := r.Alter(id); return err },
		"renamed": func(r *rig, id string) error {
			_, err := r.Update(id, false, func(f *resource.File) error { f.Name = "renamed"; return nil })
			return err
		},
		"starred": func(r *rig, id string) error {
			_, err := r.Update(id, false, func(f *resource.File) error { f.Starred = true; return nil })
			return err
		},
	}
	for scope, c := range scopes(main, shared) {
		for change, do := range changes {
			t.Run(fmt.Sprintf("%s/%s", scope, change), func(t *testing.T) {
				r := inForest(t)
				var all []string
				for at, more, k := (Position{}), true, 0; more; k++ {
					var err error
					at, more, err = r.Scan(c.Scope, at, 3, func(f Found, _ Position) bool {
						all = append(all, f.ID)
						return true
					})
					require.NoError(t, err)
					for _, i := range []int{k, len(c.want) - 1 - k, 3 * k} {
						if i >= 0 && i < len(c.want) {
							_ = do(r, c.want[i]) // a folder has no content to be altered
						}
					}
				}
				require.ElementsMatch(t, c.want, all)
				require.ElementsMatch(t, c.want, slices.Compact(slices.Sorted(slices.Values(all))), "once each")
			})
		}
	}
}

func TestItemsOfATreeAreListedWhereTheyWereMoved(t *testing.T) {
	r := inForest(t)
	main, shared := mustTree(t, forest, 0), mustTree(t, team, 0)
	starred := corpus.Starred
	var moved [4]corpus.Item // in folders of which none is the target
	k := 0
	pick(t, main, func(it *corpus.Item) bool {
		if isPlain(it) && it.Parent > 0 && it.Parent != 2 {
			moved[k] = *it
			k++
		}
		return k == len(moved)
	})
	old := func(k int) Scope { return Scope{Parents: []string{main.ID(moved[k].Parent)}} }
	for k, c := range []struct {
		name   string
		change func(*resource.File)
		in     []Scope
		notIn  []Scope
	}{
		{"to another folder", under(main.ID(2)),
			[]Scope{{}, {Parents: []string{main.ID(2)}}}, []Scope{old(0)}},
		{"to a drive", under(shared.ID(1)),
			[]Scope{{AllDrives: true}, {DriveID: shared.ID(0)}, {DriveID: shared.ID(0), Parents: []string{shared.ID(1)}}},
			[]Scope{{}, old(1)}},
		{"to the app's data", under(AppDataAlias),
			[]Scope{{Space: AppDataAlias}, {Space: AppDataAlias, Parents: []string{AppDataAlias}}},
			[]Scope{{}, {AllDrives: true}, old(2)}},
		{"to the starred", func(f *resource.File) { f.Starred = true },
			[]Scope{{}, {Flag: &starred}, old(3)}, []Scope{{DriveID: shared.ID(0)}}},
	} {
		id := main.ID(moved[k].Ordinal)
		r.edit(t, id, c.change)
		for _, sc := range c.in {
			require.Contains(t, r.ids(t, sc, 10), id, "%s: %+v", c.name, sc)
		}
		for _, sc := range c.notIn {
			require.NotContains(t, r.ids(t, sc, 10), id, "%s: %+v", c.name, sc)
		}
	}
}

func TestATreeAddedDuringAListingComesBehindIt(t *testing.T) {
	r := inForest(t)
	first := 0
	at, more, err := r.Scan(Scope{}, Position{}, 50, func(Found, Position) bool {
		first++
		return true
	})
	require.NoError(t, err)
	require.True(t, more)
	added, err := r.AddTree(&corpus.Spec{Name: "added", Files: 2, Size: corpus.Fixed(1)}, 0)
	require.NoError(t, err)
	var last []string
	_, more, err = r.Scan(Scope{}, at, 1000, func(f Found, _ Position) bool {
		last = append(last, f.ID)
		return true
	})
	require.NoError(t, err)
	require.False(t, more)
	require.Len(t, last, int(mustTree(t, forest, 0).Len())-1-first+3)
	require.Equal(t, added.RootID, last[len(last)-3], "a tree of a run is a folder without a parent")
}

func TestAPositionKeepsItsFileUntilItIsGone(t *testing.T) {
	r := inForest(t)
	own := r.file(t, RootAlias, "own", "text")
	places := map[string]Position{}
	_, _, err := r.Scan(Scope{}, Position{}, 1000, func(f Found, p Position) bool {
		places[f.ID] = p
		return true
	})
	require.NoError(t, err)
	plain := pick(t, mustTree(t, forest, 0), isPlain)
	for _, id := range []string{own, plain} {
		f, ok := r.At(Scope{}, places[id])
		require.True(t, ok)
		require.Equal(t, id, f.ID)
		r.edit(t, id, func(f *resource.File) { f.Name = "renamed" })
		f, ok = r.At(Scope{}, places[id])
		require.True(t, ok, "changed since")
		require.Equal(t, "renamed", f.Name)
		require.NoError(t, r.Delete(id))
		_, ok = r.At(Scope{}, places[id])
		require.False(t, ok)
	}
}

func TestWhatAtReturnsIsTheCallersOwn(t *testing.T) {
	r := inForest(t)
	plain := pick(t, mustTree(t, forest, 0), isPlain)
	var place Position
	_, _, err := r.Scan(Scope{}, Position{}, 1000, func(f Found, p Position) bool {
		if f.ID == plain {
			place = p
		}
		return true
	})
	require.NoError(t, err)
	f, ok := r.At(Scope{}, place)
	require.True(t, ok)
	want := describe(t, f.File)
	r.ids(t, Scope{}, 1000)
	require.Equal(t, want, describe(t, f.File))
	got, err := r.Get(plain)
	require.NoError(t, err)
	require.Equal(t, describe(t, got.File), want)
}
