package fakes3

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/johannesboyne/gofakes3"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/fault"
)

// upload takes one PutObject or UploadPart. gofakes3 has no part in it: it would hash the body a second time.
func (s *Server) upload(w http.ResponseWriter, r *http.Request, t target, req fault.Request) {
	req.Size, req.Part = contentLength(r), t.op == OpUploadPart
	act, ok := s.Control.Admit(w, r, req)
	if !ok {
		return
	}
	b, err := openBody(r, s.maxPut)
	if err == nil && t.op == OpPut {
		err = checkMetadata(r.Header)
	}
	if err != nil {
		writeError(w, r, err)
		return
	}
	defer b.close()
	tr := s.Control.Begin(r, req, act)
	err = b.verify(tr.Reader(b.content()), r.Header)
	if err == nil {
		err = s.receive(w, r, t, b)
	}
	if err != nil {
		tr.End(errRefused)
		writeError(w, r, err)
		return
	}
	maps.Copy(w.Header(), b.check.sums)
	if err := tr.At(fault.UploadReply); err != nil {
		tr.End(nil) // stored; the client is gone and doesn't hear of it
		return
	}
	tr.End(nil)
}

// receive reads a body and keeps what it was.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, t target, b *body) error {
	if len(t.key) > gofakes3.KeySizeLimit {
		return gofakes3.ResourceError(gofakes3.ErrKeyTooLong, t.key)
	}
	in, err := b.declared(r.Header)
	if err != nil {
		return err
	}
	if t.op == OpUploadPart {
		err = s.receivePart(r, t, b, in)
	} else {
		err = s.receiveObject(r, t, b, in)
	}
	if err == nil {
		w.Header().Set("ETag", quoted(in.sum))
	}
	return err
}

func (s *Server) receiveObject(r *http.Request, t target, b *body, in *digested) error {
	if ok, _ := s.backend.BucketExists(t.bucket); !ok { // never fails
		return gofakes3.ResourceError(gofakes3.ErrNoSuchBucket, t.bucket)
	}
	may := &gofakes3.PutConditions{}
	for name, to := range map[string]**string{"If-Match": &may.IfMatch, "If-None-Match": &may.IfNoneMatch} {
		if v := r.Header.Get(name); v != "" {
			*to = &v
		}
	}
	if err := in.drain(b.size); err != nil {
		return err
	}
	o := &Object{Key: t.key, Size: b.size, Headers: objectHeaders(r.Header), MD5: in.sum, ModTime: s.backend.now()}
	return s.backend.store1(t.bucket, o, conditionOf(may))
}

// objectHeaders are the headers of an upload that stay with the object.
func objectHeaders(h http.Header) map[string]string {
	kept := map[string]string{}
	for name, v := range h {
		if strings.HasPrefix(name, metaPrefix) || v[0] != "" && slices.Contains(contentHeaders, name) {
			kept[name] = v[0]
		}
	}
	if enc := dropToken(kept["Content-Encoding"], "aws-chunked"); enc != "" {
		kept["Content-Encoding"] = enc
	} else {
		delete(kept, "Content-Encoding")
	}
	return kept
}

var contentHeaders = []string{"Content-Type", "Content-Disposition", "Content-Encoding"}

func (s *Server) receivePart(r *http.Request, t target, b *body, in *digested) error {
	q := r.URL.Query()
	number, err := strconv.Atoi(q.Get("partNumber"))
	if err != nil || number <= 0 || number > gofakes3.MaxUploadPartNumber {
		return gofakes3.ErrInvalidPart
	}
	if b.size <= 0 {
		return gofakes3.ErrMissingContentLength
	}
	id := gofakes3.UploadID(q.Get("uploadId"))
	if err := s.backend.uploads.exists(t.bucket, t.key, id); err != nil {
		return err
	}
	if err := in.drain(b.size); err != nil {
		return err
	}
	return s.backend.uploads.take(t.bucket, t.key, id, number, part{size: b.size, md5: in.sum, at: s.backend.now()})
}

// digested is a body that is read once, compared with what a corpus serves and with the MD5 that the client declares.
type digested struct {
	in   io.Reader
	want []byte // nil: none is declared
	sum  [md5.Size]byte
}

func (b *body) declared(h http.Header) (*digested, error) {
	d := &digested{in: b.check}
	v, ok := h["Content-Md5"]
	if !ok {
		return d, nil
	}
	var err error
	if d.want, err = base64.StdEncoding.DecodeString(v[0]); err != nil || len(d.want) != md5.Size {
		return nil, gofakes3.ErrInvalidDigest
	}
	return d, nil
}

func (d *digested) drain(size int64) (err error) {
	if d.sum, err = drain(d.in, size); err == nil && d.want != nil && !bytes.Equal(d.want, d.sum[:]) {
		return gofakes3.ErrBadDigest
	}
	return err
}

// errRefused ends the transfers that were answered with an error.
var errRefused = errors.New("refused")

// receiver takes one body: there are as many receivers as concurrent uploads, no more.
type receiver struct {
	buf    [32 << 10]byte
	digest corpus.Digest
}

var receivers = sync.Pool{New: func() any { return new(receiver) }}

// drain reads a body to its end and returns its MD5. It must have size bytes.
func drain(in io.Reader, size int64) (sum [md5.Size]byte, err error) {
	r := receivers.Get().(*receiver)
	defer receivers.Put(r)
	r.digest.Reset()
	for n := int64(0); ; {
		k, err := in.Read(r.buf[:])
		n += int64(k)
		_, _ = r.digest.Write(r.buf[:k]) // never fails
		switch {
		case errors.Is(err, io.EOF) && n != size:
			return sum, gofakes3.ErrIncompleteBody
		case errors.Is(err, io.EOF):
			return r.digest.Sum(), nil
		case err != nil:
			return sum, uploadError(err)
		}
	}
}

// uploadError is what S3 answers when a body can't be read.
func uploadError(err error) error {
	if s3, ok := errors.AsType[gofakes3.Error](err); ok {
		return s3
	}
	return gofakes3.ErrorMessage(gofakes3.ErrIncompleteBody, err.Error())
}
