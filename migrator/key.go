package migrator

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// MaxKey is S3's limit on the length of a key, in bytes.
const MaxKey = 1024

// Markers of generated keys. A name that contains one has its tilde escaped, so no file can be named like a
// generated key.
const (
	markID   = "~id-" // before the Drive id that tells duplicates apart
	markHash = "~h-"  // before the hash that ends an overlong key
)

const hashLen = len(markHash) + 32

// Segment maps a name to one segment of a key. Distinct names have distinct segments. Most names stay as they are;
// escaped as %XX are slashes, control characters, characters that XML can't carry, the names "." and "..", the empty
// name, the tilde of a marker, and a percent sign that would read as an escape.
func Segment(name string) string {
	switch name {
	case "":
		return "%20" // a space is never escaped otherwise, so no other name has this segment
	case ".":
		return "%2E"
	case "..":
		return "%2E%2E"
	}
	if !needsEscape(name) {
		return name
	}
	var b strings.Builder
	for i, r := range name {
		switch {
		case r == '/' || r < 0x20 || r == 0x7f || r == 0xfffe || r == 0xffff,
			r == utf8.RuneError && !strings.HasPrefix(name[i:], "\ufffd"),
			r == '%' && isHex(name, i+1) && isHex(name, i+2),
			r == '~' && isMark(name[i:]):
			n := max(utf8.RuneLen(r), 1)
			if r == utf8.RuneError {
				n = 1
			}
			for _, c := range []byte(name[i : i+n]) {
				b.WriteByte('%')
				b.WriteByte("0123456789ABCDEF"[c>>4])
				b.WriteByte("0123456789ABCDEF"[c&15])
			}
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func needsEscape(name string) bool {
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c < 0x20 || c == '/' || c == '%' || c == '~' || c == 0x7f || c >= 0xef {
			return true
		}
	}
	return !utf8.ValidString(name)
}

func isMark(s string) bool { return strings.HasPrefix(s, markID) || strings.HasPrefix(s, markHash) }

func isHex(s string, i int) bool {
	return i < len(s) && strings.IndexByte("0123456789abcdefABCDEF", s[i]) >= 0
}

// WithID is the key of a file that doesn't get its plain key: the id stands before the extension, as in
// "dir/a~id-XYZ.txt".
func WithID(key, id string) string {
	base := key[strings.LastIndexByte(key, '/')+1:]
	at := len(key)
	if i := strings.LastIndexByte(base, '.'); i > 0 && len(base)-i <= 12 && !strings.ContainsAny(base[i:], " %~") {
		at -= len(base) - i
	}
	return FileKey(key[:at]+markID+Segment(id), key[at:])
}

// FileKey is the key of a file with the segment below prefix, which a FolderPrefix returned. Keys that would be longer
// than MaxKey are cut and end in a hash of the whole.
func FileKey(prefix, segment string) string {
	key := prefix + segment
	if len(key) <= MaxKey {
		return key
	}
	return cut(key, MaxKey-hashLen) + hashOf(key)
}

// FolderPrefix is what the keys of a folder's children begin with. It is bounded too: a prefix beyond MaxKey is cut so
// that it stays beyond, hence every key below ends in a hash, which covers the hash in the prefix.
func FolderPrefix(prefix, segment string) string {
	p := prefix + segment + "/"
	if len(p) <= MaxKey+hashLen+4 {
		return p
	}
	return cut(p, MaxKey) + hashOf(p) + "/"
}

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return markHash + hex.EncodeToString(sum[:16])
}

// cut returns at most n bytes of s, pads what a rune's boundary leaves, and never splits a rune.
func cut(s string, n int) string {
	end := n
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + strings.Repeat("_", n-end)
}

// rootPrefix is the folder prefix of the tree's root.
func rootPrefix(p string) string {
	if p == "" || strings.HasSuffix(p, "/") {
		return p
	}
	return p + "/"
}
