package fakedrive

import (
	"net/http"
	"slices"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
	"github.com/memsoak/memsoak/fakedrive/internal/store"
)

const defaultRevision = "kind,id,mimeType,modifiedTime"

func (c *call) revisionJSON(f store.Found, r store.Revision) map[string]any {
	me := c.store.Me()
	v := map[string]any{
		"kind": "drive#revision", "id": r.ID, "mimeType": r.MimeType, "modifiedTime": resource.FormatTime(r.Modified),
		"keepForever": r.KeepForever, "published": false, "lastModifyingUser": userJSON(*f.LastModifier(&me)),
	}
	if r.Content == nil {
		return v // a document's
	}
	v["size"] = countText(r.Content.Size())
	v["originalFilename"] = r.OriginalFilename
	v["md5Checksum"] = r.Content.Sums(corpus.MD5).MD5Hex()
	return v
}

func errRevisionNotFound(id string) *apiError {
	e := errNotFound(id)
	e.message, e.location = "Revision not found: "+id+".", "revisionId"
	return e
}

// revisionsFile finds the file of a request about revisions, and them.
func (c *call) revisionsFile() (store.Found, []store.Revision, error) {
	f, err := c.file(c.r.PathValue("id"))
	if err != nil {
		return f, nil, err
	}
	if err := c.admit(fault.Request{Name: f.Name, Key: f.ID}); err != nil {
		return f, nil, err
	}
	if me := c.store.Me(); f.Access(&me) < resource.Writes {
		return f, nil, errReason("insufficientFilePermissions")
	}
	revs, err := c.store.Revisions(f.ID)
	switch {
	case err != nil:
		return f, nil, errNotFound(f.ID)
	case len(revs) == 0:
		return f, nil, errForbidden("revisionsNotSupported", "The file does not support revisions.")
	}
	return f, revs, nil
}

// listRevisions serves revisions.list. A file has at most 200, which fit in a page.
func (c *call) listRevisions() error {
	if _, err := c.count("pageSize", 200, 1000, false); err != nil {
		return err
	}
	f, revs, err := c.revisionsFile()
	if err != nil {
		return err
	}
	list := []any{}
	for _, r := range revs {
		list = append(list, c.revisionJSON(f, r))
	}
	return c.value(map[string]any{"kind": "drive#revisionList", "revisions": list}, "RevisionList",
		"kind,nextPageToken,revisions("+defaultRevision+")")
}

// revision finds the revision of a request.
func (c *call) revision() (store.Found, store.Revision, error) {
	f, revs, err := c.revisionsFile()
	if err != nil {
		return f, store.Revision{}, err
	}
	id := c.r.PathValue("revision")
	if id == "head" {
		return f, revs[len(revs)-1], nil
	}
	i := slices.IndexFunc(revs, func(r store.Revision) bool { return r.ID == id })
	if i < 0 {
		return f, store.Revision{}, errRevisionNotFound(id)
	}
	return f, revs[i], nil
}

// getRevision serves revisions.get, with alt=media too.
func (c *call) getRevision() error {
	f, r, err := c.revision()
	if err != nil {
		return err
	}
	if c.q.Get("alt") == "media" {
		if r.Content == nil || f.IsDocument() {
			return errReason("fileNotDownloadable")
		}
		c.op = OpDownload
		return c.sendContent(f, r.Content, r.MimeType)
	}
	return c.value(c.revisionJSON(f, r), "Revision", defaultRevision)
}

// updateRevision serves revisions.update: keepForever is what can be changed.
func (c *call) updateRevision() error {
	var in struct {
		KeepForever *bool `json:"keepForever"`
	}
	if err := c.body(&in); err != nil {
		return err
	}
	f, r, err := c.revision()
	if err != nil {
		return err
	}
	if in.KeepForever != nil {
		r.KeepForever = *in.KeepForever
	}
	err = c.store.EditRevisions(f.ID, func(revs []store.Revision) ([]store.Revision, error) {
		for i := range revs {
			if revs[i].ID == r.ID {
				revs[i].KeepForever = r.KeepForever
			}
		}
		return revs, nil
	})
	if err != nil {
		return storeError(err, f.ID, "")
	}
	return c.value(c.revisionJSON(f, r), "Revision", defaultRevision)
}

// deleteRevision serves revisions.delete: the last one left stays.
func (c *call) deleteRevision() error {
	f, r, err := c.revision()
	if err != nil {
		return err
	}
	err = c.store.EditRevisions(f.ID, func(revs []store.Revision) ([]store.Revision, error) {
		if len(revs) == 1 || revs[len(revs)-1].ID == r.ID {
			return nil, &apiError{status: http.StatusBadRequest, reason: "cannotDeleteHeadRevision",
				message: "The head revision cannot be deleted."}
		}
		return slices.DeleteFunc(revs, func(x store.Revision) bool { return x.ID == r.ID }), nil
	})
	if err != nil {
		return storeError(err, f.ID, "")
	}
	return c.empty()
}
