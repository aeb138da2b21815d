package control

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/memsoak/memsoak/fakedrive/fault"
)

// Control is the server side of the admin protocol, and what a fake calls while it serves: it counts, holds and
// strikes. A fake makes one Control, calls [Control.Watch] on each http.Server, serves through [Control.Wrap], and in
// each handler does:
//
//	act, ok := ctl.Admit(w, r, req)      // latency, quota, error replies
//	if !ok { return }
//	t := ctl.Begin(r, req, act)          // a transfer is in flight from here
//	defer func() { t.End(err) }()
//	if err = t.At(fault.DownloadHeader); err != nil { return }
//	t.Header(w.Header())                 // a planned truncation may change the framing
//	_, err = io.Copy(t.Writer(w), content)
//
// All methods are safe for concurrent use. The paths that every request takes are lock-free but for a map insert at
// the start and end of a transfer and of a connection's activity.
type Control struct {
	o     fault.Options
	mux   *http.ServeMux
	guard fault.Guard
	conns connTable
	holds holdTable
	plan  atomic.Pointer[fault.ActivePlan]

	requests, notUnderstood, fired, harm       atomic.Int64
	listPages, filesListed, foldersListed      atomic.Int64
	started, finished, failed, bytes, distinct atomic.Int64
	backlog, largest, filesFinished            atomic.Int64
	flightMu                                   sync.Mutex
	flight                                     map[*Transfer]struct{}
}

// New returns a Control without holds and faults.
func New(o fault.Options) *Control {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.ErrorBody == nil {
		o.ErrorBody = func(e *fault.ErrorReply) (string, []byte) {
			return "text/plain; charset=utf-8", []byte(e.Reason + ": " + e.Message + "\n")
		}
	}
	c := &Control{o: o, mux: http.NewServeMux(), flight: map[*Transfer]struct{}{}}
	c.conns.init()
	c.routes()
	return c
}

// Handle adds a route of the fake's own to the admin protocol, in the pattern language of http.ServeMux:
// "POST /_fake/v1/roots". The path "/metrics" is allowed as well. Requests to it are not counted. Call it before
// serving.
func (c *Control) Handle(pattern string, h http.Handler) { c.mux.Handle(pattern, h) }

// Handler serves the admin protocol alone.
func (c *Control) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.conns.admin(r.Context())
		if status, err := c.guard.Check(r); err != nil {
			fault.WriteJSONError(w, status, err)
			return
		}
		c.mux.ServeHTTP(w, r)
	})
}

// Wrap serves the admin protocol and hands everything else, counted, to next. After next it carries out what a fault
// left to do: a connection that was to be cut ends without a proper end of the body.
func (c *Control) Wrap(next http.Handler) http.Handler {
	admin := c.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, fault.AdminPrefix) || r.URL.Path == "/metrics" && r.Method == http.MethodGet {
			admin.ServeHTTP(w, r)
			return
		}
		c.serve(w, r, next)
	})
}

// Counted hands every request, counted, to next, as Wrap does, and serves nothing of the admin protocol: a gate has no
// path of its own.
func (c *Control) Counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.serve(w, r, next) })
}

func (c *Control) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	c.requests.Add(1)
	defer c.conns.serve(r.Context())()
	cut := new(atomic.Bool)
	next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), cutKey{}, cut)))
	if cut.Load() {
		panic(http.ErrAbortHandler)
	}
}

// CountRequest counts a request of a protocol that is not HTTP.
func (c *Control) CountRequest() { c.requests.Add(1) }

// AddBytes counts body bytes that are no transfer's.
func (c *Control) AddBytes(n int64) { c.bytes.Add(n) }

// maxNotUnderstoodLines bounds the log: a client that loops must not fill a disk.
const maxNotUnderstoodLines = 1000

// NotUnderstood counts and logs a request for which the fake has no route or no meaning.
func (c *Control) NotUnderstood(r *http.Request, why string) {
	n := c.notUnderstood.Add(1)
	switch {
	case n < maxNotUnderstoodLines:
		c.o.Log.Warn("request not understood", "method", r.Method, "url", r.URL.String(), "why", why)
	case n == maxNotUnderstoodLines:
		c.o.Log.Warn("more requests are not understood; from here on they are only counted")
	}
}

// Page counts one list page that was sent.
func (c *Control) Page(files, folders int) {
	c.listPages.Add(1)
	c.filesListed.Add(int64(files))
	c.foldersListed.Add(int64(folders))
}

// Distinct counts n files that were finished for the first time. Fakes that use [Items] don't need it.
func (c *Control) Distinct(n int64) { c.distinct.Add(n) }

// FileFinished counts a file that was moved in parts and is complete now.
func (c *Control) FileFinished() { c.filesFinished.Add(1) }

// Counters returns the counters now.
func (c *Control) Counters() fault.Counters {
	v := fault.Counters{
		Time:          c.o.Now(),
		Requests:      c.requests.Load(),
		NotUnderstood: c.notUnderstood.Load(),
		FaultsFired:   c.fired.Load(),
		FaultsHarmful: c.harm.Load(),
		ListPages:     c.listPages.Load(),
		FilesListed:   c.filesListed.Load(),
		FoldersListed: c.foldersListed.Load(),
		Finished:      c.finished.Load(),
		Failed:        c.failed.Load(),
		Bytes:         c.bytes.Load(),
		Distinct:      c.distinct.Load(),
		Backlog:       c.backlog.Load(),
		Largest:       c.largest.Load(),
		FilesFinished: c.filesFinished.Load(),
	}
	c.flightMu.Lock()
	v.Started = c.started.Load()
	v.InFlight = int64(len(c.flight))
	parts := map[string]bool{}
	for t := range c.flight {
		if t.req.Part {
			parts[t.req.FileKey()] = true
		} else {
			v.FilesInFlight++
		}
		v.BytesInFlight += t.req.Size
		v.LargestNow = max(v.LargestNow, t.req.Size)
	}
	c.flightMu.Unlock()
	v.FilesInFlight += int64(len(parts))
	v.ConnsTotal, v.ConnsOpen, v.ConnsIdle = c.conns.counts()
	return v
}
