package corpus

// Stats are the statistics of a tree. Sizes are in bytes.
type Stats struct {
	Files         int64 `json:"files"`   // everything but folders
	Folders       int64 `json:"folders"` // below the root
	Binaries      int64 `json:"binaries"`
	Documents     int64 `json:"documents"` // of all three kinds
	Shortcuts     int64 `json:"shortcuts"`
	Dangling      int64 `json:"dangling"`     // of the shortcuts
	Trashed       int64 `json:"trashed"`      // files in the trash, those in trashed folders included
	Downloadable  int64 `json:"downloadable"` // binaries and documents that aren't in the trash
	Starred       int64 `json:"starred"`
	SharedWithMe  int64 `json:"shared_with_me"`
	Bytes         int64 `json:"bytes"`          // of all binaries
	ExportBytes   int64 `json:"export_bytes"`   // one export of each document
	DownloadBytes int64 `json:"download_bytes"` // of all that is downloadable
	Largest       int64 `json:"largest"`        // binary
	Smallest      int64 `json:"smallest"`       // binary
	Depth         int   `json:"depth"`          // levels of folders below the root
	MaxChildren   int64 `json:"max_children"`
	// Sizes is a histogram of the binaries, by size.
	Sizes []SizeCount `json:"sizes"`
}

// SizeCount is a bar of a histogram: Files files of From bytes or more, up to the next bar's.
type SizeCount struct {
	From  int64 `json:"from"`
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`
}

// Stats returns the tree's statistics. Of the files, only those in the trash are visited.
func (t *Tree) Stats() Stats {
	s := Stats{
		Files: t.files, Folders: t.folders,
		Binaries:  t.files - t.kindEnds[danglingGroup],
		Documents: t.kindEnds[presentationGroup],
		Shortcuts: t.kindEnds[danglingGroup] - t.kindEnds[presentationGroup],
		Dangling:  t.kindEnds[danglingGroup] - t.kindEnds[shortcutGroup],
		Starred:   t.starred.count, SharedWithMe: t.shared.count,
		Depth: len(t.spec.foldersByLevel()),
	}
	t.addSizes(&s)
	for d := range t.shape.levels {
		for p := range t.shape.levels[d].folders {
			_, folders, files := t.shape.children(d, p)
			s.MaxChildren = max(s.MaxChildren, folders+files)
		}
	}
	s.Downloadable, s.DownloadBytes = s.Binaries+s.Documents, s.Bytes+s.ExportBytes
	t.trash(func(it Item) {
		s.Trashed++
		if it.Kind != Shortcut {
			s.Downloadable--
			s.DownloadBytes -= it.ContentLength()
		}
	})
	return s
}

func (t *Tree) addSizes(s *Stats) {
	bars := map[int]*SizeCount{}
	for i := range t.binaries.classes {
		c := &t.binaries.classes[i]
		low := c.prefix + c.tail
		if i == 0 || low < s.Smallest {
			s.Smallest = low
		}
		s.Largest = max(s.Largest, c.largest())
		s.Bytes += c.bytes()
		bar := barOf(low)
		if bars[bar] == nil {
			bars[bar] = &SizeCount{From: barFrom(bar)}
		}
		bars[bar].Files += c.count
		bars[bar].Bytes += c.bytes()
	}
	for bar := range maxBars {
		if b := bars[bar]; b != nil {
			s.Sizes = append(s.Sizes, *b)
		}
	}
	for i := range t.exports.classes {
		s.ExportBytes += t.exports.classes[i].bytes()
	}
}

// The histogram's bars: empty files, files below 1 KiB, then a factor of four each.
const maxBars = 18

func barFrom(bar int) int64 {
	switch bar {
	case 0:
		return 0
	case 1:
		return 1
	default:
		return 1 << (10 + 2*(bar-2))
	}
}

func barOf(size int64) int {
	bar := 0
	for bar+1 < maxBars && size >= barFrom(bar+1) {
		bar++
	}
	return bar
}

// trash visits every file in the trash once.
func (t *Tree) trash(visit func(Item)) {
	for k := range t.trashed.count {
		visit(t.Item(t.shape.fileAt(t.trashed.inverse(k))))
	}
	for k := t.trashed.count; k < t.Flagged(Trashed); k++ {
		first, count := t.Children(t.FlaggedAt(Trashed, k))
		for n := first; n < first+count; n++ {
			if it := t.Item(n); !it.ExplicitlyTrashed {
				visit(it)
			}
		}
	}
}
