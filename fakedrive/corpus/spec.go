package corpus

import (
	"cmp"
	"fmt"
	"math"
)

// Spec describes a tree. The zero value is an empty Drive; New refuses what Validate refuses.
type Spec struct {
	Name string // a label, without any influence on the tree
	Seed uint64

	Files   int64 // everything that isn't a folder
	Folders int64 // below the root
	// Depth is the number of levels of folders below the root, 0 for as few as FanOut allows. With a Depth and no
	// FanOut, each level is larger than the one above by the same factor.
	Depth int
	// FanOut is the mean number of folders in a folder, DefaultFanOut where neither it nor Depth is set. With a Depth
	// as well, the levels grow by FanOut and the folders that are left make a narrow tail down to Depth.
	FanOut int
	Spread Spread
	Place  Place

	Size       Size // of binaries
	ExportSize Size // of the exports of Workspace documents; DefaultExportSize if not set

	// How many of the files are no binaries.
	Documents, Spreadsheets, Presentations Amount
	Shortcuts                              Amount // to binaries
	Dangling                               Amount // shortcuts to nothing

	// How many of the files, of any kind, carry a flag.
	Starred, SharedWithMe, Trashed Amount
	// TrashedFolders is how many folders of the deepest level are in the trash, with all that is in them.
	TrashedFolders Amount

	Names Names

	// SharedDrive is the name of the shared drive that the tree is; if empty, the tree is in My Drive.
	SharedDrive string
}

// Names says how many of the items, files and folders alike, have names that break programs. A spec asks for amounts
// of all items; no item is odd in two ways.
type Names struct {
	Duplicates Amount // the same name as the sibling before
	Slashes    Amount // with "/"
	Quotes     Amount // with ', " and \
	Emoji      Amount // with emoji and joined emoji
	Long       Amount // more than 255 bytes
	Spaces     Amount // leading and trailing spaces and dots
}

// Spread says how evenly items are dealt to folders.
type Spread uint8

// The spreads.
const (
	Varied Spread = iota // a folder has between none and twice the mean
	Even
)

// Place says which folders hold files.
type Place uint8

// The places.
const (
	Everywhere Place = iota // all folders, the root included
	Deepest                 // only the folders of the deepest level
)

// Amount is a number of things out of a whole: either Count, or Percent of it.
type Amount struct {
	Count   int64
	Percent float64
}

// Of returns the amount out of n.
func (a Amount) Of(n int64) int64 {
	if a.Percent > 0 {
		return int64(math.Round(float64(n) * a.Percent / 100))
	}
	return a.Count
}

// Limits of a spec, so that no request makes a server work without bound.
const (
	MaxFiles   = 1_000_000_000
	MaxFolders = 20_000_000
	MaxDepth   = 20_000

	DefaultFanOut = 10
)

// DefaultExportSize is the size of exports where a spec says nothing.
var DefaultExportSize = Lognormal(40<<10, 1.2, 4<<10, 9<<20)

// FieldError is a problem of one field of a spec.
type FieldError struct {
	Field string // as in YAML, with dots: size.median
	Msg   string
}

// Error implements error.
func (e *FieldError) Error() string { return e.Field + ": " + e.Msg }

func fieldErrorf(field, format string, args ...any) error {
	return &FieldError{field, fmt.Sprintf(format, args...)}
}

// Validate checks the spec; its errors are of type *FieldError.
func (s *Spec) Validate() error {
	switch {
	case s.Files < 0 || s.Files > MaxFiles:
		return fieldErrorf("files", "want 0 to %d, have %d", MaxFiles, s.Files)
	case s.Folders < 0 || s.Folders > MaxFolders:
		return fieldErrorf("folders", "want 0 to %d, have %d", MaxFolders, s.Folders)
	case s.Depth < 0 || s.Depth > MaxDepth:
		return fieldErrorf("depth", "want 0 to %d, have %d", MaxDepth, s.Depth)
	case int64(s.Depth) > s.Folders:
		return fieldErrorf("depth", "%d levels need as many folders, have %d", s.Depth, s.Folders)
	case s.FanOut < 0 || s.FanOut > MaxFolders:
		return fieldErrorf("fan_out", "want 0 to %d, have %d", MaxFolders, s.FanOut)
	case s.Spread > Even:
		return fieldErrorf("spread", "unknown value %d", s.Spread)
	case s.Place > Deepest:
		return fieldErrorf("place", "unknown value %d", s.Place)
	}
	if s.Depth > 0 && s.FanOut > 0 {
		if most := capacity(s.FanOut, s.Depth); s.Folders > most {
			return fieldErrorf("folders", "%d don't fit into depth %d with a fan-out of %d (%d at most)", s.Folders, s.Depth,
				s.FanOut, most)
		}
	}
	if s.FanOut == 1 && s.Folders > MaxDepth {
		return fieldErrorf("fan_out", "a fan-out of 1 makes a chain of %d folders, and %d is the most", s.Folders, MaxDepth)
	}
	return cmp.Or(s.Size.validate("size"), s.ExportSize.validate("export_size"), s.validateVolume(), s.validateAmounts())
}

// validateVolume checks that sizes can be added up.
func (s *Spec) validateVolume() error {
	if float64(s.Files)*float64(s.Size.largest()) > math.MaxInt64/2 {
		return fieldErrorf("size", "%d files of up to %d bytes are more than 4 EiB", s.Files, s.Size.largest())
	}
	return nil
}

// namedAmount is an Amount and its place in YAML.
type namedAmount struct {
	field string
	a     *Amount
}

func (s *Spec) kindAmounts() []namedAmount {
	return []namedAmount{
		{"kinds.documents", &s.Documents}, {"kinds.spreadsheets", &s.Spreadsheets},
		{"kinds.presentations", &s.Presentations}, {"kinds.shortcuts", &s.Shortcuts}, {"kinds.dangling", &s.Dangling},
	}
}

func (s *Spec) nameAmounts() []namedAmount {
	return []namedAmount{
		{"names.duplicates", &s.Names.Duplicates}, {"names.slashes", &s.Names.Slashes}, {"names.quotes", &s.Names.Quotes},
		{"names.emoji", &s.Names.Emoji}, {"names.long", &s.Names.Long}, {"names.spaces", &s.Names.Spaces},
	}
}

func (s *Spec) flagAmounts() []namedAmount {
	return []namedAmount{
		{"flags.starred", &s.Starred}, {"flags.shared_with_me", &s.SharedWithMe}, {"flags.trashed", &s.Trashed},
	}
}

func (s *Spec) folderAmounts() []namedAmount {
	return []namedAmount{{"flags.trashed_folders", &s.TrashedFolders}}
}

// validateAmounts checks that each amount, and each group of amounts that exclude each other, fits into its whole.
func (s *Spec) validateAmounts() error {
	sum := func(group []namedAmount, whole int64, what string) error {
		var n int64
		for _, f := range group {
			a := *f.a
			if a.Count < 0 || a.Percent < 0 || a.Percent > 100 || math.IsNaN(a.Percent) {
				return fieldErrorf(f.field, "want a number from 0 on or a percentage from 0%% to 100%%")
			}
			if n += a.Of(whole); a.Of(whole) > whole || n > whole {
				return fieldErrorf(f.field, "%d are more than the %d %s there are", n, whole, what)
			}
		}
		return nil
	}
	if err := cmp.Or(sum(s.kindAmounts(), s.Files, "files"), sum(s.nameAmounts(), s.Files+s.Folders,
		"items")); err != nil {
		return err
	}
	for _, f := range s.flagAmounts() {
		if err := sum([]namedAmount{f}, s.Files, "files"); err != nil {
			return err
		}
	}
	if err := sum(s.folderAmounts(), deepest(s.foldersByLevel()), "folders of the deepest level"); err != nil {
		return err
	}
	if s.Shortcuts.Of(s.Files) > 0 && s.binaries() == 0 {
		return fieldErrorf("kinds.shortcuts", "there is no binary file for them to point at")
	}
	return nil
}

func deepest(levels []int64) int64 {
	if len(levels) == 0 {
		return 0
	}
	return levels[len(levels)-1]
}

// binaries returns the number of files that are binaries.
func (s *Spec) binaries() int64 {
	n := s.Files
	for _, f := range s.kindAmounts() {
		n -= f.a.Of(s.Files)
	}
	return n
}

// capacity returns how many folders depth levels hold if each folder holds fanOut.
func capacity(fanOut, depth int) int64 {
	var sum, level int64 = 0, 1
	for range depth {
		if level *= int64(fanOut); sum+level > MaxFolders {
			return MaxFolders
		}
		sum += level
	}
	return sum
}

// foldersByLevel returns the number of folders at depth 1, 2 and so on.
func (s *Spec) foldersByLevel() []int64 {
	if s.Folders == 0 {
		return nil
	}
	if s.Depth > 0 && s.FanOut == 0 {
		return geometric(s.Folders, s.Depth)
	}
	fanOut := int64(s.FanOut)
	if fanOut == 0 {
		fanOut = DefaultFanOut
	}
	var levels []int64
	for left, level := s.Folders, int64(1); left > 0; {
		// Keep one folder for each of the levels that must still come.
		reserve := max(int64(s.Depth-len(levels)-1), 0)
		level = min(min(level, MaxFolders)*fanOut, left-reserve)
		levels = append(levels, level)
		left -= level
	}
	return levels
}

// geometric deals n folders to depth levels, each larger than the one above by the same factor.
func geometric(n int64, depth int) []int64 {
	sum := func(r float64) (s float64) {
		for d, x := 0, 1.0; d < depth && s <= float64(n); d++ {
			x *= r
			s += x
		}
		return s
	}
	lo, hi := 1.0, float64(n)
	for range 100 {
		if mid := (lo + hi) / 2; sum(mid) > float64(n) {
			hi = mid
		} else {
			lo = mid
		}
	}
	levels := make([]int64, depth)
	left, x := n, 1.0
	for d := range levels {
		x *= lo
		levels[d] = min(max(int64(x), 1), left-int64(depth-d-1))
		left -= levels[d]
	}
	levels[depth-1] += left
	return levels
}

// filesByLevel returns the number of files at each depth; folders[0] is 1 for the root.
func (s *Spec) filesByLevel(folders []int64) []int64 {
	files := make([]int64, len(folders)+1)
	if s.Place == Deepest {
		files[len(folders)] = s.Files
		return files
	}
	var total, seen, dealt int64
	for _, n := range folders {
		total += n
	}
	for d, n := range folders {
		seen += n
		upTo := s.Files * seen / total // at most MaxFiles x MaxFolders
		files[d+1] = upTo - dealt
		dealt = upTo
	}
	return files
}
