package fakes3

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/johannesboyne/gofakes3"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/fault/control"
)

// MaxPut is the largest body that S3 takes in one request. S3006.
const MaxPut = 5 << 30

const errTooLarge = gofakes3.ErrorCode("EntityTooLarge")

// Config says how a sink is set up.
type Config struct {
	// Buckets are there from the start.
	Buckets []string
	// MaxPut is the largest body of a PutObject or UploadPart, in bytes; 0 means S3's own limit.
	MaxPut int64
	// MinPart is the least size of a part but the last, in bytes; 0 means S3's own. A scaled-down store has it smaller.
	MinPart int64
	// Log takes what the sink doesn't understand. Default: discard.
	Log *slog.Logger
}

// Server is the sink: an http.Handler that serves S3, path-style, and the admin protocol.
type Server struct {
	// Control has the sink's counters, holds and faults.
	Control *control.Control

	backend *backend
	s3      http.Handler
	handler http.Handler
	maxPut  int64
}

// New returns a sink without objects.
func New(cfg Config) (*Server, error) {
	s := &Server{maxPut: cfg.MaxPut}
	if s.maxPut == 0 {
		s.maxPut = MaxPut
	}
	s.Control = control.New(fault.Options{
		Points: []fault.Point{fault.UploadBody, fault.UploadReply},
		Ops:    Ops,
		Lacks:  []string{"truncate", "change", "empty_page", "duplicates"}, // they are about what a server sends
		Reasons: map[string]int{
			"SlowDown": 503, "ServiceUnavailable": 503, "InternalError": 500, "RequestTimeout": 400, "AccessDenied": 403,
			"RequestTimeTooSkewed": 403, "ExpiredToken": 400, "OperationAborted": 409,
		},
		ErrorBody: func(e *fault.ErrorReply) (string, []byte) {
			return "application/xml", errorBody(cmp.Or(e.Reason, "InternalError"), cmp.Or(e.Message,
				"so the fault plan wants it"))
		},
		Log: cfg.Log,
	})
	s.backend = &backend{store: newStore(), uploads: newUploads(cmp.Or(cfg.MinPart, MinPart)), now: time.Now,
		created: func() { s.Control.Distinct(1) }, completed: s.Control.FileFinished}
	for _, b := range cfg.Buckets {
		if err := gofakes3.ValidateBucketName(b); err != nil {
			return nil, fmt.Errorf("bucket %q: %w", b, err)
		}
		if err := s.backend.CreateBucket(b); err != nil {
			return nil, fmt.Errorf("bucket %q: %w", b, err)
		}
	}
	// The limits on metadata and clocks are not left to gofakes3: it counts headers that are no metadata.
	s.s3 = gofakes3.New(s.backend, gofakes3.WithMetadataSizeLimit(0), gofakes3.WithTimeSkewLimit(0)).Server()
	s.adminRoutes()
	s.handler = s.Control.Wrap(http.HandlerFunc(s.serve))
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Bounds of the XML bodies that clients send.
const maxXMLBody = 8 << 20

// serve answers one S3 request.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	t := route(r)
	if t.op == "" {
		s.Control.NotUnderstood(r, t.why)
		writeError(w, r, gofakes3.ErrorMessagef(gofakes3.ErrNotImplemented, "this sink does not know %s %s: %s", r.Method,
			shorten(r.URL.Path), t.why))
		return
	}
	req := fault.Request{Op: t.op, Name: t.key, Key: t.bucket + "/" + t.key}
	if t.op == OpPut || t.op == OpUploadPart {
		s.upload(w, r, t, req)
		return
	}
	act, ok := s.Control.Admit(w, r, req)
	if !ok {
		return
	}
	rep := &reply{ResponseWriter: w}
	switch t.op {
	case OpHead, OpGet:
		s.read(rep, r, t)
	case OpCopy:
		s.copy(rep, r, t)
	case OpList:
		s.list(rep, r, t)
	default:
		s.other(rep, r, t)
	}
	if s.Control.Settle(r, act) {
		rep.finish()
	}
}

// other leaves a request to gofakes3, its body bounded and without framing.
func (s *Server) other(w *reply, r *http.Request, t target) {
	if t.op == OpCreateUpload {
		if err := checkMetadata(r.Header); err != nil {
			writeError(w, r, err)
			return
		}
	}
	if t.op == OpCompleteUpload {
		if v := r.Header.Get("If-None-Match"); v != "" {
			s.backend.uploads.onlyIfAbsent(gofakes3.UploadID(r.URL.Query().Get("uploadId")),
				&gofakes3.PutConditions{IfNoneMatch: &v})
		}
	}
	b, err := openBody(r, maxXMLBody)
	if err != nil {
		writeError(w, r, err)
		return
	}
	defer b.close()
	declared := r.Header
	if t.op == OpCompleteUpload {
		declared = http.Header{} // S3008: checksums here are of the object, not of this body; they are not checked
	}
	if err := b.verify(b.content(), declared); err != nil {
		writeError(w, r, err)
		return
	}
	s.s3.ServeHTTP(w, b.request(r))
}

// contentLength is the length of a request's content, framing not counted; -1 when it is not declared.
func contentLength(r *http.Request) int64 {
	if !isChunked(r.Header) {
		return r.ContentLength
	}
	n, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// body is a request's body on its way to gofakes3: unframed and checked.
type body struct {
	size    int64
	raw     io.Reader
	chunked *chunkReader // nil for a body without framing
	check   *checkReader
}

// openBody makes a body's content readable. Content larger than limit is refused.
func openBody(r *http.Request, limit int64) (*body, error) {
	b := &body{size: contentLength(r), raw: r.Body}
	chunked := isChunked(r.Header)
	switch {
	case b.size < 0 && chunked:
		return nil, gofakes3.ErrorMessage(errInvalidReq, "an aws-chunked body needs x-amz-decoded-content-length")
	case b.size < 0 && r.Method != http.MethodPut && r.Method != http.MethodPost:
		b.size = 0
	case b.size < 0:
		return nil, gofakes3.ErrorMessage(gofakes3.ErrMissingContentLength, "you must provide the Content-Length HTTP header")
	case b.size > limit:
		return nil, gofakes3.ErrorMessagef(errTooLarge, "the body has %d bytes; at most %d are taken in one request", b.size,
			limit)
	}
	if chunked {
		b.chunked = newChunkReader(r.Body, b.size)
	}
	return b, nil
}

// content reads the body without framing.
func (b *body) content() io.Reader {
	if b.chunked != nil {
		return b.chunked
	}
	return b.raw
}

// close gives buffers back.
func (b *body) close() {
	if b.chunked != nil {
		b.chunked.release()
	}
}

// verify makes request read the content through in, checking the sums that the headers declare.
func (b *body) verify(in io.Reader, h http.Header) (err error) {
	b.check, err = newCheckReader(in, h, b.trailer)
	return err
}

func (b *body) trailer() http.Header {
	if b.chunked == nil {
		return http.Header{}
	}
	return b.chunked.trailer
}

// request is r as gofakes3 is to see it: the plain content, its length, and of the x-amz headers only those that mean
// something to it.
func (b *body) request(r *http.Request) *http.Request {
	out := r.Clone(r.Context())
	for name := range out.Header {
		if strings.HasPrefix(name, "X-Amz-") && !strings.HasPrefix(name, metaPrefix) {
			out.Header.Del(name)
		}
	}
	if enc := dropToken(out.Header.Get("Content-Encoding"), "aws-chunked"); enc != "" {
		out.Header.Set("Content-Encoding", enc)
	} else {
		out.Header.Del("Content-Encoding")
	}
	out.Header.Set("Content-Length", strconv.FormatInt(b.size, 10))
	out.ContentLength = b.size
	out.Body = io.NopCloser(b.check)
	return out
}

// maxMetadata is the longest that names and values of a client's own metadata may be together. S3007.
const maxMetadata = 2 << 10

func checkMetadata(h http.Header) error {
	n := 0
	for name, v := range h {
		if rest, ok := strings.CutPrefix(name, metaPrefix); ok {
			n += len(rest) + len(strings.Join(v, ","))
		}
	}
	if n > maxMetadata {
		return gofakes3.ErrorMessagef(gofakes3.ErrMetadataTooLarge, "the metadata has %d bytes; at most %d are kept", n,
			maxMetadata)
	}
	return nil
}
