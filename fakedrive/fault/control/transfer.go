package control

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync/atomic"

	"golang.org/x/time/rate"

	"github.com/memsoak/memsoak/fakedrive/fault"
)

// Transfer is one body on its way: a download or an upload in flight. All its methods but End belong to one goroutine.
type Transfer struct {
	c      *Control
	r      *http.Request
	req    fault.Request
	act    fault.Action
	moved  int64
	struck bool    // the strike in the body is over
	passed []*hold // the holds that this transfer has been at
	flush  func()  // sends the buffered bytes to the client; nil for uploads
	// bodySize is the declared length of a body that goes through a proxy.
	bodySize int64
	limits   []*rate.Limiter
	forPlan  *fault.ActivePlan // the plan that limits was made for
	ended    atomic.Bool
}

// Begin notes that a transfer is in flight. r is the request it belongs to: the end of its context ends every wait.
func (c *Control) Begin(r *http.Request, req fault.Request, act fault.Action) *Transfer {
	t := &Transfer{c: c, r: r, req: req, act: act}
	for {
		l := c.largest.Load()
		if req.Size <= l || c.largest.CompareAndSwap(l, req.Size) {
			break
		}
	}
	c.flightMu.Lock()
	defer c.flightMu.Unlock()
	c.started.Add(1)
	c.flight[t] = struct{}{}
	return t
}

// End notes that the transfer is over: finished if err is nil, else failed. A fault at the end of the transfer strikes
// here, so call it before the reply of an upload is sent. Only the first call counts.
func (t *Transfer) End(err error) {
	if t.ended.Swap(true) {
		return
	}
	if s := t.act.Strike; err == nil && s != nil && s.At == fault.AtEnd {
		t.doFlush()
		_ = t.c.carryOut(t.r, &t.act) // the transfer itself is complete
	}
	t.c.flightMu.Lock()
	delete(t.c.flight, t)
	t.c.flightMu.Unlock()
	if err == nil {
		t.c.finished.Add(1)
		if !t.req.Part {
			t.c.filesFinished.Add(1)
		}
	} else {
		t.c.failed.Add(1)
	}
}

// At brings the transfer to a point outside its body, where holds may keep it. The error is the context's.
func (t *Transfer) At(p fault.Point) error {
	for _, h := range t.c.holds.list() {
		if h.Point != p || slices.Contains(t.passed, h) {
			continue
		}
		t.passed = append(t.passed, h)
		t.doFlush()
		if err := t.c.holds.stop(t.r.Context(), h, max(t.req.Size, 0)); err != nil {
			return err
		}
	}
	return nil
}

// At brings a request that is no transfer (a listing) to a point, where holds may keep it. The error is the context's.
func (c *Control) At(ctx context.Context, p fault.Point) error {
	for _, h := range c.holds.list() {
		if h.Point != p {
			continue
		}
		if err := c.holds.stop(ctx, h, 0); err != nil {
			return err
		}
	}
	return nil
}

// Header fits the headers of a download's reply to a planned truncation. Call it after Content-Length is set.
func (t *Transfer) Header(h http.Header) {
	s := t.act.Strike
	if s == nil || s.Kind != fault.StrikeTruncate || s.Framing == fault.FramingLength {
		return
	}
	h.Del("Content-Length")
	if s.Framing == fault.FramingClose && t.r.ProtoMajor == 1 {
		h.Set("Transfer-Encoding", "identity") // tells net/http to end the body by closing
		h.Set("Connection", "close")
	}
}

// Writer returns what a download's body is to be written to: it counts, throttles, holds and strikes.
func (t *Transfer) Writer(w http.ResponseWriter) io.Writer {
	t.flush = func() { _ = http.NewResponseController(w).Flush() } // a client that is gone shows at the next write
	return &bodyWriter{t, w}
}

// Reader returns what an upload's body is to be read from: it counts, throttles, holds and strikes.
func (t *Transfer) Reader(body io.Reader) io.Reader { return &bodyReader{t, body, fault.UploadBody} }

// Through returns what a proxy is to read the reply's body of size bytes from, -1 when it is not declared: it counts,
// throttles, holds and strikes. The bytes read before a stop reach w.
func (t *Transfer) Through(w http.ResponseWriter, body io.Reader, size int64) io.Reader {
	t.flush = func() { _ = http.NewResponseController(w).Flush() } // a client that is gone shows at the next write
	t.bodySize = size
	return &bodyReader{t, body, fault.GateReplyBody}
}

type bodyWriter struct {
	t *Transfer
	w io.Writer
}

func (b *bodyWriter) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, flip, err := b.t.before(fault.DownloadBody, len(p)-done)
		if err == nil {
			err = b.t.pay(n)
		}
		if err != nil {
			return done, err
		}
		piece := p[done : done+n]
		if flip {
			piece = []byte{piece[0] ^ 1}
		}
		n, err = b.w.Write(piece)
		b.t.after(n)
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

type bodyReader struct {
	t  *Transfer
	r  io.Reader
	at fault.Point
}

func (b *bodyReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, flip, err := b.t.before(b.at, len(p))
	if err != nil {
		return 0, err
	}
	n, err = b.r.Read(p[:n])
	if flip && n > 0 {
		p[0] ^= 1
	}
	b.t.after(n)
	if paid := b.t.pay(n); err == nil { // for the bytes that came, which may be fewer than asked for
		err = paid
	}
	return n, err
}

// before waits at the holds and suffers the strike that lie at the next byte, and returns how many of n bytes may
// be moved before the next such place. If flip is set it is one byte, to be inverted.
func (t *Transfer) before(p fault.Point, n int) (allowed int, flip bool, err error) {
	for _, h := range t.c.holds.list() {
		if h.Point != p || slices.Contains(t.passed, h) {
			continue
		}
		offset, ok := h.offset(t.bodySize)
		if !ok || offset < t.moved {
			continue
		}
		if offset > t.moved {
			n = int(min(int64(n), offset-t.moved))
			continue
		}
		t.passed = append(t.passed, h)
		t.doFlush()
		size := t.req.Size
		if p == fault.GateReplyBody {
			size = t.bodySize
		}
		if err := t.c.holds.stop(t.r.Context(), h, max(size, 0)); err != nil {
			return 0, false, err
		}
	}
	if s := t.act.Strike; s != nil && s.At == fault.AtBody && !t.struck {
		switch {
		case s.Pos > t.moved:
			n = int(min(int64(n), s.Pos-t.moved))
		case s.Kind == fault.StrikeFlip:
			t.c.harmed()
			t.struck, flip, n = true, true, 1
		default:
			t.struck = true
			t.doFlush()
			if err := t.c.carryOut(t.r, &t.act); err != nil {
				return 0, false, err
			}
		}
	}
	return t.turn(n), flip, nil
}

func (t *Transfer) after(n int) {
	t.moved += int64(n)
	t.c.bytes.Add(int64(n))
}

func (t *Transfer) doFlush() {
	if t.flush != nil {
		t.flush()
	}
}

// turn returns how many of n bytes may be moved in one turn of the limits on bandwidth.
func (t *Transfer) turn(n int) int {
	p := t.c.plan.Load()
	if p != t.forPlan {
		t.forPlan, t.limits = p, nil
		if p != nil {
			t.limits = p.Limits()
		}
	}
	for _, l := range t.limits {
		n = min(n, l.Burst())
	}
	return n
}

// pay waits for the time that n bytes of one turn take.
func (t *Transfer) pay(n int) error {
	for _, l := range t.limits {
		if err := l.WaitN(t.r.Context(), n); err != nil {
			return err
		}
	}
	return nil
}
