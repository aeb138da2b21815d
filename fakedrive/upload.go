package fakedrive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/fault/control"
	"github.com/memsoak/memsoak/fakedrive/internal/blob"
	"github.com/memsoak/memsoak/fakedrive/internal/office"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
)

// maxImport is the longest file that can be turned into a document.
const maxImport = 100 << 20

// upload is a content on its way in: for a new file, or for the file of an id.
type upload struct {
	meta *metadata
	id   string // "": create
	mime string // as the client says
	w    *blob.Writer
}

// received is a content that has arrived and its type. The document that it is to become, if any, is made of it.
type received struct {
	content resource.Content
	mime    string
}

// createMedia and updateMedia serve files.create and files.update with content, in the three ways there are.
func (c *call) createMedia() error { return c.takeUpload("") }

func (c *call) updateMedia() error {
	f, err := c.file(c.r.PathValue("id"))
	if err != nil {
		return err
	}
	if f.IsFolder() || f.IsShortcut() {
		return errForbidden("fileNotDownloadable", "Folders and shortcuts have no content.")
	}
	return c.takeUpload(f.ID)
}

func (c *call) takeUpload(id string) error {
	if session := c.q.Get("upload_id"); session != "" {
		return c.resume(session)
	}
	switch kind := c.q.Get("uploadType"); kind {
	case "resumable":
		return c.startSession(id)
	case "media", "multipart":
		return c.takeWhole(id, kind)
	default:
		return errParam("uploadType", "invalidParameter",
			fmt.Sprintf("Invalid value '%s'. Values must be one of: [media, multipart, resumable]", kind))
	}
}

// takeWhole takes metadata and content in one request. Nothing is stored before the body has been read to its end.
func (c *call) takeWhole(id, kind string) (err error) {
	req := fault.Request{Key: id, Size: c.r.ContentLength}
	if err := c.admit(req); err != nil {
		return err
	}
	t := c.ctl.Begin(c.r, req, c.act)
	defer func() { t.End(err) }()
	c.r.Body = io.NopCloser(t.Reader(c.r.Body))
	u := &upload{meta: &metadata{}, id: id, w: c.blobs.Create()}
	defer u.w.Abort()
	if kind == "media" {
		u.mime = c.r.Header.Get("Content-Type")
		_, err = io.Copy(u.w, c.r.Body)
	} else {
		err = u.readParts(c.r)
	}
	if err != nil {
		return uploadError(err)
	}
	return c.store1(u, t)
}

// uploadError is the reply to a content that could not be taken in.
func uploadError(err error) error {
	var e *apiError
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, blob.ErrFull):
		return errReason("storageQuotaExceeded")
	}
	return bodyError(err)
}

// readParts reads a multipart/related body: the metadata, then the content.
func (u *upload) readParts(r *http.Request) error {
	bad := func(why string) error {
		return &apiError{status: http.StatusBadRequest, reason: "badContent", message: "Malformed multipart body.",
			detail: why}
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(kind, "multipart/") || params["boundary"] == "" {
		return bad("the Content-Type is not multipart with a boundary")
	}
	parts := multipart.NewReader(r.Body, params["boundary"])
	first, err := parts.NextRawPart()
	if err != nil {
		return malformed(err, bad)
	}
	raw, err := io.ReadAll(io.LimitReader(first, maxMetadata+1))
	if err != nil {
		return malformed(err, bad)
	}
	if len(raw) > maxMetadata {
		return &apiError{status: http.StatusRequestEntityTooLarge, reason: "uploadTooLarge", message: "Request Too Large"}
	}
	if u.meta, err = parseMetadata(raw); err != nil {
		return err
	}
	media, err := parts.NextRawPart()
	if err != nil {
		return malformed(err, bad)
	}
	u.mime = media.Header.Get("Content-Type")
	if _, err := io.Copy(u.w, media); err != nil {
		return malformed(err, bad)
	}
	if _, err := parts.NextRawPart(); !errors.Is(err, io.EOF) {
		return bad("more than two parts, or no end")
	}
	_, err = io.Copy(io.Discard, r.Body) // what follows the end
	return err
}

// malformed tells a body that is cut short or full of nonsense from a disk that is full.
func malformed(err error, bad func(string) error) error {
	if errors.Is(err, blob.ErrFull) || errors.Is(err, control.ErrCut) {
		return err
	}
	return bad(err.Error())
}

// store1 makes the file of an upload that has arrived and replies with it.
func (c *call) store1(u *upload, t *control.Transfer) error {
	b, err := u.w.Commit()
	if err != nil {
		return uploadError(err)
	}
	media, err := c.receive(u, b)
	if err != nil {
		b.Release()
		return err
	}
	found, err := c.storeMedia(u, media)
	if err != nil {
		releaseContent(media.content)
		return err
	}
	t.End(nil)
	return c.sendFile(found)
}

func (c *call) storeMedia(u *upload, media *received) (*resource.File, error) {
	if u.id != "" {
		found, err := c.applyUpdate(u.id, u.meta, media)
		return found.File, err
	}
	f, err := c.newFile(u.meta, u)
	if err != nil {
		return nil, err
	}
	f.Content, f.MimeType = media.content, media.mime
	if f.OriginalFilename == "" {
		f.OriginalFilename = f.Name
	}
	found, err := c.store.Create(f)
	return found.File, storeError(err, f.ID, f.Parent)
}

func releaseContent(c resource.Content) {
	if b, ok := c.(*blob.Blob); ok {
		b.Release()
	}
}

// receive decides what an uploaded content is: a file of some type, or a document to be made of it.
func (c *call) receive(u *upload, b *blob.Blob) (*received, error) {
	kind, _, err := mime.ParseMediaType(u.mime)
	if err != nil {
		kind = ""
	}
	target := deref(u.meta.MimeType)
	if u.id != "" && target == "" {
		if f, err := c.store.Get(u.id); err == nil && f.IsDocument() {
			target = f.MimeType
		}
	}
	switch {
	case target == resource.Folder || target == resource.Shortcut:
		return nil, errBadRequest("Folders and shortcuts have no content.")
	case !strings.HasPrefix(target, resource.AppPrefix):
		if target == "" {
			target = kind
		}
		if target == "" {
			target = guessType(deref(u.meta.Name), b)
		}
		return &received{b, target}, nil
	}
	return c.importDocument(b, kind, target)
}

// guessType guesses as Drive does for uploads without a type: by the name, then by the first bytes.
func guessType(name string, b *blob.Blob) string {
	if t, _, err := mime.ParseMediaType(mime.TypeByExtension(path.Ext(name))); err == nil {
		return t
	}
	r, err := b.Open(0)
	if err != nil {
		return "application/octet-stream"
	}
	defer r.Close()
	head := make([]byte, 512)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "application/octet-stream"
	}
	t, _, _ := mime.ParseMediaType(http.DetectContentType(head[:n]))
	return t
}

// importDocument makes a document's text of an uploaded file. On success the file's own bytes are released.
func (c *call) importDocument(b *blob.Blob, kind, target string) (*received, error) {
	if !slices.Contains(importTargets[target], kind) {
		return nil, errBadRequest("Bad Request") // which is all that Drive says of a conversion it doesn't have
	}
	if b.Size() > maxImport {
		return nil, errForbidden("fileTooLarge", "The file is too large to be converted.")
	}
	r, err := b.Open(0)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(r)
	r.Close()
	if err != nil {
		return nil, err
	}
	text, err := office.Text(raw, kind)
	if err != nil {
		e := errBadRequest("Bad Request")
		e.detail = err.Error()
		return nil, e
	}
	w := c.blobs.Create()
	defer w.Abort()
	if _, err := io.Copy(w, bytes.NewReader(text)); err != nil {
		return nil, uploadError(err)
	}
	doc, err := w.Commit()
	if err != nil {
		return nil, uploadError(err)
	}
	b.Release()
	return &received{doc, target}, nil
}

// updatedType is the type that a file has after its content was replaced: a document stays one.
func (r *received) updatedType(f *resource.File, m *metadata) string {
	switch {
	case f.IsDocument(), m.MimeType == nil && r.mime == "application/octet-stream":
		return f.MimeType
	}
	return r.mime
}
