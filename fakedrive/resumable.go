package fakedrive

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/fault/control"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
)

const (
	// sessionTTL is how long a session can be taken up again.
	sessionTTL = 7 * 24 * time.Hour
	// maxSessions bounds the sessions; the oldest ends when another begins.
	maxSessions = 10_000
	// chunkUnit is what the length of every chunk but the last must be a multiple of.
	chunkUnit = 256 << 10
	// statusResume is the reply to a chunk that is not the last.
	statusResume = http.StatusPermanentRedirect
)

// sessions are the resumable uploads under way.
type sessions struct {
	mu sync.Mutex
	m  map[string]*session
}

// session is one resumable upload. Its mutex is held while a chunk is read: chunks of one upload come one by one.
type session struct {
	started time.Time
	mu      sync.Mutex
	upload
	query url.Values // of the request that began it
	total int64      // negative: unknown yet
	ended bool
	done  *resource.File // the file, once all has arrived: a client that missed the reply asks again
}

func (s *sessions) add(x *session, now time.Time) string {
	id := "AFake-" + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = map[string]*session{}
	}
	for len(s.m) >= maxSessions {
		s.dropOldest()
	}
	x.started = now
	s.m[id] = x
	return id
}

// dropOldest ends the oldest session. It waits for no chunk: the session's next one finds it gone.
func (s *sessions) dropOldest() {
	oldest := ""
	for id, x := range s.m {
		if oldest == "" || x.started.Before(s.m[oldest].started) {
			oldest = id
		}
	}
	x := s.m[oldest]
	delete(s.m, oldest)
	x.w.Abort()
}

func (s *sessions) get(id string, now time.Time) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.m[id]
	if x != nil && now.Sub(x.started) > sessionTTL {
		delete(s.m, id)
		x.w.Abort()
		return nil
	}
	return x
}

func (s *sessions) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.m[id]; x != nil {
		delete(s.m, id)
		x.w.Abort()
	}
}

// closeAll ends every session.
func (s *sessions) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, x := range s.m {
		x.w.Abort()
		delete(s.m, id)
	}
}

// startSession begins a resumable upload and tells the client where to send the content.
func (c *call) startSession(id string) error {
	m, err := c.readMetadata()
	if err != nil {
		return err
	}
	total, err := parseSize(c.r.Header.Get("X-Upload-Content-Length"))
	if err != nil {
		return errBadRequest("Invalid X-Upload-Content-Length.")
	}
	if total > c.cfg.MaxDisk {
		return errReason("storageQuotaExceeded")
	}
	if id == "" {
		// What would be refused at the end is refused now, before the client sends it all.
		if _, err := c.newFile(m, &upload{}); err != nil {
			return err
		}
	}
	if err := c.admit(fault.Request{Name: deref(m.Name), Key: id}); err != nil {
		return err
	}
	x := &session{upload: upload{meta: m, id: id, mime: c.r.Header.Get("X-Upload-Content-Type"), w: c.blobs.Create()},
		query: c.q, total: total}
	session := c.sessions.add(x, c.cfg.Now())
	if !c.ctl.Settle(c.r, c.act) {
		return control.ErrCut
	}
	q := url.Values{"uploadType": {"resumable"}, "upload_id": {session}}
	h := c.w.Header()
	h.Set("Location", origin(c.r)+c.r.URL.EscapedPath()+"?"+q.Encode())
	h.Set("X-GUploader-UploadID", session)
	h.Set("Content-Length", "0")
	c.w.WriteHeader(http.StatusOK)
	return nil
}

// cancelSession serves DELETE of a session: 499, as Google's servers answer.
func (c *call) cancelSession() error {
	id := c.q.Get("upload_id")
	if c.sessions.get(id, c.cfg.Now()) == nil {
		return errSessionGone()
	}
	c.sessions.remove(id)
	c.w.Header().Set("Content-Length", "0")
	c.w.WriteHeader(499)
	return nil
}

func errSessionGone() *apiError {
	return &apiError{status: http.StatusNotFound, reason: "notFound", message: "Upload session not found or expired."}
}

// resume takes a chunk of a session, or tells how far it is.
func (c *call) resume(id string) error {
	x := c.sessions.get(id, c.cfg.Now())
	if x == nil {
		return errSessionGone()
	}
	if !x.mu.TryLock() {
		// The chunk before is still being read: its client has given up, or sends two in parallel.
		return &apiError{status: http.StatusServiceUnavailable, reason: "backendError",
			message: "Another request of this upload is under way."}
	}
	defer x.mu.Unlock()
	for name, v := range x.query { // the reply is what the first request asked for
		if c.q.Get(name) == "" {
			c.q[name] = v
		}
	}
	if x.done != nil {
		if err := c.admit(fault.Request{Name: x.done.Name, Key: id}); err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, c.r.Body)
		return c.sendFile(x.done)
	}
	part, err := parseContentRange(c.r.Header.Get("Content-Range"))
	switch {
	case err != nil:
		return errBadRequest("Failed to parse Content-Range header.")
	case part.total >= 0 && x.total >= 0 && part.total != x.total:
		return errBadRequest("The total of Content-Range is not the one that the upload began with.")
	}
	return c.takeChunk(id, x, part)
}

// chunkRange is a Content-Range header. Of a question for the state, first is negative; of an absent header, whole is
// set.
type chunkRange struct {
	first, last, total int64
	whole              bool
}

func parseContentRange(text string) (r chunkRange, err error) {
	if text == "" {
		return chunkRange{whole: true, total: -1, last: -1}, nil
	}
	spec, ok := strings.CutPrefix(text, "bytes ")
	span, total, slash := strings.Cut(spec, "/")
	if !ok || !slash {
		return r, errors.New("not a content range")
	}
	if r.total, err = parseSize(total); err != nil {
		return r, err
	}
	if span == "*" {
		r.first, r.last = -1, -1
		return r, nil
	}
	first, last, dash := strings.Cut(span, "-")
	if !dash {
		return r, errors.New("not a span")
	}
	var ok1, ok2 bool
	r.first, ok1 = parseOffset(first)
	r.last, ok2 = parseOffset(last)
	if !ok1 || !ok2 || r.last < r.first || r.total >= 0 && r.last >= r.total {
		return r, errors.New("not a span")
	}
	return r, nil
}

// takeChunk reads what a request brings from where the upload stands.
func (c *call) takeChunk(id string, x *session, part chunkRange) (err error) {
	have := x.w.Size()
	length := part.last - part.first + 1
	switch {
	case part.first < 0 && !part.whole: // a question, or the end of an upload whose length is known only now
		if x.total < 0 {
			x.total = part.total
		}
		return c.chunkDone(id, x, nil)
	case part.first > have:
		return &apiError{status: http.StatusServiceUnavailable, reason: "backendError",
			message: fmt.Sprintf("The chunk begins at %d, the upload stands at %d.", part.first, have)}
	case !part.whole && part.total < 0 && length%chunkUnit != 0:
		return errBadRequest("The size of every chunk but the last must be a multiple of 262144 bytes.")
	}
	req := fault.Request{Name: deref(x.meta.Name), Key: id, Size: c.r.ContentLength, Offset: part.first}
	if err := c.admit(req); err != nil {
		return err
	}
	t := c.ctl.Begin(c.r, req, c.act)
	defer func() { t.End(err) }()
	body := t.Reader(c.r.Body)
	if !part.whole {
		body = io.LimitReader(body, length)
	}
	if _, err := io.CopyN(io.Discard, body, have-part.first); err != nil { // what has arrived before
		return uploadError(err)
	}
	if _, err := io.Copy(x.w, body); err != nil {
		return uploadError(err)
	}
	if !part.whole && x.w.Size() != part.last+1 {
		return errBadRequest("The body is shorter than its Content-Range.")
	}
	switch {
	case part.whole && x.total < 0:
		x.total = x.w.Size()
	case part.total >= 0:
		x.total = part.total
	}
	return c.chunkDone(id, x, t)
}

// chunkDone replies to a chunk: with how far the upload is, or with the file.
func (c *call) chunkDone(id string, x *session, t *control.Transfer) error {
	have := x.w.Size()
	if x.total >= 0 && have > x.total {
		return errBadRequest("The upload has more bytes than it said.")
	}
	if x.total < 0 || have < x.total {
		if t != nil {
			t.End(nil)
		}
		h := c.w.Header()
		if have > 0 {
			h.Set("Range", "bytes=0-"+strconv.FormatInt(have-1, 10))
		}
		h.Set("Content-Length", "0")
		h.Set("X-GUploader-UploadID", id)
		status := statusResume
		if c.r.Header.Get("X-GUploader-No-308") == "yes" { // for clients whose HTTP stack follows redirects
			h.Set("X-Http-Status-Code-Override", strconv.Itoa(statusResume))
			status = http.StatusOK
		}
		c.w.WriteHeader(status)
		return nil
	}
	if x.ended {
		return errSessionGone()
	}
	x.ended = true
	b, err := x.w.Commit()
	if err != nil {
		return uploadError(err)
	}
	media, err := c.receive(&x.upload, b)
	if err != nil {
		b.Release()
		return err
	}
	f, err := c.storeMedia(&x.upload, media)
	if err != nil {
		releaseContent(media.content)
		return err
	}
	x.done = f
	if t != nil {
		t.End(nil)
	}
	return c.sendFile(f)
}
