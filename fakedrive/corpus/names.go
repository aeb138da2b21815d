package corpus

import (
	"strconv"
	"strings"

	"github.com/memsoak/memsoak/fakedrive/corpus/internal/content"
)

// Groups of odd names, in the order of Spec.nameAmounts.
const (
	oddDuplicate = iota
	oddSlash
	oddQuote
	oddEmoji
	oddLong
	oddSpace
	odd // how many
)

func (t *Tree) drawNames() {
	t.names = newPermutation(t.items-1, t.key, 8)
	var end int64
	for i, f := range t.spec.nameAmounts() {
		end += f.a.Of(t.items - 1)
		t.nameEnds[i] = end
	}
}

// oddness returns the group of odd names that item n is in, odd if in none.
func (t *Tree) oddness(n int64) int {
	if t.nameEnds[odd-1] == 0 {
		return odd
	}
	k := t.names.at(n - 1)
	group := 0
	for group < odd && k >= t.nameEnds[group] {
		group++
	}
	return group
}

func (t *Tree) rootName() string {
	if t.spec.SharedDrive != "" {
		return t.spec.SharedDrive
	}
	return "My Drive"
}

// maxSteps is how far a duplicate looks back for a sibling that has a name of its own.
const maxSteps = 16

// name returns the name of item n, which isn't the root.
func (t *Tree) name(n int64, at place) string {
	group := t.oddness(n)
	m := n
	for range maxSteps {
		if group != oddDuplicate || m == at.first {
			break
		}
		m--
		group = t.oddness(m)
	}
	switch {
	case m == n:
	case group == oddDuplicate:
		m, group = n, odd
	default:
		at = t.shape.place(m)
	}
	var buf [512]byte
	return string(t.appendName(buf[:0], at, group))
}

// appendName appends the name of the item at a place, in the style of its group.
func (t *Tree) appendName(b []byte, at place, group int) []byte {
	h := content.Mix(t.key ^ uint64(at.index)<<1)
	if at.isFolder {
		h = content.Mix(h)
	}
	first, second := firstWords[h%uint64(len(firstWords))], secondWords[h>>32%uint64(len(secondWords))]
	if len(t.shape.levels) > shortNamesFrom && at.isFolder {
		// A deep tree's paths should break programs by their depth, not fill the memory of every program.
		return strconv.AppendInt(b, at.index, 36)
	}
	switch group {
	case oddSlash:
		b = append(append(append(b, "20"...), first...), '/')
	case oddQuote:
		b = append(append(b, `Bob's "final" \ draft of `...), first...)
		b = append(b, ' ')
	case oddEmoji:
		b = append(append(b, "🎉 👩‍👩‍👧 café "...), first...)
		b = append(b, ' ')
	case oddLong:
		b = append(append(b, longText...), first...)
		b = append(b, ' ')
	case oddSpace:
		b = append(append(b, "  . "...), first...)
		b = append(b, ' ')
	default:
		b = append(append(b, first...), ' ')
	}
	b = append(append(b, second...), ' ')
	b = strconv.AppendInt(b, at.index, 10)
	if !at.isFolder {
		g, _ := t.group(at.index)
		if g == binaryGroup {
			b = append(b, t.fileType(at.index).ext...)
		}
	}
	if group == oddSpace {
		b = append(b, ". "...)
	}
	return b
}

// shortNamesFrom is the number of levels beyond which folders have short names.
const shortNamesFrom = 100

var longText = strings.Repeat("überlang ", 27) // 270 bytes, 243 characters

var firstWords = [...]string{
	"Annual", "Draft", "Final", "Budget", "Client", "Design", "Field", "Green", "Harbor", "Invoice", "Joint", "Kitchen",
	"Launch", "Market", "North", "Open", "Private", "Quarterly", "Revised", "Signed", "Team", "Updated", "Vendor",
	"Weekly",
}

var secondWords = [...]string{
	"agenda", "brief", "chart", "deck", "estimate", "figures", "guide", "history", "index", "journal", "keynote", "ledger",
	"minutes", "notes", "outline", "plan", "quote", "report", "survey", "tables", "update", "video", "workshop", "year",
}

type fileType struct{ ext, mime string }

// fileTypes are the types of binaries, about as often as people have them.
var fileTypes = [...]fileType{
	{".pdf", "application/pdf"},
	{".jpg", "image/jpeg"},
	{".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
	{".png", "image/png"},
	{".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
	{".mp4", "video/mp4"},
	{".txt", "text/plain"},
	{".zip", "application/zip"},
	{".csv", "text/csv"},
	{".json", "application/json"},
	{".tar.gz", "application/gzip"},
	{".bin", "application/octet-stream"},
}

// fileType returns the type of the binary with index i: the first ones are the most frequent.
func (t *Tree) fileType(i int64) fileType {
	h := content.Mix(t.key + uint64(i)*5)
	a, b := h%uint64(len(fileTypes)), h>>32%uint64(len(fileTypes))
	return fileTypes[min(a, b)]
}

// mime returns the MIME type of the file with index i.
func (t *Tree) mime(i int64, group int) string {
	switch group {
	case binaryGroup:
		return t.fileType(i).mime
	case documentGroup:
		return MimeDocument
	case spreadsheetGroup:
		return MimeSpreadsheet
	case presentationGroup:
		return MimePresentation
	default:
		return MimeShortcut
	}
}

var me = User{Name: "Sam Soak", Email: "sam@memsoak.example", PermissionID: "04218563190472185631", Me: true}

var colleagues = [...]User{
	{Name: "Ada Archer", Email: "ada@memsoak.example", PermissionID: "05328674201583296742"},
	{Name: "Bo Becker", Email: "bo@memsoak.example", PermissionID: "06439785312694307853"},
	{Name: "Cleo Cruz", Email: "cleo@partner.example", PermissionID: "07540896423705418964"},
}
