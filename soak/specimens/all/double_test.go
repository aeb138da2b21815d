package all_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// double is a Drive and a sink in one server. A root is "SIZE-FILES-PAGE-GENERATION": so many files of that size,
// served in pages of PAGE entries whatever the client asked for.
type double struct {
	srv *httptest.Server

	pages, listed, requests, open atomic.Int64
	bytes                         atomic.Int64

	refuse  atomic.Bool // the first download of each file is refused
	refused atomic.Int64
	asked   sync.Map // files whose download was refused

	mu      sync.Mutex
	hold    holdPoint
	gate    chan struct{}
	arrived atomic.Int64
}

type holdPoint int

const (
	holdNone holdPoint = iota
	holdDownload
	holdReply
	holdLastReply // the reply of each wave's last file alone
)

func newDouble(t *testing.T, tls bool) *double {
	d := &double{}
	d.srv = httptest.NewUnstartedServer(d)
	d.srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			d.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			d.open.Add(-1)
		}
	}
	if tls {
		d.srv.EnableHTTP2 = true
		d.srv.StartTLS()
	} else {
		d.srv.Start()
	}
	t.Cleanup(func() {
		d.release()
		d.srv.CloseClientConnections()
		d.srv.Close()
	})
	return d
}

// setHold lets transfers stop at p until release.
func (d *double) setHold(p holdPoint) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hold, d.gate = p, make(chan struct{})
	d.arrived.Store(0)
}

func (d *double) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gate != nil && d.hold != holdNone {
		close(d.gate)
	}
	d.hold = holdNone
}

func (d *double) pass(r *http.Request, p holdPoint) {
	d.mu.Lock()
	hold, gate := d.hold, d.gate
	d.mu.Unlock()
	if hold != p {
		return
	}
	d.arrived.Add(1)
	select {
	case <-gate:
	case <-r.Context().Done():
	}
}

func (d *double) waitArrived(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return d.arrived.Load() >= int64(n) }, 20*time.Second, time.Millisecond)
}

type tree struct {
	size, files, page int
	generation        string
}

func parse(root string) tree {
	var t tree
	p := strings.SplitN(root, "-", 4)
	if len(p) == 4 {
		t.size, _ = strconv.Atoi(p[0])
		t.files, _ = strconv.Atoi(p[1])
		t.page, _ = strconv.Atoi(p[2])
		t.generation = p[3]
	}
	return t
}

func (d *double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.requests.Add(1)
	id, file := strings.CutPrefix(r.URL.Path, "/drive/v3/files/")
	switch {
	case r.Method == http.MethodPut || r.Method == http.MethodPost:
		d.upload(w, r)
	case r.URL.Path == "/drive/v3/files":
		d.list(w, r)
	case r.URL.Query().Get("alt") == "media":
		if d.refuse.Load() {
			if _, again := d.asked.LoadOrStore(id, true); !again {
				d.refused.Add(1)
				http.Error(w, "later", http.StatusServiceUnavailable)
				return
			}
		}
		d.pass(r, holdDownload)
		size, _, _ := strings.Cut(id, "-")
		w.Header().Set("Content-Length", size)
		n, _ := strconv.ParseInt(size, 10, 64)
		_, _ = io.CopyN(w, zeros{}, n)
	case file && parse(id).page > 0:
		fmt.Fprintf(w, `{"id":%q,"name":"a tree","mimeType":"application/vnd.google-apps.folder"}`, id)
	case file:
		fmt.Fprintf(w, `{"id":%q,"name":"a name","mimeType":"application/octet-stream","size":"1"}`, id)
	case r.URL.Query().Get("list-type") == "2":
		fmt.Fprint(w, `<ListBucketResult><Name>bucket</Name><KeyCount>0</KeyCount>`+
			`<IsTruncated>false</IsTruncated></ListBucketResult>`)
	default:
		http.NotFound(w, r)
	}
}

// list answers a page; a file's id is SIZE-GENERATION-NUMBER, and the last one's ends in "last", as its name does.
func (d *double) list(w http.ResponseWriter, r *http.Request) {
	root := strings.SplitN(r.URL.Query().Get("q"), "'", 3)[1]
	t := parse(root)
	first, _ := strconv.Atoi(r.URL.Query().Get("pageToken"))
	d.pages.Add(1)
	fmt.Fprint(w, `{"files":[`)
	end := min(first+t.page, t.files)
	for i := first; i < end; i++ {
		if i > first {
			fmt.Fprint(w, ",")
		}
		last := ""
		if i == t.files-1 {
			last = "last"
		}
		fmt.Fprintf(w, `{"id":"%d-%s-%06d%s","name":"file %d%s","mimeType":"application/octet-stream","size":"%d"}`,
			t.size, t.generation, i, last, i, last, t.size)
		d.listed.Add(1)
	}
	fmt.Fprint(w, `]`)
	if end < t.files {
		fmt.Fprintf(w, `,"nextPageToken":"%d"`, end)
	}
	fmt.Fprint(w, `}`)
}

// upload takes a PUT or a part, and answers multipart calls well enough for the SDKs.
func (d *double) upload(w http.ResponseWriter, r *http.Request) {
	n, _ := io.Copy(io.Discard, r.Body)
	q := r.URL.Query()
	if q.Has("uploads") {
		fmt.Fprint(w, `<InitiateMultipartUploadResult><Bucket>b</Bucket>`+
			`<Key>k</Key><UploadId>1</UploadId></InitiateMultipartUploadResult>`)
		return
	}
	if r.Method == http.MethodPost {
		fmt.Fprint(w, `<CompleteMultipartUploadResult>`+
			`<Bucket>b</Bucket><Key>k</Key><ETag>"e"</ETag></CompleteMultipartUploadResult>`)
		return
	}
	d.bytes.Add(n)
	d.pass(r, holdReply)
	if strings.HasSuffix(r.URL.Path, "last") {
		d.pass(r, holdLastReply)
	}
	w.Header().Set("ETag", `"00000000000000000000000000000000"`)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
