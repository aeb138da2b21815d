// Package process has faults that a heap profile does not show: garbage, fragmentation, stacks, and memory outside the
// Go heap; beside them are look-alikes. The line that a verdict should name, where there is one, ends in a comment
// "fault:NAME".
package process

import (
	"context"
	"io"
	"sync"

	"github.com/memsoak/memsoak/soak/specimens/copier"
	"github.com/memsoak/memsoak/soak/specimens/specimen"
)

// All returns the package's specimens. Some exist on Linux alone, or with cgo alone.
func All() []specimen.Specimen {
	all := []specimen.Specimen{
		{Name: "gc-garbage", Hooks: newGarbage(2 << 20)},
		{Name: "ok-garbage", Hooks: newGarbage(4 << 10)},
		{Name: "gc-thrash", Hooks: newBallast(40 << 20)},
		{Name: "ok-ballast", Hooks: newBallast(2 << 20)},
		{Name: "fragmentation", Hooks: newFragments(64<<20, 14)},
		{Name: "ok-fragments", Hooks: newFragments(1<<20, 14)},
		{Name: "stacks-deep", Hooks: newRecursion(4096)},
		{Name: "stacks-middle", Hooks: newRecursion(200)},
		{Name: "static-table", Hooks: newTable},
		{Name: "static-lazy", Hooks: newLazyTable},
		{Name: "ok-recursion", Hooks: newRecursion(16)},
	}
	return append(append(all, mapped()...), native()...)
}

// newGarbage makes n bytes of short-lived objects per file, as code does that formats and converts a lot.
func newGarbage(n int) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		g := &garbage{size: n, last: make([]*[8192]byte, e.Config().Workers)}
		return copier.Hooks{Upload: func(ctx context.Context, w *copier.Worker, f copier.File, key string,
			body io.Reader) error {
			g.churn(w.Index)
			return e.Client().Upload(ctx, key, body, f.Size)
		}}
	}
}

type garbage struct {
	size int
	last []*[8192]byte
}

func (g *garbage) churn(worker int) {
	for n := 0; n < g.size; n += 8192 {
		g.last[worker] = new([8192]byte) // fault:gc-garbage
	}
}

// newBallast holds n bytes of small linked objects from the start and makes garbage beside them: below a GOMEMLIMIT
// that is hardly larger, the collector runs all the time.
func newBallast(n int) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		var head *cell
		for range n / 64 {
			head = &cell{next: head}
		}
		g := &garbage{size: 512 << 10, last: make([]*[8192]byte, e.Config().Workers)}
		return copier.Hooks{
			Upload: func(ctx context.Context, w *copier.Worker, f copier.File, key string, body io.Reader) error {
				g.churn(w.Index)
				return e.Client().Upload(ctx, key, body, f.Size)
			},
			WaveEnd: func() { head.uses++ },
		}
	}
}

type cell struct {
	next *cell
	uses int
	_    [48]byte
}

// newFragments fills n bytes with small objects at the start and keeps one in many: the spans stay.
func newFragments(n, keepOneIn int) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		f := &fragments{}
		f.fill(n, keepOneIn)
		return copier.Hooks{WaveEnd: f.touch}
	}
}

type fragments struct {
	mu   sync.Mutex
	kept []*[512]byte
}

func (f *fragments) fill(n, keepOneIn int) {
	all := make([]*[512]byte, n/512)
	for i := range all {
		all[i] = new([512]byte) // fault:fragmentation
	}
	for i := 0; i < len(all); i += keepOneIn {
		f.kept = append(f.kept, all[i])
	}
}

func (f *fragments) touch() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range f.kept {
		k[0]++
	}
}

// tableSize is that of a table that is kept for the process's life.
const tableSize = 8 << 20

// newTable makes a table with the service.
//
//go:noinline
func newTable(*copier.Engine) copier.Hooks {
	table := make([]byte, tableSize) // fault:static-table
	return copier.Hooks{Done: func(_ context.Context, _ *copier.Worker, f copier.File) { table[f.Size%tableSize] = 1 }}
}

// lazyTable is a table that the first transfer makes.
type lazyTable struct {
	mu    sync.Mutex
	table []byte
}

func newLazyTable(*copier.Engine) copier.Hooks {
	t := &lazyTable{}
	return copier.Hooks{Done: func(_ context.Context, _ *copier.Worker, f copier.File) { t.get(f.Size) }}
}

func (t *lazyTable) get(at int64) byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.table == nil {
		t.table = make([]byte, tableSize) // fault:static-lazy
	}
	return t.table[at%tableSize]
}

// newRecursion runs each transfer at the bottom of a recursion of that many frames of about 1 KiB.
func newRecursion(depth int) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		return copier.Hooks{Around: func(_ context.Context, _ *copier.Worker, _ copier.File, next func() error) error {
			done := make(chan error, 1)
			go func() { done <- descend(depth, next) }()
			return <-done
		}}
	}
}

func descend(depth int, next func() error) error {
	var frame [1024]byte
	frame[depth%len(frame)] = byte(depth)
	if depth == 0 {
		return next()
	}
	err := descend(depth-1, next) // fault:stacks-deep
	if frame[depth%len(frame)] != byte(depth) {
		return io.ErrNoProgress
	}
	return err
}
