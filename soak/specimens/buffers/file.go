package buffers

import (
	"bytes"
	"encoding/hex"
	"io"
	"strings"

	"context"

	"github.com/memsoak/memsoak/soak/specimens/copier"
)

// newReadAll reads each file whole before the upload.
//
//go:noinline
func newReadAll(e *copier.Engine) copier.Hooks {
	return upload(e, func(body io.Reader, _ int64, next func(io.Reader) error) error {
		all, err := io.ReadAll(body) // fault:file-readall
		if err != nil {
			return err
		}
		return next(bytes.NewReader(all))
	})
}

// newGrowing collects each file in a growing bytes.Buffer.
func newGrowing(e *copier.Engine) copier.Hooks {
	return upload(e, func(body io.Reader, _ int64, next func(io.Reader) error) error {
		return collect(body, next)
	})
}

func collect(body io.Reader, next func(io.Reader) error) error {
	var buf bytes.Buffer
	if _, err := buf.ReadFrom(body); err != nil { // fault:file-bytesbuffer
		return err
	}
	return next(&buf)
}

// newTee keeps what the upload reads, "to retry it". Fixed, it keeps the last 16 KiB.
func newTee(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		return upload(e, func(body io.Reader, _ int64, next func(io.Reader) error) error {
			k := &kept{fixed: fixed}
			err := next(io.TeeReader(body, k))
			k.buf.Reset()
			return err
		})
	}
}

type kept struct {
	buf   bytes.Buffer
	fixed bool
}

func (k *kept) Write(p []byte) (int, error) {
	if k.fixed && k.buf.Len() > 16<<10 {
		k.buf.Reset()
	}
	return k.buf.Write(p) // fault:file-tee
}

// newSized allocates the file's size and fills it.
func newSized(e *copier.Engine) copier.Hooks {
	return upload(e, func(body io.Reader, size int64, next func(io.Reader) error) error {
		var whole document
		if err := whole.load(body, size); err != nil {
			return err
		}
		return next(whole.reader())
	})
}

type document struct{ content []byte }

func (d *document) load(body io.Reader, size int64) error {
	d.content = make([]byte, size) // fault:file-sized
	_, err := io.ReadFull(body, d.content)
	return err
}

func (d *document) reader() io.Reader { return bytes.NewReader(d.content) }

// newChunks keeps each chunk that was read until the upload has its reply. Fixed, it reads again into the same one.
func newChunks(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		return upload(e, func(body io.Reader, _ int64, next func(io.Reader) error) error {
			c := &chunked{src: body, fixed: fixed}
			defer c.drop()
			return next(c)
		})
	}
}

const chunkSize = 8 << 10

type chunked struct {
	src    io.Reader
	chunks [][]byte
	rest   []byte
	fixed  bool
}

func (c *chunked) drop() { c.chunks = nil }

func (c *chunked) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		chunk, err := c.fill()
		if len(chunk) == 0 {
			return 0, err
		}
		c.rest = chunk
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *chunked) fill() ([]byte, error) {
	if !c.fixed || len(c.chunks) == 0 {
		c.chunks = append(c.chunks, make([]byte, chunkSize)) // fault:file-chunks
	}
	last := c.chunks[len(c.chunks)-1]
	n, err := io.ReadFull(c.src, last)
	if n > 0 {
		err = nil
	} else if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return last[:n], err
}

// newHex writes each file's bytes as text while it is uploaded, "for the log".
//
//go:noinline
func newHex(e *copier.Engine) copier.Hooks {
	return upload(e, func(body io.Reader, size int64, next func(io.Reader) error) error {
		text := make([]byte, 0, hex.EncodedLen(int(size))) // fault:file-hex
		err := next(io.TeeReader(body, writerFunc(func(p []byte) (int, error) {
			text = hex.AppendEncode(text, p)
			return len(p), nil
		})))
		text = text[:0]
		return err
	})
}

// newText reads each file into a string.
func newText(e *copier.Engine) copier.Hooks {
	return upload(e, func(body io.Reader, size int64, next func(io.Reader) error) error {
		s, err := text(body, size)
		if err != nil {
			return err
		}
		return next(strings.NewReader(s))
	})
}

func text(body io.Reader, size int64) (string, error) {
	var b strings.Builder
	b.Grow(int(size)) // fault:file-string
	_, err := io.Copy(&b, body)
	return b.String(), err
}

// newLargest keeps a buffer per worker that grows to the largest file so far and never shrinks. With a bound it grows
// to the bound alone, and reads in pieces.
func newLargest(bound int64) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		buffers := make([]grown, e.Config().Workers)
		return copier.Hooks{Upload: func(ctx context.Context, w *copier.Worker, f copier.File, key string,
			body io.Reader) error {
			g := &buffers[w.Index]
			if bound > 0 {
				g.reserve(min(bound, f.Size))
				return e.Client().Upload(ctx, key, &partReader{src: body, part: g.buf}, f.Size)
			}
			g.reserve(f.Size)
			if _, err := io.ReadFull(body, g.buf[:f.Size]); err != nil {
				return err
			}
			return e.Client().Upload(ctx, key, bytes.NewReader(g.buf[:f.Size]), f.Size)
		}}
	}
}

type grown struct{ buf []byte }

func (g *grown) reserve(n int64) {
	if int64(cap(g.buf)) < n {
		g.buf = make([]byte, n) // fault:file-largest
	}
}
