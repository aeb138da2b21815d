package fakedrive

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/internal/office"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
	"github.com/memsoak/memsoak/fakedrive/internal/store"
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

// exportContent is what the export of a document contains: the text that it was made of in the format, or what its
// corpus says, which is the same in every format.
func (c *call) exportContent(f store.Found, mime string) (resource.Content, error) {
	content, fromTree, err := c.store.Export(f.ID)
	if err != nil {
		return nil, errNotFound(f.ID)
	}
	if fromTree {
		return content, nil
	}
	r, err := content.Open(0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := io.ReadAll(r) // bounded by what an import keeps
	if err != nil {
		return nil, err
	}
	raw, err := office.Render(text, mime)
	if errors.Is(err, office.ErrFormat) {
		return nil, errParam("convertTo", "badRequest", "The requested conversion is not supported.")
	}
	return rendered(raw), err
}

// rendered is an export that is in memory for the time of its request.
type rendered []byte

func (r rendered) Size() int64                    { return int64(len(r)) }
func (r rendered) Sums(corpus.Hashes) corpus.Sums { return corpus.Sums{} } // exports have none

func (r rendered) Open(offset int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(r[offset:])), nil
}

// sendExport sends a document in a format, chunked and without its length, as Drive does: it doesn't know it before.
func (c *call) sendExport(f store.Found, mime string, limit int64) (err error) {
	content, err := c.exportContent(f, mime)
	if err != nil {
		return err
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
