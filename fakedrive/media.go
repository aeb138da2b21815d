package fakedrive

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
	"github.com/memsoak/memsoak/fakedrive/internal/store"
)

// get serves files.get: the resource, or the content with alt=media.
func (c *call) get() error {
	if c.q.Get("alt") == "media" {
		c.q.Set("supportsAllDrives", "true") // downloads need no consent to shared drives
	}
	f, err := c.file(c.r.PathValue("id"))
	if err != nil {
		return err
	}
	if c.q.Get("alt") == "media" {
		c.op = OpDownload
		return c.media(f)
	}
	if err := c.admit(fault.Request{Name: f.Name, Key: f.ID}); err != nil {
		return err
	}
	return c.sendFile(f.File)
}

// sendFile replies with a file's resource.
func (c *call) sendFile(f *resource.File) error {
	m, err := c.mask("File", defaultFile)
	if err != nil {
		return err
	}
	return c.reply(resource.NewEncoder(m, c.env()).Append(nil, f))
}

// contentLink serves webContentLink.
func (c *call) contentLink() error {
	c.q.Set("supportsAllDrives", "true")
	f, err := c.file(c.q.Get("id"))
	if err != nil {
		return err
	}
	return c.media(f)
}

// media sends a file's content.
func (c *call) media(f store.Found) error {
	abuse, err := c.flag("acknowledgeAbuse")
	switch {
	case err != nil:
		return err
	case f.Content == nil || f.IsDocument():
		e := errReason("fileNotDownloadable")
		e.location, e.locationType = "alt", "parameter"
		return e
	case f.Abusive && !abuse:
		return errReason("cannotDownloadAbusiveFile")
	}
	return c.sendContent(f, f.Content, f.MimeType)
}

// sendContent sends a content, or the range of it that the client asks for. It is one transfer of the counters.
func (c *call) sendContent(f store.Found, content resource.Content, mime string) (err error) {
	size := content.Size()
	part, partial, rangeErr := parseRange(c.r.Header.Get("Range"), size)
	if !partial {
		part = byteRange{0, size}
	}
	req := fault.Request{Name: f.Name, Key: f.ID, Size: part.length, Offset: part.start}
	if err := c.admit(req); err != nil {
		return err
	}
	if c.act.Change {
		if f, err = c.store.Alter(f.ID); err != nil {
			return errNotFound(f.ID)
		}
		content = f.Content
	}
	if rangeErr != nil {
		c.w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", size))
		e := &apiError{status: http.StatusRequestedRangeNotSatisfiable, reason: "requestedRangeNotSatisfiable",
			message: "Request range not satisfiable", location: "Range", locationType: "header"}
		return e
	}
	t := c.ctl.Begin(c.r, req, c.act)
	defer func() {
		t.End(err)
		if err == nil && part.start+part.length == size {
			f.Done()
		}
	}()
	if err := t.At(fault.DownloadHeader); err != nil {
		return err
	}
	body, err := content.Open(part.start)
	if err != nil {
		return err
	}
	defer body.Close()
	h := c.w.Header()
	c.mediaHeader(f, mime)
	h.Set("Content-Length", strconv.FormatInt(part.length, 10))
	status := http.StatusOK
	if partial {
		status = http.StatusPartialContent
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.start, part.start+part.length-1, size))
	}
	t.Header(h)
	c.w.WriteHeader(status)
	if c.r.Method == http.MethodHead {
		return nil
	}
	return copyBody(t.Writer(c.w), body, part, size)
}

func (c *call) mediaHeader(f store.Found, mime string) {
	h := c.w.Header()
	h.Set("Content-Type", mime)
	h.Set("Accept-Ranges", "bytes")
	h.Set("Cache-Control", "private, max-age=0, must-revalidate")
	h.Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape(f.Name))
	h.Set("Vary", "Origin, X-Origin, Referer")
}

// copyBody copies the part from a body that is opened at its start.
func copyBody(w io.Writer, body io.Reader, part byteRange, size int64) error {
	if l, ok := body.(interface{ Limit(n int64) }); ok {
		l.Limit(part.length) // it stays an io.WriterTo
	} else if part.start+part.length < size {
		body = io.LimitReader(body, part.length)
	}
	n, err := io.Copy(w, body)
	if err == nil && n != part.length {
		err = fmt.Errorf("content has %d of %d bytes: %w", n, part.length, io.ErrUnexpectedEOF)
	}
	return err
}
