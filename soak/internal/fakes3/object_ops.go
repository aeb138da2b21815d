package fakes3

import (
	"encoding/xml"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/johannesboyne/gofakes3"
)

// read answers HEAD and GET of an object. GET of one that is not empty is refused: there is no content.
func (s *Server) read(w http.ResponseWriter, r *http.Request, t target) {
	o, err := s.backend.get(t.bucket, t.key)
	if err == nil && r.Method == http.MethodGet && o.Size > 0 {
		err = errNoContent
	}
	if err != nil {
		writeError(w, r, err)
		return
	}
	h := w.Header()
	for name, v := range o.Headers {
		h.Set(name, v)
	}
	h.Set("ETag", `"`+o.ETag()+`"`)
	h.Set("Last-Modified", o.ModTime.UTC().Format(http.TimeFormat))
	h.Set("Accept-Ranges", "bytes")
	switch readCondition(r.Header, o) {
	case http.StatusNotModified:
		w.WriteHeader(http.StatusNotModified)
		return
	case http.StatusPreconditionFailed:
		writeError(w, r, gofakes3.ErrPreconditionFailed)
		return
	}
	h.Set("Content-Length", strconv.FormatInt(o.Size, 10))
	w.WriteHeader(http.StatusOK)
}

// readCondition is the status that the conditional headers of a read lead to, in the order of precedence of RFC 9110.
func readCondition(h http.Header, o *Object) int {
	modified := o.ModTime.Truncate(time.Second)
	since := func(name string) (time.Time, bool) {
		t, err := http.ParseTime(h.Get(name))
		return t, err == nil
	}
	if v := h.Get("If-Match"); v != "" {
		if !matches(v, o) {
			return http.StatusPreconditionFailed
		}
	} else if t, ok := since("If-Unmodified-Since"); ok && modified.After(t) {
		return http.StatusPreconditionFailed
	}
	if v := h.Get("If-None-Match"); v != "" {
		if matches(v, o) {
			return http.StatusNotModified
		}
	} else if t, ok := since("If-Modified-Since"); ok && !modified.After(t) {
		return http.StatusNotModified
	}
	return http.StatusOK
}

// matches says whether a header's list of entity tags has the object's.
func matches(list string, o *Object) bool {
	for tag := range strings.SplitSeq(list, ",") {
		if tag = strings.Trim(strings.TrimSpace(tag), `"`); tag == "*" || tag == o.ETag() {
			return true
		}
	}
	return false
}

// copy copies an object within the sink: its sums, with the old metadata or new.
func (s *Server) copy(w http.ResponseWriter, r *http.Request, t target) {
	res, err := s.copyObject(r.Header, t)
	if err != nil {
		writeError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusOK)
	_ = xml.NewEncoder(w).Encode(res) // fails only when the client is gone
}

func (s *Server) copyObject(h http.Header, t target) (*gofakes3.CopyObjectResult, error) {
	source, err := url.PathUnescape(strings.TrimPrefix(h.Get("X-Amz-Copy-Source"), "/"))
	if err != nil {
		return nil, gofakes3.ErrorMessage(gofakes3.ErrInvalidArgument, "x-amz-copy-source is not a URL path")
	}
	srcBucket, srcKey, ok := strings.Cut(source, "/")
	if !ok {
		return nil, gofakes3.ErrorMessage(gofakes3.ErrInvalidArgument, "x-amz-copy-source must be bucket/key")
	}
	replace := strings.EqualFold(h.Get("X-Amz-Metadata-Directive"), "REPLACE")
	if !replace && srcBucket == t.bucket && srcKey == t.key {
		return nil, gofakes3.ErrorMessage(errInvalidReq, "a copy of an object onto itself must replace its metadata")
	}
	old, err := s.backend.get(srcBucket, srcKey)
	if err != nil {
		return nil, err
	}
	if err := copyCondition(h, old); err != nil {
		return nil, err
	}
	meta := old.Headers
	if replace {
		if err := checkMetadata(h); err != nil {
			return nil, err
		}
		meta = map[string]string{}
		for name := range maps.Keys(h) {
			if name != "Content-Length" {
				meta[name] = h.Get(name)
			}
		}
	}
	res, err := s.backend.CopyObject(srcBucket, srcKey, t.bucket, t.key, meta)
	return &res, err
}

// copyCondition checks x-amz-copy-source-if-*. Those by time are refused.
func copyCondition(h http.Header, o *Object) error {
	const prefix = "X-Amz-Copy-Source-If-"
	if h.Get(prefix+"Modified-Since") != "" || h.Get(prefix+"Unmodified-Since") != "" {
		return gofakes3.ErrorMessage(gofakes3.ErrNotImplemented, "copies are not conditional on time here")
	}
	if v := h.Get(prefix + "Match"); v != "" && !matches(v, o) {
		return gofakes3.ErrPreconditionFailed
	}
	if v := h.Get(prefix + "None-Match"); v != "" && matches(v, o) {
		return gofakes3.ErrPreconditionFailed
	}
	return nil
}
