package fakedrive_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/api/drive/v3"

	"memsoak/fakedrive"
	"memsoak/fakedrive/corpus"
)

// ratio runs two functions in turn, a and b, for the benchmark's iterations and reports how much of b's speed a has. The
// first pair is not counted.
func ratio(b *testing.B, a, base func()) {
	b.Helper()
	a()
	base()
	var ta, tb time.Duration
	for b.Loop() {
		start := time.Now()
		a()
		mid := time.Now()
		base()
		ta += mid.Sub(start)
		tb += time.Since(mid)
	}
	b.ReportMetric(float64(tb)/float64(ta), "x-of-bare")
	b.ReportMetric(float64(ta.Nanoseconds())/float64(b.N), "ns/fake-op")
	b.ReportMetric(0, "ns/op")
}

func serveBench(b *testing.B, spec string, generation uint64) (root string, h http.Handler) {
	b.Helper()
	cfg := fakedrive.DefaultConfig()
	s, err := corpus.ParseSpec([]byte(spec))
	require.NoError(b, err)
	cfg.Corpus, cfg.Generation = s, generation
	srv, err := fakedrive.New(cfg)
	require.NoError(b, err)
	b.Cleanup(func() { srv.Close() })
	return "root", srv
}


// BenchmarkListPage compares a page of 1000 files, from the request to the last byte, with what encoding/json alone
// needs to marshal the same page.
func BenchmarkListPage(b *testing.B) {
	for _, c := range []struct{ name, fields string }{
		{"no-hashes", "id,name,mimeType,size,modifiedTime,parents"},
		{"three-hashes", "id,name,mimeType,size,modifiedTime,parents,md5Checksum,sha1Checksum,sha256Checksum"},
	} {
		b.Run(c.name, func(b *testing.B) {
			_, h := serveBench(b, "name: wide\nfiles: 20000\nfolders: 0\nsize: {lognormal: {median: 100KiB, sigma: 2, min: 1, max: 1GiB}}\n", 1)
			target := "/drive/v3/files?prettyPrint=false&pageSize=1000&q=" + url.QueryEscape("'root' in parents and trashed=false") +
				"&fields=" + url.QueryEscape("nextPageToken,files("+c.fields+")")
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequest("GET", target, nil))
			var page drive.FileList
			require.NoError(b, json.Unmarshal(rec.Body.Bytes(), &page))
			require.Len(b, page.Files, 1000)
			token := ""
			ratio(b, func() {
				w := httptest.NewRecorder()
				w.Body.Grow(1 << 20)
				t := target
				if token != "" {
					t += "&pageToken=" + url.QueryEscape(token)
				}
				h.ServeHTTP(w, httptest.NewRequest("GET", t, nil))
				token = tokenOf(w.Body.Bytes())
			}, func() {
				if _, err := json.Marshal(&page); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// tokenOf finds the page token at the end of a page.
func tokenOf(page []byte) string {
	var v struct{ NextPageToken string }
	const tail = 200
	if len(page) > tail {
		cut := page[len(page)-tail:]
		for i := range cut {
			if json.Unmarshal(append([]byte("{"), cut[i:]...), &v) == nil && v.NextPageToken != "" {
				return v.NextPageToken
			}
		}
	}
	return ""
}

// BenchmarkMedia compares a download with a bare net/http handler that serves the same bytes, both over loopback.
func BenchmarkMedia(b *testing.B) {
	const size = 64 << 20
	_, h := serveBench(b, fmt.Sprintf("name: one\nfiles: 1\nfolders: 0\nsize: {fixed: %d}\n", size), 1)
	s, err := corpus.ParseSpec([]byte(fmt.Sprintf("name: one\nfiles: 1\nfolders: 0\nsize: {fixed: %d}\n", size)))
	require.NoError(b, err)
	tree, err := corpus.New(s, 1)
	require.NoError(b, err)
	content, err := io.ReadAll(tree.Open(1, 0))
	require.NoError(b, err)
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = w.Write(content)
	}))
	defer bare.Close()
	fake := httptest.NewServer(h)
	defer fake.Close()
	get := func(u string) func() {
		return func() {
			resp, err := http.Get(u)
			require.NoError(b, err)
			n, err := io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			require.NoError(b, err)
			require.EqualValues(b, size, n)
		}
	}
	ratio(b, get(fake.URL+"/drive/v3/files/"+tree.ID(1)+"?alt=media"), get(bare.URL))
}
