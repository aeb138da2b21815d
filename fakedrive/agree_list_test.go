package fakedrive_test

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"
)

// inScope says whether a search of the house's corpora sees the file.
func (h *house) inScope(d doc) bool {
	return d.text("driveId") == h.drive && d.text("id") != h.root && d.text("id") != h.drive
}

// search asks random queries and compares the answers with the reference.
func (h *house) search(n int) {
	a := &asker{rnd: h.rnd, me: h.me, roles: h.roles, root: h.root, people: []string{"ada@memsoak.example",
		"bo@memsoak.example", "new@other.example"}}
	for _, id := range slices.Sorted(maps.Keys(h.docs)) {
		if d := h.docs[id]; h.inScope(d) || id == h.root && h.drive == "" || id == h.drive {
			a.docs = append(a.docs, d)
			if isFolder(d) {
				a.folders = append(a.folders, id)
			}
		}
	}
	if len(a.folders) == 0 {
		return
	}
	for range n {
		q := a.ask(3)
		var want []string
		for id, d := range h.docs {
			if h.inScope(d) && q.means(d) {
				want = append(want, id)
			}
		}
		got := h.list(q.text)
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			h.differ(q.text, want, got)
		}
		h.asked++
	}
}

// differ fails the test with the first file on which the two disagree.
func (h *house) differ(q string, want, got []string) {
	h.t.Helper()
	for _, id := range append(slices.Clone(want), got...) {
		if slices.Contains(want, id) != slices.Contains(got, id) {
			h.t.Fatalf("q: %s\nfiles.list has %s: %v\nfiles.get: %v\npermissions.list: %v", q, id, slices.Contains(got, id),
				h.docs[id], h.roles[id])
		}
	}
	h.t.Fatalf("q: %s: %d files, %d listed (a file twice)", q, len(want), len(got))
}

// list pages through a search, and checks that each file looks as files.get showed it.
func (h *house) list(q string) (ids []string) {
	v := url.Values{"q": {q}, "fields": {"nextPageToken,files"}, "pageSize": {strconv.Itoa(1 + h.rnd.IntN(60))}}
	if h.drive != "" {
		v.Set("corpora", "drive")
		v.Set("driveId", h.drive)
		v.Set("includeItemsFromAllDrives", "true")
		v.Set("supportsAllDrives", "true")
	}
	if h.rnd.IntN(4) == 0 {
		v.Set("orderBy", []string{"name", "modifiedTime desc", "folder,quotaBytesUsed", "modifiedByMeTime"}[h.rnd.IntN(4)])
		if strings.Contains(q, "fullText") {
			v.Del("orderBy")
		}
	}
	pretty := h.rnd.IntN(8) == 0
	if !pretty {
		v.Set("prettyPrint", "false")
	}
	for {
		code, raw, _ := h.call("GET", "/drive/v3/files?"+v.Encode(), nil)
		require.Equal(h.t, 200, code, "q: %s: %s", q, raw)
		if pretty {
			raw = []byte(compact(h.t, raw))
		}
		of, token, ok := h.known(string(raw))
		if !ok {
			of, token = h.decoded(raw)
		}
		ids = append(ids, of...)
		if token == "" {
			return ids
		}
		v.Set("pageToken", token)
	}
}

// known reads a page of files that look, to the byte, as files.get showed them; ok is false where one doesn't. Decoding
// each file of each page would be most of the time of a hundred thousand queries.
func (h *house) known(page string) (ids []string, token string, ok bool) {
	rest, ok := strings.CutPrefix(page, `{"files":[`)
	for ok && !strings.HasPrefix(rest, "]") {
		// Of texts of which none begins with another, the last that isn't after rest is the only one that can begin it.
		i := sort.Search(len(h.texts), func(i int) bool { return h.texts[i] > rest }) - 1
		if i < 0 || !strings.HasPrefix(rest, h.texts[i]) {
			return nil, "", false
		}
		ids, rest = append(ids, h.shown[h.texts[i]]), rest[len(h.texts[i]):]
		if next, more := strings.CutPrefix(rest, ","); more {
			rest = next
		}
	}
	if !ok || rest == "]}" {
		return ids, "", ok
	}
	token, ok = strings.CutPrefix(rest, `],"nextPageToken":"`)
	token, end := strings.CutSuffix(token, `"}`)
	return ids, token, ok && end
}

// decoded reads any page, and compares what it says of each file with what files.get says.
func (h *house) decoded(raw []byte) (ids []string, token string) {
	var page struct {
		NextPageToken string
		Files         []doc
	}
	require.NoError(h.t, json.Unmarshal(raw, &page))
	for _, d := range page.Files {
		require.Equal(h.t, h.docs[d.text("id")], d, "files.list and files.get")
		ids = append(ids, d.text("id"))
	}
	return ids, page.NextPageToken
}
