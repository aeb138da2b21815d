package corpus

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func mustTree(t testing.TB, yaml string) *Tree {
	t.Helper()
	spec, err := ParseSpec([]byte(yaml))
	require.NoError(t, err)
	tree, err := New(spec, 1)
	require.NoError(t, err)
	return tree
}

// everything has all that a spec can ask for.
const everything = `
seed: 7
files: 900
folders: 120
depth: 6
size: {lognormal: {median: 4KiB, sigma: 3, min: 0, max: 3MiB}}
kinds: {documents: 5%, spreadsheets: 20, presentations: 3, shortcuts: 2%, dangling: 4}
flags: {starred: 3%, shared_with_me: 20, trashed: 4%, trashed_folders: 5}
names: {duplicates: 5%, slashes: 2%, quotes: 2%, emoji: 2%, long: 1%, spaces: 2%}
`

// specs are shapes with different corners.
var specs = map[string]string{
	"everything":  everything,
	"empty":       "seed: 1",
	"one file":    "files: 1\nsize: 5",
	"no files":    "folders: 200",
	"flat":        "files: 1000\nsize: 100",
	"chain":       "files: 300\nfolders: 300\ndepth: 300\nsize: 70",
	"even":        "files: 777\nfolders: 99\nspread: even\nsize: 1KiB",
	"few files":   "files: 3\nfolders: 500\ndepth: 4\nsize: 1KiB",
	"deepest":     "files: 500\nfolders: 31\nplace: deepest\nfan_out: 5\nsize: 1KiB",
	"narrow tail": "files: 500\nfolders: 100\nfan_out: 8\ndepth: 20\nsize: 1KiB",
}

func TestEveryItemIsAmongItsParentsChildren(t *testing.T) {
	for name, spec := range specs {
		t.Run(name, func(t *testing.T) {
			tree := mustTree(t, spec)
			reached := make([]bool, tree.Len())
			reached[0] = true
			var files, folders int64
			for n := range tree.Len() {
				it := tree.Item(n)
				require.Equal(t, n, it.Ordinal)
				require.Equal(t, it.Parent, tree.Parent(n))
				first, count := tree.Children(n)
				if it.Kind != Folder {
					files++
					require.Zero(t, count)
					continue
				}
				if n > 0 {
					folders++
				}
				subfolders := tree.Subfolders(n)
				for c := first; c < first+count; c++ {
					require.False(t, reached[c], "item %d has two parents", c)
					reached[c] = true
					child := tree.Item(c)
					require.Equal(t, n, child.Parent)
					require.Equal(t, it.Depth+1, child.Depth)
					require.Equal(t, c < first+subfolders, child.Kind == Folder, "folders come first")
				}
			}
			require.NotContains(t, reached, false)
			require.Equal(t, tree.Spec().Files, files)
			require.Equal(t, tree.Spec().Folders, folders)
		})
	}
}

func TestStatsEqualWhatACountOfTheItemsFinds(t *testing.T) {
	for name, spec := range specs {
		t.Run(name, func(t *testing.T) {
			tree := mustTree(t, spec)
			want := Stats{Smallest: -1}
			for it := range tree.All() {
				countItem(&want, tree, it)
			}
			want.Smallest = max(want.Smallest, 0)
			got := tree.Stats()
			var files, size int64
			for _, bar := range got.Sizes {
				files, size = files+bar.Files, size+bar.Bytes
			}
			require.Equal(t, want.Binaries, files)
			require.Equal(t, want.Bytes, size)
			got.Sizes = nil
			require.Equal(t, want, got)
		})
	}
}

func countItem(s *Stats, tree *Tree, it Item) {
	_, count := tree.Children(it.Ordinal)
	s.MaxChildren = max(s.MaxChildren, count)
	if it.Kind == Folder {
		if it.Ordinal > 0 {
			s.Folders++
			s.Depth = max(s.Depth, it.Depth)
		}
		return
	}
	s.Files++
	switch {
	case it.Kind == Binary:
		s.Binaries++
		s.Bytes += it.Size
		s.Largest = max(s.Largest, it.Size)
		if s.Smallest < 0 || it.Size < s.Smallest {
			s.Smallest = it.Size
		}
	case it.Kind == Shortcut:
		s.Shortcuts++
		if it.Dangling(tree.Len()) {
			s.Dangling++
		}
	default:
		s.Documents++
		s.ExportBytes += it.ExportSize
	}
	if it.Starred {
		s.Starred++
	}
	if it.SharedWithMe {
		s.SharedWithMe++
	}
	if it.Trashed {
		s.Trashed++
	}
	if it.Downloadable() {
		s.Downloadable++
		s.DownloadBytes += it.ContentLength()
	}
}

func TestIDsLeadBackToTheirItemsAndNoOthers(t *testing.T) {
	spec, err := ParseSpec([]byte(everything))
	require.NoError(t, err)
	a, err := New(spec, 1)
	require.NoError(t, err)
	b, err := New(spec, 2)
	require.NoError(t, err)
	c := mustTree(t, strings.Replace(everything, "seed: 7", "seed: 8", 1))
	seen := map[string]bool{}
	for n := range a.Len() {
		id := a.ID(n)
		require.Regexp(t, `^[0-9A-Za-z_-]{33}$`, id)
		require.False(t, seen[id])
		seen[id] = true
		back, ok := a.Ordinal(id)
		require.True(t, ok)
		require.Equal(t, n, back)
		key, m, ok := ParseID(id)
		require.True(t, ok)
		require.Equal(t, n, m)
		require.Equal(t, a.Key(), key)
		for _, other := range []*Tree{b, c} {
			_, ok = other.Ordinal(id)
			require.False(t, ok, "an id of another tree")
		}
	}
	_, ok := a.Ordinal(a.ID(a.Len()))
	require.False(t, ok, "past the last item")
}

func TestChangedIDsAreRefused(t *testing.T) {
	tree := mustTree(t, everything)
	id := tree.ID(500)
	for i := range len(id) {
		for _, r := range []byte("A0_\n=") {
			if changed := id[:i] + string(r) + id[i+1:]; changed != id {
				_, ok := tree.Ordinal(changed)
				require.False(t, ok, "%q", changed)
			}
		}
	}
	for _, bad := range []string{"", "root", id[:32], id + "0", strings.Repeat("1", 33)} {
		_, ok := tree.Ordinal(bad)
		require.False(t, ok, "%q", bad)
	}
}

func TestGenerationsDifferInIDsOnly(t *testing.T) {
	spec, err := ParseSpec([]byte(everything))
	require.NoError(t, err)
	a, err := New(spec, 1)
	require.NoError(t, err)
	b, err := New(spec, 2)
	require.NoError(t, err)
	same, err := New(spec, 1)
	require.NoError(t, err)
	for n := range a.Len() {
		require.Equal(t, a.Item(n), b.Item(n))
		require.Equal(t, a.Sums(n, AllHashes), b.Sums(n, AllHashes))
		require.NotEqual(t, a.ID(n), b.ID(n))
		require.Equal(t, a.ID(n), same.ID(n))
	}
	other := mustTree(t, strings.Replace(everything, "seed: 7", "seed: 8", 1))
	var differ int
	for n := range a.Len() {
		if a.Item(n).Name != other.Item(n).Name {
			differ++
		}
	}
	require.Greater(t, differ, int(a.Len()/2), "another seed is another tree")
}

// readAll returns an item's content by way of Read in odd pieces.
func readAll(t testing.TB, r *Reader) []byte {
	t.Helper()
	var out bytes.Buffer
	buf := make([]byte, 4093)
	_, err := io.CopyBuffer(&out, struct{ io.Reader }{r}, buf)
	require.NoError(t, err)
	return out.Bytes()
}

func TestSumsAreThoseOfTheContent(t *testing.T) {
	tree := mustTree(t, everything)
	contents := map[string]int64{}
	var checked int
	for it := range tree.All() {
		data := readAll(t, tree.Open(it.Ordinal, 0))
		require.Len(t, data, int(it.ContentLength()))
		if it.Kind == Folder || it.Kind == Shortcut {
			require.Zero(t, tree.Sums(it.Ordinal, AllHashes))
			continue
		}
		checked++
		want := Sums{md5.Sum(data), sha1.Sum(data), sha256.Sum256(data)}
		require.Equal(t, want, tree.Sums(it.Ordinal, AllHashes), "item %d of %d bytes", it.Ordinal, len(data))
		content := it.Content()
		require.Equal(t, want, content.Sums(AllHashes))
		require.EqualValues(t, len(data), content.Size())
		require.True(t, bytes.Equal(data[len(data)/2:], readAll(t, content.Open(int64(len(data)/2)))))
		require.Equal(t, Sums{SHA1: want.SHA1}, tree.Sums(it.Ordinal, SHA1))
		require.Equal(t, fmt.Sprintf("%x", want.MD5), want.MD5Hex())
		if len(data) >= 8 {
			twin, ok := contents[string(data[:min(len(data), 1<<10)])+want.MD5Hex()]
			require.False(t, ok, "items %d and %d have the same content", it.Ordinal, twin)
			contents[string(data[:min(len(data), 1<<10)])+want.MD5Hex()] = it.Ordinal
		}
	}
	require.Greater(t, checked, 800)
}

func TestSumsAtTheCornersOfSizes(t *testing.T) {
	const mib = 1 << 20
	for _, size := range []int64{0, 1, 7, 15, 16, 63, 64, 79, 80, 127, 128, 143, 144, 4096, 65535, 65536, 65600, 65616,
		100_000,
		mib - 1, mib, mib + 1, mib + 15, mib + 16, mib + 80, 2*mib - 1, 2 * mib, 3*mib + 777, 64 * mib} {
		tree := mustTree(t, fmt.Sprintf("files: 9\nsize: %d", size))
		for n := int64(1); n <= 9 && (n == 1 || size < 4*mib); n += 4 {
			h := md5.New()
			written, err := tree.Open(n, 0).WriteTo(h)
			require.NoError(t, err)
			require.Equal(t, size, written)
			sum := tree.Sums(n, AllHashes).MD5
			require.Equal(t, h.Sum(nil), sum[:], "%d bytes", size)
		}
	}
}

func TestRangesAreCutFromTheWhole(t *testing.T) {
	tree := mustTree(t, "files: 3\nsize: 2500000")
	whole := readAll(t, tree.Open(2, 0))
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		from := rnd.Int64N(2_500_100)
		length := rnd.Int64N(1 + rnd.Int64N(2_500_000))
		want := whole[min(from, 2_500_000):min(from+length, 2_500_000)]
		r := tree.OpenRange(2, from, length)
		require.EqualValues(t, len(want), r.Len())
		require.True(t, bytes.Equal(want, readAll(t, r)))
		var out bytes.Buffer
		n, err := tree.OpenRange(2, from, length).WriteTo(&out)
		require.NoError(t, err)
		require.EqualValues(t, len(want), n)
		require.True(t, bytes.Equal(want, out.Bytes()))
		r = tree.Open(2, from)
		r.Limit(length)
		r.Limit(length + 1)
		require.True(t, bytes.Equal(want, readAll(t, r)))
	}
	require.Zero(t, tree.OpenRange(2, -5, -1).Len())
	require.EqualValues(t, 2_500_000, tree.OpenRange(2, -5, MaxSize).Len())
}

func TestShiftedAndSwappedRangesShow(t *testing.T) {
	tree := mustTree(t, "files: 8\nsize: 5MiB")
	const piece = 256 << 10
	seen := map[[16]byte]string{}
	for n := int64(1); n <= 8; n++ {
		for off := int64(0); off < 5<<20; off += piece {
			sum := md5.Sum(readAll(t, tree.OpenRange(n, off, piece)))
			at := fmt.Sprintf("file %d at %d", n, off)
			require.NotContains(t, seen, sum, "%s equals %s", at, seen[sum])
			seen[sum] = at
		}
	}
}

func TestFlaggedItemsAreThoseWithTheFlag(t *testing.T) {
	tree := mustTree(t, everything)
	want := map[Flag]map[int64]bool{Starred: {}, SharedWithMe: {}, Trashed: {}}
	for it := range tree.All() {
		for flag, has := range map[Flag]bool{Starred: it.Starred, SharedWithMe: it.SharedWithMe,
			Trashed: it.ExplicitlyTrashed} {
			if has {
				want[flag][it.Ordinal] = true
			}
		}
		require.Equal(t, it.SharedWithMe, !it.Owner.Me)
		if it.Ordinal > 0 && tree.Item(it.Parent).Trashed {
			require.True(t, it.Trashed, "in a trashed folder")
		}
	}
	for flag, items := range want {
		got := map[int64]bool{}
		for k := range tree.Flagged(flag) {
			got[tree.FlaggedAt(flag, k)] = true
		}
		require.NotEmpty(t, items)
		require.Equal(t, items, got)
	}
}

func TestShortcutsPointAtBinaries(t *testing.T) {
	tree := mustTree(t, everything)
	var dangling, sound int
	for it := range tree.All() {
		switch {
		case it.Kind != Shortcut:
			require.Equal(t, None, it.Target)
		case it.Dangling(tree.Len()):
			dangling++
			_, ok := tree.Ordinal(tree.ID(it.Target))
			require.False(t, ok)
			require.NotEmpty(t, it.TargetMime)
		default:
			sound++
			target := tree.Item(it.Target)
			require.Equal(t, Binary, target.Kind)
			require.Equal(t, target.MimeType, it.TargetMime)
		}
	}
	require.Equal(t, 4, dangling)
	require.Equal(t, 18, sound)
}

func TestNamesAreOddAsAskedFor(t *testing.T) {
	tree := mustTree(t, everything)
	type in struct {
		parent int64
		name   string
	}
	count := map[string]int{}
	names := map[in]int{}
	for it := range tree.All() {
		names[in{it.Parent, it.Name}]++
		require.Equal(t, it.Name, tree.Name(it.Ordinal))
		require.NotEmpty(t, it.Name)
		for what, has := range map[string]bool{
			"slash": strings.Contains(it.Name, "/"), "quote": strings.ContainsAny(it.Name, `'"\`),
			"emoji": strings.Contains(it.Name, "🎉"), "long": len(it.Name) > 255,
			"space": strings.HasPrefix(it.Name, " ") && strings.HasSuffix(it.Name, " "),
		} {
			if has {
				count[what]++
			}
		}
	}
	duplicates := 0
	for _, n := range names {
		duplicates += n - 1
	}
	items := float64(tree.Len() - 1)
	for _, what := range []string{"slash", "quote", "emoji", "space"} {
		require.InDelta(t, 0.02*items, count[what], 6, what) // duplicates of odd names add some
	}
	require.InDelta(t, 0.01*items, count["long"], 6)
	require.InDelta(t, 0.05*items, duplicates, 12)
	plain := mustTree(t, "files: 3000\nfolders: 50\nsize: 1")
	seen := map[in]bool{}
	for it := range plain.All() {
		require.False(t, seen[in{it.Parent, it.Name}], "%q twice", it.Name)
		seen[in{it.Parent, it.Name}] = true
	}
}

func TestPathContinuesTheParents(t *testing.T) {
	tree := mustTree(t, everything)
	require.Empty(t, tree.Path(0))
	for it := range tree.All() {
		if it.Ordinal > 0 {
			require.Less(t, it.Parent, it.Ordinal, "parents first")
			require.Equal(t, append(tree.Path(it.Parent), it.Name), tree.Path(it.Ordinal))
		}
	}
}

func TestTimesAreInOrder(t *testing.T) {
	for it := range mustTree(t, everything).All() {
		require.False(t, it.Modified.Before(it.Created))
		require.Equal(t, it.Modified, it.Modified.Truncate(time.Millisecond))
	}
}

// Run with -race, this shows unguarded state; without, that readers don't disturb each other.
func TestTreesAreSafeForConcurrentUse(t *testing.T) {
	tree := mustTree(t, "files: 400\nfolders: 9\nsize: {uniform: {min: 0, max: 200KiB}}")
	want := make([]Sums, tree.Len())
	for n := range want {
		want[n] = tree.Sums(int64(n), AllHashes)
	}
	var wg sync.WaitGroup
	for worker := range int64(4) {
		wg.Go(func() {
			fresh := mustTree(t, fmt.Sprintf("files: 50\nsize: %d", 70_000+64*worker))
			fresh.Sums(1+worker, AllHashes)
			for n := range tree.Len() {
				n = (n*7 + worker) % tree.Len()
				h := md5.New()
				_, err := tree.Open(n, 0).WriteTo(h)
				assert.NoError(t, err)
				assert.Equal(t, want[n], tree.Sums(n, AllHashes))
				if it := tree.Item(n); it.ContentLength() > 0 {
					assert.Equal(t, h.Sum(nil), want[n].MD5[:])
				}
			}
		})
	}
	wg.Wait()
}
