package fakedrive_test

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/api/drive/v3"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"

	"github.com/memsoak/memsoak/fakedrive"
	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/fault"
)

// fake is a Server that listens, with Google's own client for it.
type fake struct {
	*fakedrive.Server
	t     *testing.T
	url   string
	sdk   *drive.Service
	admin *fault.Client
	now   *time.Time
}

// newFake serves a preset ("" for an empty Drive). The clock stands still until a test moves it.
func newFake(t *testing.T, preset string, change ...func(*fakedrive.Config)) *fake {
	t.Helper()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	cfg := fakedrive.DefaultConfig()
	cfg.Now = func() time.Time { return now }
	if preset != "" {
		spec, err := corpus.Preset(preset)
		require.NoError(t, err)
		cfg.Corpus = spec
	}
	for _, c := range change {
		c(&cfg)
	}
	srv, err := fakedrive.New(cfg)
	require.NoError(t, err)
	ts := httptest.NewUnstartedServer(srv)
	srv.Control().Watch(ts.Config)
	ts.Start()
	t.Cleanup(func() {
		ts.Close()
		require.NoError(t, srv.Close())
	})
	f := &fake{Server: srv, t: t, url: ts.URL, now: &now, admin: fault.NewClient(ts.URL)}
	t.Cleanup(f.admin.Close)
	f.sdk, err = drive.NewService(context.Background(), option.WithEndpoint(ts.URL+"/drive/v3/"),
		option.WithHTTPClient(ts.Client()))
	require.NoError(t, err)
	return f
}

// spec parses a corpus spec.
func spec(t *testing.T, text string) *corpus.Spec {
	t.Helper()
	s, err := corpus.ParseSpec([]byte(text))
	require.NoError(t, err)
	return s
}

// do sends a plain request and returns the reply with its body read.
func (f *fake) do(method, path string, body io.Reader, header ...string) (*http.Response, string) {
	f.t.Helper()
	req, err := http.NewRequest(method, f.url+path, body)
	require.NoError(f.t, err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(f.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(f.t, err)
	return resp, string(raw)
}

// reason is the first reason of a Google error.
func reason(t *testing.T, err error) (int, string) {
	t.Helper()
	var e *googleapi.Error
	require.ErrorAs(t, err, &e)
	require.NotEmpty(t, e.Errors, "the legacy errors array is what clients read: %s", e.Body)
	return e.Code, e.Errors[0].Reason
}

// listAll pages through a query.
func (f *fake) listAll(q string, pageSize int64, fields googleapi.Field) (files []*drive.File, pages int) {
	f.t.Helper()
	err := f.sdk.Files.List().Q(q).PageSize(pageSize).Fields("nextPageToken", fields).Pages(context.Background(),
		func(l *drive.FileList) error {
			pages++
			files = append(files, l.Files...)
			return nil
		})
	require.NoError(f.t, err)
	return files, pages
}

func TestTheSDKListsATreeInPages(t *testing.T) {
	f := newFake(t, "mixed")
	var walk func(id string) (n int)
	walk = func(id string) (n int) {
		files, pages := f.listAll("'"+id+"' in parents", 7, "files(id,name,mimeType,parents)")
		require.Equal(t, max(1, (len(files)+6)/7), pages, "no empty last page")
		for _, x := range files {
			require.Equal(t, []string{id}, x.Parents)
			n++
			if x.MimeType == corpus.MimeFolder {
				n += walk(x.Id)
			}
		}
		return n
	}
	root, err := f.sdk.Files.Get("root").Fields("id").Do()
	require.NoError(t, err)
	all, _ := f.listAll("", 1000, "files(id)")
	require.Equal(t, len(all), walk(root.Id))
	seen := map[string]bool{}
	for _, x := range all {
		require.False(t, seen[x.Id], "no file comes twice")
		seen[x.Id] = true
	}
}

func TestContentsAreWhatTheChecksumsSay(t *testing.T) {
	f := newFake(t, "tiny")
	files, _ := f.listAll("trashed=false", 100, "files(id,name,size,md5Checksum)")
	checked := 0
	for _, x := range files {
		if x.Md5Checksum == "" {
			continue
		}
		resp, err := f.sdk.Files.Get(x.Id).Download()
		require.NoError(t, err)
		sum := md5.New()
		n, err := io.Copy(sum, resp.Body)
		resp.Body.Close()
		require.NoError(t, err)
		require.Equal(t, x.Size, n, x.Name)
		require.Equal(t, x.Md5Checksum, hex.EncodeToString(sum.Sum(nil)), x.Name)
		checked++
	}
	require.NotZero(t, checked)
	c, err := f.admin.Counters(context.Background())
	require.NoError(t, err)
	require.EqualValues(t, checked, c.Finished)
	require.EqualValues(t, checked, c.Distinct)
	require.Zero(t, c.NotUnderstood)
}

func TestRootsAreFreshOrRepeated(t *testing.T) {
	f := newFake(t, "")
	ctx := context.Background()
	a, err := f.admin.Root(ctx, fault.RootRequest{Corpus: "tiny", Generation: 1})
	require.NoError(t, err)
	again, err := f.admin.Root(ctx, fault.RootRequest{Corpus: "tiny", Generation: 1})
	require.NoError(t, err)
	require.Equal(t, a, again)
	b, err := f.admin.Root(ctx, fault.RootRequest{Corpus: "tiny", Generation: 2})
	require.NoError(t, err)
	require.NotEqual(t, a.ID, b.ID)
	require.Equal(t, a.Files, b.Files)
	for _, root := range []fault.Root{a, b} {
		files, _ := f.listAll("'"+root.ID+"' in parents and trashed=false", 100, "files(id)")
		require.NotEmpty(t, files)
	}
	for i := uint64(3); i < 200; i++ { // more trees than are kept built
		_, err := f.AddRoot(spec(t, "name: x\nfiles: 3\n"), i)
		require.NoError(t, err)
	}
	files, _ := f.listAll("'"+a.ID+"' in parents", 100, "files(id)")
	require.NotEmpty(t, files, "a tree that was put away is built again")
	_, err = f.admin.Root(ctx, fault.RootRequest{})
	require.ErrorContains(t, err, "exactly one")
}

func TestUnknownRequestsAreCounted(t *testing.T) {
	f := newFake(t, "")
	resp, body := f.do("GET", "/drive/v3/nonsense", nil)
	require.Equal(t, http.StatusNotFound, resp.StatusCode)
	require.Contains(t, body, `"errors"`)
	f.do("GET", "/drive/v3/files?potato=1", nil)
	require.EqualValues(t, 2, f.Control().Counters().NotUnderstood)
}
