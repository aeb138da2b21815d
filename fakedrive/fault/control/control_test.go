package control_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/fault/control"
)

// The operations and the size of the little fake that the tests run against.
const (
	opGet  fault.Op = "get"
	opPut  fault.Op = "put"
	opList fault.Op = "list"
	opAck  fault.Op = "ack"

	fileSize = 100_000
)

var options = fault.Options{
	Points:  []fault.Point{fault.ListPage, fault.DownloadHeader, fault.DownloadBody, fault.UploadBody, fault.UploadReply},
	Ops:     []fault.Op{opGet, opPut, opList, opAck},
	Reasons: map[string]int{"slowDown": 503},
}

// byteAt is the content of every file of the fake.
func byteAt(i int) byte { return byte(i) ^ byte(i>>8) }

func file() []byte {
	b := make([]byte, fileSize)
	for i := range b {
		b[i] = byteAt(i)
	}
	return b
}

// fake is the smallest server that uses everything of a Control: GET and PUT of files, a list, and a request without
// a transfer.
type fake struct {
	*control.Control
	srv    *httptest.Server
	client *fault.Client
	http   *http.Client
	mu     sync.Mutex
	stored map[string][]byte
}

func newFake(t *testing.T, tls bool) *fake { return newFakeWith(t, tls, options) }

func newFakeWith(t *testing.T, tls bool, o fault.Options) *fake {
	t.Helper()
	f := &fake{Control: control.New(o), stored: map[string][]byte{}}
	f.srv = httptest.NewUnstartedServer(f.Wrap(http.HandlerFunc(f.serve)))
	f.Watch(f.srv.Config)
	f.srv.Listener = f.Listen(f.srv.Listener)
	if tls {
		f.srv.EnableHTTP2 = true
		f.srv.StartTLS()
	} else {
		f.srv.Start()
	}
	f.http = f.srv.Client()
	f.client = fault.NewClient(f.adminURL(t))
	t.Cleanup(func() {
		f.client.Close()
		f.http.CloseIdleConnections()
		f.srv.CloseClientConnections()
		f.srv.Close()
	})
	return f
}

// adminURL is where the admin protocol is: the fake itself, or for TLS a listener beside it.
func (f *fake) adminURL(t *testing.T) string {
	if f.srv.TLS == nil {
		return f.srv.URL
	}
	admin := httptest.NewServer(f.Handler())
	t.Cleanup(admin.Close)
	return admin.URL
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Path[1:]
	switch {
	case name == "list":
		act, ok := f.Admit(w, r, fault.Request{Op: opList})
		if !ok || f.At(r.Context(), fault.ListPage) != nil {
			return
		}
		f.Page(10, 2)
		fmt.Fprintf(w, "empty=%v duplicates=%d", act.EmptyPage, act.Duplicates)
	case name == "ack":
		act, ok := f.Admit(w, r, fault.Request{Op: opAck})
		if ok && f.Settle(r, act) {
			fmt.Fprintf(w, "done changed=%v", act.Change)
		}
	case r.Method == http.MethodGet:
		f.download(w, r, name)
	default:
		f.upload(w, r, name)
	}
}

func (f *fake) download(w http.ResponseWriter, r *http.Request, name string) {
	from, _ := strconv.Atoi(r.URL.Query().Get("from"))
	req := fault.Request{Op: opGet, Name: name, Size: int64(fileSize - from), Offset: int64(from)}
	act, ok := f.Admit(w, r, req)
	if !ok {
		return
	}
	t := f.Begin(r, req, act)
	err := t.At(fault.DownloadHeader)
	defer func() { t.End(err) }()
	if err != nil {
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(fileSize-from))
	t.Header(w.Header())
	_, err = t.Writer(w).Write(file()[from:])
}

func (f *fake) upload(w http.ResponseWriter, r *http.Request, name string) {
	req := fault.Request{Op: opPut, Name: name, Size: r.ContentLength}
	act, ok := f.Admit(w, r, req)
	if !ok {
		return
	}
	t := f.Begin(r, req, act)
	b, err := io.ReadAll(t.Reader(r.Body))
	if err == nil {
		f.mu.Lock()
		f.stored[name] = b
		f.mu.Unlock()
		err = t.At(fault.UploadReply)
	}
	t.End(err)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
	}
}

// get downloads a file and returns what came of it.
func (f *fake) get(t *testing.T, path string) (*http.Response, []byte, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.srv.URL+path, nil)
	require.NoError(t, err)
	resp, err := f.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, b, err
}

// put uploads a body.
func (f *fake) put(t *testing.T, path string, body io.Reader) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, f.srv.URL+path, body)
	require.NoError(t, err)
	resp, err := f.http.Do(req)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	return resp, err
}

// plan puts a plan to work.
func (f *fake) plan(t *testing.T, text string) {
	t.Helper()
	require.NoError(t, f.client.SetFaults(t.Context(), []byte(text)))
}

func (f *fake) counters(t *testing.T) fault.Counters {
	t.Helper()
	c, err := f.client.Counters(t.Context())
	require.NoError(t, err)
	return c
}

// eventually waits for what another goroutine is about to make true.
func eventually(t *testing.T, what func() bool) {
	t.Helper()
	require.Eventually(t, what, 10*time.Second, time.Millisecond)
}

func TestConnectionsAreCountedExactlyAndTheAdminClientsAreNot(t *testing.T) {
	for _, tls := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", tls), func(t *testing.T) {
			f := newFake(t, tls)
			require.Zero(t, f.counters(t).ConnsOpen, "the admin client's own connection")
			_, _, err := f.get(t, "/list")
			require.NoError(t, err)
			eventually(t, func() bool { return f.Counters().ConnsIdle == 1 })
			c := f.counters(t)
			require.Equal(t, [3]int64{1, 1, 1}, [3]int64{c.ConnsTotal, c.ConnsOpen, c.ConnsIdle})

			h, err := f.client.Hold(t.Context(), fault.Hold{Point: fault.DownloadHeader})
			require.NoError(t, err)
			done := make(chan error, 1)
			go func() {
				_, _, err := f.get(t, "/file")
				done <- err
			}()
			_, err = f.client.WaitArrived(t.Context(), h.ID, 1, 10*time.Second)
			require.NoError(t, err)
			c = f.counters(t)
			require.Equal(t, [3]int64{1, 1, 0}, [3]int64{c.ConnsTotal, c.ConnsOpen, c.ConnsIdle}, "the same connection, busy")
			n, err := f.client.CloseIdle(t.Context())
			require.NoError(t, err)
			require.Zero(t, n, "a busy connection and the admin client's are left alone")
			require.NoError(t, f.client.ReleaseAll(t.Context()))
			require.NoError(t, <-done)

			n, err = f.client.CloseIdle(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, n)
			c = f.counters(t)
			require.Equal(t, [3]int64{1, 0, 0}, [3]int64{c.ConnsTotal, c.ConnsOpen, c.ConnsIdle})
		})
	}
}

// A client has its reply before net/http calls the server's connection idle.
func TestIdleConnectionsAreClosedFromTheClientsPointOfView(t *testing.T) {
	for _, tls := range []bool{false, true} {
		f := newFake(t, tls)
		for i := range 50 {
			f.http.CloseIdleConnections() // the server's end of the last one is closed, which the client may not know yet
			_, _, err := f.get(t, "/file")
			require.NoError(t, err)
			require.Equal(t, 1, f.CloseIdle(t.Context()), "tls %v, request %d", tls, i)
			require.Zero(t, f.Counters().ConnsOpen)
		}
	}
}

func TestConnectionWithoutRequestIsIdle(t *testing.T) {
	f := newFake(t, false)
	conn, err := net.Dial("tcp", f.srv.Listener.Addr().String())
	require.NoError(t, err)
	eventually(t, func() bool { return f.Counters().ConnsIdle == 1 })
	require.NoError(t, conn.Close())
	eventually(t, func() bool { return f.Counters().ConnsOpen == 0 })
}

func TestCountersFollowTransfers(t *testing.T) {
	f := newFake(t, false)
	h, err := f.client.Hold(t.Context(), fault.Hold{Point: fault.DownloadBody, Offset: 1000})
	require.NoError(t, err)
	var wg sync.WaitGroup
	for _, p := range []string{"/a", "/b?from=40000"} {
		wg.Go(func() {
			_, _, err := f.get(t, p)
			require.NoError(t, err)
		})
	}
	s, err := f.client.WaitArrived(t.Context(), h.ID, 2, 10*time.Second)
	require.NoError(t, err)
	require.Equal(t, 2, s.Waiting)
	require.Equal(t, int64(2*fileSize-40000), s.BytesWaiting)
	c := f.counters(t)
	require.Equal(t, int64(2), c.Started)
	require.Equal(t, int64(2), c.InFlight)
	require.Equal(t, int64(2*fileSize-40000), c.BytesInFlight)
	require.Equal(t, int64(fileSize), c.LargestNow)
	require.Equal(t, int64(2000), c.Bytes, "held mid-body at exactly 1000 bytes each")
	require.NoError(t, f.client.ReleaseAll(t.Context()))
	wg.Wait()
	eventually(t, func() bool { return f.Counters().InFlight == 0 })
	c = f.counters(t)
	require.Equal(t, int64(2), c.Finished)
	require.Zero(t, c.Failed)
	require.Zero(t, c.LargestNow)
	require.Equal(t, int64(fileSize), c.Largest)
	require.Equal(t, int64(2*fileSize-40000), c.Bytes)
	require.Equal(t, int64(2), c.Requests, "requests to the admin protocol don't count")
	_, _, err = f.get(t, "/list")
	require.NoError(t, err)
	c = f.counters(t)
	require.Equal(t, [3]int64{1, 10, 2}, [3]int64{c.ListPages, c.FilesListed, c.FoldersListed})
}

func TestItemsCountBacklogAndDistinctOnce(t *testing.T) {
	c := control.New(options)
	it := c.NewItems(200_000)
	var wg sync.WaitGroup
	for range 4 { // each call is made by four goroutines
		wg.Go(func() {
			for n := range int64(100_000) {
				it.Listed(n)
			}
		})
		wg.Go(func() {
			for n := int64(50_000); n < 150_000; n++ {
				it.Done(n)
			}
		})
	}
	wg.Wait()
	v := c.Counters()
	require.Equal(t, int64(50_000), v.Backlog, "0 to 49,999 are listed and not done")
	require.Equal(t, int64(100_000), v.Distinct)
	for n := range int64(150_000) {
		it.Listed(n) // again, or after it was done
	}
	require.Equal(t, int64(50_000), c.Counters().Backlog)
	it.Listed(200_000)
	it.Listed(-1)
	it.Done(1 << 40)
	require.Equal(t, v.Backlog, c.Counters().Backlog)
	require.Equal(t, v.Distinct, c.Counters().Distinct)
}

func TestAdminRefusesWhatMakesNoSense(t *testing.T) {
	o := options
	o.Points = []fault.Point{fault.DownloadBody}
	f := newFakeWith(t, false, o)
	for body, want := range map[string]string{
		`{"point":"upload-reply"}`:                 "no point",
		`{"point":"download-body","limit":-1}`:     "must not be negative",
		`{"point":"download-body","bogus":1}`:      "unknown field",
		`{"point":"download-body","timeout":"1x"}`: "time: ",
		`nonsense`: "invalid character",
	} {
		err := f.client.Do(t.Context(), http.MethodPost, "holds", []byte(nil), nil)
		require.Error(t, err)
		err = f.client.Do(t.Context(), http.MethodPost, "holds", rawJSON(body), nil)
		require.ErrorContains(t, err, want, body)
	}
	require.ErrorContains(t, f.client.Do(t.Context(), http.MethodGet, "nothing", nil, nil), "404")
	_, err := f.client.Release(t.Context(), 77, 0)
	require.ErrorContains(t, err, "404")
	_, err = f.client.WaitArrived(t.Context(), 77, 1, time.Second)
	require.ErrorContains(t, err, "404")
	require.ErrorContains(t, f.client.Do(t.Context(), http.MethodGet, "holds/x", nil, nil), "not a number")
}

func TestHoldTakesTheFirstNAndReleasesInOrder(t *testing.T) {
	f := newFake(t, false)
	h, err := f.client.Hold(t.Context(), fault.Hold{Point: fault.UploadReply, Limit: 2})
	require.NoError(t, err)
	done := make(chan string, 3)
	for i := range 3 { // one after the other, so that the order is known
		name := fmt.Sprintf("/f%d", i)
		go func() {
			_, err := f.put(t, name, io.LimitReader(zeros{}, 10))
			require.NoError(t, err)
			done <- name
		}()
		s, err := f.client.WaitArrived(t.Context(), h.ID, i+1, 10*time.Second)
		require.NoError(t, err)
		require.Equal(t, i+1, s.Arrived)
		require.Equal(t, min(i+1, 2), s.Waiting)
	}
	require.Equal(t, "/f2", <-done, "the third passes")
	s, err := f.client.Release(t.Context(), h.ID, 1)
	require.NoError(t, err)
	require.Equal(t, 1, s.Waiting)
	require.Equal(t, "/f0", <-done)
	s, err = f.client.Release(t.Context(), h.ID, 0)
	require.NoError(t, err)
	require.Zero(t, s.Waiting)
	require.Equal(t, "/f1", <-done)
	var all []fault.HoldStatus
	require.NoError(t, f.client.Do(t.Context(), http.MethodGet, "holds", nil, &all))
	require.Empty(t, all, "releasing all removes the hold")
}

func TestHoldLetsSomePassFirst(t *testing.T) {
	f := newFake(t, false)
	h, err := f.client.Hold(t.Context(), fault.Hold{Point: fault.UploadReply, Skip: 2})
	require.NoError(t, err)
	for i := range 2 {
		_, err := f.put(t, fmt.Sprintf("/f%d", i), io.LimitReader(zeros{}, 10))
		require.NoError(t, err, "it is not held")
	}
	done := make(chan error, 1)
	go func() {
		_, err := f.put(t, "/held", io.LimitReader(zeros{}, 10))
		done <- err
	}()
	s, err := f.client.WaitArrived(t.Context(), h.ID, 1, 10*time.Second)
	require.NoError(t, err)
	require.Equal(t, 1, s.Arrived, "those that passed are no arrivals")
	require.Equal(t, 1, s.Waiting)
	_, err = f.client.Release(t.Context(), h.ID, 0)
	require.NoError(t, err)
	require.NoError(t, <-done)
	_, err = f.client.Hold(t.Context(), fault.Hold{Point: fault.UploadReply, Skip: -1})
	require.ErrorContains(t, err, "must not be negative")
}

func TestHoldAtAListPage(t *testing.T) {
	f := newFake(t, false)
	h, err := f.client.Hold(t.Context(), fault.Hold{Point: fault.ListPage})
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		_, _, err := f.get(t, "/list")
		done <- err
	}()
	_, err = f.client.WaitArrived(t.Context(), h.ID, 1, 10*time.Second)
	require.NoError(t, err)
	require.Zero(t, f.counters(t).ListPages, "held before the page")
	require.NoError(t, f.client.ReleaseAll(t.Context()))
	require.NoError(t, <-done)
	require.Equal(t, int64(1), f.counters(t).ListPages)
}

func TestHoldForgetsWhoGivesUp(t *testing.T) {
	f := newFake(t, false)
	h, err := f.client.Hold(t.Context(), fault.Hold{Point: fault.DownloadHeader, Limit: 1})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.srv.URL+"/a", nil)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		_, err := f.http.Do(req)
		done <- err
	}()
	_, err = f.client.WaitArrived(t.Context(), h.ID, 1, 10*time.Second)
	require.NoError(t, err)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	eventually(t, func() bool { return f.counters(t).Failed == 1 })
	go func() {
		_, _, err := f.get(t, "/a")
		done <- err
	}()
	s, err := f.client.WaitArrived(t.Context(), h.ID, 2, 10*time.Second)
	require.NoError(t, err)
	require.Equal(t, 1, s.Waiting, "the retry is held in the place of the one that gave up")
	require.NoError(t, f.client.ReleaseAll(t.Context()))
	require.NoError(t, <-done)
}

func TestHoldEndsByItselfAfterItsTimeout(t *testing.T) {
	f := newFake(t, false)
	_, err := f.client.Hold(t.Context(), fault.Hold{Point: fault.DownloadHeader,
		Timeout: fault.Duration(20 * time.Millisecond)})
	require.NoError(t, err)
	_, b, err := f.get(t, "/a")
	require.NoError(t, err)
	require.Len(t, b, fileSize)
}

func TestWaitArrivedReturnsAtItsTimeout(t *testing.T) {
	f := newFake(t, false)
	h, err := f.client.Hold(t.Context(), fault.Hold{Point: fault.DownloadHeader})
	require.NoError(t, err)
	s, err := f.client.WaitArrived(t.Context(), h.ID, 5, 10*time.Millisecond)
	require.NoError(t, err, "reaching the timeout is no error")
	require.Zero(t, s.Arrived)
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
