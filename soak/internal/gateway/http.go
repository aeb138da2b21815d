package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/fault/control"
	"github.com/memsoak/memsoak/internal/waiting"
)

// gate is one open gate.
type gate struct {
	Gate
	remote []string
	ctl    *control.Control
	tally  *tally
	target atomic.Pointer[url.URL]
	made   atomic.Pointer[Reply]
	raw    bool
	nth    atomic.Int64 // request
	ln     net.Listener
	srv    *http.Server
	proxy  *httputil.ReverseProxy
	ctx    context.Context // of what passes through a raw gate
	cancel context.CancelFunc
	conns  sync.WaitGroup
}

// routes adds a gate's own to the control protocol: where it leads, and what it makes.
func (g *gate) routes() {
	g.ctl.Handle("PUT "+fault.AdminPrefix+"target", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var v struct {
			Target string `json:"target"`
		}
		err := decode(r, &v)
		var u *url.URL
		if err == nil {
			u, err = ParseTarget(v.Target, g.remote)
		}
		if err == nil && (u.Scheme == "tcp") != g.raw {
			err = errors.New("a gate of raw TCP can't become one of HTTP, nor the other way round")
		}
		if err != nil {
			fault.WriteJSONError(w, http.StatusBadRequest, err)
			return
		}
		g.target.Store(u)
		fault.WriteJSON(w, http.StatusOK, v)
	}))
	g.ctl.Handle("PUT "+fault.AdminPrefix+"make", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var v Reply
		if err := decode(r, &v); err != nil {
			fault.WriteJSONError(w, http.StatusBadRequest, err)
			return
		}
		g.made.Store(&v)
		fault.WriteJSON(w, http.StatusOK, v)
	}))
	g.made.Store(g.Make)
}

func decode(r *http.Request, v any) error {
	dec := json.NewDecoder(io.LimitReader(r.Body, 1<<20))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

// serveHTTP begins to serve HTTP/1 and HTTP/2, the latter without TLS as well.
func (g *gate) serveHTTP() {
	quiet := log.New(io.Discard, "", 0) // aborted handlers and bad clients show in the counters
	g.proxy = &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(g.target.Load())
			p.Out.URL.RawQuery = p.In.URL.RawQuery // as it came, even where ReverseProxy would clean it
		},
		Transport:      mirrors{},
		BufferPool:     &buffers,
		ModifyResponse: g.passBack,
		ErrorHandler:   g.unreached,
		ErrorLog:       quiet,
	}
	g.srv = &http.Server{Handler: g.ctl.Counted(http.HandlerFunc(g.serve)), ErrorLog: quiet,
		Protocols: new(http.Protocols),
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, mirrorKey{}, &mirror{g: g})
		},
	}
	g.srv.Protocols.SetHTTP1(true)
	g.srv.Protocols.SetHTTP2(true)
	g.srv.Protocols.SetUnencryptedHTTP2(true)
	g.watchConns()
	go g.srv.Serve(g.ln) //nolint:errcheck // it ends with Close
}

// watchConns lets the control see the connections, and closes with each the one to the target that belongs to it.
func (g *gate) watchConns() {
	g.ctl.Watch(g.srv)
	state, withContext := g.srv.ConnState, g.srv.ConnContext
	var mu sync.Mutex
	open := map[net.Conn]*mirror{}
	g.srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		ctx = withContext(ctx, c)
		mu.Lock()
		defer mu.Unlock()
		open[c], _ = ctx.Value(mirrorKey{}).(*mirror)
		return ctx
	}
	g.srv.ConnState = func(c net.Conn, s http.ConnState) {
		state(c, s)
		if s != http.StateClosed && s != http.StateHijacked {
			return
		}
		mu.Lock()
		m := open[c]
		delete(open, c)
		mu.Unlock()
		if m != nil {
			m.close()
		}
	}
}

// exchange is one request on its way.
type exchange struct {
	t   *control.Transfer
	w   http.ResponseWriter
	err error
}

type exchangeKey struct{}

var errAborted = errors.New("aborted")

// serve passes one request on, or makes its reply.
func (g *gate) serve(w http.ResponseWriter, r *http.Request) {
	// Many services ask for one path alone: a share of requests is one of requests and not of paths.
	key := strconv.FormatInt(g.nth.Add(1), 10)
	req := fault.Request{Op: Op, Name: r.URL.Path, Key: key, Size: max(r.ContentLength, 0)}
	act, ok := g.ctl.Admit(w, r, req)
	if !ok {
		return
	}
	ex := &exchange{t: g.ctl.Begin(r, req, act), w: w, err: errAborted}
	defer func() { ex.t.End(ex.err) }()
	g.tally.key(r.Method, r.URL.RequestURI())
	if ex.err = ex.t.At(fault.GateRequest); ex.err != nil {
		return
	}
	if r.ProtoMajor == 1 {
		// A target may answer before it has read the body. Without this the rest of it would be read, and lost to the target,
		// before the reply is passed back.
		_ = http.NewResponseController(w).EnableFullDuplex() // every HTTP/1 connection of net/http can
	}
	made, target := g.made.Load(), g.target.Load()
	switch {
	case r.Method == http.MethodConnect:
		http.Error(w, "a gate is no open proxy", http.StatusMethodNotAllowed)
		return
	case made == nil && target == nil:
		http.Error(w, "this gate has no target yet", http.StatusServiceUnavailable)
		return
	}
	body := r.Body
	if r.ContentLength != 0 && body != nil {
		r.Body = io.NopCloser(g.ctl.Passage(r.Context(), body, r.ContentLength, &g.tally.bytesIn))
	}
	if made != nil {
		ex.err = g.make(w, r, ex.t, made)
		return
	}
	ex.err = errAborted // in case the proxy panics
	r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, ex))
	aborted := true
	defer func() {
		if !aborted && ex.err == errAborted {
			ex.err = nil
		}
	}()
	g.proxy.ServeHTTP(w, r)
	aborted = false
	if r.ContentLength > 0 {
		// A target that answers early leaves the rest of the body. A connection that is closed before it was read is reset,
		// and the client loses what it has not read of the reply.
		_, _ = io.Copy(io.Discard, body) // a client that has gone needs no more
	}
}

// passBack is called with the target's reply before its header is passed back.
func (g *gate) passBack(resp *http.Response) error {
	ex, _ := resp.Request.Context().Value(exchangeKey{}).(*exchange)
	g.tally.status(resp.StatusCode)
	if resp.StatusCode >= http.StatusInternalServerError {
		g.tally.fail(Failure{Method: resp.Request.Method, Path: resp.Request.URL.Path, Status: resp.StatusCode})
	}
	if err := ex.t.At(fault.GateReply); err != nil {
		return err
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return nil
	}
	ex.t.Header(resp.Header)
	if resp.Close && resp.ProtoMajor == 1 {
		// The target closes its connection, as it does where it has answered without reading the body: the one that
		// belongs to it is closed as well. A client that wasn't warned would send its next request over it.
		resp.Header.Set("Connection", "close")
	}
	if resp.Body != nil && resp.Body != http.NoBody {
		resp.Body = &through{ex.t.Through(ex.w, resp.Body, resp.ContentLength), resp.Body}
	}
	return nil
}

// through reads by way of a transfer and closes the body itself.
type through struct {
	io.Reader
	io.Closer
}

// unreached answers in place of a target that did not.
func (g *gate) unreached(w http.ResponseWriter, r *http.Request, err error) {
	if ex, ok := r.Context().Value(exchangeKey{}).(*exchange); ok {
		ex.err = err
	}
	if r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
	g.tally.unreached.Add(1)
	g.tally.fail(Failure{Method: r.Method, Path: r.URL.Path, Why: reason(err)})
	http.Error(w, "memsoak's gate "+g.Name+" has no answer of its target", http.StatusBadGateway)
}

// reason is the innermost error: "connection refused" is the news, not the addresses before it.
func reason(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

// make answers a request.
func (g *gate) make(w http.ResponseWriter, r *http.Request, t *control.Transfer, made *Reply) error {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return err
	}
	if made.Delay > 0 {
		if err := waiting.For(r.Context(), time.Duration(made.Delay)); err != nil {
			return err
		}
	}
	if err := t.At(fault.GateReply); err != nil {
		return err
	}
	size := made.Size
	var body io.Reader = io.LimitReader(fill{}, size)
	if made.Body != "" {
		size, body = int64(len(made.Body)), strings.NewReader(made.Body)
	}
	for k, v := range made.Headers {
		w.Header().Set(k, v)
	}
	w.Header().Set("Content-Length", fmt.Sprint(size))
	t.Header(w.Header())
	status := made.Status
	if status == 0 {
		status = http.StatusOK
	}
	w.WriteHeader(status)
	g.tally.status(status)
	if r.Method == http.MethodHead {
		return nil
	}
	buf := buffers.Get()
	defer buffers.Put(buf)
	_, err := io.CopyBuffer(struct{ io.Writer }{w}, t.Through(w, body, size), buf)
	return err
}

// close ends the gate.
func (g *gate) close() {
	g.cancel()
	if g.srv != nil {
		g.srv.Close()
	} else {
		g.ln.Close()
	}
	g.conns.Wait()
}

type mirrorKey struct{}

// mirror is the connection to the target that belongs to one client's connection, so that the target sees as many as
// the clients open. HTTP/1 and HTTP/2 have one each, and a client speaks one of them.
type mirror struct {
	g  *gate
	mu sync.Mutex
	h1 *http.Transport
	h2 *http.Transport
}

// mirrors sends each request over the mirror of its client's connection.
type mirrors struct{}

// RoundTrip implements http.RoundTripper.
func (mirrors) RoundTrip(r *http.Request) (*http.Response, error) {
	m, ok := r.Context().Value(mirrorKey{}).(*mirror)
	if !ok {
		return nil, errors.New("the client's connection is not known")
	}
	return m.of(r.ProtoMajor).RoundTrip(r)
}

func (m *mirror) of(major int) *http.Transport {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := &m.h1
	if major == 2 {
		t = &m.h2
	}
	if *t == nil {
		*t = &http.Transport{DisableCompression: true, DialContext: dialer.DialContext, Protocols: new(http.Protocols),
			// A target on this machine may have any certificate; one elsewhere proves who it is.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: CheckHost(m.g.target.Load().Host, nil) == nil}}
		if major == 2 {
			(*t).Protocols.SetHTTP2(true)
			(*t).Protocols.SetUnencryptedHTTP2(true)
		} else {
			(*t).Protocols.SetHTTP1(true)
		}
	}
	return *t
}

func (m *mirror) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range []*http.Transport{m.h1, m.h2} {
		if t != nil {
			t.CloseIdleConnections()
		}
	}
}

var dialer = net.Dialer{Timeout: 10 * time.Second}

// buffers are for bodies on their way.
var buffers bufferPool

const bufferSize = 32 << 10

type bufferPool struct{ p sync.Pool }

// Get implements httputil.BufferPool.
func (b *bufferPool) Get() []byte {
	if v, ok := b.p.Get().(*[]byte); ok {
		return *v
	}
	return make([]byte, bufferSize)
}

// Put implements httputil.BufferPool.
func (b *bufferPool) Put(v []byte) { b.p.Put(&v) }

// fill is an endless row of printable bytes.
type fill struct{}

var fillBlock = bytes.Repeat([]byte{'m'}, bufferSize)

// Read implements io.Reader.
func (fill) Read(p []byte) (int, error) {
	for n := 0; n < len(p); {
		n += copy(p[n:], fillBlock)
	}
	return len(p), nil
}
