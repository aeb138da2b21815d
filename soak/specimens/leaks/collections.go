package leaks

import (
	"container/list"
	"context"
	"io"
	"strings"
	"sync"

	"github.com/memsoak/memsoak/soak/specimens/copier"
	"github.com/memsoak/memsoak/soak/specimens/handy"
)

// receipt is what a copier would remember of a finished transfer.
type receipt struct {
	transfer int64
	size     int64
	etag     [2032]byte
}

// ledger keeps receipts in a map by transfer. Fixed, it drops a receipt once the transfer is accounted for.
type ledger struct {
	mu       sync.Mutex
	receipts map[int64]*receipt
	fixed    bool
}

func newLedger(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		l := &ledger{receipts: map[int64]*receipt{}, fixed: fixed}
		return copier.Hooks{Done: func(_ context.Context, _ *copier.Worker, f copier.File) { l.note(e.Sequence(), f.Size) }}
	}
}

func (l *ledger) note(transfer, size int64) {
	r := &receipt{transfer: transfer, size: size} // fault:leak-map
	l.mu.Lock()
	defer l.mu.Unlock()
	l.receipts[transfer] = r
	if l.fixed {
		delete(l.receipts, transfer)
	}
}

// sessions keeps upload sessions in a sync.Map.
type sessions struct {
	open  sync.Map
	fixed bool
}

type session struct {
	parts [40]uint64
}

func newSessions(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		s := &sessions{fixed: fixed}
		return copier.Hooks{Around: func(_ context.Context, _ *copier.Worker, _ copier.File, next func() error) error {
			id := e.Sequence()
			s.begin(id)
			err := next()
			s.end(id)
			return err
		}}
	}
}

func (s *sessions) begin(id int64) {
	s.open.Store(id, new(session)) // fault:leak-syncmap
}

func (s *sessions) end(id int64) {
	if s.fixed {
		s.open.Delete(id)
	}
}

// heads keeps the first bytes of each body: a slice of the read buffer, which stays whole. Fixed, it copies them and
// keeps the last hundred.
type heads struct {
	mu    sync.Mutex
	magic [][]byte
	fixed bool
}

const headSize = 1024

func newHeads(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		h := &heads{fixed: fixed}
		return copier.Hooks{Upload: func(ctx context.Context, _ *copier.Worker, f copier.File, key string,
			body io.Reader) error {
			return e.Client().Upload(ctx, key, h.sniff(body), f.Size)
		}}
	}
}

func (h *heads) sniff(body io.Reader) io.Reader {
	buf := make([]byte, headSize) // fault:leak-subslice
	n, _ := io.ReadFull(body, buf)
	head := buf[:min(n, 8)]
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fixed {
		head = append([]byte(nil), head...)
		if len(h.magic) == 100 {
			h.magic = h.magic[:0]
		}
	}
	h.magic = append(h.magic, head)
	return io.MultiReader(strings.NewReader(string(buf[:n])), body)
}

// tokens keeps a word of each page: a substring, so that the page's text stays whole.
type tokens struct {
	mu    sync.Mutex
	seen  []string
	fixed bool
}

const pageText = 16 << 10

func newTokens(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		t := &tokens{fixed: fixed}
		return copier.Hooks{Page: t.remember}
	}
}

func (t *tokens) remember(p *copier.Page) {
	var text strings.Builder
	text.Grow(pageText) // fault:leak-substring
	text.Write(p.Raw[:min(len(p.Raw), pageText)])
	word := text.String()[:8]
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fixed {
		word = strings.Clone(word)
		if len(t.seen) == 100 {
			t.seen = t.seen[:0]
		}
	}
	t.seen = append(t.seen, word)
}

// digests keeps a digest of each 4 KiB block of every body: it grows with the bytes copied, not with the files.
type digests struct {
	mu    sync.Mutex
	last  *digest
	count int
	fixed bool
}

const digestBlock = 4096

func newDigests(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		d := &digests{fixed: fixed}
		return copier.Hooks{Upload: func(ctx context.Context, _ *copier.Worker, f copier.File, key string,
			body io.Reader) error {
			return e.Client().Upload(ctx, key, &digestReader{r: body, add: d.add}, f.Size)
		}}
	}
}

func (d *digests) add() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fixed && d.count%64 == 0 {
		d.last = nil
	}
	d.count++
	d.last = &digest{before: d.last} // fault:leak-bytes
}

type digest struct {
	before *digest
	sum    [120]byte
}

type digestReader struct {
	r    io.Reader
	n    int
	add  func()
	done bool
}

func (r *digestReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	for r.n += n; r.n >= digestBlock; r.n -= digestBlock {
		r.add()
	}
	return n, err
}

// audit keeps events in a generic history, whose method is where the memory comes from.
func newAudit(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		h := &history[event]{}
		if fixed {
			h.limit = 64
		}
		return copier.Hooks{Done: func(_ context.Context, _ *copier.Worker, f copier.File) {
			h.push(event{transfer: e.Sequence(), size: f.Size})
		}}
	}
}

type event struct {
	transfer, size int64
	note           [240]byte
}

// history is a singly linked list, newest first, of at most limit elements; 0 is no limit.
type history[T any] struct {
	mu    sync.Mutex
	head  *link[T]
	size  int
	limit int
}

type link[T any] struct {
	value T
	next  *link[T]
}

func (h *history[T]) push(v T) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.limit > 0 && h.size == h.limit {
		h.head, h.size = nil, 0
	}
	h.head = &link[T]{value: v, next: h.head} // fault:leak-generic
	h.size++
}

// recent is a container/list of finished files that is trimmed only when fixed.
//
//go:noinline
func newRecent(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		var mu sync.Mutex
		recent := list.New()
		return copier.Hooks{Done: func(_ context.Context, _ *copier.Worker, f copier.File) {
			mu.Lock()
			defer mu.Unlock()
			recent.PushBack(summary{size: f.Size}) // fault:leak-list
			if fixed && recent.Len() > 50 {
				recent.Remove(recent.Front())
			}
		}}
	}
}

type summary struct {
	size int64
	text [312]byte
}

// journal keeps copies made by a helper that healthy callers use as well: not the helper is at fault but this caller.
type journal struct {
	mu      sync.Mutex
	entries [][]byte
	fixed   bool
}

func newJournal(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		j := &journal{fixed: fixed}
		var last sync.Map // worker -> its latest entry: a healthy caller of the same helper
		return copier.Hooks{Done: func(_ context.Context, w *copier.Worker, f copier.File) {
			last.Store(w.Index, handy.Padded([]byte(f.ID), 1024))
			j.write(f)
		}}
	}
}

func (j *journal) write(f copier.File) {
	line := handy.Padded([]byte(f.ID), 768) // fault:leak-helper
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fixed && len(j.entries) == 32 {
		clear(j.entries)
		j.entries = j.entries[:0]
	}
	j.entries = append(j.entries, line)
}

// marks keeps 64 bytes a file: the smallest leak that has to be seen within 5,000 files.
func newMarks(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		m := &marks{fixed: fixed}
		return copier.Hooks{Done: m.set}
	}
}

type marks struct {
	mu    sync.Mutex
	last  *mark
	fixed bool
}

type mark struct {
	prev *mark
	bits [7]uint64
}

func (m *marks) set(_ context.Context, w *copier.Worker, _ copier.File) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := &mark{prev: m.last} // fault:leak-tiny
	n.bits[w.Index%7]++
	if m.fixed {
		n.prev = nil
	}
	m.last = n
}
