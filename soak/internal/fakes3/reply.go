package fakes3

import (
	"bytes"
	"encoding/xml"
	"errors"
	"net/http"
	"strconv"

	"github.com/johannesboyne/gofakes3"
)

// statuses are the HTTP statuses of error codes that gofakes3 doesn't know. It answers 500 for those.
var statuses = map[gofakes3.ErrorCode]int{
	errTooSmall:                 http.StatusBadRequest,
	errTooLarge:                 http.StatusBadRequest,
	errInvalidReq:               http.StatusBadRequest,
	errSlowDown:                 http.StatusServiceUnavailable,
	"XAmzContentSHA256Mismatch": http.StatusBadRequest,
	"MalformedTrailerError":     http.StatusBadRequest,
}

func statusOf(code gofakes3.ErrorCode) int {
	if s, ok := statuses[code]; ok {
		return s
	}
	return code.Status()
}

// writeError answers with an error as S3 does.
func writeError(w http.ResponseWriter, r *http.Request, err error) {
	code, msg := gofakes3.ErrInternal, err.Error()
	if s3, ok := errors.AsType[gofakes3.Error](err); ok {
		code = s3.ErrorCode()
	}
	if resp, ok := errors.AsType[*gofakes3.ErrorResponse](err); ok {
		msg = resp.Message
	} else if m := code.Message(); m != "" {
		msg = m
	}
	body := errorBody(string(code), msg)
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(statusOf(code))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // fails only when the client is gone
	}
}

// errorBody is S3's error document.
func errorBody(code, message string) []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	// Strings into memory: this can't fail.
	_ = xml.NewEncoder(&b).Encode(&gofakes3.ErrorResponse{Code: gofakes3.ErrorCode(code), Message: message})
	return b.Bytes()
}

// reply is the ResponseWriter that gofakes3 answers with. It knows the status afterwards, and puts right the
// statuses of codes that gofakes3 doesn't know.
type reply struct {
	http.ResponseWriter
	status int
	held   bytes.Buffer // the body of a 500, until its code is known
}

// Unwrap is for http.ResponseController.
func (w *reply) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *reply) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	w.status = status
	if status != http.StatusInternalServerError {
		w.ResponseWriter.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (w *reply) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if w.status == http.StatusInternalServerError {
		return w.held.Write(p)
	}
	return w.ResponseWriter.Write(p)
}

// finish sends the held-back part.
func (w *reply) finish() {
	if w.status != http.StatusInternalServerError {
		return
	}
	var e gofakes3.ErrorResponse
	if xml.Unmarshal(w.held.Bytes(), &e) == nil {
		w.status = statusOf(e.Code)
	}
	w.Header().Set("Content-Type", "application/xml")
	w.ResponseWriter.WriteHeader(w.status)
	_, _ = w.held.WriteTo(w.ResponseWriter) // fails only when the client is gone
}
