package heldout2

import (
	"errors"
	"io"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/memsoak/memsoak/soak/specimens/copier"
	"github.com/memsoak/memsoak/soak/specimens/specimen"
)

// ofPlatform returns the specimens that map memory by themselves.
func ofPlatform() []specimen.Specimen {
	return []specimen.Specimen{
		{Name: "offheap-arena", Hooks: newArenas},
		{Name: "ok-window", Hooks: newWindows},
	}
}

// arenas keeps a mapped arena per stored file, as a codec's state outside the heap.
type arenas struct {
	mu  sync.Mutex
	all [][]byte
}

const arenaSize = 32 << 10

func newArenas(*copier.Engine) copier.Hooks { return onDone(new(arenas).open) }

func (a *arenas) open(copier.File) {
	m, err := mapped(arenaSize)
	if err != nil {
		panic(err)
	}
	for i := range m {
		m[i] = byte(i)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, m)
}

func mapped(n int) ([]byte, error) {
	return unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
}

// newWindows reads each file through a mapped window, which is unmapped at the transfer's end.
func newWindows(e *copier.Engine) copier.Hooks {
	return storing(e, func(body io.Reader, _ int64, next func(io.Reader) error) error {
		m, err := mapped(arenaSize)
		if err != nil {
			return err
		}
		w := &window{filled: filled{src: body, window: m}}
		err = next(w)
		return errors.Join(err, w.unmap(m))
	})
}

// window serves a mapped buffer until it is unmapped: a transport may read on after an early reply.
type window struct {
	mu    sync.Mutex
	ended bool
	filled
}

func (w *window) Read(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return 0, io.ErrClosedPipe
	}
	return w.filled.Read(p)
}

func (w *window) unmap(m []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	return unix.Munmap(m)
}
