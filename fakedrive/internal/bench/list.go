package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/api/drive/v3"
	"google.golang.org/api/option"

	"github.com/memsoak/memsoak/fakedrive"
	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/internal/stat"
)

// Field masks of the listings: what a copying client asks for, and the same with checksums.
const (
	plainFields = "files(id,name,size,trashed,explicitlyTrashed,modifiedTime,createdTime,mimeType,parents,webViewLink," +
		"shortcutDetails,exportLinks,resourceKey),nextPageToken,incompleteSearch"
	hashFields = "files(id,name,size,md5Checksum,sha1Checksum,sha256Checksum,trashed,explicitlyTrashed,modifiedTime," +
		"createdTime,mimeType,parents,webViewLink,shortcutDetails,exportLinks,resourceKey),nextPageToken,incompleteSearch"
)

// reply is a ResponseWriter into memory that is used again.
type reply struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *reply) Header() http.Header         { return r.header }
func (r *reply) WriteHeader(status int)      { r.status = status }
func (r *reply) Write(p []byte) (int, error) { return r.body.Write(p) }

func (r *reply) reset() {
	r.header, r.status = http.Header{}, http.StatusOK
	r.body.Reset()
}

// bareList is a page as encoding/json marshals it fastest: plain structs of strings, with the fields of the page and
// no others.
type bareList struct {
	NextPageToken    string     `json:"nextPageToken,omitempty"`
	IncompleteSearch bool       `json:"incompleteSearch"`
	Files            []bareFile `json:"files"`
}

type bareFile struct {
	ID                string   `json:"id"`
	Name              string   `json:"name"`
	Size              string   `json:"size,omitempty"`
	MD5Checksum       string   `json:"md5Checksum,omitempty"`
	SHA1Checksum      string   `json:"sha1Checksum,omitempty"`
	SHA256Checksum    string   `json:"sha256Checksum,omitempty"`
	Trashed           bool     `json:"trashed"`
	ExplicitlyTrashed bool     `json:"explicitlyTrashed"`
	ModifiedTime      string   `json:"modifiedTime"`
	CreatedTime       string   `json:"createdTime"`
	MimeType          string   `json:"mimeType"`
	Parents           []string `json:"parents"`
	WebViewLink       string   `json:"webViewLink"`
}

// pages compares the handler's list pages with json.Marshal of the same pages: in one goroutine, without a network.
func pages(_ context.Context, o options) ([]figure, error) {
	spec, err := corpus.Preset("list-300k")
	if err != nil {
		return nil, err
	}
	spec.Folders = 3 // full pages
	cfg := fakedrive.DefaultConfig()
	cfg.Corpus = spec
	srv, err := fakedrive.New(cfg)
	if err != nil {
		return nil, err
	}
	defer srv.Close()
	var figures []figure
	for _, c := range []struct {
		name, fields string
		bound        float64
	}{{"list pages of 1000, no hashes, to encoding/json alone", plainFields, 0.8},
		{"list pages of 1000, three hashes, to encoding/json alone", hashFields, 0.5}} {
		f, err := comparePages(srv, o, c.name, c.fields, c.bound)
		if err != nil {
			return nil, err
		}
		figures = append(figures, f)
	}
	return figures, nil
}

// pagesPerRound is how many pages each side makes in a round.
const pagesPerRound = 40

// comparePages alternates between pages of the handler and pages of encoding/json, and compares the processor time
// that they take in this thread: time that other processes get doesn't count.
func comparePages(srv http.Handler, o options, name, fields string, bound float64) (figure, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var ratios, pages []float64
	out := &reply{}
	for round := range o.rounds + 1 {
		served, page, err := servePages(srv, out, fields)
		if err != nil {
			return figure{}, err
		}
		marshalled, err := marshalPages(page, out.body.Len())
		if err != nil {
			return figure{}, err
		}
		if round > 0 { // the first warms up
			ratios = append(ratios, marshalled.Seconds()/served.Seconds())
			pages = append(pages, served.Seconds()*1000/pagesPerRound)
		}
	}
	return atLeast(name, bound, stat.Median(ratios), fmt.Sprintf("%.2f ms a page", stat.Median(pages))), nil
}

// servePages asks for one page after the other, so that no memory of the last one could help, and returns the last.
func servePages(srv http.Handler, out *reply, fields string) (took time.Duration, page bareList, err error) {
	token := ""
	runtime.GC() // what others left behind is not for the handler to clean up
	for range pagesPerRound {
		out.reset()
		req := listRequest(fields, token)
		start := cpuTime()
		srv.ServeHTTP(out, req)
		took += cpuTime() - start
		_, rest, ok := bytes.Cut(out.body.Bytes(), []byte(`"nextPageToken":"`))
		if !ok {
			return 0, page, fmt.Errorf("list: %d: a page without a token", out.status)
		}
		text, _, _ := bytes.Cut(rest, []byte(`"`))
		token = string(text)
	}
	page, err = out.page()
	return took, page, err
}

// marshalPages marshals a page as often as servePages asks for one. Its size has to be about that of the handler's.
func marshalPages(page bareList, size int) (took time.Duration, err error) {
	runtime.GC()
	for range pagesPerRound {
		start := cpuTime()
		b, err := json.Marshal(page)
		took += cpuTime() - start
		if err != nil {
			return 0, err
		}
		if d := len(b) - size; d > size/20 || -d > size/20 {
			return 0, fmt.Errorf("encoding/json made %d bytes of a page of %d", len(b), size)
		}
	}
	return took, nil
}

// cpuTime returns the processor time of this thread.
func cpuTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic(err) // Linux has this clock
	}
	return time.Duration(ts.Nano())
}

func listRequest(fields, token string) *http.Request {
	q := url.Values{"pageSize": {"1000"}, "prettyPrint": {"false"}, "fields": {fields},
		"q": {"trashed=false and mimeType!='" + corpus.MimeFolder + "'"}}
	if token != "" {
		q.Set("pageToken", token)
	}
	return httptest.NewRequest(http.MethodGet, "/drive/v3/files?"+q.Encode(), nil)
}

// page decodes the reply.
func (r *reply) page() (list bareList, err error) {
	if r.status != http.StatusOK {
		return list, fmt.Errorf("list: %d: %s", r.status, r.body.Bytes())
	}
	if err := json.Unmarshal(r.body.Bytes(), &list); err != nil {
		return list, err
	}
	if len(list.Files) != 1000 {
		return list, fmt.Errorf("list: a page of %d files", len(list.Files))
	}
	return list, nil
}

// million lists a folder of a million files with Google's Go client.
func million(ctx context.Context, o options) ([]figure, error) {
	p, err := startDrive(ctx, o.binary, "wide")
	if err != nil {
		return nil, err
	}
	defer p.stop()
	tree, err := openTree("wide")
	if err != nil {
		return nil, err
	}
	svc, err := drive.NewService(ctx, option.WithEndpoint(p.url+"/drive/v3/"), option.WithHTTPClient(http.DefaultClient))
	if err != nil {
		return nil, err
	}
	first, _ := tree.Children(tree.Root())
	folder := first // its only child
	var files int64
	start := time.Now()
	err = svc.Files.List().Q(fmt.Sprintf("'%s' in parents and trashed=false", tree.ID(folder))).PageSize(1000).
		Fields("nextPageToken,incompleteSearch,files(id,name,size,md5Checksum,mimeType)").
		Pages(ctx, func(l *drive.FileList) error {
			for _, f := range l.Files {
				files++
				if n, ok := tree.Ordinal(f.Id); !ok || n != folder+files {
					return fmt.Errorf("file %d of the listing has id %s", files, f.Id)
				}
			}
			return nil
		})
	if err != nil {
		return nil, err
	}
	f := figure{Name: "a folder of 1,000,000 files listed by Google's Go client", Asked: "no error", Value: float64(files),
		Measured: fmt.Sprintf("%d files (%.0f files/s)", files, float64(files)/time.Since(start).Seconds()),
		OK:       files == 1_000_000}
	return []figure{f}, nil
}

// flatURL is the address of a page of everything.
func flatURL(base, token string) string {
	q := url.Values{"pageSize": {"1000"}, "q": {"trashed=false"}, "fields": {"nextPageToken,files(id,mimeType)"}}
	if token != "" {
		q.Set("pageToken", token)
	}
	return strings.TrimRight(base, "/") + "/drive/v3/files?" + q.Encode()
}
