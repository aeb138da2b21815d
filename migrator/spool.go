package migrator

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"io"
	"os"
)

// storeSpooled stores content whose length isn't known beforehand, by way of an unnamed file.
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
		b := c.newBody(ctx, Content{ID: it.content(), Export: it.Export, Size: -1}, 0, nil)
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
