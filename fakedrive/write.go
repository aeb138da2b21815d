package fakedrive

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
	"github.com/memsoak/memsoak/fakedrive/internal/store"
)

// create serves files.create without content.
func (c *call) create() error {
	m, err := c.readMetadata()
	if err != nil {
		return err
	}
	if err := c.admit(fault.Request{Name: deref(m.Name)}); err != nil {
		return err
	}
	f, err := c.newFile(m, nil)
	if err != nil {
		return err
	}
	return c.finishCreate(f)
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func (c *call) readMetadata() (*metadata, error) {
	raw, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxMetadata))
	if err != nil {
		return nil, bodyError(err)
	}
	return parseMetadata(raw)
}

// bodyError is the reply to a request body that cannot be read.
func bodyError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &apiError{status: http.StatusRequestEntityTooLarge, reason: "uploadTooLarge", message: "Request Too Large"}
	}
	return fmt.Errorf("read the request: %w", err)
}

// newFile makes the file that a create request describes, but for its content.
func (c *call) newFile(m *metadata, media *upload) (resource.File, error) {
	now := c.cfg.Now()
	f := resource.File{Name: "Untitled", Created: now, Modified: now, Viewed: now}
	if m.ID != nil {
		f.ID = *m.ID
	}
	if m.CreatedTime != nil {
		f.Created = m.CreatedTime.Time
	}
	if m.Parents != nil && len(*m.Parents) == 1 {
		f.Parent = (*m.Parents)[0]
	}
	if err := m.apply(&f, now); err != nil {
		return f, err
	}
	if err := c.checkParent(f.Parent); err != nil {
		return f, err
	}
	switch f.MimeType = deref(m.MimeType); {
	case f.MimeType == resource.Shortcut:
		if m.ShortcutDetails == nil || m.ShortcutDetails.TargetID == "" {
			return f, errBadRequest("The shortcut has no target: shortcutDetails.targetId is required.")
		}
		target, err := c.store.Get(m.ShortcutDetails.TargetID)
		if err != nil {
			return f, errNotFound(m.ShortcutDetails.TargetID)
		}
		if target.IsShortcut() {
			return f, errForbidden("shortcutTargetInvalid", "A shortcut cannot point at another shortcut.")
		}
		f.TargetID, f.TargetMimeType, f.TargetKey = target.ID, target.MimeType, target.ResourceKey
		if m.Name == nil {
			f.Name = target.Name
		}
	case media == nil && f.MimeType == "":
		f.MimeType = "application/octet-stream"
	}
	return f, nil
}

// checkParent: a folder of a shared drive takes files only from clients that are ready for it.
func (c *call) checkParent(id string) error {
	if id == "" {
		return nil
	}
	_, err := c.file(id)
	return err
}

// finishCreate stores a new file and replies with it.
func (c *call) finishCreate(f resource.File) error {
	if f.Content == nil && !strings.HasPrefix(f.MimeType, resource.AppPrefix) || f.Content == nil && f.IsDocument() {
		empty, err := c.blobs.Create().Commit() // a file without content has an empty one
		if err != nil {
			return uploadError(err)
		}
		f.Content = empty
	}
	found, err := c.store.Create(f)
	if err != nil {
		releaseContent(f.Content)
		return storeError(err, f.ID, f.Parent)
	}
	return c.sendFile(found.File)
}

// update serves files.update without content.
func (c *call) update() error {
	m, err := c.readMetadata()
	if err != nil {
		return err
	}
	f, err := c.file(c.r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := c.admit(fault.Request{Name: f.Name, Key: f.ID}); err != nil {
		return err
	}
	found, err := c.applyUpdate(f.ID, m, nil)
	if err != nil {
		return err
	}
	return c.sendFile(found.File)
}

// applyUpdate changes a file as a request says; media, if there is any, is its new content, taken over unless there is
// an error.
func (c *call) applyUpdate(id string, m *metadata, media *received) (store.Found, error) {
	switch {
	case m.Parents != nil:
		return store.Found{}, errForbidden("fieldNotWritable",
			"The parents field is not directly writable in update requests. Use the addParents and removeParents parameters "+
				"instead.")
	case m.ID != nil && *m.ID != id, m.CreatedTime != nil:
		return store.Found{}, errForbidden("fieldNotWritable",
			"The resource body includes fields which are not directly writable.")
	}
	add, remove := splitIDs(c.q.Get("addParents")), splitIDs(c.q.Get("removeParents"))
	for _, p := range add {
		if err := c.checkParent(p); err != nil {
			return store.Found{}, err
		}
	}
	keep, err := c.flag("keepRevisionForever")
	if err != nil {
		return store.Found{}, err
	}
	now, me := c.cfg.Now(), c.store.Me()
	found, err := c.store.Update(id, keep, func(f *resource.File) error {
		if f.Access(&me) < resource.Writes || m.Trashed != nil && f.Access(&me) < resource.Owns {
			return errReason("insufficientFilePermissions")
		}
		if media != nil {
			f.Content = media.content
			f.Modified = now
			f.MimeType = media.updatedType(f, m)
		} else if m.MimeType != nil && *m.MimeType != f.MimeType && !f.IsFolder() && !f.IsShortcut() &&
			!strings.HasPrefix(*m.MimeType, resource.AppPrefix) {
			f.MimeType = *m.MimeType
		}
		if m.Name != nil && *m.Name != f.Name || m.Description != nil {
			f.Modified = now
		}
		if err := m.apply(f, now); err != nil {
			return err
		}
		return moveTo(f, c.resolveAll(add), c.resolveAll(remove))
	})
	return found, storeError(err, id, strings.Join(add, ","))
}

func splitIDs(list string) []string {
	return slices.DeleteFunc(strings.Split(list, ","), func(id string) bool { return id == "" })
}

func (c *call) resolveAll(ids []string) []string {
	for i, id := range ids {
		ids[i] = c.store.Resolve(id)
	}
	return ids
}

// moveTo carries out addParents and removeParents on a file with at most one parent.
func moveTo(f *resource.File, add, remove []string) error {
	parents := slices.DeleteFunc([]string{f.Parent}, func(id string) bool {
		return id == "" || slices.Contains(remove, id)
	})
	for _, id := range add {
		if !slices.Contains(parents, id) {
			parents = append(parents, id)
		}
	}
	switch len(parents) {
	case 0:
		f.Parent = ""
	case 1:
		f.Parent = parents[0]
	default:
		return errInvalidParents("cannotAddParent", "Increasing the number of parents is not allowed")
	}
	return nil
}

// remove serves files.delete.
func (c *call) remove() error {
	f, err := c.file(c.r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := c.admit(fault.Request{Name: f.Name, Key: f.ID}); err != nil {
		return err
	}
	if me := c.store.Me(); f.Access(&me) < resource.Owns {
		return errReason("insufficientFilePermissions")
	}
	if err := storeError(c.store.Delete(f.ID), f.ID, ""); err != nil {
		return err
	}
	return c.empty()
}

// emptyTrash serves files.emptyTrash.
func (c *call) emptyTrash() error {
	if err := c.admit(fault.Request{}); err != nil {
		return err
	}
	driveID := c.q.Get("driveId")
	if driveID != "" {
		if _, err := c.store.Drive(driveID); err != nil {
			return errDriveNotFound(driveID)
		}
	}
	if err := c.store.EmptyTrash(driveID); err != nil {
		return storeError(err, "", "")
	}
	return c.empty()
}

// copyFile serves files.copy.
func (c *call) copyFile() error {
	m, err := c.readMetadata()
	if err != nil {
		return err
	}
	from, err := c.file(c.r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := c.admit(fault.Request{Name: from.Name, Key: from.ID}); err != nil {
		return err
	}
	if from.IsFolder() {
		return errForbidden("cannotCopyFile", "This file cannot be copied by the user.")
	}
	parent := from.Parent
	if m.Parents != nil && len(*m.Parents) == 1 {
		parent = (*m.Parents)[0]
	}
	if err := c.checkParent(parent); err != nil {
		return err
	}
	found, err := c.store.Copy(from.ID, func(f *resource.File) error {
		now := c.cfg.Now()
		f.Parent = parent
		f.Created, f.Modified, f.Viewed = now, now, now
		if m.Name == nil {
			f.Name = "Copy of " + f.Name
		}
		if m.ID != nil {
			f.ID = *m.ID
		}
		if m.CreatedTime != nil {
			f.Created = m.CreatedTime.Time
		}
		if m.MimeType != nil && !strings.HasPrefix(*m.MimeType, resource.AppPrefix) && f.Content != nil && !f.IsDocument() {
			f.MimeType = *m.MimeType
		}
		return m.apply(f, now)
	})
	if err != nil {
		return storeError(err, from.ID, parent)
	}
	return c.sendFile(found.File)
}

// generateIDs serves files.generateIds.
func (c *call) generateIDs() error {
	n, err := c.count("count", 10, 1000, false)
	if err != nil {
		return err
	}
	space := c.q.Get("space")
	switch space {
	case "":
		space = "drive"
	case "drive", "appDataFolder":
	default:
		return errInvalid("space", errors.New("want drive or appDataFolder"))
	}
	if err := c.admit(fault.Request{}); err != nil {
		return err
	}
	ids := make([]string, n)
	for i := range ids {
		ids[i] = c.store.NewID()
	}
	return c.value(map[string]any{"kind": "drive#generatedIds", "space": space, "ids": ids}, "GeneratedIds", "*")
}

// parseSize reads a length in a header; "" and "*" are unknown, which is negative.
func parseSize(text string) (int64, error) {
	if text == "" || text == "*" {
		return -1, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil && n < 0 {
		err = errors.New("a negative length")
	}
	return n, err
}
