package fakedrive

import (
	"io"
	"net/http"
	"slices"

	"memsoak/fakedrive/fault"
	"memsoak/fakedrive/internal/store"
)

// maxExport is the longest content that files.export gives. Export links have no such limit.
const maxExport = 10 << 20

// export serves files.export.
func (c *call) export() error {
	id := c.r.PathValue("id")
	c.q.Set("supportsAllDrives", "true") // the method has no such parameter and needs none
	f, err := c.file(id)
	if err != nil {
		return err
	}
	mime := c.q.Get("mimeType")
	switch {
	case mime == "":
		return errParam("mimeType", "required", "Required parameter: mimeType")
	case !f.IsDocument():
		return errForbidden("fileNotExportable", "Export only supports Docs Editors files.")
	case !slices.Contains(exportFormats[f.MimeType], mime):
		return errParam("convertTo", "badRequest", "The requested conversion is not supported.")
	}
	return c.sendExport(f, mime, maxExport)
}

// exportLink serves what exportLinks lead to.
func (c *call) exportLink() error {
	c.q.Set("supportsAllDrives", "true")
	f, err := c.file(c.q.Get("id"))
	if err != nil {
		return err
	}
	format := c.q.Get("exportFormat") + c.q.Get("format")
	mime, ok := linkMime(f.MimeType, format)
	if !ok {
		return errBadRequest("The requested conversion is not supported.")
	}
	return c.sendExport(f, mime, 0)
}

// sendExport sends a document in a format, chunked and without its length, as Drive does: it doesn't know it before.
func (c *call) sendExport(f store.Found, mime string, limit int64) (err error) {
	content, err := c.store.Export(f.ID, mime)
	if err != nil {
		return errNotFound(f.ID)
	}
	size := content.Size()
	req := fault.Request{Name: f.Name, Key: f.ID, Size: size}
	if err := c.admit(req); err != nil {
		return err
	}
	if limit > 0 && size > limit {
		return errReason("exportSizeLimitExceeded")
	}
	t := c.ctl.Begin(c.r, req, c.act)
	defer func() {
		t.End(err)
		if err == nil {
			f.Done()
		}
	}()
	if err := t.At(fault.DownloadHeader); err != nil {
		return err
	}
	body, err := content.Open(0)
	if err != nil {
		return err
	}
	defer body.Close()
	c.mediaHeader(f, mime)
	c.w.Header().Del("Accept-Ranges")
	t.Header(c.w.Header())
	c.w.WriteHeader(http.StatusOK)
	if c.r.Method == http.MethodHead {
		return nil
	}
	// Without a flush a short export would get a Content-Length from net/http.
	if err := http.NewResponseController(c.w).Flush(); err != nil {
		return err
	}
	_, err = io.Copy(t.Writer(c.w), body)
	return err
}
