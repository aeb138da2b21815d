package buffers

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/memsoak/memsoak/soak/specimens/copier"
)

// upload is the seam of this package: next stores the bytes of a reader as the file's object.
func upload(e *copier.Engine, wrap func(body io.Reader, size int64, next func(io.Reader) error) error) copier.Hooks {
	return copier.Hooks{Upload: func(ctx context.Context, _ *copier.Worker, f copier.File, key string,
		body io.Reader) error {
		return wrap(body, f.Size, func(r io.Reader) error { return e.Client().Upload(ctx, key, r, f.Size) })
	}}
}

// newBuffered reads each body through a bufio.Reader of n bytes.
//
//go:noinline
func newBuffered(n int) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		return upload(e, func(body io.Reader, _ int64, next func(io.Reader) error) error {
			br := bufio.NewReaderSize(body, n) // fault:worker-bufio
			defer runtime.KeepAlive(br)        // not reset: the transport may still ask it for more when the reply is there
			return next(br)
		})
	}
}

// newParts reads each body in parts of n bytes, whatever the file's size.
func newParts(n int) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		return upload(e, func(body io.Reader, _ int64, next func(io.Reader) error) error {
			return next(newPartReader(body, n))
		})
	}
}

// partReader fills a part, serves it, fills the next.
type partReader struct {
	src  io.Reader
	part []byte
	rest []byte
}

func newPartReader(src io.Reader, n int) *partReader {
	return &partReader{src: src, part: make([]byte, n)} // fault:worker-part
}

func (p *partReader) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		n, err := io.ReadFull(p.src, p.part)
		if n == 0 {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = io.EOF
			}
			return 0, err
		}
		p.rest = p.part[:n]
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// newScratch gives each transfer an arena of n bytes, through a method value and a generic type.
func newScratch(n int) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		return upload(e, func(body io.Reader, _ int64, next func(io.Reader) error) error {
			a := arena[byte]{take: make([]byte, 0, 64)}
			a.grow(n)
			err := next(io.TeeReader(body, writerFunc(a.put)))
			a.reset()
			return err
		})
	}
}

type arena[T any] struct{ take []T }

func (a *arena[T]) grow(n int) {
	a.take = make([]T, 0, n) // fault:worker-scratch
}

func (a *arena[T]) put(v []T) (int, error) {
	if len(a.take)+len(v) > cap(a.take) {
		a.take = a.take[:0]
	}
	a.take = append(a.take, v[:min(len(v), cap(a.take))]...)
	return len(v), nil
}

func (a *arena[T]) reset() { a.take = nil }

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// newPooled copies through buffers of n bytes out of a sync.Pool.
//
//go:noinline
func newPooled(n int) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		pool := &sync.Pool{New: func() any {
			b := make([]byte, n) // fault:worker-pool
			return &b
		}}
		return upload(e, func(body io.Reader, _ int64, next func(io.Reader) error) error {
			buf := pool.Get().(*[]byte)
			defer pool.Put(buf)
			return next(&partReader{src: body, part: *buf})
		})
	}
}

// newArchive compresses each body beside the upload, to know how large it would be in an archive.
func newArchive(writer func(io.Writer) (io.WriteCloser, error)) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		return upload(e, func(body io.Reader, _ int64, next func(io.Reader) error) error {
			w, err := writer(io.Discard)
			if err != nil {
				return err
			}
			err = next(io.TeeReader(body, w))
			return errors.Join(err, w.Close())
		})
	}
}

func zstdWriter(w io.Writer) (io.WriteCloser, error) {
	enc, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, err
	}
	if _, err := enc.Write([]byte("archive")); err != nil {
		return nil, err
	}
	return enc, enc.Flush() // fault:worker-zstd
}

func gzipWriter(w io.Writer) (io.WriteCloser, error) {
	z := gzip.NewWriter(w)
	_, err := z.Write([]byte("archive")) // fault:worker-gzip
	return z, err
}

func crcWriter(io.Writer) (io.WriteCloser, error) { return crc{crc32.NewIEEE()}, nil }

type crc struct{ io.Writer }

func (crc) Close() error { return nil }

// newPrefetch opens a second download of the file before the upload and reads it only afterwards. Over HTTP/2 the
// transport takes in a whole window of unread data.
func newPrefetch(ahead bool) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(true)
		protocols.SetHTTP2(true)
		return copier.Hooks{
			Transport: func(t *http.Transport) { t.Protocols = protocols },
			Upload: func(ctx context.Context, _ *copier.Worker, f copier.File, key string, body io.Reader) error {
				if !ahead {
					return e.Client().Upload(ctx, key, body, f.Size)
				}
				return prefetched(ctx, e.Client(), f, key, body)
			},
		}
	}
}

func prefetched(ctx context.Context, c *copier.Client, f copier.File, key string, body io.Reader) error {
	second, err := c.Download(ctx, f) // fault:worker-h2window
	if err != nil {
		return err
	}
	defer second.Close()
	if err := c.Upload(ctx, key, body, f.Size); err != nil {
		return err
	}
	var a [64]byte
	n, err := io.ReadFull(second, a[:min(f.Size, int64(len(a)))])
	if err != nil && n > 0 {
		return err
	}
	_, err = io.Copy(io.Discard, io.MultiReader(bytes.NewReader(a[:n]), second))
	return err
}
