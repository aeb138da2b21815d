package leaks

import (
	"context"
	"io"
	"sync"

	"github.com/memsoak/memsoak/soak/specimens/copier"
)

// rows keeps a row of 216 bytes a file in one slice, which append makes larger by steps: at most floors nothing grows,
// and then a quarter or all of it together. Fixed, it begins again after 64 rows.
type rows struct {
	mu    sync.Mutex
	all   []row
	fixed bool
}

type row struct {
	size int64
	_    [26]uint64
}

func newRows(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		r := &rows{fixed: fixed}
		return copier.Hooks{Done: func(_ context.Context, _ *copier.Worker, f copier.File) { r.add(row{size: f.Size}) }}
	}
}

func (r *rows) add(one row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fixed && len(r.all) == 64 {
		r.all = r.all[:0]
	}
	r.all = append(r.all, one) // fault:leak-append
}

// thumbs keeps a byte of each 64 that pass through: small files leave next to nothing. Fixed, it keeps those of the
// last file.
type thumbs struct {
	mu    sync.Mutex
	kept  [][]byte
	fixed bool
}

func newThumbs(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		t := &thumbs{fixed: fixed}
		return copier.Hooks{Upload: func(ctx context.Context, _ *copier.Worker, f copier.File, key string,
			body io.Reader) error {
			if t.fixed {
				t.forget()
			}
			return e.Client().Upload(ctx, key, thumbReader{body, t.keep}, f.Size)
		}}
	}
}

const thumbShare = 64

func (t *thumbs) keep(p []byte) {
	if len(p) < thumbShare {
		return
	}
	small := make([]byte, len(p)/thumbShare) // fault:leak-share
	for i := range small {
		small[i] = p[i*thumbShare]
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, small)
}

func (t *thumbs) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = nil
}

type thumbReader struct {
	r    io.Reader
	keep func([]byte)
}

func (r thumbReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.keep(p[:n])
	return n, err
}

// reports keeps 64 KiB of each wave, whatever the wave had to do. Fixed, it keeps the last.
type reports struct {
	mu    sync.Mutex
	all   []*[64 << 10]byte
	fixed bool
}

func newReports(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		r := &reports{fixed: fixed}
		return copier.Hooks{WaveEnd: r.close}
	}
}

func (r *reports) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fixed {
		r.all = nil
	}
	r.all = append(r.all, new([64 << 10]byte)) // fault:leak-wave
}

// failures keeps 16 KiB of each attempt that failed: nothing, as long as all goes well. Fixed, it keeps the last.
type failures struct {
	mu    sync.Mutex
	all   []*[16 << 10]byte
	fixed bool
}

func newFailures(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		f := &failures{fixed: fixed}
		return copier.Hooks{Around: func(_ context.Context, _ *copier.Worker, _ copier.File, next func() error) error {
			err := next()
			if err != nil {
				f.note()
			}
			return err
		}}
	}
}

func (f *failures) note() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fixed {
		f.all = nil
	}
	f.all = append(f.all, new([16 << 10]byte)) // fault:leak-attempt
}
