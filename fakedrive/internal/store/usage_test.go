package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
)

// charged is the account's usage by looking at each file.
func charged(t *testing.T, r *rig) (total, thrown int64) {
	t.Helper()
	for _, sc := range []Scope{{}, {Space: AppDataAlias}} {
		_, _, err := r.Scan(sc, Position{}, 1_000_000, func(f Found, _ Position) bool {
			if n, ok := f.Size(); ok && f.Access(&r.me) == resource.Owns {
				total += n
				if f.Trashed {
					thrown += n
				}
			}
			return true
		})
		require.NoError(t, err)
	}
	return total, thrown
}

// expected are the errors with which the store refuses what a random client asks.
var expected = []error{ErrNotFound, ErrNoParent, ErrNotFolder, ErrCycle, ErrOtherSide, ErrRoot, ErrNotEmpty}

// act does one random thing to a random file.
func act(t *testing.T, r *rig, rnd *rand.Rand, trees []*corpus.Tree, own *[]string) error {
	t.Helper()
	some := func() string {
		if n := len(*own); n > 0 && rnd.IntN(2) == 0 {
			return (*own)[rnd.IntN(n)]
		}
		tree := trees[rnd.IntN(len(trees))]
		return tree.ID(rnd.Int64N(tree.Len()))
	}
	id, other := some(), some()
	update := func(edit func(*resource.File)) error {
		_, err := r.Update(id, false, func(f *resource.File) error { edit(f); return nil })
		return err
	}
	add := func(f Found, err error) error {
		if err == nil {
			*own = append(*own, f.ID)
		}
		return err
	}
	switch rnd.IntN(9) {
	case 0, 1:
		return update(trash)
	case 2:
		return update(untrash)
	case 3:
		return update(under(other))
	case 4:
		return r.Delete(id)
	case 5:
		return add(r.Create(resource.File{Parent: other, MimeType: resource.Folder}))
	case 6:
		content := r.blob(t, fmt.Sprint(rnd.Int64()))
		err := add(r.Create(resource.File{Parent: other, Content: content}))
		if err != nil {
			content.Release()
		}
		return err
	case 7:
		return add(r.Copy(id, func(f *resource.File) error { f.Parent = other; return nil }))
	}
	_, err := r.Alter(id)
	return err
}

func TestUsageIsTheSumOfTheFiles(t *testing.T) {
	trees := []*corpus.Tree{mustTree(t, forest, 0), mustTree(t, team, 0)}
	for seed := range uint64(20) {
		r := inForest(t)
		rnd := rand.New(rand.NewPCG(seed, 1))
		var own []string
		for step := range 100 {
			if err := act(t, r, rnd, trees, &own); err != nil {
				require.True(t, anyOf(err, expected), "seed %d, step %d: %v", seed, step, err)
			}
			total, thrown := r.Usage()
			wantTotal, wantThrown := charged(t, r)
			require.Equal(t, []int64{wantTotal, wantThrown}, []int64{total, thrown}, "seed %d, step %d", seed, step)
		}
		for _, drive := range []string{"", trees[1].ID(0)} {
			require.NoError(t, r.EmptyTrash(drive))
		}
		total, thrown := r.Usage()
		wantTotal, wantThrown := charged(t, r)
		require.Equal(t, []int64{wantTotal, wantThrown}, []int64{total, thrown}, "seed %d: the trash is empty", seed)
	}
}

func anyOf(err error, list []error) bool {
	for _, e := range list {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// TestReadersAndWritersBesideEachOther is for the race detector. When all is done it compares listings by folder with
// those of the whole, and the usage with the files that are left.
func TestReadersAndWritersBesideEachOther(t *testing.T) {
	r := inForest(t)
	trees := []*corpus.Tree{mustTree(t, forest, 0), mustTree(t, team, 0)}
	done := make(chan struct{})
	var readers, writers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				seen := map[string]bool{}
				for at, more := (Position{}), true; more; {
					at, more, _ = r.Scan(Scope{AllDrives: true}, at, 10, func(f Found, _ Position) bool {
						f.Listed()
						seen[f.ID] = true
						return true
					})
				}
				for id := range seen {
					if f, err := r.Get(id); err == nil && f.Content != nil {
						_ = f.Content.Sums(corpus.MD5)
					}
				}
				r.Usage()
				r.Drives()
				r.Changes(r.NextChange()-5, 3)
			}
		})
	}
	for seed := range uint64(3) {
		writers.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, 2))
			var own []string
			for range 150 {
				if err := act(t, r, rnd, trees, &own); err != nil && !anyOf(err, expected) {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	whole := r.ids(t, Scope{AllDrives: true}, 7)
	var byFolder []string
	for todo := []string{RootAlias, trees[1].ID(0)}; len(todo) > 0; todo = todo[1:] {
		for _, id := range r.ids(t, Scope{Parents: todo[:1], AllDrives: true}, 7) {
			byFolder = append(byFolder, id)
			if f, err := r.Get(id); err == nil && f.IsFolder() {
				todo = append(todo, id)
			}
		}
	}
	require.ElementsMatch(t, whole, byFolder)
	total, thrown := r.Usage()
	wantTotal, wantThrown := charged(t, r)
	require.Equal(t, []int64{wantTotal, wantThrown}, []int64{total, thrown})
}
