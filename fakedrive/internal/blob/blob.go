// Package blob keeps the contents that clients upload: small ones in memory under a bound, the rest in files under
// another. Contents are immutable, hashed while they arrive, shared by copies, and freed with their last reference.
package blob

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/memsoak/memsoak/fakedrive/corpus"
)

// ErrFull says that the bound on stored bytes is reached.
var ErrFull = errors.New("the store of contents is full")

// maxInMemory is the size beyond which a content goes to a file, room in memory or not.
const maxInMemory = 256 << 10

// Store keeps contents. It is safe for concurrent use.
type Store struct {
	dir       string
	maxMemory int64
	maxTotal  int64
	memory    atomic.Int64
	total     atomic.Int64
	next      atomic.Int64
}

// New keeps at most maxTotal bytes, maxMemory of them in memory and the rest in files in dir, which is made
// with the first of them. With maxMemory 0 everything is in files.
func New(dir string, maxMemory, maxTotal int64) *Store {
	return &Store{dir: dir, maxMemory: maxMemory, maxTotal: maxTotal}
}

// Used is the number of bytes that are kept.
func (s *Store) Used() int64 { return s.total.Load() }

// Blob is a content. It starts with one reference.
type Blob struct {
	store *Store
	name  string // of the file; "" in memory
	data  []byte
	size  int64
	sums  corpus.Sums
	refs  atomic.Int64
}

// Size returns the number of bytes.
func (b *Blob) Size() int64 { return b.size }

// Sums returns the checksums, all of them.
func (b *Blob) Sums(corpus.Hashes) corpus.Sums { return b.sums }

// Name is the name of the content's file in the store's folder, "" if it is in memory.
func (b *Blob) Name() string { return b.name }

// Open returns the bytes from offset on.
func (b *Blob) Open(offset int64) (io.ReadCloser, error) {
	if offset < 0 || offset > b.size {
		return nil, fmt.Errorf("open a content of %d bytes at %d: out of range", b.size, offset)
	}
	if b.name == "" {
		return io.NopCloser(bytes.NewReader(b.data[offset:])), nil
	}
	f, err := os.Open(filepath.Join(b.store.dir, b.name))
	if err != nil {
		return nil, fmt.Errorf("open a content: %w", err)
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		f.Close()
		return nil, fmt.Errorf("open a content: %w", err)
	}
	return f, nil
}

// Retain adds a reference.
func (b *Blob) Retain() { b.refs.Add(1) }

// Release drops a reference; with the last one the content is freed. Readers that are open read on.
func (b *Blob) Release() {
	if b.refs.Add(-1) > 0 {
		return
	}
	b.store.free(b.name, b.size)
}

func (s *Store) free(name string, size int64) {
	s.total.Add(-size)
	if name == "" {
		s.memory.Add(-size)
		return
	}
	_ = os.Remove(filepath.Join(s.dir, name)) // a file that cannot be removed only wastes its space
}

// Adopt takes a file in the store's folder back after a restart.
func (s *Store) Adopt(name string, sums corpus.Sums) (*Blob, error) {
	if name != filepath.Base(name) {
		return nil, fmt.Errorf("adopt a content: bad name %q", name)
	}
	info, err := os.Stat(filepath.Join(s.dir, name))
	if err != nil {
		return nil, fmt.Errorf("adopt a content: %w", err)
	}
	if n, err := strconv.ParseInt(name, 36, 64); err == nil && n > s.next.Load() {
		s.next.Store(n)
	}
	s.total.Add(info.Size())
	b := &Blob{store: s, name: name, size: info.Size(), sums: sums}
	b.refs.Store(1)
	return b, nil
}

// Sweep removes the files that no adopted content has: of uploads that a crash cut short. Call it after the last Adopt
// and before the first Create.
func (s *Store) Sweep(adopted func(name string) bool) error {
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("sweep the contents: %w", err)
	}
	for _, f := range files {
		if adopted(f.Name()) {
			continue
		}
		if err := os.Remove(filepath.Join(s.dir, f.Name())); err != nil {
			return fmt.Errorf("sweep the contents: %w", err)
		}
	}
	return nil
}

// Writer takes a content in. One goroutine may use it at a time.
type Writer struct {
	store *Store
	mu    sync.Mutex
	buf   bytes.Buffer
	file  *os.File
	name  string
	size  int64
	md5   hash.Hash
	sha1  hash.Hash
	sha2  hash.Hash
	done  bool
}

// Create begins a content. The caller ends it with Commit or Abort.
func (s *Store) Create() *Writer {
	return &Writer{store: s, md5: md5.New(), sha1: sha1.New(), sha2: sha256.New()}
}

// Size is the number of bytes written so far.
func (w *Writer) Size() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.size
}

// Write implements io.Writer. The error is ErrFull when there is no room.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := int64(len(p))
	if w.store.total.Add(n) > w.store.maxTotal {
		w.store.total.Add(-n)
		return 0, ErrFull
	}
	if err := w.keep(p); err != nil {
		w.store.total.Add(-n)
		return 0, err
	}
	w.size += n
	w.md5.Write(p)
	w.sha1.Write(p)
	w.sha2.Write(p)
	return len(p), nil
}

// keep puts bytes where there is room, moving everything to a file when memory ends.
func (w *Writer) keep(p []byte) error {
	n := int64(len(p))
	if w.file == nil && w.size+n <= maxInMemory {
		if w.store.memory.Add(n) <= w.store.maxMemory {
			w.buf.Write(p)
			return nil
		}
		w.store.memory.Add(-n)
	}
	if w.file == nil {
		if err := w.spill(); err != nil {
			return err
		}
	}
	if m, err := w.file.Write(p); err != nil {
		// The file keeps no part of what failed.
		_ = w.file.Truncate(w.size)
		_, _ = w.file.Seek(w.size, io.SeekStart)
		return fmt.Errorf("write a content (%d of %d bytes): %w", m, n, err)
	}
	return nil
}

func (w *Writer) spill() error {
	if err := os.MkdirAll(w.store.dir, 0o700); err != nil {
		return fmt.Errorf("make a folder for contents: %w", err)
	}
	name := strconv.FormatInt(w.store.next.Add(1), 36)
	f, err := os.OpenFile(filepath.Join(w.store.dir, name), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write a content: %w", err)
	}
	if _, err := f.Write(w.buf.Bytes()); err != nil {
		f.Close()
		os.Remove(f.Name())
		return fmt.Errorf("write a content: %w", err)
	}
	w.file, w.name = f, name
	w.store.memory.Add(-w.size)
	w.buf = bytes.Buffer{}
	return nil
}

// Commit ends the content.
func (w *Writer) Commit() (*Blob, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return nil, errors.New("commit a content: it has ended")
	}
	if w.file == nil && w.store.maxMemory == 0 {
		if err := w.spill(); err != nil {
			return nil, err
		}
	}
	w.done = true
	b := &Blob{store: w.store, name: w.name, size: w.size}
	b.refs.Store(1)
	if w.file != nil {
		if err := w.file.Close(); err != nil {
			w.store.free(w.name, w.size)
			return nil, fmt.Errorf("commit a content: %w", err)
		}
	} else {
		b.data = bytes.Clone(w.buf.Bytes())
		w.buf = bytes.Buffer{}
	}
	w.md5.Sum(b.sums.MD5[:0])
	w.sha1.Sum(b.sums.SHA1[:0])
	w.sha2.Sum(b.sums.SHA256[:0])
	return b, nil
}

// Abort drops the content. After Commit it does nothing.
func (w *Writer) Abort() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return
	}
	w.done = true
	if w.file != nil {
		w.file.Close()
	}
	w.store.free(w.name, w.size)
	w.buf = bytes.Buffer{}
}
