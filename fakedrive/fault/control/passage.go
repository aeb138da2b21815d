package control

import (
	"context"
	"io"
	"slices"
	"sync/atomic"

	"github.com/memsoak/memsoak/fakedrive/fault"
)

// Passage is the body of a request on its way through a proxy, beside the [Transfer] that is the reply's: it can be
// held and is counted. Its reader belongs to one goroutine.
type Passage struct {
	c      *Control
	ctx    context.Context
	r      io.ReadCloser
	size   int64
	moved  int64
	passed []*hold
	count  *atomic.Int64
}

// Passage returns what a proxy is to read a request's body of size bytes from, -1 when it is not declared. The bytes
// are added to count.
func (c *Control) Passage(ctx context.Context, body io.ReadCloser, size int64, count *atomic.Int64) *Passage {
	return &Passage{c: c, ctx: ctx, r: body, size: size, count: count}
}

// Read implements io.Reader.
func (p *Passage) Read(b []byte) (int, error) {
	n := len(b)
	if n == 0 {
		return 0, nil
	}
	for _, h := range p.c.holds.list() {
		if h.Point != fault.GateRequestBody || slices.Contains(p.passed, h) {
			continue
		}
		offset, ok := h.offset(p.size)
		switch {
		case !ok || offset < p.moved:
			continue
		case offset > p.moved:
			n = int(min(int64(n), offset-p.moved))
			continue
		}
		p.passed = append(p.passed, h)
		if err := p.c.holds.stop(p.ctx, h, max(p.size, 0)); err != nil {
			return 0, err
		}
	}
	n, err := p.r.Read(b[:n])
	p.moved += int64(n)
	p.count.Add(int64(n))
	return n, err
}

// Close implements io.Closer.
func (p *Passage) Close() error { return p.r.Close() }

// offset is the byte of a body of size bytes before which the hold stops; false if the body has no such byte.
func (h *hold) offset(size int64) (int64, bool) {
	if h.Offset >= 0 {
		return h.Offset, true
	}
	at := size + h.Offset
	return at, size > 0 && at >= 0
}
