package process

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/memsoak/memsoak/soak/specimens/copier"
	"github.com/memsoak/memsoak/soak/specimens/specimen"
)

func mapped() []specimen.Specimen {
	return []specimen.Specimen{
		{Name: "offheap-leak", Hooks: newArena(false)},
		{Name: "ok-arena", Hooks: newArena(true)},
		{Name: "offheap-file", Hooks: newAnonymous},
		{Name: "pagecache-spool", Hooks: newSpool("")},
		{Name: "tmpfs-spool", Hooks: newSpool("/dev/shm")},
		{Name: "ok-spool", Hooks: newSpool("bounded")},
	}
}

// mmap maps n fresh anonymous bytes.
func mmap(n int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes: %w", n, err)
	}
	return b, nil
}

const arenaSize = 64 << 10

// newArena maps an arena per file, writes to it, and unmaps it only when fixed.
func newArena(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		return copier.Hooks{Around: func(_ context.Context, _ *copier.Worker, _ copier.File, next func() error) error {
			b, err := mmap(arenaSize)
			if err != nil {
				return err
			}
			for i := range b {
				b[i] = 1
			}
			err = next()
			if fixed {
				return firstError(err, unix.Munmap(b))
			}
			return err
		}}
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// newAnonymous reads each file whole into anonymous memory outside the Go heap.
func newAnonymous(e *copier.Engine) copier.Hooks {
	return copier.Hooks{Upload: func(ctx context.Context, _ *copier.Worker, f copier.File, key string,
		body io.Reader) error {
		if f.Size == 0 {
			return e.Client().Upload(ctx, key, body, 0)
		}
		b, err := mmap(int(f.Size))
		if err != nil {
			return err
		}
		_, err = io.ReadFull(body, b)
		if err == nil {
			err = e.Client().Upload(ctx, key, bytes.NewReader(b), f.Size)
		}
		return firstError(err, unix.Munmap(b))
	}}
}

// newSpool writes each file into a temporary file, maps it and uploads from the mapping. In dir "" that is the
// engine's temporary directory, whose pages the kernel can write out; on tmpfs they stay. "bounded" reads through a
// file that never grows beyond a block.
func newSpool(dir string) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		s := &spool{engine: e, dir: dir}
		if dir == "" || dir == "bounded" {
			s.dir = e.Config().TempDir
		}
		if dir == "bounded" {
			return copier.Hooks{Upload: s.bounded}
		}
		return copier.Hooks{Upload: s.whole}
	}
}

type spool struct {
	engine *copier.Engine
	dir    string
}

// open creates a temporary file that is gone when it is closed.
func (s *spool) open() (*os.File, error) {
	f, err := os.CreateTemp(s.dir, "specimen-spool-*")
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}

func (s *spool) whole(ctx context.Context, _ *copier.Worker, f copier.File, key string, body io.Reader) error {
	if f.Size == 0 {
		return s.engine.Client().Upload(ctx, key, body, 0)
	}
	file, err := s.open()
	if err != nil {
		return err
	}
	defer file.Close()
	if err := file.Truncate(f.Size); err != nil {
		return err
	}
	b, err := unix.Mmap(int(file.Fd()), 0, int(f.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map %s: %w", file.Name(), err)
	}
	_, err = io.ReadFull(body, b)
	if err == nil {
		err = s.engine.Client().Upload(ctx, key, bytes.NewReader(b), f.Size)
	}
	return firstError(err, unix.Munmap(b))
}

// blocks are the buffers of bounded.
var blocks = sync.Pool{New: func() any { return new([16 << 10]byte) }}

func (s *spool) bounded(ctx context.Context, _ *copier.Worker, f copier.File, key string, body io.Reader) error {
	file, err := s.open()
	if err != nil {
		return err
	}
	defer file.Close()
	return s.engine.Client().Upload(ctx, key, &blockReader{src: body, file: file}, f.Size)
}

// blockReader sends each block through one place of a file.
type blockReader struct {
	src  io.Reader
	file *os.File
}

func (r *blockReader) Read(p []byte) (int, error) {
	b := blocks.Get().(*[16 << 10]byte)
	defer blocks.Put(b)
	n, err := r.src.Read(b[:min(len(b), len(p))])
	if n == 0 {
		return 0, err
	}
	if _, werr := r.file.WriteAt(b[:n], 0); werr != nil {
		return 0, werr
	}
	if _, rerr := r.file.ReadAt(p[:n], 0); rerr != nil {
		return 0, rerr
	}
	return n, err
}
