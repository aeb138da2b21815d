package heldout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/memsoak/memsoak/soak/specimens/copier"
	"github.com/memsoak/memsoak/soak/specimens/handy"
)

// done is the seam of those that act when a file is stored.
func done(f func(copier.File)) copier.Hooks {
	return copier.Hooks{Done: func(_ context.Context, _ *copier.Worker, file copier.File) { f(file) }}
}

// headerAudit keeps a clone of the headers that each upload went out with, "for the compliance report".
type headerAudit struct {
	next http.RoundTripper

	mu   sync.Mutex
	sent []http.Header
}

func newHeaderAudit(e *copier.Engine) copier.Hooks {
	client := e.Client().HTTP
	client.Transport = &headerAudit{next: client.Transport}
	return copier.Hooks{}
}

func (a *headerAudit) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPut {
		r = r.Clone(r.Context())
		r.Header.Set("Content-Type", "application/octet-stream")
		r.Header.Set("Cache-Control", "no-store")
		r.Header.Set("X-Amz-Storage-Class", "STANDARD")
		r.Header.Set("X-Amz-Meta-Migrated-By", "copier")
		r.Header.Set("X-Amz-Meta-Length", strconv.FormatInt(r.ContentLength, 10))
		a.keep(r.Header)
	}
	return a.next.RoundTrip(r)
}

func (a *headerAudit) keep(h http.Header) {
	sent := h.Clone() // fault:leak-headers
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent = append(a.sent, sent)
}

// lineage puts each transfer's span into a context that is derived from the transfer before it, and not from a root.
type lineage struct {
	mu      sync.Mutex
	current context.Context
}

type spanKey struct{}

type span struct {
	transfer, size int64
	baggage        [464]byte
}

func newLineage(e *copier.Engine) copier.Hooks {
	l := &lineage{current: context.Background()}
	return copier.Hooks{Around: func(_ context.Context, _ *copier.Worker, f copier.File, next func() error) error {
		l.begin(e.Sequence(), f.Size)
		return next()
	}}
}

func (l *lineage) begin(transfer, size int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current = context.WithValue(l.current, spanKey{}, &span{transfer: transfer, size: size}) // fault:leak-values
}

// retrier plans three attempts of each transfer, as closures by transfer and attempt, and forgets the one that
// succeeded: the other two stay.
type retrier struct {
	mu    sync.Mutex
	plans map[attempt]func() int64
}

type attempt struct {
	transfer int64
	number   int
}

type uploadState struct {
	offset, size int64
	partial      [1008]byte
}

func newRetrier(e *copier.Engine) copier.Hooks {
	r := &retrier{plans: map[attempt]func() int64{}}
	return copier.Hooks{Around: func(_ context.Context, _ *copier.Worker, f copier.File, next func() error) error {
		transfer := e.Sequence()
		for number := range 3 {
			r.plan(attempt{transfer, number}, f.Size)
		}
		err := next()
		r.forget(attempt{transfer, 0})
		return err
	}}
}

func (r *retrier) plan(a attempt, size int64) {
	state := &uploadState{size: size} // fault:leak-attempts
	r.mu.Lock()
	defer r.mu.Unlock()
	r.plans[a] = func() int64 { return state.size - state.offset }
}

func (r *retrier) forget(a attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.plans, a)
}

// presigned keeps the URL of each upload by its signature, which no other upload has.
type presigned struct{ issued sync.Map }

func newPresigned(e *copier.Engine) copier.Hooks {
	p := &presigned{}
	return copier.Hooks{Around: func(_ context.Context, _ *copier.Worker, _ copier.File, next func() error) error {
		if err := p.issue(e.Sequence()); err != nil {
			return err
		}
		return next()
	}}
}

func (p *presigned) issue(transfer int64) error {
	u, err := url.Parse(fmt.Sprintf("https://objects.example/copies/%020d?X-Amz-Expires=900"+ // fault:leak-urls
		"&X-Amz-SignedHeaders=host&X-Amz-Signature=%064x", transfer, transfer))
	if err != nil {
		return err
	}
	p.issued.Store(u.RawQuery, u)
	return nil
}

// logRing writes lines of 256 bytes into blocks. It is a ring by name alone: a new block never takes an old one's
// place unless it is fixed.
type logRing struct {
	mu     sync.Mutex
	blocks []*strings.Builder
	filled int
	fixed  bool
}

const (
	logBlock = 4096
	logLine  = 256
	logKept  = 8
)

func newLogRing(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		r := &logRing{fixed: fixed}
		return done(func(f copier.File) { r.log(e.Sequence(), f.Size) })
	}
}

func (r *logRing) log(transfer, size int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.blocks) == 0 || r.blocks[len(r.blocks)-1].Len()+logLine > logBlock {
		r.rotate()
	}
	b := r.blocks[len(r.blocks)-1]
	fmt.Fprintf(b, "transfer=%020d size=%020d %*s\n", transfer, size, logLine-57, "stored")
}

func (r *logRing) rotate() {
	b := &strings.Builder{}
	b.Grow(logBlock) // fault:leak-logring
	if r.fixed && len(r.blocks) == logKept {
		copy(r.blocks, r.blocks[1:])
		r.blocks = r.blocks[:logKept-1]
	}
	r.blocks = append(r.blocks, b)
}

// errorBook notes what went wrong with a stack, and is called by the download's side and by the upload's. One transfer
// in eight has something to tell on each.
type errorBook struct {
	mu    sync.Mutex
	notes []*note
}

type note struct {
	err   error
	stack []byte
}

var (
	errSlowSource = errors.New("source was slow")
	errNoChecksum = errors.New("reply has no checksum")
)

const noteEach = 8

func newErrorBook(*copier.Engine) copier.Hooks {
	b := &errorBook{}
	var begun, ended atomic.Int64
	return copier.Hooks{
		Around: func(_ context.Context, _ *copier.Worker, _ copier.File, next func() error) error {
			if begun.Add(1)%noteEach == 0 {
				b.report(errSlowSource)
			}
			return next()
		},
		Done: func(context.Context, *copier.Worker, copier.File) {
			if ended.Add(1)%noteEach == 0 {
				b.report(errNoChecksum)
			}
		},
	}
}

func (b *errorBook) report(err error) {
	stack := make([]byte, 4096) // fault:leak-onerror
	n := &note{err: err, stack: stack[:runtime.Stack(stack, false)]}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.notes = append(b.notes, n)
}

// tracked has a cleanup whose argument points back at what it cleans up after, which is therefore never collected.
// Fixed, the argument does not.
type tracked struct {
	files *handles
	state [1008]byte
}

// handles are released once their owner is collected.
type handles struct {
	owner *tracked
	size  int64
}

func newTracked(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		var released atomic.Int64
		return done(func(f copier.File) {
			t := track(f.Size)
			if !fixed {
				t.files.owner = t
			}
			runtime.AddCleanup(t, func(h *handles) { released.Add(h.size) }, t.files)
		})
	}
}

func track(size int64) *tracked {
	t := &tracked{} // fault:leak-cleanup
	t.files = &handles{size: size}
	return t
}

// leases are renewed by a timer each, which starts itself again. Fixed, it is stopped when the transfer ends.
type lease struct {
	timer    *time.Timer
	renewals int
	object   [1512]byte
}

const leaseTime = 10 * time.Minute

func newLeases(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		return copier.Hooks{Around: func(_ context.Context, _ *copier.Worker, _ copier.File, next func() error) error {
			l := takeLease()
			if fixed {
				defer l.timer.Stop()
			}
			return next()
		}}
	}
}

func takeLease() *lease {
	l := &lease{} // fault:leak-lease
	l.timer = time.AfterFunc(leaseTime, l.renew)
	return l
}

func (l *lease) renew() {
	l.renewals++
	l.timer.Reset(leaseTime)
}

// tokens refreshes a credential whether there is work or not, and each remembers the one before it.
type tokens struct{ current *token }

type token struct {
	before *token
	raw    [3056]byte
}

// tokenLife is the time between the growth steps of leak-tokens.
const tokenLife = 10 * time.Millisecond

func newTokens(*copier.Engine) copier.Hooks {
	t := &tokens{}
	return copier.Hooks{Start: func(ctx context.Context) { handy.Every(ctx, tokenLife, t.refresh) }}
}

func (t *tokens) refresh() {
	t.current = &token{before: t.current} // fault:leak-tokens
}

// manifests keep a sum of each block of every file: large files leave much behind and small ones little.
type manifests struct {
	mu  sync.Mutex
	all map[int64][]blockSum
}

type blockSum struct {
	offset int64
	sum    uint64
}

const manifestBlock = 512

func newManifests(e *copier.Engine) copier.Hooks {
	m := &manifests{all: map[int64][]blockSum{}}
	return copier.Hooks{Upload: func(ctx context.Context, _ *copier.Worker, f copier.File, key string,
		body io.Reader) error {
		w := m.begin(f.Size)
		if err := e.Client().Upload(ctx, key, io.TeeReader(body, w), f.Size); err != nil {
			return err
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.all[e.Sequence()] = w.sums
		return nil
	}}
}

func (m *manifests) begin(size int64) *manifestWriter {
	return &manifestWriter{sums: make([]blockSum, 0, (size+manifestBlock-1)/manifestBlock)} // fault:leak-manifest
}

// manifestWriter sums the blocks written to it.
type manifestWriter struct {
	sums   []blockSum
	offset int64
}

func (w *manifestWriter) Write(p []byte) (int, error) {
	for _, b := range p {
		if w.offset%manifestBlock == 0 {
			w.sums = append(w.sums, blockSum{offset: w.offset})
		}
		last := &w.sums[len(w.sums)-1]
		last.sum = last.sum*31 + uint64(b)
		w.offset++
	}
	return len(p), nil
}
