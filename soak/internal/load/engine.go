package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"text/template"
	"time"

	"golang.org/x/time/rate"
)

// Wave is one piece of work.
type Wave struct {
	Requests    int64
	Concurrency int
	Rate        float64 // per second; 0 is as fast as they come
	Size        int64   // of {{.size}}
	// Keys tells the keys of this wave from those of others: a wave with the same has the same keys.
	Keys string
}

// Result is what came of a wave.
type Result struct {
	Sent, Failed int64
	Distinct     int64 // keys used, where a template uses the key; else 1
	// First is the first failure in words; "" without one.
	First string
}

// Err is the failure of a wave in words, nil without one.
func (r *Result) Err() error {
	if r.Failed == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d requests failed; the first: %s", r.Failed, r.Sent, r.First)
}

// Engine makes requests. It is safe for concurrent use.
type Engine struct {
	targets []target
	expect  []int
	client  *http.Client
	tr      *http.Transport
}

// target is a Target with its templates parsed.
type target struct {
	method, url fixed
	headers     map[string]fixed
	body        []fixed // the parts between blobs; nil without a body
}

// fixed is a template, or its text where it has no placeholder.
type fixed struct {
	text string
	tmpl *template.Template
}

func parse(text string) (fixed, error) {
	if !strings.Contains(text, "{{") {
		return fixed{text: text}, nil
	}
	t, err := template.New("").Option("missingkey=error").Parse(text)
	return fixed{tmpl: t}, err
}

func (f fixed) fill(values map[string]any) (string, error) {
	if f.tmpl == nil {
		return f.text, nil
	}
	var b strings.Builder
	err := f.tmpl.Execute(&b, values)
	return b.String(), err
}

// NewEngine returns an engine for the targets of a checked load.
func NewEngine(s *Spec) (*Engine, error) {
	e := &Engine{expect: s.Expect, tr: &http.Transport{MaxIdleConnsPerHost: 1 << 20, DisableCompression: true,
		Protocols:       new(http.Protocols),
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // it speaks to memsoak's own gate
	e.tr.Protocols.SetHTTP1(true)
	e.client = &http.Client{Transport: e.tr, CheckRedirect: func(*http.Request,
		[]*http.Request) error {
		return http.ErrUseLastResponse
	}}
	for _, t := range s.Targets {
		n := target{headers: map[string]fixed{}}
		var err error
		set := func(to *fixed, text string) {
			if err == nil {
				*to, err = parse(text)
			}
		}
		set(&n.method, t.Method)
		set(&n.url, t.URL)
		for k, v := range t.Headers {
			var f fixed
			set(&f, v)
			n.headers[k] = f
		}
		if t.Body != "" {
			for _, part := range strings.Split(t.Body, blob) {
				var f fixed
				set(&f, part)
				n.body = append(n.body, f)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		e.targets = append(e.targets, n)
	}
	return e, nil
}

// Once makes one request of a target, without a gate and whatever it is answered with, and returns the status.
func Once(ctx context.Context, c *http.Client, t Target) (string, error) {
	e, err := NewEngine(&Spec{Targets: []Target{t}})
	if err != nil {
		return "", err
	}
	req, err := (&run{e: e, w: Wave{Requests: 1, Size: 1 << 10, Keys: "memsoak"}}).request(ctx, 1)
	if err != nil {
		return "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", errors.New(innermost(err))
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.Status, err
}

// Run makes the requests of a wave and returns when the last reply has been read. values fill the placeholders beside
// those of each request. The error is for a wave that could not be made; failed requests are counted in the result.
func (e *Engine) Run(ctx context.Context, w Wave, values map[string]string) (Result, error) {
	run := &run{e: e, w: w, values: Nested(values), keys: map[string]bool{}}
	if w.Rate > 0 {
		run.limit = rate.NewLimiter(rate.Limit(w.Rate), 1)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var workers sync.WaitGroup
	for range min(int64(max(1, w.Concurrency)), w.Requests) {
		workers.Go(func() {
			if err := run.work(ctx); err != nil {
				cancel(err)
			}
		})
	}
	workers.Wait()
	run.res.Distinct = int64(len(run.keys))
	return run.res, context.Cause(ctx)
}

// run is a wave under way.
type run struct {
	e      *Engine
	w      Wave
	values map[string]any
	limit  *rate.Limiter
	next   atomic.Int64

	mu   sync.Mutex
	res  Result
	keys map[string]bool // methods and URLs
}

// work makes requests until there are no more.
func (r *run) work(ctx context.Context) error {
	buf := make([]byte, 32<<10)
	for {
		n := r.next.Add(1)
		if n > r.w.Requests {
			return nil
		}
		if r.limit != nil {
			if err := r.limit.Wait(ctx); err != nil {
				return err
			}
		}
		req, err := r.request(ctx, n)
		if err != nil {
			return err
		}
		why := r.do(req, buf)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r.note(req, why)
	}
}

// request makes the nth request of the wave.
func (r *run) request(ctx context.Context, n int64) (*http.Request, error) {
	values := map[string]any{"n": strconv.FormatInt(n, 10), "key": r.w.Keys + "-" + strconv.FormatInt(n, 10),
		"size": strconv.FormatInt(r.w.Size, 10)}
	maps.Copy(values, r.values)
	t := &r.e.targets[(n-1)%int64(len(r.e.targets))]
	method, err := t.method.fill(values)
	if err != nil {
		return nil, err
	}
	url, err := t.url.fill(values)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	for k, f := range t.headers {
		v, err := f.fill(values)
		if err != nil {
			return nil, err
		}
		if strings.EqualFold(k, "Host") {
			req.Host = v
		}
		req.Header.Set(k, v)
	}
	return req, t.addBody(req, values, r.w.Size)
}

// addBody gives the request its body, blobs of size bytes in it streamed.
func (t *target) addBody(req *http.Request, values map[string]any, size int64) error {
	if t.body == nil {
		return nil
	}
	parts := make([]string, len(t.body))
	req.ContentLength = int64(len(parts)-1) * size
	for i, f := range t.body {
		var err error
		if parts[i], err = f.fill(values); err != nil {
			return err
		}
		req.ContentLength += int64(len(parts[i]))
	}
	req.GetBody = func() (io.ReadCloser, error) {
		var rs []io.Reader
		for i, p := range parts {
			if i > 0 {
				rs = append(rs, io.LimitReader(letters{}, size))
			}
			rs = append(rs, strings.NewReader(p))
		}
		return io.NopCloser(io.MultiReader(rs...)), nil
	}
	if req.ContentLength == 0 {
		req.Body = http.NoBody
		return nil
	}
	if req.Body, _ = req.GetBody(); strings.EqualFold(req.Header.Get("Transfer-Encoding"), "chunked") { // never fails
		req.ContentLength = -1
	}
	return nil
}

// letters is an endless row of printable bytes.
type letters struct{}

var letterBlock = bytes.Repeat([]byte("memsoak."), 4<<10)

// Read implements io.Reader.
func (letters) Read(p []byte) (int, error) { return copy(p, letterBlock), nil }

// do makes a request, reads its reply to the end, and says why it failed; "" if it did not.
func (r *run) do(req *http.Request, buf []byte) string {
	resp, err := r.e.client.Do(req)
	if err != nil {
		return innermost(err)
	}
	defer resp.Body.Close()
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{resp.Body}, buf)
	switch ok := resp.StatusCode < 400 && resp.StatusCode >= 200; {
	case err != nil:
		return "its reply broke off: " + innermost(err)
	case len(r.e.expect) > 0 && !slices.Contains(r.e.expect, resp.StatusCode), len(r.e.expect) == 0 && !ok:
		return "it was answered with " + resp.Status
	}
	return ""
}

// innermost is the error below the URL that net/http puts before it: the path is said already.
func innermost(err error) string {
	for {
		inner, ok := err.(interface{ Unwrap() error })
		if !ok || inner.Unwrap() == nil {
			return err.Error()
		}
		err = inner.Unwrap()
	}
}

func (r *run) note(req *http.Request, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.res.Sent++
	r.keys[req.Method+" "+req.URL.RequestURI()] = true
	if why == "" {
		return
	}
	r.res.Failed++
	if r.res.First == "" {
		r.res.First = fmt.Sprintf("%s %s: %s", req.Method, req.URL.Path, why)
	}
}

// CloseIdle closes the connections that are not in use.
func (e *Engine) CloseIdle() { e.tr.CloseIdleConnections() }

// Patience is how long a load command may take to end once it has been asked to.
const Patience = 2 * time.Second
