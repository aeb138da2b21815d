package migrator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// handle does with a file what the mode asks for.
func (c *Copier) handle(ctx context.Context, l *Lease) (Result, error) {
	c.stats.InFlight.Add(1)
	defer c.stats.InFlight.Add(-1)
	switch c.cfg.Mode {
	case ModeDryRun:
		return c.wouldCopy(ctx, l)
	case ModeVerify:
		return c.verify(ctx, l)
	}
	return c.copy(ctx, l)
}

// wouldCopy tells of a file that copy would store.
func (c *Copier) wouldCopy(ctx context.Context, l *Lease) (Result, error) {
	it := &l.Item
	if !c.fresh {
		o, other, err := c.owner(ctx, it)
		if err != nil {
			return Result{}, err
		}
		if other == nil && o != nil && !c.cfg.Force && differs(o, it) == "" {
			c.stats.Skipped.Add(1)
			return Result{Outcome: Skipped}, nil
		}
	}
	n := max(it.Size, 0)
	c.stats.Copied.Add(1)
	c.event(Event{Type: "would-copy", ID: it.ID, Key: it.Key, Bytes: n})
	return Result{Outcome: Copied, Bytes: n}, nil
}

// copy brings one file to the sink.
func (c *Copier) copy(ctx context.Context, l *Lease) (Result, error) {
	it := l.Item
	for changes := 0; ; changes++ {
		var n int64
		var stored bool
		err := error(&Error{Op: "put", Object: it.Key, Class: Exists})
		if c.fresh && !l.Again && changes == 0 {
			n, err = c.store(ctx, l, &it, true)
			stored = err == nil
		}
		if err != nil && ClassOf(err) == Exists {
			n, stored, err = c.contend(ctx, l, &it)
		}
		switch {
		case err == nil && stored:
			c.stats.Copied.Add(1)
			c.event(Event{Type: "copied", ID: it.ID, Key: it.Key, Bytes: n})
			return Result{Outcome: Copied, Bytes: n}, nil
		case err == nil:
			c.stats.Skipped.Add(1)
			c.event(Event{Type: "skipped", ID: it.ID, Key: it.Key})
			return Result{Outcome: Skipped}, nil
		case ClassOf(err) != BadDigest || changes >= 3:
			return Result{}, err
		}
		if err := c.refresh(ctx, &it); err != nil {
			return Result{}, err
		}
	}
}

// contend stores the item under a key that may be in use: by the item itself, by a file that is gone, or by another
// that has a right to it.
func (c *Copier) contend(ctx context.Context, l *Lease, it *Item) (n int64, stored bool, err error) {
	for {
		o, other, err := c.owner(ctx, it)
		if err != nil {
			return 0, false, err
		}
		if other == nil {
			if o != nil && !c.cfg.Force && differs(o, it) == "" {
				return 0, false, nil
			}
			n, err = c.store(ctx, l, it, o == nil)
			if err != nil && ClassOf(err) == Exists {
				continue // another worker was faster: look whose it is
			}
			return n, err == nil, err
		}
		if other.ID < it.ID {
			it.Key = WithID(it.Key, it.ID)
			continue
		}
		return c.displace(ctx, l, it)
	}
}

// displace takes the item's key from a file whose id sorts behind, which goes into the queue again under the key with
// its id.
func (c *Copier) displace(ctx context.Context, l *Lease, it *Item) (n int64, stored bool, err error) {
	m := &c.contended[hashID(it.Key)%uint64(len(c.contended))]
	m.Lock()
	defer m.Unlock()
	if locker, ok := c.queue.(Locker); ok {
		unlock, err := locker.Lock(ctx, it.Key)
		if err != nil {
			return 0, false, ofQueue("lock", it.Key, err)
		}
		defer unlock()
	}
	_, other, err := c.owner(ctx, it) // it may have changed before the lock
	if err != nil {
		return 0, false, err
	}
	if other != nil && other.ID < it.ID {
		it.Key = WithID(it.Key, it.ID)
	} else if other != nil {
		if err := c.queue.Push(ctx, *other); err != nil {
			return 0, false, ofQueue("queue", other.Key, err)
		}
	}
	n, err = c.store(ctx, l, it, false)
	return n, err == nil, err
}

// owner looks up the item's key: the object, nil when there is none; and the file that it is of, if that
// isn't the item and still is in its folder under a name of that key. The file comes as an item under the key with its
// id.
func (c *Copier) owner(ctx context.Context, it *Item) (*Object, *Item, error) {
	o, err := c.statKey(ctx, it.Key)
	if err != nil {
		if ClassOf(err) == Missing {
			err = nil
		}
		return nil, nil, err
	}
	id := o.Metadata[MetaShortcut]
	if id == "" {
		id = o.Metadata[MetaID]
	}
	if id == "" || id == it.ID {
		return &o, nil, nil
	}
	e, err := c.statEntry(ctx, id)
	if cl := ClassOf(err); err != nil && (cl == Missing || cl == Refused) {
		return &o, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	d := named{Entry: e}
	d.target, d.export = c.namer.target(&e)
	if e.Trashed || e.Folder || d.target != it.Name || !slices.Contains(e.Parents, o.Metadata[MetaParent]) {
		return &o, nil, nil
	}
	if e.TargetID != "" {
		if err := c.follow(ctx, &d); err != nil {
			return nil, nil, err
		}
	}
	other := Item{Kind: File, ID: d.ID, Target: d.TargetID, Key: WithID(it.Key, d.ID), Name: d.target,
		Parent: o.Metadata[MetaParent], Size: d.Size, MD5: d.MD5, Modified: d.Modified, MIME: d.MIME, Export: d.export}
	return &o, &other, nil
}

func (c *Copier) statKey(ctx context.Context, key string) (Object, error) {
	var o Object
	err := c.sinkCall(ctx, func(ctx context.Context) (err error) { o, err = c.sink.Stat(ctx, key); return err })
	return o, err
}

// differs says in what a stored object isn't the item; empty when in nothing.
func differs(o *Object, it *Item) string {
	switch {
	case o.Metadata[MetaID] != it.content() || o.Metadata[MetaShortcut] != it.shortcut():
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
	e, err := c.statEntry(ctx, it.content())
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
		Metadata: map[string]string{MetaID: it.content(), MetaParent: it.Parent, MetaMTime: mtime(it.Modified),
			MetaMIME: it.MIME}}
	if it.Export != "" {
		o.ContentType = it.Export
	}
	if s := it.shortcut(); s != "" {
		o.Metadata[MetaShortcut] = s
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
		return it.Size, c.storeParts(ctx, l, it, create)
	case it.Size <= smallFile && it.Export == "":
		return it.Size, c.storeSmall(ctx, it, create)
	}
	content := Content{ID: it.content(), Export: it.Export, Size: it.Size}
	return it.Size, c.put(ctx, object(it), create, func(ctx context.Context, w *watchdog) io.ReadCloser {
		return c.newBody(ctx, content, 0, w)
	})
}

// smallFile is the largest file, in bytes, that is read whole before it is sent: its request then goes out in one
// write, and another try needs no other download.
const smallFile = 32 << 10

// smallBuffers are for the content of small files, of which each worker has one at a time.
var smallBuffers = sync.Pool{New: func() any { return new([smallFile]byte) }}

// storeSmall stores a file by way of memory.
func (c *Copier) storeSmall(ctx context.Context, it *Item, create bool) error {
	buf := smallBuffers.Get().(*[smallFile]byte)
	content := buf[:it.Size]
	rest := content
	if err := c.source(ctx, func() error { return c.readSmall(ctx, it, &rest) }); err != nil {
		smallBuffers.Put(buf)
		return err
	}
	o := object(it)
	tries := 0
	err := c.sinkCall(ctx, func(ctx context.Context) error {
		tries++
		return c.sink.Put(ctx, o, bytes.NewReader(content), create)
	})
	if err == nil && tries == 1 {
		smallBuffers.Put(buf) // after an error a transport may still read it
	}
	return err
}

// readSmall reads the rest of a file: all of it, or the part after the byte where a connection broke.
func (c *Copier) readSmall(ctx context.Context, it *Item, rest *[]byte) error {
	off := it.Size - int64(len(*rest))
	rc, err := openWatched(ctx, c.src, Content{ID: it.content(), Size: it.Size}, off, c.cfg.IdleTimeout)
	if err != nil {
		return err
	}
	defer rc.Close()
	n, err := io.ReadFull(rc, *rest)
	*rest = (*rest)[n:]
	c.stats.Bytes.Add(int64(n))
	if err != nil {
		c.stats.Reopened.Add(1)
		return fmt.Errorf("the body ended after %d of %d bytes: %w", off+int64(n), it.Size, err)
	}
	if n, _ := rc.Read(make([]byte, 1)); n > 0 {
		return &Error{Op: "download", Object: it.ID, Reason: "changed", Class: BadDigest, Err: errLonger}
	}
	return c.bytes.Wait(ctx, n)
}

// put stores an object in one request, each try with a new stream.
func (c *Copier) put(ctx context.Context, o Object, create bool, open func(context.Context,
	*watchdog) io.ReadCloser) error {
	r := retrier{c: c}
	for {
		err := c.putOnce(ctx, o, create, open)
		if err == nil {
			return nil
		}
		if f, ok := errors.AsType[*fromSource](err); ok {
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

func (c *Copier) putOnce(ctx context.Context, o Object, create bool, open func(context.Context,
	*watchdog) io.ReadCloser) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := newWatchdog(c.cfg.SinkTimeout, func() { cancel(errSink) })
	src := open(ctx, w)
	err := c.sink.Put(ctx, o, src, create)
	src.Close()
	w.end()
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

// verify compares the stored object with the source's listing.
func (c *Copier) verify(ctx context.Context, l *Lease) (Result, error) {
	it := &l.Item
	o, other, err := c.owner(ctx, it)
	if err == nil && other != nil && other.ID < it.ID {
		it.Key = WithID(it.Key, it.ID)
		o, _, err = c.owner(ctx, it)
	}
	if err != nil {
		return Result{}, err
	}
	if o == nil {
		o = &Object{}
	}
	why, detail := "missing", "nothing is stored under this key"
	if o.Key != "" {
		why, detail = "differs", differs(o, it)
	}
	if detail == "" {
		c.stats.Verified.Add(1)
		c.event(Event{Type: "verified", ID: it.ID, Key: it.Key, Bytes: o.Size})
		return Result{Outcome: Copied, Bytes: o.Size}, nil
	}
	p := Parked{ID: it.ID, Path: it.Key, Outcome: Failed, Reason: why, Detail: detail, Bytes: max(it.Size, 0)}
	c.parked(&p)
	return Result{Outcome: Failed, Parked: []Parked{p}}, nil
}
