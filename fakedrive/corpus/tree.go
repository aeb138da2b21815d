package corpus

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/memsoak/memsoak/fakedrive/corpus/internal/content"
)

// Tree is a synthetic Drive: the tree of a spec in one generation. It holds a few tables per level and per size class
// and nothing per item. It doesn't change and is safe for concurrent use.
type Tree struct {
	spec  Spec
	key   uint64 // of everything drawn, the same in all generations
	ids   idCoder
	shape shape

	items   int64 // Len
	files   int64
	folders int64 // below the root

	// Files of each kind come from one permutation of all files: documents first, then spreadsheets,
	// presentations, shortcuts, dangling ones, binaries.
	kinds    permutation
	kindEnds [6]int64

	binaries sized // ranks are those of kinds minus the first binary
	exports  sized // ranks are those of kinds

	starred, shared, trashed marks
	trashedFolders           marks
	names                    permutation
	nameEnds                 [odd]int64
}

// marks marks some of n things: those that the permutation sends below count.
type marks struct {
	permutation
	count int64
}

func (p *marks) has(i int64) bool { return p.count > 0 && p.at(i) < p.count }

// sized gives each of a number of contents a size class.
type sized struct {
	classes []sizeClass
	order   permutation
}

// find returns the class of content k and its rank in it.
func (s *sized) find(k int64) (*sizeClass, int64) {
	r := s.order.at(k)
	if len(s.classes) == 1 {
		return &s.classes[0], r
	}
	i := sort.Search(len(s.classes), func(i int) bool { return s.classes[i].from > r }) - 1
	return &s.classes[i], r - s.classes[i].from
}

// New returns the tree of a spec in a generation. Generations of a spec are equal but for their ids.
func New(spec *Spec, generation uint64) (*Tree, error) {
	if err := spec.Validate(); err != nil {
		return nil, fmt.Errorf("corpus: %w", err)
	}
	s := *spec
	s.Size.Classes = slices.Clone(s.Size.Classes)
	s.ExportSize.Classes = slices.Clone(s.ExportSize.Classes)
	if s.ExportSize.isZero() {
		s.ExportSize = DefaultExportSize
	}
	digest := s.digest()
	t := &Tree{spec: s, key: binary.LittleEndian.Uint64(digest[8:]), shape: newShape(&s)}
	t.ids = idCoder{Key{Tag: binary.LittleEndian.Uint32(digest[:]), Generation: generation}}
	t.items, t.files, t.folders = t.shape.len(), s.Files, s.Folders
	t.drawFiles()
	t.drawNames()
	return t, nil
}

// digest hashes what decides about the tree.
func (s Spec) digest() [32]byte {
	s.Name = ""
	return sha256.Sum256(fmt.Appendf(nil, "%+v", s))
}

func (t *Tree) drawFiles() {
	s := &t.spec
	t.kinds = newPermutation(t.files, t.key, 1)
	var end int64
	for i, f := range s.kindAmounts() {
		end += f.a.Of(t.files)
		t.kindEnds[i] = end
	}
	t.kindEnds[binaryGroup] = t.files
	t.binaries = newSized(s.Size, t.files-end, t.key, 2)
	t.exports = newSized(s.ExportSize, t.kindEnds[presentationGroup], t.key, 3)
	for i, p := range []*marks{&t.starred, &t.shared, &t.trashed} {
		*p = marks{newPermutation(t.files, t.key, 4+uint64(i)), s.flagAmounts()[i].a.Of(t.files)}
	}
	n := deepest(s.foldersByLevel())
	t.trashedFolders = marks{newPermutation(n, t.key, 7), s.TrashedFolders.Of(n)}
}

func newSized(s Size, n int64, key, salt uint64) sized {
	return sized{s.classes(n), newPermutation(n, key, salt)}
}

// Groups of files, in the order of kinds.
const (
	documentGroup = iota
	spreadsheetGroup
	presentationGroup
	shortcutGroup
	danglingGroup
	binaryGroup
)

var groupKinds = [...]Kind{Document, Spreadsheet, Presentation, Shortcut, Shortcut, Binary}

// group returns the group of the i-th file and its place in the order of kinds.
func (t *Tree) group(i int64) (group int, k int64) {
	k = t.kinds.at(i)
	if k >= t.kindEnds[danglingGroup] {
		return binaryGroup, k
	}
	for group = 0; k >= t.kindEnds[group]; group++ {
	}
	return group, k
}

// content returns the size class and rank of the content of the k-th file in the order of kinds; the class is nil for
// shortcuts.
func (t *Tree) content(group int, k int64) (*sizeClass, int64) {
	switch group {
	case binaryGroup:
		return t.binaries.find(k - t.kindEnds[danglingGroup])
	case shortcutGroup, danglingGroup:
		return nil, 0
	default:
		return t.exports.find(k)
	}
}

// Spec returns the tree's spec.
func (t *Tree) Spec() Spec {
	s := t.spec
	s.Size.Classes = slices.Clone(s.Size.Classes)
	s.ExportSize.Classes = slices.Clone(s.ExportSize.Classes)
	return s
}

// Len returns the number of items, the root included.
func (t *Tree) Len() int64 { return t.items }

// Root returns the ordinal of the root folder, which is 0.
func (t *Tree) Root() int64 { return 0 }

func (t *Tree) check(n int64) {
	if n < 0 || n >= t.items {
		panic(fmt.Sprintf("corpus: item %d of %d", n, t.items))
	}
}

// Item returns item n. It panics unless 0 <= n < Len. Its name is the only allocation.
func (t *Tree) Item(n int64) Item {
	var it Item
	t.Describe(&it, n)
	return it
}

// Describe makes *it item n, like Item, for those who want to use the memory of it again.
func (t *Tree) Describe(it *Item, n int64) {
	t.check(n)
	*it = Item{} // and not a literal, which would be made elsewhere and copied
	it.Ordinal, it.Parent, it.Target, it.Owner = n, None, None, me
	it.Created, it.Modified = t.times(n)
	if n == 0 {
		it.Kind, it.MimeType, it.Name = Folder, MimeFolder, t.rootName()
		return
	}
	at := t.shape.place(n)
	it.Parent, it.Depth = at.parent, at.depth
	it.Name = t.name(n, at)
	if at.isFolder {
		it.Kind, it.MimeType = Folder, MimeFolder
		it.ExplicitlyTrashed = t.folderTrashed(at.index)
		it.Trashed = it.ExplicitlyTrashed
		return
	}
	t.describeFile(it, at)
}

func (t *Tree) describeFile(it *Item, at place) {
	group, k := t.group(at.index)
	it.Kind = groupKinds[group]
	it.MimeType = t.mime(at.index, group)
	switch c, r := t.content(group, k); {
	case group == binaryGroup:
		it.content = newContent(t, it.Ordinal, c, r)
		it.Size = it.content.size
	case c != nil:
		it.content = newContent(t, it.Ordinal, c, r)
		it.ExportSize = it.content.size
		it.Size = documentSize(it.ExportSize)
	case group == shortcutGroup:
		i := t.target(at.index)
		it.Target, it.TargetMime = t.shape.fileAt(i), t.mime(i, binaryGroup)
	default:
		it.Target, it.TargetMime = t.items+k-t.kindEnds[shortcutGroup], fileTypes[0].mime
	}
	it.Starred = t.starred.has(at.index)
	if it.SharedWithMe = t.shared.has(at.index); it.SharedWithMe {
		it.Owner = colleagues[content.Mix(t.key+uint64(at.index))%uint64(len(colleagues))]
	}
	it.ExplicitlyTrashed = t.trashed.has(at.index)
	it.Trashed = it.ExplicitlyTrashed || t.inTrashedFolder(at)
}

// documentSize is what Drive says a document occupies, from the length of its export.
func documentSize(export int64) int64 { return export/3 + 1024 }

// target returns the index of the binary file that the shortcut with index i points at.
func (t *Tree) target(i int64) int64 {
	first := t.kindEnds[danglingGroup]
	return t.kinds.inverse(first + int64(content.Mix(t.key^uint64(i)*3)%uint64(t.files-first)))
}

// folderTrashed says whether a folder, by its index among all folders, is in the trash.
func (t *Tree) folderTrashed(index int64) bool {
	k := index - (1 + t.folders - t.trashedFolders.n)
	return k >= 0 && t.trashedFolders.has(k)
}

func (t *Tree) inTrashedFolder(at place) bool {
	if t.trashedFolders.count == 0 || at.parent == 0 {
		return false
	}
	return t.folderTrashed(t.shape.place(at.parent).index)
}

// Name returns the name of item n.
func (t *Tree) Name(n int64) string {
	t.check(n)
	if n == 0 {
		return t.rootName()
	}
	return t.name(n, t.shape.place(n))
}

// Parent returns the parent of item n, None for the root.
func (t *Tree) Parent(n int64) int64 {
	t.check(n)
	if n == 0 {
		return None
	}
	return t.shape.place(n).parent
}

// Children returns the first child of folder n and the number of its children: their ordinals are consecutive,
// folders first. count is 0 for an empty folder and for an item that isn't a folder.
func (t *Tree) Children(n int64) (first, count int64) {
	first, folders, files := t.children(n)
	return first, folders + files
}

// Subfolders returns the number of folders among the children of folder n.
func (t *Tree) Subfolders(n int64) int64 {
	_, folders, _ := t.children(n)
	return folders
}

func (t *Tree) children(n int64) (first, folders, files int64) {
	t.check(n)
	if n == 0 {
		return t.shape.children(0, 0)
	}
	at := t.shape.place(n)
	if !at.isFolder {
		return 0, 0, 0
	}
	return t.shape.children(at.depth, at.index-t.shape.levels[at.depth].folderBase)
}

// Flagged returns how many items carry the flag, FlaggedAt the k-th of them: a search for starred, shared or trashed
// items doesn't have to scan the tree.
func (t *Tree) Flagged(f Flag) int64 {
	switch f {
	case Starred:
		return t.starred.count
	case SharedWithMe:
		return t.shared.count
	default:
		return t.trashed.count + t.trashedFolders.count
	}
}

// FlaggedAt returns the ordinal of the k-th item with the flag, 0 <= k < Flagged, in no particular but a stable order.
func (t *Tree) FlaggedAt(f Flag, k int64) int64 {
	switch {
	case k < 0 || k >= t.Flagged(f):
		panic(fmt.Sprintf("corpus: flagged item %d of %d", k, t.Flagged(f)))
	case f == Starred:
		return t.shape.fileAt(t.starred.inverse(k))
	case f == SharedWithMe:
		return t.shape.fileAt(t.shared.inverse(k))
	case k < t.trashed.count:
		return t.shape.fileAt(t.trashed.inverse(k))
	}
	last := len(t.spec.foldersByLevel())
	return t.shape.folderAt(last, t.trashedFolders.inverse(k-t.trashed.count))
}

// SharedDrive returns the name of the shared drive that the tree is, "" for a tree in My Drive.
func (t *Tree) SharedDrive() string { return t.spec.SharedDrive }

// Time range of the synthetic Drive: files are created within six years from epoch on, and modified within the
// two years that follow.
var epoch = time.Date(2018, time.January, 1, 0, 0, 0, 0, time.UTC)

const (
	createdWithin  = 6 * 365 * 24 * time.Hour / time.Millisecond
	modifiedWithin = 2 * 365 * 24 * time.Hour / time.Millisecond
)

func (t *Tree) times(n int64) (created, modified time.Time) {
	h := content.Mix(t.key ^ uint64(n))
	created = epoch.Add(time.Duration(h%uint64(createdWithin)) * time.Millisecond)
	return created, created.Add(time.Duration(content.Mix(h)%uint64(modifiedWithin)) * time.Millisecond)
}
