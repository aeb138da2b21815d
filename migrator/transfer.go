package migrator

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// handle does with a file what the mode asks for.
func (c *Copier) handle(ctx context.Context, l *Lease) (Result, error) {
	c.stats.InFlight.Add(1)
	defer c.stats.InFlight.Add(-1)
	switch c.cfg.Mode {
	case ModeDryRun:
		c.event(Event{Type: "would-copy", ID: l.Item.ID, Key: l.Item.Key, Bytes: max(l.Item.Size, 0)})
		return Result{Outcome: Skipped}, nil
	case ModeVerify:
		return c.verify(ctx, l)
	}
	return c.copy(ctx, l)
}

// copy brings one file to the sink.
func (c *Copier) copy(ctx context.Context, l *Lease) (Result, error) {
	it := l.Item
	create := true
	for changes := 0; ; {
		if !c.fresh || l.Again || !create {
			done, exists, err := c.stored(ctx, &it)
			if err != nil {
				return Result{}, err
			}
			if done {
				c.stats.Skipped.Add(1)
				c.event(Event{Type: "skipped", ID: it.ID, Key: it.Key})
				return Result{Outcome: Skipped}, nil
			}
			create = !exists
		}
		n, err := c.store(ctx, l, &it, create)
		switch {
		case err == nil:
			c.stats.Copied.Add(1)
			c.event(Event{Type: "copied", ID: it.ID, Key: it.Key, Bytes: n})
			return Result{Outcome: Copied, Bytes: n}, nil
		case ClassOf(err) == Exists && create:
			create = false // someone's object is there: look whose
		case ClassOf(err) == BadDigest && changes < 3:
			changes++
			if err := c.refresh(ctx, &it); err != nil {
				return Result{}, err
			}
		default:
			return Result{}, err
		}
	}
}

// stored looks at what is under the item's key: done means the file itself, unchanged. If it is another file that is
// still in the same folder under the same name (the source's listing was out of order), the item gets a key with its
// id.
func (c *Copier) stored(ctx context.Context, it *Item) (done, exists bool, err error) {
	for {
		o, err := c.statKey(ctx, it.Key)
		if ClassOf(err) == Missing && err != nil {
			return false, false, nil
		}
		if err != nil {
			return false, false, err
		}
		other := o.Metadata[MetaID]
		if other == it.ID || other == "" {
			return other != "" && !c.cfg.Force && differs(&o, it) == "", true, nil
		}
		clash, err := c.lives(ctx, other, it)
		if err != nil || !clash {
			return false, true, err
		}
		key := FileKey("", withID(it.Key, it.ID))
		if key == it.Key {
			return false, true, nil
		}
		it.Key = key
	}
}

func (c *Copier) statKey(ctx context.Context, key string) (Object, error) {
	var o Object
	err := c.sinkCall(ctx, func(ctx context.Context) (err error) { o, err = c.sink.Stat(ctx, key); return err })
	return o, err
}

// lives says whether the file other is in the item's folder under the item's name.
func (c *Copier) lives(ctx context.Context, other string, it *Item) (bool, error) {
	var e Entry
	err := c.source(ctx, func() (err error) { e, err = c.src.Stat(ctx, other); return err })
	if err != nil {
		if cl := ClassOf(err); cl == Missing || cl == Refused {
			return false, nil
		}
		return false, err
	}
	if e.Trashed || e.Name != it.Name {
		return false, nil
	}
	for _, p := range e.Parents {
		if p == it.Parent {
			return true, nil
		}
	}
	return false, nil
}

// differs says in what a stored object isn't the item; empty when in nothing.
func differs(o *Object, it *Item) string {
	switch {
	case o.Metadata[MetaID] != it.ID:
		return "another file's"
	case it.Size >= 0 && o.Size != it.Size:
		return fmt.Sprintf("size %d, not %d", o.Size, it.Size)
	case it.MD5 != "" && o.Metadata[MetaMD5] != it.MD5:
		return "another md5 was copied"
	case it.MD5 != "" && o.MD5 != "" && o.MD5 != it.MD5:
		return "md5 " + o.MD5 + ", not " + it.MD5
	case it.MD5 == "" && o.Metadata[MetaMTime] != mtime(it.Modified):
		return "modified since"
	}
	return ""
}

func mtime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// refresh takes over what the source says of the file now, after the bytes weren't those that were listed.
func (c *Copier) refresh(ctx context.Context, it *Item) error {
	var e Entry
	err := c.source(ctx, func() (err error) { e, err = c.src.Stat(ctx, it.ID); return err })
	if err != nil {
		return err
	}
	c.stats.Retries.Add(1)
	c.event(Event{Type: "retry", ID: it.ID, Key: it.Key, Reason: "changed"})
	if it.Export == "" {
		it.Size = e.Size
	}
	it.MD5, it.Modified = e.MD5, e.Modified
	return nil
}

func object(it *Item) Object {
	o := Object{Key: it.Key, Size: it.Size, MD5: it.MD5, ContentType: it.MIME,
		Metadata: map[string]string{MetaID: it.ID, MetaMTime: mtime(it.Modified), MetaMIME: it.MIME}}
	if it.Export != "" {
		o.ContentType = it.Export
	}
	if it.MD5 != "" {
		o.Metadata[MetaMD5] = it.MD5
	}
	return o
}

// store streams the item and returns the number of bytes stored.
func (c *Copier) store(ctx context.Context, l *Lease, it *Item, create bool) (int64, error) {
	switch {
	case it.Size < 0:
		return c.storeSpooled(ctx, it, create)
	case it.Size > c.cfg.MultipartThreshold:
		return it.Size, c.storeParts(ctx, l, it)
	}
	content := Content{ID: it.ID, Export: it.Export, Size: it.Size}
	return it.Size, c.put(ctx, object(it), create, func(ctx context.Context, w *watchdog) io.ReadCloser {
		return c.newBody(ctx, content, 0, w)
	})
}

// put stores an object in one request, each try with a new stream.
func (c *Copier) put(ctx context.Context, o Object, create bool, open func(context.Context, *watchdog) io.ReadCloser) error {
	r := retrier{c: c}
	for {
		err := c.putOnce(ctx, o, create, open)
		if err == nil {
			return nil
		}
		var f *fromSource
		if errors.As(err, &f) {
			return f.err // tried often enough where it happened
		}
		if err := r.again(ctx, err); err != nil {
			return err
		}
	}
}

// fromSource marks an error that broke the body of an upload.
type fromSource struct{ err error }

func (f *fromSource) Error() string { return f.err.Error() }
func (f *fromSource) Unwrap() error { return f.err }

func (c *Copier) putOnce(ctx context.Context, o Object, create bool, open func(context.Context, *watchdog) io.ReadCloser) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := newWatchdog(c.cfg.SinkTimeout, func() { cancel(errSink) })
	src := open(ctx, w)
	err := c.sink.Put(ctx, o, src, create)
	src.Close()
	w.stop()
	if err == nil {
		return nil
	}
	if b, ok := src.(*body); ok && b.failed() != nil {
		if broken := b.failed(); !errors.Is(broken, context.Canceled) {
			return &fromSource{broken}
		}
	}
	return stalled(ctx, err)
}

// storeSpooled stores content whose length nobody knows beforehand, by way of an unnamed file.
func (c *Copier) storeSpooled(ctx context.Context, it *Item, create bool) (int64, error) {
	f, err := os.CreateTemp(c.cfg.SpoolDir, "export-*")
	if err != nil {
		return 0, &Error{Op: "spool", Object: it.ID, Reason: "spool", Class: Fatal, Err: err}
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil {
		return 0, &Error{Op: "spool", Object: it.ID, Reason: "spool", Class: Fatal, Err: err}
	}
	o := object(it)
	if o.Size, o.MD5, err = c.spool(ctx, f, it); err != nil {
		return 0, err
	}
	return o.Size, c.put(ctx, o, create, func(_ context.Context, w *watchdog) io.ReadCloser {
		return &spooled{SectionReader: io.NewSectionReader(f, 0, o.Size), w: w}
	})
}

func (c *Copier) spool(ctx context.Context, f *os.File, it *Item) (int64, string, error) {
	r := retrier{c: c}
	for {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return 0, "", err
		}
		if err := f.Truncate(0); err != nil {
			return 0, "", err
		}
		b := c.newBody(ctx, Content{ID: it.ID, Export: it.Export, Size: -1}, 0, nil)
		h := md5.New()
		n, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(f, h)}, b, make([]byte, 16<<10))
		b.Close()
		if err == nil {
			return n, hex.EncodeToString(h.Sum(nil)), nil
		}
		if err := r.again(ctx, err); err != nil {
			return 0, "", err
		}
	}
}

// spooled reads a spool file for one request.
type spooled struct {
	*io.SectionReader
	w *watchdog
}

func (s *spooled) Read(p []byte) (int, error) {
	n, err := s.SectionReader.Read(p)
	s.w.start()
	return n, err
}

func (s *spooled) Close() error { return nil }

// verify compares what is stored with what the source lists.
func (c *Copier) verify(ctx context.Context, l *Lease) (Result, error) {
	it := &l.Item
	o, err := c.statKey(ctx, it.Key)
	if err != nil && ClassOf(err) != Missing {
		return Result{}, err
	}
	why, detail := "missing", "nothing is stored under this key"
	if err == nil {
		why, detail = "differs", differs(&o, it)
	}
	if detail == "" {
		c.stats.Verified.Add(1)
		c.event(Event{Type: "verified", ID: it.ID, Key: it.Key, Bytes: o.Size})
		return Result{Outcome: Skipped, Bytes: o.Size}, nil
	}
	c.stats.Failed.Add(1)
	c.event(Event{Type: "failed", ID: it.ID, Key: it.Key, Reason: why, Detail: detail})
	return Result{Outcome: Failed, Parked: []Parked{{ID: it.ID, Path: it.Key, Outcome: Failed, Reason: why, Detail: detail, Bytes: max(it.Size, 0)}}}, nil
}
