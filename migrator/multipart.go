package migrator

import (
	"context"
	"crypto/md5"
	"encoding"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
)

// maxParts is S3's limit on the parts of one upload.
const maxParts = 10_000

// parts is the state of an upload in parts: what a checkpoint saves.
type parts struct {
	upload string
	size   int64 // of each part but the last
	done   int   // parts stored
	sum    hash.Hash
	md5    string // what the whole has to be
}

// partSize returns the smallest multiple of the configured size that makes at most maxParts parts.
func (c *Copier) partSize(size int64) int64 {
	p := c.cfg.PartSize
	for (size+p-1)/p > maxParts {
		p += c.cfg.PartSize
	}
	return p
}

// storeParts streams a large file in parts, one after the other, and compares a running MD5 of the whole with the
// source's before the object comes to be. After each part the state goes into the queue, so that another process can
// take the upload up again. With create set, an object that came to be meanwhile is left alone (class Exists).
func (c *Copier) storeParts(ctx context.Context, l *Lease, it *Item, create bool) error {
	p, up, err := c.beginParts(ctx, l, it)
	if err != nil {
		return err
	}
	if err := c.sendParts(ctx, l, it, p, up); err != nil {
		if ctx.Err() == nil && ClassOf(err) != Fatal {
			c.giveUp(ctx, l, up) // else the upload continues with the item, from its last checkpoint
		}
		return err
	}
	if sum := hex.EncodeToString(p.sum.Sum(nil)); it.MD5 != "" && sum != it.MD5 {
		c.giveUp(ctx, l, up)
		return &Error{Op: "download", Object: it.ID, Reason: "md5", Class: BadDigest,
			Err: fmt.Errorf("the content has md5 %s, Drive says %s", sum, it.MD5)}
	}
	err = c.sinkCall(ctx, func(ctx context.Context) error { return up.Finish(ctx, p.done, create) })
	if err != nil && ClassOf(err) == Exists {
		c.giveUp(ctx, l, up)
		return err
	}
	if err != nil && ClassOf(err) == Missing {
		// The reply to an earlier try may have been lost: then the object is there.
		if o, serr := c.statKey(ctx, it.Key); serr == nil && differs(&o, it) == "" {
			return nil
		}
	}
	return err
}

// giveUp drops an upload; a failure to do so leaves parts for the bucket's lifecycle rule and is no error.
func (c *Copier) giveUp(ctx context.Context, l *Lease, up Upload) {
	if err := c.sinkCall(ctx, func(ctx context.Context) error { return up.Finish(ctx, 0, false) }); err != nil {
		c.event(Event{Type: "retry", Key: l.Item.Key, Reason: "abort", Detail: err.Error()})
	}
	l.State = nil
	if cp, ok := c.queue.(Checkpointer); ok {
		_ = cp.Checkpoint(ctx, l, nil) // stale state is recognised by its md5 and upload id
	}
}

// beginParts takes the upload of an earlier run up again, or begins one.
func (c *Copier) beginParts(ctx context.Context, l *Lease, it *Item) (*parts, Upload, error) {
	var up Upload
	p := &parts{}
	if p.load(l.State) && p.md5 == it.MD5 {
		err := c.sinkCall(ctx, func(ctx context.Context) (err error) {
			up, err = c.sink.Multipart(ctx, object(it), p.upload)
			return err
		})
		if err == nil {
			return p, up, nil
		}
		if ClassOf(err) != Missing {
			return nil, nil, err
		}
	}
	err := c.sinkCall(ctx, func(ctx context.Context) (err error) {
		up, err = c.sink.Multipart(ctx, object(it), "")
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return &parts{upload: up.ID(), size: c.partSize(it.Size), sum: md5.New(), md5: it.MD5}, up, nil
}

func (c *Copier) sendParts(ctx context.Context, l *Lease, it *Item, p *parts, up Upload) error {
	r := retrier{c: c}
	var b *body
	defer func() {
		if b != nil {
			b.Close()
		}
	}()
	for off := int64(p.done) * p.size; off < it.Size; {
		n := min(p.size, it.Size-off)
		if b == nil {
			b = c.newBody(ctx, Content{ID: it.content(), Size: it.Size}, off, nil)
		}
		before, err := p.sum.(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil {
			return err
		}
		err = c.sendPart(ctx, up, p, b, n)
		if err == nil {
			p.done++
			off += n
			r = retrier{c: c}
			if err := c.checkpoint(ctx, l, p); err != nil {
				return err
			}
			continue
		}
		b.Close()
		if f, ok := errors.AsType[*fromSource](err); ok {
			return f.err
		}
		b = nil
		if err := p.sum.(encoding.BinaryUnmarshaler).UnmarshalBinary(before); err != nil {
			return err
		}
		if ClassOf(err) == BadDigest {
			err = &Error{Op: "put part", Object: it.Key, Reason: "badDigest", Err: err} // damaged on the way: once more
		}
		if err := r.again(ctx, err); err != nil {
			return err
		}
	}
	return nil
}

// sendPart stores the next n bytes of b as one part.
func (c *Copier) sendPart(ctx context.Context, up Upload, p *parts, b *body, n int64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := newWatchdog(c.cfg.SinkTimeout, func() { cancel(errSink) })
	defer w.end()
	b.mu.Lock()
	b.watch = w
	b.mu.Unlock()
	part := md5.New()
	src := &partReader{r: io.LimitReader(io.TeeReader(b, io.MultiWriter(p.sum, part)), n), done: make(chan struct{}, 1)}
	err := up.Part(ctx, p.done+1, src, n, func() string { return hex.EncodeToString(part.Sum(nil)) })
	if err != nil {
		b.cancel() // ends a read that the transport has left behind
	}
	src.close()
	if err == nil {
		return nil
	}
	if broken := b.failed(); broken != nil && !errors.Is(broken, context.Canceled) {
		return &fromSource{broken}
	}
	return stalled(ctx, err)
}

func (c *Copier) checkpoint(ctx context.Context, l *Lease, p *parts) error {
	cp, ok := c.queue.(Checkpointer)
	if !ok {
		return nil
	}
	state, err := p.save()
	if err != nil {
		return err
	}
	return ofQueue("checkpoint", l.Item.Key, cp.Checkpoint(ctx, l, state))
}

func (p *parts) save() ([]byte, error) {
	sum, err := p.sum.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return nil, err
	}
	b := appendText([]byte{1}, p.upload)
	b = appendText(b, p.md5)
	b = binary.AppendVarint(b, p.size)
	b = binary.AppendVarint(b, int64(p.done))
	return appendText(b, string(sum)), nil
}

// load reads what save returned and says whether it could.
func (p *parts) load(state []byte) bool {
	if len(state) == 0 || state[0] != 1 {
		return false
	}
	d := decoder{b: state[1:]}
	p.upload, p.md5 = d.text(), d.text()
	p.size, p.done = d.varint(), int(d.varint())
	p.sum = md5.New()
	return p.sum.(encoding.BinaryUnmarshaler).UnmarshalBinary([]byte(d.text())) == nil && !d.bad && p.size > 0 &&
		p.done > 0
}

// partReader is one part of a stream. After close the transport can't read on.
type partReader struct {
	r    io.Reader
	done chan struct{} // holds a token while a read is in progress or after close
}

func (p *partReader) Read(b []byte) (int, error) {
	select {
	case p.done <- struct{}{}:
	default:
		return 0, io.ErrClosedPipe
	}
	defer func() { <-p.done }()
	return p.r.Read(b)
}

// close waits for a read in progress.
func (p *partReader) close() { p.done <- struct{}{} }
