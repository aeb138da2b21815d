package corpus

import (
	"sort"

	"github.com/memsoak/memsoak/fakedrive/corpus/internal/content"
)

// level is one level of a tree: the items at one depth. Their ordinals are consecutive, in the order of their
// parents, and the folders of one parent come before its files.
type level struct {
	base    int64 // ordinal of the first item
	folders int64
	files   int64
	// folderBase and fileBase number the tree's folders and files across levels.
	folderBase, fileBase int64
}

func (l level) len() int64 { return l.folders + l.files }

// shape says which item is whose child. It holds one level per depth and nothing per item.
type shape struct {
	levels []level
	key    uint64
	varied bool
}

func newShape(s *Spec) shape {
	sh := shape{key: content.Mix(s.Seed ^ 0x5a5a), varied: s.Spread == Varied}
	folders := append([]int64{1}, s.foldersByLevel()...)
	sh.levels = []level{{folders: 1}}
	files := s.filesByLevel(folders)
	for d := 1; d < len(files); d++ {
		up := sh.levels[d-1]
		l := level{files: files[d], base: up.base + up.len(), folderBase: up.folderBase + up.folders, fileBase: up.fileBase +
			up.files}
		if d < len(folders) {
			l.folders = folders[d]
		}
		if l.len() > 0 {
			sh.levels = append(sh.levels, l)
		}
	}
	return sh
}

// place is where an item sits in its tree.
type place struct {
	depth    int
	parent   int64 // ordinal
	first    int64 // ordinal of the parent's first child
	isFolder bool
	index    int64 // among all folders of the tree, or among all its files
}

func (sh *shape) len() int64 {
	l := sh.levels[len(sh.levels)-1]
	return l.base + l.len()
}

// depthOf returns the level of item n.
func (sh *shape) depthOf(n int64) int {
	return sort.Search(len(sh.levels), func(d int) bool { return sh.levels[d].base > n }) - 1
}

// bound returns how many of x things the first p of parents get. It grows with p from 0 to x. When the spread is
// varied, a parent gets between none and twice the mean.
func (sh *shape) bound(p, parents, x int64, salt uint64) int64 {
	if p <= 0 || x == 0 {
		return 0
	}
	if p >= parents {
		return x
	}
	b := p * x / parents
	if mean := x / parents; sh.varied && mean > 0 {
		b += int64(content.Mix(sh.key^salt<<56^uint64(p)) % uint64(mean+1))
	}
	return b
}

// cut returns the numbers of folders and of files of level d that belong to the first p folders above it.
func (sh *shape) cut(d int, p int64) (folders, files int64) {
	l, parents := &sh.levels[d], sh.levels[d-1].folders
	return sh.bound(p, parents, l.folders, uint64(2*d)), sh.bound(p, parents, l.files, uint64(2*d+1))
}

// folderAt returns the ordinal of the p-th folder of level d.
func (sh *shape) folderAt(d int, p int64) int64 {
	if d == 0 {
		return 0
	}
	up := sh.levels[d-1].folders
	// The parent is the last one that starts at or before p.
	parent := sh.search(up, p, sh.levels[d].folders, func(q int64) int64 {
		return sh.bound(q, up, sh.levels[d].folders, uint64(2*d))
	})
	folders, files := sh.cut(d, parent)
	return sh.levels[d].base + folders + files + p - folders
}

// fileAt returns the ordinal of the i-th file of the tree.
func (sh *shape) fileAt(i int64) int64 {
	d := sort.Search(len(sh.levels), func(d int) bool { return sh.levels[d].fileBase > i }) - 1
	l, up := &sh.levels[d], sh.levels[d-1].folders
	k := i - l.fileBase
	parent := sh.search(up, k, l.files, func(q int64) int64 { return sh.bound(q, up, l.files, uint64(2*d+1)) })
	folders, _ := sh.cut(d, parent+1)
	return l.base + folders + k
}

// search returns the last of the parents whose start is at or before x, of total things dealt to them. start must be
// within three times the mean of an even deal.
func (sh *shape) search(parents, x, total int64, start func(int64) int64) int64 {
	guess := min(x*parents/total, parents-1)
	// Nearly always the guess is off by one at most.
	if start(guess) <= x {
		for p := guess; p < guess+3; p++ {
			if start(p+1) > x {
				return p
			}
		}
	} else if guess > 0 && start(guess-1) <= x {
		return guess - 1
	}
	lo := max(guess-4, 0)
	hi := min(guess+3*(parents/total)+4, parents-1)
	k := sort.Search(int(hi-lo), func(k int) bool { return start(lo+int64(k)+1) > x })
	return lo + int64(k)
}

// place locates item n, which isn't the root.
func (sh *shape) place(n int64) place {
	d := sh.depthOf(n)
	l, x := &sh.levels[d], n-sh.levels[d].base
	parents := sh.levels[d-1].folders
	p := sh.search(parents, x, l.len(), func(q int64) int64 { a, b := sh.cut(d, q); return a + b })
	folders, files := sh.cut(d, p)
	nextFolders, _ := sh.cut(d, p+1)
	at := place{depth: d, parent: sh.folderAt(d-1, p), first: l.base + folders + files}
	if k := n - at.first; k < nextFolders-folders {
		at.isFolder, at.index = true, l.folderBase+folders+k
	} else {
		at.index = l.fileBase + files + k - (nextFolders - folders)
	}
	return at
}

// children returns the first child, the number of subfolders and the number of files of the p-th folder of level d.
func (sh *shape) children(d int, p int64) (first, folders, files int64) {
	if d+1 >= len(sh.levels) {
		return 0, 0, 0
	}
	a, b := sh.cut(d+1, p)
	c, e := sh.cut(d+1, p+1)
	return sh.levels[d+1].base + a + b, c - a, e - b
}
