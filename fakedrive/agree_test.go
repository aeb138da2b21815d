package fakedrive_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive"
	"github.com/memsoak/memsoak/fakedrive/corpus"
)

// TestDoorsAgree makes trees, changes them as clients do, and compares what all doors say of each file: files.get is
// the reference, evaluated by a search language of the test's own. MEMSOAK_AGREE is the number of queries.
func TestDoorsAgree(t *testing.T) {
	queries := 240
	if n, err := strconv.Atoi(os.Getenv("MEMSOAK_AGREE")); err == nil {
		queries = n
	}
	ways := []string{"none", "main", "at run time", "drive"}
	var asked, files, trees atomic.Int64
	for round := 0; asked.Load() < int64(queries) && !t.Failed(); round++ {
		t.Run(fmt.Sprint("round ", round), func(t *testing.T) {
			for i, way := range ways {
				t.Run(way, func(t *testing.T) {
					t.Parallel()
					h := newHouse(t, rand.New(rand.NewPCG(21, uint64(round*len(ways)+i))), way)
					for range 3 {
						h.change(25)
						h.read()
						h.facts()
						h.search(max(min(queries/24, 400), 20))
					}
					asked.Add(int64(h.asked))
					files.Add(int64(len(h.docs)))
					trees.Add(1)
					require.NoError(t, h.srv.Close())
				})
			}
		})
		if queries >= 10_000 {
			t.Logf("%d of %d queries", asked.Load(), queries)
		}
	}
	t.Logf("asked for: 0 contradictions in 100,000 queries; measured: 0 in %d queries about %d files in %d trees",
		asked.Load(), files.Load(), trees.Load())
}

// house is one Drive under test.
type house struct {
	t     *testing.T
	rnd   *rand.Rand
	srv   *fakedrive.Server
	now   time.Time
	ids   []string // every id that there ever was
	docs  map[string]doc
	texts []string          // the compact JSON that files.get shows of each file, in order
	shown map[string]string // and the file's id
	me    string
	root  string
	drive string // a shared drive, searched with corpora=drive
	token string
	asked int
	model map[string]corpus.Item // items of trees that no change has touched
	roles map[string]doc         // what permissions.list shows, by file
}

const agreeSpec = `
files: %d
folders: 7
fan_out: 3
seed: %d
size: {lognormal: {median: 2KiB, sigma: 1.5, min: 1, max: 64KiB}}
export_size: 3KiB
kinds: {documents: 4, spreadsheets: 2, shortcuts: 4, dangling: 1}
flags: {starred: 5, shared_with_me: 6, trashed: 5, trashed_folders: 2}
names: {duplicates: 2, slashes: 2, quotes: 3, emoji: 2, spaces: 2}
`

func newHouse(t *testing.T, rnd *rand.Rand, way string) *house {
	t.Helper()
	text := fmt.Sprintf(agreeSpec, 20+rnd.IntN(40), rnd.IntN(1000))
	if way == "drive" {
		text += "shared_drive: Team\n"
	}
	s := spec(t, text)
	h := &house{t: t, rnd: rnd, now: time.Date(2026, 1, 1, 0, 0, 0, 123456789, time.UTC), docs: map[string]doc{},
		model: map[string]corpus.Item{}}
	cfg := fakedrive.DefaultConfig()
	cfg.Now = func() time.Time { return h.now }
	if way == "main" {
		cfg.Corpus = s
	}
	var err error
	h.srv, err = fakedrive.New(cfg)
	require.NoError(t, err)
	h.root = fmt.Sprint(h.json("GET", "/drive/v3/files/root?fields=id", nil)["id"])
	user := h.json("GET", "/drive/v3/about?fields=user", nil)["user"].(map[string]any)
	h.me = fmt.Sprint(user["emailAddress"])
	h.token = fmt.Sprint(h.json("GET", "/drive/v3/changes/startPageToken", nil)["startPageToken"])
	h.ids = []string{h.root}
	if way != "none" {
		generation := uint64(0)
		if way != "main" {
			generation = 7
			root, err := h.srv.AddRoot(s, generation)
			require.NoError(t, err)
			if way == "drive" {
				h.drive = root.ID
			}
		}
		tree, err := corpus.New(s, generation)
		require.NoError(t, err)
		for it := range tree.All() {
			h.ids = append(h.ids, tree.ID(it.Ordinal))
			if it.Ordinal > 0 {
				h.model[tree.ID(it.Ordinal)] = it
			}
		}
	}
	return h
}

// call sends a request to the handler itself.
func (h *house) call(method, path string, body any) (int, []byte, http.Header) {
	h.t.Helper()
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		require.NoError(h.t, err)
		r = bytes.NewReader(b)
	}
	req := httptest.NewRequest(method, path, r)
	rec := httptest.NewRecorder()
	h.srv.ServeHTTP(rec, req)
	return rec.Code, rec.Body.Bytes(), rec.Result().Header
}

func (h *house) json(method, path string, body any) doc {
	h.t.Helper()
	code, raw, _ := h.call(method, path, body)
	require.Equal(h.t, 200, code, "%s %s: %s", method, path, raw)
	var d doc
	require.NoError(h.t, json.Unmarshal(raw, &d))
	return d
}

const ready = "supportsAllDrives=true"

// read gets every file there is by its id.
func (h *house) read() {
	h.docs, h.shown, h.roles = map[string]doc{}, map[string]string{}, map[string]doc{}
	for _, id := range h.ids {
		code, raw, _ := h.call("GET", "/drive/v3/files/"+id+"?fields=*&"+ready, nil)
		if code == 404 {
			continue
		}
		require.Equal(h.t, 200, code, string(raw))
		var d doc
		require.NoError(h.t, json.Unmarshal(raw, &d))
		h.docs[id], h.shown[compact(h.t, raw)] = d, id
		if code, raw, _ := h.call("GET", "/drive/v3/files/"+id+"/permissions?fields=*&"+ready, nil); code == 200 {
			var p doc
			require.NoError(h.t, json.Unmarshal(raw, &p))
			h.roles[id] = p
		}
	}
	h.texts = slices.Sorted(maps.Keys(h.shown))
}

func compact(t *testing.T, raw []byte) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, json.Compact(&b, raw))
	return b.String()
}

func (h *house) pick(keep func(doc) bool) string {
	ids := slices.Sorted(maps.Keys(h.docs))
	h.rnd.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	for _, id := range ids {
		if keep(h.docs[id]) {
			return id
		}
	}
	return h.root
}

func isFolder(d doc) bool { return d.text("mimeType") == corpus.MimeFolder }

// change makes n changes, any of which the Drive may refuse.
func (h *house) change(n int) {
	h.read()
	for range n {
		h.now = h.now.Add(time.Duration(h.rnd.IntN(3)) * 777 * time.Microsecond)
		id := h.pick(func(doc) bool { return true })
		folder := h.pick(isFolder)
		path := "/drive/v3/files/" + id + "?" + ready
		switch h.rnd.IntN(9) {
		case 0, 1:
			mime := []string{corpus.MimeFolder, corpus.MimeFolder, "text/plain"}[h.rnd.IntN(3)]
			code, raw, _ := h.call("POST", "/drive/v3/files?"+ready, map[string]any{"name": fmt.Sprintf("New %d", n),
				"mimeType": mime,
				"parents":  []string{folder}, "properties": map[string]string{"k": "v"}})
			if code == 200 {
				var d doc
				require.NoError(h.t, json.Unmarshal(raw, &d))
				h.ids = append(h.ids, d.text("id"))
			}
		case 2:
			h.call("PATCH", path, map[string]any{"trashed": h.rnd.IntN(2) == 0})
		case 3:
			h.call("PATCH", path, map[string]any{"name": "Renamed it's " + id[:4], "starred": h.rnd.IntN(2) == 0})
		case 4:
			h.call("PATCH", path+"&addParents="+folder+"&removeParents="+strings.Join(h.docs[id].list("parents", "", nil), ","),
				map[string]any{})
		case 5:
			if h.rnd.IntN(3) == 0 {
				h.call("DELETE", path, nil)
			}
		case 6:
			email := []string{"ada@memsoak.example", "new@other.example", h.me}[h.rnd.IntN(3)]
			role := []string{"reader", "writer", "owner"}[h.rnd.IntN(3)]
			h.call("POST", "/drive/v3/files/"+id+"/permissions?transferOwnership=true&"+ready, map[string]any{"type": "user",
				"role": role, "emailAddress": email})
		case 7:
			h.call("PATCH", "/upload/drive/v3/files/"+id+"?uploadType=media&"+ready, "content "+strconv.Itoa(n))
		case 8:
			if _, raw, _ := h.call("POST", "/drive/v3/files/"+id+"/copy?"+ready, map[string]any{}); bytes.Contains(raw,
				[]byte(`"id"`)) {
				var d doc
				require.NoError(h.t, json.Unmarshal(raw, &d))
				h.ids = append(h.ids, d.text("id"))
			}
		}
		delete(h.model, id)
	}
	if h.rnd.IntN(6) == 0 {
		h.call("DELETE", "/drive/v3/files/trash", nil)
		clear(h.model)
	}
}

// facts compares what other doors say with files.get.
func (h *house) facts() {
	var used, trash int64
	for id, d := range h.docs {
		n, err := strconv.ParseInt(d.text("quotaBytesUsed"), 10, 64)
		require.NoError(h.t, err)
		if d.flag("ownedByMe") {
			used += n
			if d.flag("trashed") {
				trash += n
			}
		}
		h.owner(id, d)
		h.content(id, d)
		h.permissions(id, d)
		if it, untouched := h.model[id]; untouched {
			h.item(d, it)
		}
	}
	quota := h.json("GET", "/drive/v3/about?fields=storageQuota", nil)["storageQuota"].(map[string]any)
	require.Equal(h.t, fmt.Sprint(used), quota["usage"], "about and the sum of what files are charged")
	require.Equal(h.t, fmt.Sprint(trash), quota["usageInDriveTrash"])
	h.changes()
}

// owner checks that all statements about who owns a file, and who last changed it, are one statement.
func (h *house) owner(id string, d doc) {
	owners := d.list("owners", "emailAddress", nil)
	require.Equal(h.t, slices.Contains(owners, h.me), d.flag("ownedByMe"), id)
	require.Equal(h.t, owners == nil, d.text("driveId") != "", "files of shared drives have no owners")
	last := d["lastModifyingUser"].(map[string]any)
	require.Equal(h.t, last["me"], d.flag("modifiedByMe"), id)
	_, has := d.time("modifiedByMeTime")
	require.Equal(h.t, has, d.flag("modifiedByMe"))
	caps := d["capabilities"].(map[string]any)
	require.Equal(h.t, caps["canShare"] == true && d.text("driveId") == "", d["permissions"] != nil, id)
	if d.flag("ownedByMe") && id != h.root {
		require.Equal(h.t, true, caps["canDelete"], id)
	}
}

// item compares a file with the corpus, which the server has no part in.
func (h *house) item(d doc, it corpus.Item) {
	require.Equal(h.t, it.Name, d.text("name"))
	require.Equal(h.t, it.MimeType, d.text("mimeType"))
	require.Equal(h.t, it.Starred, d.flag("starred"))
	require.Equal(h.t, it.SharedWithMe && h.drive == "", d.text("sharedWithMeTime") != "")
	require.Equal(h.t, it.Created.Format("2006-01-02T15:04:05.000Z"), d.text("createdTime"))
	require.Equal(h.t, it.Modified.Format("2006-01-02T15:04:05.000Z"), d.text("modifiedTime"))
	if it.Kind == corpus.Binary {
		require.Equal(h.t, fmt.Sprint(it.Size), d.text("size"))
		require.Equal(h.t, it.Content().Sums(corpus.MD5).MD5Hex(), d.text("md5Checksum"))
	}
	if h.drive == "" {
		require.Equal(h.t, []string{it.Owner.Email}, d.list("owners", "emailAddress", nil))
		require.Equal(h.t, it.Owner.Email == h.me, d.flag("ownedByMe"))
	}
}

// content downloads a file, or exports it, and looks at its revisions.
func (h *house) content(id string, d doc) {
	if h.rnd.IntN(4) > 0 {
		return
	}
	if links, ok := d["exportLinks"].(map[string]any); ok {
		for mime := range links {
			code, _, header := h.call("GET", "/drive/v3/files/"+id+"/export?mimeType="+url.QueryEscape(mime), nil)
			require.Equal(h.t, 200, code, "an export link of %s is an export", mime)
			require.Contains(h.t, header.Get("Content-Type"), strings.SplitN(mime, ";", 2)[0])
			break
		}
		return
	}
	code, body, header := h.call("GET", "/drive/v3/files/"+id+"?alt=media&"+ready, nil)
	if d.text("md5Checksum") == "" {
		require.NotEqual(h.t, 200, code, id)
		return
	}
	sum := md5.Sum(body)
	require.Equal(h.t, d.text("md5Checksum"), hex.EncodeToString(sum[:]))
	require.Equal(h.t, d.text("size"), fmt.Sprint(len(body)))
	require.Equal(h.t, d.text("size"), header.Get("Content-Length"))
	if caps := d["capabilities"].(map[string]any); caps["canReadRevisions"] == true {
		r := h.json("GET", "/drive/v3/files/"+id+"/revisions/head?fields=*&"+ready, nil)
		require.Equal(h.t, d.text("headRevisionId"), r.text("id"))
		require.Equal(h.t, d.text("md5Checksum"), r.text("md5Checksum"))
		require.Equal(h.t, d.text("size"), r.text("size"))
		require.Equal(h.t, d["lastModifyingUser"], r["lastModifyingUser"])
	}
}

// permissions compares the list of permissions with what the file says of them.
func (h *house) permissions(id string, d doc) {
	p := h.roles[id]
	require.Equal(h.t, d["permissionIds"] != nil, p != nil, id)
	if p == nil {
		return
	}
	ids := p.list("permissions", "id", nil)
	require.Equal(h.t, d.list("permissionIds", "", nil), ids)
	require.Len(h.t, slices.Compact(slices.Sorted(slices.Values(ids))), len(ids), "one permission for each user")
	if d["permissions"] != nil {
		require.Equal(h.t, p["permissions"], d["permissions"])
	}
	require.Equal(h.t, d.flag("shared"), len(ids) > 1 || d.text("driveId") != "" || d.text("sharedWithMeTime") != "", id)
}

// changes follows the log from its start and compares its last word about each file.
func (h *house) changes() {
	last := map[string]doc{}
	for token := h.token; token != ""; {
		page := h.json("GET", "/drive/v3/changes?fields=nextPageToken,changes&pageSize=7&includeItemsFromAllDrives=true&"+
			ready+"&pageToken="+token, nil)
		token = page.text("nextPageToken")
		for _, x := range page["changes"].([]any) {
			c := doc(x.(map[string]any))
			require.NotContains(h.t, last, c.text("fileId"), "a file is in the log once")
			last[c.text("fileId")] = c
		}
	}
	for id, c := range last {
		if c.flag("removed") {
			require.NotContains(h.t, h.docs, id)
			continue
		}
		require.Equal(h.t, h.docs[id], doc(c["file"].(map[string]any)))
	}
}
