package heldout2

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"errors"
	"io"
	"sync"

	"github.com/memsoak/memsoak/soak/specimens/copier"
)

// storing is hooks that store each body by f: next uploads what it is given.
func storing(e *copier.Engine, f func(body io.Reader, size int64, next func(io.Reader) error) error) copier.Hooks {
	upload := func(ctx context.Context, _ *copier.Worker, file copier.File, key string, body io.Reader) error {
		return f(body, file.Size, func(r io.Reader) error { return e.Client().Upload(ctx, key, r, file.Size) })
	}
	return copier.Hooks{Upload: upload}
}

// filled serves a body out of a window that is filled whole each time it is empty.
type filled struct {
	src          io.Reader
	window, rest []byte
}

func (f *filled) Read(p []byte) (int, error) {
	if len(f.rest) == 0 && len(f.window) > 0 {
		n, err := io.ReadFull(f.src, f.window)
		if n == 0 {
			return 0, err
		}
		f.rest = f.window[:n]
	}
	if len(f.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// newCiphers reads each file whole and seals it beside the plain bytes, to send the sealed copy's digest later.
func newCiphers(e *copier.Engine) copier.Hooks {
	return storing(e, func(body io.Reader, size int64, next func(io.Reader) error) error {
		both := newPair(size)
		plain, sealed := both[:size], both[size:]
		if _, err := io.ReadFull(body, plain); err != nil {
			return err
		}
		key, err := aes.NewCipher(make([]byte, aes.BlockSize))
		if err != nil {
			return err
		}
		cipher.NewCTR(key, make([]byte, aes.BlockSize)).XORKeyStream(sealed, plain)
		if err := next(bytes.NewReader(plain)); err != nil {
			return err
		}
		if sha256.Sum256(sealed) == [sha256.Size]byte{} {
			return errors.New("a digest of zeros")
		}
		return nil
	})
}

func newPair(size int64) []byte {
	return make([]byte, 2*size) // fault:file-cipher
}

// undo keeps the bytes that were sent, in case that the sink asks for them a second time.
type undo struct{ pieces [][]byte }

const undoPiece = 16 << 10

func newUndo(e *copier.Engine) copier.Hooks {
	return storing(e, func(body io.Reader, _ int64, next func(io.Reader) error) error {
		u := &undo{}
		err := next(io.TeeReader(body, u))
		clear(u.pieces)
		return err
	})
}

func (u *undo) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		last := len(u.pieces) - 1
		if last < 0 || len(u.pieces[last]) == undoPiece {
			u.pieces = append(u.pieces, newPiece())
			continue
		}
		n := min(undoPiece-len(u.pieces[last]), len(rest))
		u.pieces[last] = append(u.pieces[last], rest[:n]...)
		rest = rest[n:]
	}
	return len(p), nil
}

func newPiece() []byte {
	return make([]byte, 0, undoPiece) // fault:file-undo
}

// bodies has buffers of files that were read whole, for the next file that fits.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

// newPooled reads each file whole into a buffer of a pool, which grows to the file.
func newPooled(e *copier.Engine) copier.Hooks {
	return storing(e, func(body io.Reader, size int64, next func(io.Reader) error) error {
		b, ok := bodies.Get().(*[]byte)
		if !ok {
			return errors.New("the pool has something else")
		}
		defer bodies.Put(b)
		if int64(cap(*b)) < size {
			*b = newBody(size)
		}
		if _, err := io.ReadFull(body, (*b)[:size]); err != nil {
			return err
		}
		return next(bytes.NewReader((*b)[:size]))
	})
}

func newBody(size int64) []byte {
	return make([]byte, size) // fault:file-pooled
}

// newThreeParts reads each file through three parts of a mebibyte, as for an upload of three parts at a time.
func newThreeParts(e *copier.Engine) copier.Hooks {
	return storing(e, func(body io.Reader, _ int64, next func(io.Reader) error) error {
		parts := newParts()
		return next(&filled{src: body, window: parts})
	})
}

const partSize = 1 << 20

func newParts() []byte {
	return make([]byte, 3*partSize) // fault:worker-threeparts
}

// newThreshold reads each file through a buffer that is as large as the file, up to a mebibyte.
func newThreshold(e *copier.Engine) copier.Hooks {
	return storing(e, func(body io.Reader, size int64, next func(io.Reader) error) error {
		return next(&filled{src: body, window: newLimited(size)})
	})
}

func newLimited(size int64) []byte {
	return make([]byte, min(size, 1<<20)) // fault:worker-threshold
}

// newSmallThreshold does the same with a limit of 32 KiB.
func newSmallThreshold(e *copier.Engine) copier.Hooks {
	return storing(e, func(body io.Reader, size int64, next func(io.Reader) error) error {
		return next(&filled{src: body, window: make([]byte, min(size, 32<<10))})
	})
}

// newSlabs reads through slabs of 32 KiB, of which four are kept for the next file and the others dropped.
func newSlabs(e *copier.Engine) copier.Hooks {
	free := make(chan []byte, 4)
	return storing(e, func(body io.Reader, _ int64, next func(io.Reader) error) error {
		slab := takeSlab(free)
		err := next(&filled{src: body, window: slab})
		select {
		case free <- slab:
		default:
		}
		return err
	})
}

func takeSlab(free chan []byte) []byte {
	select {
	case s := <-free:
		return s
	default:
		return make([]byte, 32<<10)
	}
}

// newWorkerBuffers keeps a buffer of notes per worker, which is emptied at 16 KiB.
func newWorkerBuffers(e *copier.Engine) copier.Hooks {
	notes := make([]bytes.Buffer, e.Config().Workers)
	return copier.Hooks{Done: func(_ context.Context, w *copier.Worker, f copier.File) {
		b := &notes[w.Index]
		b.WriteString(f.Name)
		b.WriteByte('\n')
		if b.Len() > 16<<10 {
			b.Reset()
		}
	}}
}
