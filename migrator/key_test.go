package migrator

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

func TestSegmentKeepsOrdinaryNames(t *testing.T) {
	for _, name := range []string{"a.txt", "100% done", "ü é 日本 🎉", "~tilde", "a~idb", ".hidden", "back\\slash",
		" spaces ", "50%zz"} {
		assert.Equal(t, name, Segment(name))
	}
}

func TestSegmentEscapes(t *testing.T) {
	for name, want := range map[string]string{
		"": "%20", "\x00": "%00", " ": " ", "%20": "%2520", ".": "%2E", "..": "%2E%2E", "a/b": "a%2Fb", "a\x00b": "a%00b",
		"a\nb": "a%0Ab", "%2F": "%252F",
		"x~id-y": "x%7Eid-y", "x~h-y": "x%7Eh-y", "a\ufffeb": "a%EF%BF%BEb", "bad\xffbyte": "bad%FFbyte", "\ufffd": "\ufffd",
	} {
		assert.Equal(t, want, Segment(name), "%q", name)
	}
}

// FuzzSegment: distinct names have distinct segments, and a segment is one valid piece of a key.
func FuzzSegment(f *testing.F) {
	for _, s := range []string{"", ".", "..", "a/b", "%2F", "%252F", "~id-", "%", "%%2F", "\ufffd", "\xff", "%FF", "%00",
		"\x00"} {
		f.Add(s, s+"x")
	}
	for _, pair := range [][2]string{{"", "\x00"}, {"", "%20"}, {"", " "}, {".", "%2E"}, {"\xff", "\ufffd"},
		{"\ufffe", "\xef\xbf\xbe"}} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		sa, sb := Segment(a), Segment(b)
		if (a == b) != (sa == sb) {
			t.Fatalf("%q and %q: %q and %q", a, b, sa, sb)
		}
		if !utf8.ValidString(sa) || strings.ContainsAny(sa, "/\x00\n") || sa == "" || sa == "." || sa == ".." ||
			strings.Contains(sa, markID) || strings.Contains(sa, markHash) {
			t.Fatalf("%q: bad segment %q", a, sa)
		}
	})
}

func TestLongKeysEndInAHash(t *testing.T) {
	prefix := "p/"
	for range 40 {
		prefix = FolderPrefix(prefix, strings.Repeat("日本", 20))
		assert.LessOrEqual(t, len(prefix), MaxKey+2*hashLen, "prefixes are bounded")
	}
	a, b := FileKey(prefix, "a.txt"), FileKey(prefix, "b.txt")
	assert.NotEqual(t, a, b)
	for _, key := range []string{a, b, WithID(a, "ID"), WithID(b, "ID"), FileKey("", strings.Repeat("x", 1025))} {
		assert.Len(t, key, MaxKey)
		assert.True(t, utf8.ValidString(key))
		assert.Regexp(t, `~h-[0-9a-f]{32}$`, key)
	}
	assert.NotEqual(t, WithID(a, "ID"), a)
	assert.Equal(t, strings.Repeat("x", 1024), FileKey("", strings.Repeat("x", 1024)))
}

func TestWithID(t *testing.T) {
	assert.Equal(t, "d.x/a~id-I.txt", WithID("d.x/a.txt", "I"))
	assert.Equal(t, "d.x/a~id-I", WithID("d.x/a", "I"))
	assert.Equal(t, "d/.hidden~id-I", WithID("d/.hidden", "I"))
}

func TestNamerRule(t *testing.T) {
	n := Namer{DefaultExports()}
	doc := "application/vnd.google-apps.document"
	page := []Entry{{ID: "b", Name: "x"}, {ID: "a", Name: "x"}, {ID: "c", Name: "x"}, {ID: "c", Name: "x"},
		{ID: "f1", Name: "d", Folder: true}, {ID: "f2", Name: "d", Folder: true},
		{ID: "e", Name: "r", MIME: doc, Document: true}, {ID: "g", Name: "r.docx"}}
	keys := func(entries []Entry) map[string]string {
		m := map[string]string{}
		for _, d := range n.page(entries) {
			m[d.ID] = d.key("")
		}
		return m
	}
	want := map[string]string{"a": "x", "b": "x~id-b", "c": "x~id-c", "f1": "d", "f2": "d", "e": "r.docx",
		"g": "r~id-g.docx"}
	assert.Equal(t, want, keys(page))
	assert.Len(t, n.page(page), 7, "an entry that comes twice is kept once")
	for i := range page {
		assert.Equal(t, want, keys(append(append([]Entry{}, page[i:]...), page[:i]...)), "order plays no part")
	}
}

func TestItemRoundTrip(t *testing.T) {
	for _, it := range []Item{
		{Kind: Folder, ID: "f", Key: "a/b/", Page: "token", Ancestors: []uint64{1, 1 << 63}, Shortcuts: 2},
		{Kind: File, ID: "x", Target: "y", Key: "a/b", Name: "b", Parent: "f", Size: -1, MD5: "00",
			Modified: fromUnixMilli(1234), MIME: "m", Export: "e"},
	} {
		b, err := it.AppendBinary(nil)
		assert.NoError(t, err)
		var back Item
		assert.NoError(t, back.UnmarshalBinary(b))
		assert.Equal(t, it, back)
		for i := range b {
			assert.Error(t, back.UnmarshalBinary(b[:i]), "cut at %d", i)
		}
	}
}
