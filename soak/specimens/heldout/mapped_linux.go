package heldout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/memsoak/memsoak/soak/specimens/copier"
	"github.com/memsoak/memsoak/soak/specimens/specimen"
)

func mapped() []specimen.Specimen {
	return []specimen.Specimen{
		{Name: "offheap-tail", Hooks: newSlab(false)},
		{Name: "ok-tail", Hooks: newSlab(true)},
		{Name: "memfd-spool", Hooks: newMemfd},
	}
}

const (
	windowSize = 16 << 10
	tailSize   = 32 << 10
)

// newSlab maps a window and a tail behind it for each transfer, and unmaps as many bytes as the window has. Fixed, it
// unmaps all.
func newSlab(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		return copier.Hooks{Around: func(_ context.Context, _ *copier.Worker, _ copier.File, next func() error) error {
			slab, err := mapSlab()
			if err != nil {
				return err
			}
			err = next()
			n := uintptr(windowSize)
			if fixed {
				n += tailSize
			}
			return errors.Join(err, unix.MunmapPtr(slab, n))
		}}
	}
}

func mapSlab() (unsafe.Pointer, error) {
	const n = windowSize + tailSize
	slab, err := unix.MmapPtr(-1, 0, nil, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("map a slab: %w", err)
	}
	b := unsafe.Slice((*byte)(slab), n)
	for i := range b {
		b[i] = 1
	}
	return slab, nil
}

// newMemfd spools each file into a memory file and uploads from a mapping of it.
func newMemfd(e *copier.Engine) copier.Hooks {
	return copier.Hooks{Upload: func(ctx context.Context, _ *copier.Worker, f copier.File, key string,
		body io.Reader) error {
		if f.Size == 0 {
			return e.Client().Upload(ctx, key, body, 0)
		}
		b, err := memfile(f.Size)
		if err != nil {
			return err
		}
		_, err = io.ReadFull(body, b)
		if err == nil {
			err = e.Client().Upload(ctx, key, bytes.NewReader(b), f.Size)
		}
		return errors.Join(err, unix.Munmap(b))
	}}
}

// memfile maps size bytes of a memory file that is gone with the mapping.
func memfile(size int64) ([]byte, error) {
	fd, err := unix.MemfdCreate("specimen-spool", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memory file: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, size); err != nil {
		return nil, fmt.Errorf("memory file of %d bytes: %w", size, err)
	}
	b, err := unix.Mmap(fd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map a memory file of %d bytes: %w", size, err)
	}
	return b, nil
}
