package verify

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/soak/internal/fakes3"
)

// pathIndex finds files by their path in 16 bytes a file, and 16 bytes a folder while it is made.
type pathIndex struct {
	seed  maphash.Seed
	files []pathEntry // sorted by hash
}

type pathEntry struct {
	hash uint64
	n    int64
}

// indexPaths hashes the path of every file of the tree. A path's hash is made of its folder's and the name's, so that
// a chain of folders costs no more than a flat one. Parents come before their children in a tree.
func indexPaths(t *corpus.Tree) *pathIndex {
	x := &pathIndex{seed: maphash.MakeSeed()}
	folders := map[int64]uint64{0: 0}
	for n := range t.Len() {
		switch it := t.Item(n); {
		case n == 0:
		case it.Kind == corpus.Folder:
			folders[n] = x.hash(folders[it.Parent], encodeName(it.Name))
		case expected(it):
			for _, name := range names(it) {
				x.files = append(x.files, pathEntry{x.hash(folders[it.Parent], name), n})
			}
		}
	}
	slices.SortFunc(x.files, func(a, b pathEntry) int {
		if c := cmp.Compare(a.hash, b.hash); c != 0 {
			return c
		}
		return cmp.Compare(a.n, b.n)
	})
	return x
}

func (x *pathIndex) hash(folder uint64, name string) uint64 {
	var h maphash.Hash
	h.SetSeed(x.seed)
	maphash.WriteComparable(&h, folder)
	h.WriteString(name)
	return h.Sum64()
}

// exportExtensions are what clients add to the name of a document that they export.
var exportExtensions = map[corpus.Kind]string{corpus.Document: ".docx", corpus.Spreadsheet: ".xlsx",
	corpus.Presentation: ".pptx"}

// names are the names under which a file may be stored.
func names(it corpus.Item) []string {
	name := encodeName(it.Name)
	if ext := exportExtensions[it.Kind]; ext != "" {
		return []string{name, name + ext}
	}
	return []string{name}
}

// encodeName writes a name as rclone stores it: a slash and the names of dots become their full-width forms.
func encodeName(name string) string {
	switch name {
	case ".":
		return "．"
	case "..":
		return "．．"
	}
	name = strings.ReplaceAll(name, "／", "‛／")
	return strings.ReplaceAll(name, "/", "／")
}

// at returns the files of a path's hash.
func (x *pathIndex) at(hash uint64) []pathEntry {
	from, _ := slices.BinarySearchFunc(x.files, hash, func(e pathEntry, h uint64) int { return cmp.Compare(e.hash, h) })
	to := from
	for to < len(x.files) && x.files[to].hash == hash {
		to++
	}
	return x.files[from:to]
}

// find returns the file of an object's path. Of several files with the same path it prefers one with the object's
// size and content.
func (x *pathIndex) find(c *checker, path string, e fakes3.Entry) (int64, string) {
	h := uint64(0)
	for segment := range strings.SplitSeq(path, "/") {
		h = x.hash(h, segment)
	}
	found := x.at(h)
	if len(found) == 0 {
		return 0, "its path is of no file of this tree"
	}
	for _, f := range found {
		if it := c.t.Item(f.n); it.ContentLength() == e.Size && c.content(it, e) == "" {
			return f.n, ""
		}
	}
	return found[0].n, ""
}

// shadowed says whether another file with the item's path has an object.
func (x *pathIndex) shadowed(c *checker, n int64) bool {
	h := uint64(0)
	var way []int64
	for p := c.t.Parent(n); p > 0; p = c.t.Parent(p) {
		way = append(way, p)
	}
	for _, p := range slices.Backward(way) {
		h = x.hash(h, encodeName(c.t.Name(p)))
	}
	for _, name := range names(c.t.Item(n)) {
		if slices.ContainsFunc(x.at(x.hash(h, name)), func(e pathEntry) bool { return c.seen.has(e.n) }) {
			return true
		}
	}
	return false
}
