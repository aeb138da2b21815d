package migrator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

var (
	errStalled = errors.New("the source sent nothing for too long")
	errSink    = errors.New("the sink neither read nor replied for too long")
	errLonger  = errors.New("more bytes than were listed: the file has changed")
)

// body reads the content of one file as one stream, whatever happens to the connections: after a fault it is opened
// again, by Range, where it broke. It holds no bytes.
//
// A transport may still read when its request has failed already; Close waits for such a read, and every later one
// fails. So a body serves one request (or the parts of one upload, one after the other).
type body struct {
	c       *Copier
	ctx     context.Context
	content Content
	// watch learns by renew that bytes moved, which keeps the wait for the sink alive.
	watch *watchdog

	cancel context.CancelFunc // ends a read in progress

	mu     sync.Mutex
	off    int64
	rc     io.ReadCloser
	opens  int
	retry  retrier
	err    error // why the stream ended, other than by io.EOF
	closed bool
}

// newBody returns the content from offset on. watch may be nil.
func (c *Copier) newBody(ctx context.Context, content Content, offset int64, watch *watchdog) *body {
	ctx, cancel := context.WithCancel(ctx)
	return &body{c: c, ctx: ctx, cancel: cancel, content: content, off: offset, watch: watch, retry: retrier{c: c}}
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, io.ErrClosedPipe
	}
	b.watch.stop()
	n, err := b.read(p)
	b.watch.start()
	return n, err
}

func (b *body) read(p []byte) (int, error) {
	for {
		if b.err != nil {
			return 0, b.err
		}
		if b.content.Size >= 0 && b.off == b.content.Size && b.opens > 0 {
			return 0, b.end()
		}
		if b.rc == nil {
			if b.err = b.open(); b.err != nil {
				return 0, b.err
			}
		}
		n, err := b.some(p)
		if n > 0 {
			b.off += int64(n)
			b.c.stats.Bytes.Add(int64(n))
			b.retry = retrier{c: b.c}
			if b.content.Size >= 0 && b.off > b.content.Size {
				b.err = &Error{Op: "download", Object: b.content.ID, Reason: "changed", Class: BadDigest, Err: errLonger}
				return 0, b.err
			}
			if err := b.c.bytes.Wait(b.ctx, n); err != nil {
				b.err = err
			}
			return n, nil
		}
		if err == io.EOF && (b.content.Size < 0 || b.off == b.content.Size) {
			return 0, b.end()
		}
		b.drop()
		if err == io.EOF {
			err = fmt.Errorf("the body ended after %d of %d bytes: %w", b.off, b.content.Size, io.ErrUnexpectedEOF)
		}
		if b.content.Export != "" && b.off > 0 {
			b.err = err // an export can't be opened in its middle
			return 0, err
		}
		if err := b.retry.again(b.ctx, err); err != nil {
			b.err = err
			return 0, err
		}
		b.c.stats.Reopened.Add(1)
	}
}

// some reads at least a byte from the open stream, or an error.
func (b *body) some(p []byte) (int, error) {
	for {
		n, err := b.rc.Read(p)
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

// open opens the content at the offset; what fails here was tried often enough.
func (b *body) open() error {
	return b.c.source(b.ctx, func() error {
		rc, err := openWatched(b.ctx, b.c.src, b.content, b.off, b.c.cfg.IdleTimeout)
		if err != nil {
			return err
		}
		b.rc = rc
		b.opens++
		return nil
	})
}

// end checks that the stream ends where it should.
func (b *body) end() error {
	if b.content.Size >= 0 && b.rc != nil {
		var one [1]byte
		if n, _ := b.rc.Read(one[:]); n > 0 {
			b.err = &Error{Op: "download", Object: b.content.ID, Reason: "changed", Class: BadDigest, Err: errLonger}
			b.drop()
			return b.err
		}
	}
	b.drop()
	b.err = io.EOF
	return io.EOF
}

func (b *body) drop() {
	if b.rc != nil {
		b.rc.Close()
		b.rc = nil
	}
}

// failed is why the stream broke; nil when it didn't.
func (b *body) failed() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == io.EOF {
		return nil
	}
	return b.err
}

// Close ends the stream and waits for a read in progress.
func (b *body) Close() error {
	b.cancel()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.drop()
	return nil
}

// watchdog calls a function when nothing moved for a time. It is started and stopped for each few kilobytes, so that
// only notes the time; a timer looks at it. A nil watchdog does nothing.
type watchdog struct {
	d     time.Duration
	fire  func()
	since atomic.Int64 // when it was started, as time since epoch; 0 while it is stopped
	ended atomic.Bool
	timer *time.Timer
}

// epoch is what watchdogs count from, by the monotonic clock.
var epoch = time.Now()

// newWatchdog returns a watchdog that is started.
func newWatchdog(d time.Duration, fire func()) *watchdog {
	w := &watchdog{d: d, fire: fire}
	w.start()
	w.timer = time.AfterFunc(math.MaxInt64, w.look)
	w.timer.Reset(d) // not before look can see the timer
	return w
}

// look fires, or looks again when it may be time.
func (w *watchdog) look() {
	if w.ended.Load() {
		return
	}
	left := w.d
	if since := w.since.Load(); since != 0 {
		if left -= time.Since(epoch) - time.Duration(since); left <= 0 {
			w.fire()
			return
		}
	}
	w.timer.Reset(left)
}

func (w *watchdog) start() {
	if w != nil {
		w.since.Store(int64(time.Since(epoch)))
	}
}

func (w *watchdog) stop() {
	if w != nil {
		w.since.Store(0)
	}
}

// end stops it for good.
func (w *watchdog) end() {
	if w != nil {
		w.ended.Store(true)
		w.timer.Stop()
	}
}

// openWatched opens content so that neither the reply nor any read waits longer than idle.
func openWatched(ctx context.Context, src Source, content Content, off int64, idle time.Duration) (io.ReadCloser,
	error) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := newWatchdog(idle, func() { cancel(errStalled) })
	rc, err := src.Open(ctx, content, off)
	w.stop()
	if err != nil {
		w.end()
		err = stalled(ctx, err)
		cancel(nil)
		return nil, err
	}
	return &watchedBody{rc: rc, ctx: ctx, cancel: cancel, w: w}, nil
}

type watchedBody struct {
	rc     io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	w      *watchdog
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.w.start()
	n, err := b.rc.Read(p)
	b.w.stop()
	if err != nil && err != io.EOF {
		err = stalled(b.ctx, err)
	}
	return n, err
}

func (b *watchedBody) Close() error {
	b.w.end()
	b.cancel(nil)
	return b.rc.Close()
}

// stalled replaces the error of a cancelled request by the watchdog's.
func stalled(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errStalled) || errors.Is(cause, errSink) {
		return &Error{Op: "wait", Object: "transfer", Reason: "stalled", Class: Transient, Err: cause}
	}
	return err
}
