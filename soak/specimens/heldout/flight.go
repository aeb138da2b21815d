package heldout

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/base64"
	"errors"
	"hash"
	"io"
	"strings"

	"github.com/memsoak/memsoak/soak/specimens/copier"
)

// upload is the seam of those that hold something while a file is stored.
func upload(e *copier.Engine, wrap func(body io.Reader, size int64, next func(io.Reader) error) error) copier.Hooks {
	return copier.Hooks{Upload: func(ctx context.Context, _ *copier.Worker, f copier.File, key string,
		body io.Reader) error {
		return wrap(body, f.Size, func(r io.Reader) error { return e.Client().Upload(ctx, key, r, f.Size) })
	}}
}

// newDigests sums each body by SHA-256 out of a window of n bytes, and saves the sum's state after the upload.
func newDigests(n int) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		return upload(e, func(body io.Reader, _ int64, next func(io.Reader) error) error {
			d := newDigester(body, n)
			if err := next(d); err != nil {
				return err
			}
			return d.save()
		})
	}
}

// digester fills a window, sums it whole and serves it.
type digester struct {
	src    io.Reader
	hash   hash.Hash
	window []byte
	rest   []byte
}

func newDigester(src io.Reader, n int) *digester {
	return &digester{src: src, hash: sha256.New(), window: make([]byte, n)} // fault:worker-digest
}

func (d *digester) Read(p []byte) (int, error) {
	if len(d.rest) == 0 {
		n, err := io.ReadFull(d.src, d.window)
		if n == 0 {
			return 0, err
		}
		d.rest = d.window[:n]
		d.hash.Write(d.rest)
	}
	n := copy(p, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

// save writes the sum's state over the window.
func (d *digester) save() error {
	m, ok := d.hash.(encoding.BinaryAppender)
	if !ok {
		return errors.New("the digest has no state to save")
	}
	_, err := m.AppendBinary(d.window[:0])
	return err
}

// newReadAhead reads each body into two buffers in turn: one is filled while the other is sent.
func newReadAhead(e *copier.Engine) copier.Hooks {
	return upload(e, func(body io.Reader, _ int64, next func(io.Reader) error) error {
		r := &readAhead{free: make(chan []byte, aheadBuffers), full: make(chan []byte, aheadBuffers),
			stop: make(chan struct{})}
		r.provide()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			r.fill(body)
		}()
		err := next(r)
		close(r.stop)
		<-ended
		return err
	})
}

const (
	aheadBuffers = 2
	aheadBuffer  = 3 << 19
)

// readAhead passes buffers between the goroutine that fills them and the one that reads.
type readAhead struct {
	free, full chan []byte
	stop       chan struct{}
	held, rest []byte // the reader's
	failed     error  // set before full is closed
}

func (r *readAhead) provide() {
	for range aheadBuffers {
		r.free <- make([]byte, aheadBuffer) // fault:worker-readahead
	}
}

func (r *readAhead) fill(src io.Reader) {
	defer close(r.full)
	for {
		select {
		case b := <-r.free:
			n, err := io.ReadFull(src, b)
			if n == 0 {
				r.free <- b
			} else {
				r.full <- b[:n]
			}
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return
			}
			if err != nil {
				r.failed = err
				return
			}
		case <-r.stop:
			return
		}
	}
}

func (r *readAhead) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.held != nil {
			r.free <- r.held[:cap(r.held)]
			r.held = nil
		}
		b, ok := <-r.full
		if !ok && r.failed != nil {
			return 0, r.failed
		}
		if !ok {
			return 0, io.EOF
		}
		r.held, r.rest = b, b
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// newAttachments writes each body as base64 while it is uploaded, to mail it if the reply is bad.
func newAttachments(e *copier.Engine) copier.Hooks {
	return upload(e, func(body io.Reader, size int64, next func(io.Reader) error) error {
		a := &attachment{}
		a.reserve(size)
		enc := base64.NewEncoder(base64.StdEncoding, &a.text)
		if err := next(io.TeeReader(body, enc)); err != nil {
			return err
		}
		err := enc.Close()
		a.text.Reset()
		return err
	})
}

type attachment struct{ text strings.Builder }

func (a *attachment) reserve(size int64) {
	a.text.Grow(base64.StdEncoding.EncodedLen(int(size))) // fault:file-base64
}

// newResumable reads each body into numbered parts and keeps them until the reply, in case a part is asked for again.
func newResumable(e *copier.Engine) copier.Hooks {
	return upload(e, func(body io.Reader, size int64, next func(io.Reader) error) error {
		r := &resumable{parts: map[int]*part{}}
		if err := r.load(body, size); err != nil {
			return err
		}
		defer clear(r.parts)
		return next(r.reader())
	})
}

const partSize = 1 << 20

type part struct{ content []byte }

type resumable struct{ parts map[int]*part }

func (r *resumable) load(body io.Reader, size int64) error {
	for left := size; left > 0; {
		p := newPart(min(left, partSize))
		if _, err := io.ReadFull(body, p.content); err != nil {
			return err
		}
		left -= int64(len(p.content))
		r.parts[len(r.parts)] = p
	}
	return nil
}

func newPart(n int64) *part {
	return &part{content: make([]byte, n)} // fault:file-parts
}

func (r *resumable) reader() io.Reader {
	all := make([]io.Reader, len(r.parts))
	for i := range all {
		all[i] = bytes.NewReader(r.parts[i].content)
	}
	return io.MultiReader(all...)
}
