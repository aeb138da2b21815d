package fakedrive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/fault/control"
	"github.com/memsoak/memsoak/fakedrive/internal/fieldmask"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
	"github.com/memsoak/memsoak/fakedrive/internal/store"
)

const jsonType = "application/json; charset=UTF-8"

// maxIndented is the longest reply that is indented for people who read it.
const maxIndented = 1 << 20

// call is one request on its way.
type call struct {
	*Server
	w   http.ResponseWriter
	r   *http.Request
	q   url.Values
	op  fault.Op
	act fault.Action // what the fault plan does at the end of the request
}

// handlerFunc serves a call. An *apiError goes to the client; any other error means that the client is gone or that
// a planned fault has cut the connection, and nothing more is written.
type handlerFunc func(c *call) error

// route makes an http.Handler of h: it checks the token and the parameters, and writes errors.
func (s *Server) route(op fault.Op, params map[string]bool, h handlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{Server: s, w: w, r: r, q: r.URL.Query(), op: op}
		err := c.check(params)
		if err == nil {
			err = h(c)
		}
		c.fail(err)
	})
}

func (c *call) check(params map[string]bool) error {
	for name := range c.q {
		if !params[name] && !commonParams[name] {
			c.ctl.NotUnderstood(c.r, "unknown parameter "+strconv.Quote(name))
		}
	}
	if alt := c.q.Get("alt"); alt != "" && alt != "json" && alt != "media" {
		return errParam("alt", "invalidParameter", fmt.Sprintf("Invalid value '%s'. Values must be one of: [json, media]",
			alt))
	}
	return c.authorize()
}

// fail writes an error, if there is one to write.
func (c *call) fail(err error) {
	var e *apiError
	switch {
	case err == nil:
		return
	case errors.As(err, &e):
	default:
		c.cfg.Log.Debug("request ended early", "url", c.r.URL.String(), "err", err)
		return
	}
	h := c.w.Header()
	if e.detail != "" {
		h.Set("X-Fakedrive-Detail", e.detail)
		c.cfg.Log.Info("request refused", "url", c.r.URL.String(), "why", e.detail)
	}
	if e.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="https://accounts.google.com/", error="invalid_token"`)
	}
	c.write(e.status, e.body())
}

// admit lets the fault plan have its way before anything is done. Its error is for the handler to return.
func (c *call) admit(req fault.Request) error {
	req.Op = c.op
	act, ok := c.ctl.Admit(c.w, c.r, req)
	if !ok {
		return control.ErrCut
	}
	c.act = act
	return nil
}

// write sends a whole reply.
func (c *call) write(status int, body []byte) {
	h := c.w.Header()
	if len(body) > 0 {
		h.Set("Content-Type", jsonType)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-cache, no-store, max-age=0, must-revalidate")
	h.Set("Vary", "Origin, X-Origin, Referer")
	c.w.WriteHeader(status)
	if c.r.Method != http.MethodHead {
		_, _ = c.w.Write(body) // fails only when the client is gone
	}
}

// reply sends JSON, indented unless the client asked for it plain.
func (c *call) reply(body []byte) error {
	if !c.ctl.Settle(c.r, c.act) {
		return control.ErrCut
	}
	if p := c.q.Get("prettyPrint"); p != "false" && len(body) < maxIndented {
		var b bytes.Buffer
		if json.Indent(&b, body, "", "  ") == nil {
			b.WriteByte('\n')
			body = b.Bytes()
		}
	}
	c.write(http.StatusOK, body)
	return nil
}

// empty sends a reply without a body.
func (c *call) empty() error {
	if !c.ctl.Settle(c.r, c.act) {
		return control.ErrCut
	}
	c.write(http.StatusNoContent, nil)
	return nil
}

// value sends what the fields parameter selects of v.
func (c *call) value(v any, resource, fields string) error {
	m, err := c.mask(resource, fields)
	if err != nil {
		return err
	}
	body, e := selectFields(v, m)
	if e != nil {
		return e
	}
	return c.reply(body)
}

func selectFields(v any, m *fieldmask.Mask) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil || m.Whole() {
		return body, err
	}
	var generic any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&generic); err != nil {
		return nil, err
	}
	return json.Marshal(m.Filter(generic))
}

// masks caches parsed field masks: clients send few different ones. It is dropped when it is full.
var masks struct {
	sync.RWMutex
	m map[[2]string]*fieldmask.Mask
}

const maxMasks = 256

// mask reads the fields parameter over a resource; def is what the method shows without one.
func (c *call) mask(resource, def string) (*fieldmask.Mask, error) {
	fields := c.q.Get("fields")
	if fields == "" {
		fields = c.q.Get("$fields")
	}
	if fields == "" {
		fields = def
	}
	key := [2]string{resource, fields}
	masks.RLock()
	m := masks.m[key]
	masks.RUnlock()
	if m != nil {
		return m, nil
	}
	m, err := fieldmask.Parse(fields, resource)
	if err != nil {
		return nil, maskError(err)
	}
	masks.Lock()
	defer masks.Unlock()
	if masks.m == nil || len(masks.m) >= maxMasks {
		masks.m = map[[2]string]*fieldmask.Mask{}
	}
	masks.m[key] = m
	return m, nil
}

func maskError(err error) error {
	var e *fieldmask.Error
	errors.As(err, &e)
	msg := "Invalid field selection"
	if e.Field != "" {
		msg += " " + e.Field
	}
	out := errParam("fields", "invalidParameter", msg)
	out.detail = e.Error()
	return out
}

// count reads a number parameter between 1 and limit; coerce takes a larger one as limit.
func (c *call) count(name string, def, limit int, coerce bool) (int, error) {
	text := c.q.Get(name)
	if text == "" {
		return def, nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return 0, errParam(name, "invalidParameter", fmt.Sprintf("Invalid value '%s'. Values must be integers", text))
	case n > limit && coerce:
		return limit, nil
	case n < 1 || n > limit:
		return 0, errParam(name, "invalidParameter",
			fmt.Sprintf("Invalid value '%s'. Values must be within the range: [1, %d]", text, limit))
	}
	return n, nil
}

// flag reads a boolean parameter.
func (c *call) flag(name string) (bool, error) {
	switch text := c.q.Get(name); text {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, errParam(name, "invalidParameter", fmt.Sprintf("Invalid value '%s'. Values must be boolean", text))
	}
}

// allDrives says whether the client is ready for shared drives; the older parameter's name still counts.
func (c *call) allDrives() (bool, error) {
	v, err := c.flag("supportsAllDrives")
	if v || err != nil {
		return v, err
	}
	return c.flag("supportsTeamDrives")
}

// seen finds a file that the account has access to.
func (c *call) seen(id string) (store.Found, error) {
	f, err := c.store.Get(id)
	if me := c.store.Me(); err == nil && f.Access(&me) == resource.NoAccess {
		err = store.ErrNotFound
	}
	return f, err
}

// file finds the file of the path as the client may see it.
func (c *call) file(id string) (store.Found, error) {
	f, err := c.seen(id)
	if err != nil {
		return f, errNotFound(id)
	}
	if f.DriveID != "" {
		all, err := c.allDrives()
		if err != nil {
			return f, err
		}
		if !all {
			return f, errNotFound(id)
		}
	}
	if f.ResourceKey != "" && f.SharedWithMe && !c.hasKey(f.ID, f.ResourceKey) {
		return f, errNotFound(id)
	}
	return f, nil
}

// body reads a request's JSON into v. An empty body leaves v as it is.
func (c *call) body(v any) error {
	raw, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxMetadata))
	if err != nil {
		return bodyError(err)
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return errParse(err)
	}
	return nil
}

// openPage reads the place that a page token points at, if the request has one.
func (c *call) openPage(identity string, place any) error {
	token := c.q.Get("pageToken")
	if token == "" {
		return nil
	}
	if err := c.pages.Open(token, identity, place); err != nil {
		return errInvalid("pageToken", err)
	}
	return nil
}

func errParse(err error) *apiError {
	return &apiError{status: http.StatusBadRequest, reason: "parseError", message: "Parse Error", detail: err.Error()}
}
