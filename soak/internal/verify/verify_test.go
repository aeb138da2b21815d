package verify_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/soak/internal/fakes3"
	"github.com/memsoak/memsoak/soak/internal/verify"
)

// tree is a tree with what makes verification hard: documents, shortcuts, odd names, trash.
func tree(t *testing.T, generation uint64) *corpus.Tree {
	t.Helper()
	s, err := corpus.ParseSpec([]byte(`
seed: 1
files: 480
folders: 150
depth: 30
size: {uniform: {min: 0, max: 4KiB}}
kinds: {documents: 16, shortcuts: 12}
flags: {trashed: 6}
names: {duplicates: 2%, slashes: 4, quotes: 4, emoji: 4, long: 2, spaces: 2}
`))
	require.NoError(t, err)
	tr, err := corpus.New(s, generation)
	require.NoError(t, err)
	return tr
}

// stored is what a copy that did everything right leaves in the sink below p/.
func stored(t *testing.T, tr *corpus.Tree, byID bool) []fakes3.Entry {
	t.Helper()
	var all []fakes3.Entry
	paths := map[string]bool{}
	for n := range tr.Len() {
		it := tr.Item(n)
		if !it.Downloadable() {
			continue
		}
		h := md5.New()
		size, err := io.Copy(h, tr.Open(n, 0))
		require.NoError(t, err)
		e := fakes3.Entry{Bucket: "b", Size: size, MD5: hex.EncodeToString(h.Sum(nil))}
		if byID {
			e.Key, e.Metadata = "p/"+tr.ID(n), map[string]string{verify.IDMeta: tr.ID(n)}
		} else {
			e.Key = "p" + rclonePath(tr, n)
			if it.Kind == corpus.Document {
				e.Key += ".docx"
			}
			if paths[e.Key] {
				continue // rclone copies one of several files with the same path
			}
			paths[e.Key] = true
		}
		e.ETag = e.MD5
		all = append(all, e)
	}
	require.NotEmpty(t, all)
	slices.SortFunc(all, func(a, b fakes3.Entry) int { return strings.Compare(a.Key, b.Key) })
	return all
}

// rclonePath is a file's path as rclone writes it.
func rclonePath(tr *corpus.Tree, n int64) string {
	if n == 0 {
		return ""
	}
	name := strings.ReplaceAll(strings.ReplaceAll(tr.Name(n), "／", "‛／"), "/", "／")
	switch name {
	case ".", "..":
		name = strings.Repeat("．", len(name))
	}
	return rclonePath(tr, tr.Parent(n)) + "/" + name
}

func entries(all []fakes3.Entry) iter.Seq2[fakes3.Entry, error] {
	return func(yield func(fakes3.Entry, error) bool) {
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func check(t *testing.T, tr *corpus.Tree, all []fakes3.Entry) *verify.Report {
	t.Helper()
	r, err := verify.Check(t.Context(), tr, "p", entries(all), verify.Auto)
	require.NoError(t, err)
	return r
}

func TestRightCopyPasses(t *testing.T) {
	tr := tree(t, 1)
	for _, byID := range []bool{true, false} {
		all := stored(t, tr, byID)
		r := check(t, tr, all)
		require.True(t, r.OK(), "%+v", r)
		require.Equal(t, int64(len(all)), r.Objects)
		require.Equal(t, map[bool]verify.By{true: verify.ByID, false: verify.ByPath}[byID], r.By)
		require.Equal(t, r.Files, r.Objects+r.Shadowed+r.Unexportable)
	}
}

func TestEveryDifferenceIsFound(t *testing.T) {
	tr := tree(t, 1)
	for _, byID := range []bool{true, false} {
		good := stored(t, tr, byID)
		i := slices.IndexFunc(good, func(e fakes3.Entry) bool { return e.Size > 10 })
		for kind, spoil := range map[verify.Kind]func(all []fakes3.Entry) []fakes3.Entry{
			verify.Missing:   func(all []fakes3.Entry) []fakes3.Entry { return slices.Delete(all, i, i+1) },
			verify.WrongSize: func(all []fakes3.Entry) []fakes3.Entry { all[i].Size--; return all },
			verify.WrongSum:  func(all []fakes3.Entry) []fakes3.Entry { all[i].MD5 = strings.Repeat("0", 32); return all },
			verify.Extra: func(all []fakes3.Entry) []fakes3.Entry {
				return append(all, fakes3.Entry{Bucket: "b", Key: "p/none", Metadata: map[string]string{verify.IDMeta: "x"}})
			},
		} {
			r := check(t, tr, spoil(slices.Clone(good)))
			require.False(t, r.OK(), kind)
			require.Equal(t, map[verify.Kind]int64{kind: 1}, r.Counts, "byID=%v", byID)
			require.Len(t, r.Problems, 1)
			require.Equal(t, kind, r.Problems[0].Kind)
		}
	}
}

func TestSecondObjectOfAFileIsADuplicateUnlessAShortcutLeadsThere(t *testing.T) {
	tr := tree(t, 1)
	good := stored(t, tr, true)
	targets := map[string]bool{}
	for n := range tr.Len() {
		if it := tr.Item(n); it.Kind == corpus.Shortcut && !it.Trashed && !it.Dangling(tr.Len()) {
			targets[tr.ID(it.Target)] = true
		}
	}
	again := func(want bool) *verify.Report {
		i := slices.IndexFunc(good, func(e fakes3.Entry) bool { return targets[e.Metadata[verify.IDMeta]] == want })
		require.GreaterOrEqual(t, i, 0)
		second := good[i]
		second.Key += "-again"
		return check(t, tr, append(slices.Clone(good), second))
	}
	require.Equal(t, map[verify.Kind]int64{verify.Duplicate: 1}, again(false).Counts)
	r := again(true)
	require.True(t, r.OK(), "%+v", r)
	require.Equal(t, int64(1), r.Shortcuts)
}

func TestAnotherGenerationIsNotTheSameFiles(t *testing.T) {
	all := stored(t, tree(t, 1), true)
	r := check(t, tree(t, 2), all)
	require.Equal(t, int64(len(all)), r.Counts[verify.Extra])
	require.Positive(t, r.Counts[verify.Missing])
	require.LessOrEqual(t, len(r.Problems), 20)
}

func TestNothingExpectedIsNotOK(t *testing.T) {
	s, err := corpus.ParseSpec([]byte("files: 0\n"))
	require.NoError(t, err)
	tr, err := corpus.New(s, 1)
	require.NoError(t, err)
	require.False(t, check(t, tr, nil).OK())
}

// TestRecordOfASink uploads a tree by both ways to a real sink, records it and checks the record.
func TestRecordOfASink(t *testing.T) {
	wave := verify.Wave{Request: fault.RootRequest{Spec: "files: 3\nsize: {fixed: 11MiB}\n", Generation: 5},
		Bucket: "bucket", Prefix: "w1"}
	tr, err := wave.Tree()
	require.NoError(t, err)
	sink, err := fakes3.New(fakes3.Config{Buckets: []string{"bucket"}})
	require.NoError(t, err)
	srv := httptest.NewServer(sink)
	t.Cleanup(srv.Close)
	for n := range tr.Len() {
		if !tr.Item(n).Downloadable() {
			continue
		}
		key := srv.URL + "/bucket/w1/" + tr.ID(n)
		if n%2 == 0 {
			send(t, http.MethodPut, key, tr.Open(n, 0), tr.Item(n).Size, tr.ID(n))
			continue
		}
		id := between(send(t, http.MethodPost, key+"?uploads", nil, 0, tr.ID(n)), "<UploadId>", "</UploadId>")
		var parts strings.Builder
		for i, cut := range []int64{5 << 20, 6 << 20} {
			h := md5.New()
			r := tr.OpenRange(n, int64(i)*5<<20, cut)
			send(t, http.MethodPut, key+"?partNumber="+string(rune('1'+i))+"&uploadId="+id, io.TeeReader(r, h), cut, "")
			parts.WriteString("<Part><PartNumber>" + string(rune('1'+i)) + "</PartNumber><ETag>" +
				hex.EncodeToString(h.Sum(nil)) + "</ETag></Part>")
		}
		body := "<CompleteMultipartUpload>" + parts.String() + "</CompleteMultipartUpload>"
		send(t, http.MethodPost, key+"?uploadId="+id, strings.NewReader(body), int64(len(body)), "")
	}
	dir := t.TempDir()
	require.NoError(t, verify.Record(t.Context(), dir, srv.URL, []verify.Wave{wave}))
	waves, all, err := verify.Recorded(dir)
	require.NoError(t, err)
	require.Equal(t, []verify.Wave{wave}, waves)
	for range 2 { // the entries can be read again
		r, err := verify.Check(t.Context(), tr, "w1", verify.Below(all, "bucket", "w1"), verify.Auto)
		require.NoError(t, err)
		require.True(t, r.OK(), "%+v", r)
		require.Equal(t, int64(3), r.Files)
	}
	other, err := corpus.New(func() *corpus.Spec { s := tr.Spec(); return &s }(), 6)
	require.NoError(t, err)
	r, err := verify.Check(t.Context(), other, "w1", verify.Below(all, "bucket", "w1"), verify.Auto)
	require.NoError(t, err)
	require.False(t, r.OK())
}

// send makes one request of the S3 protocol and returns the answer's body.
func send(t *testing.T, method, url string, body io.Reader, size int64, id string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, url, body)
	require.NoError(t, err)
	req.ContentLength = size
	if id != "" {
		req.Header.Set("X-Amz-Meta-Drive-Id", id)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, b.String())
	return b.String()
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}
