package store

import (
	"errors"
	"slices"
	"time"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/internal/blob"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
)

// Why a change is refused.
var (
	ErrExists    = errors.New("there is a file of that id already")
	ErrNoParent  = errors.New("the parent is not there")
	ErrNotFolder = errors.New("the parent is no folder")
	ErrCycle     = errors.New("a folder cannot be moved into itself")
	ErrFull      = errors.New("the Drive is full")
	ErrRoot      = errors.New("a root cannot be changed that way")
	ErrOtherSide = errors.New("a folder cannot be moved between drives")
	ErrNotEmpty  = errors.New("the shared drive is not empty")
)

// maxRevisions is how many revisions of a file are kept, as Drive does.
const maxRevisions = 200

// NewID makes an id that no file has.
func (s *Store) NewID() string { return s.newID() }

// Create adds a file. Without an id it gets one, without a parent it goes to My Drive; its drive and space are the
// parent's. Content, if it is a blob, is handed over with its reference; on an error it stays the caller's.
func (s *Store) Create(f resource.File) (Found, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	created, err := s.create(f)
	if err == nil {
		drop(f.Content) // the entry has a reference of its own
	}
	return created, err
}

// Copy adds a file with the content of another; edit makes the new one from the old one's fields. The error is
// ErrNotFound, edit's, or one of Create's.
func (s *Store) Copy(id string, edit func(f *resource.File) error) (Found, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from, err := s.get(s.Resolve(id))
	if err != nil {
		return Found{}, err
	}
	f := *from.File
	f.ID, f.ResourceKey, f.HeadRevision, f.Permissions, f.Properties, f.AppProperties = "", "", "", nil, nil, nil
	f.Starred, f.Trashed, f.ExplicitlyTrashed, f.TrashedAt, f.SharedWithMe, f.SharedAt = false, false, false, time.Time{},
		false, time.Time{}
	if f.IsDocument() {
		if f.Content, err = s.export(from.ID); err != nil {
			return Found{}, err
		}
	}
	if err := edit(&f); err != nil {
		return Found{}, err
	}
	return s.create(f)
}

func (s *Store) create(f resource.File) (Found, error) {
	if len(s.entries) >= s.maxFiles {
		return Found{}, ErrFull
	}
	if f.ID == "" {
		f.ID = s.newID()
	} else if _, _, inTree := s.locate(f.ID); inTree || s.entries[f.ID] != nil {
		return Found{}, ErrExists
	}
	if f.Parent == "" {
		f.Parent = s.rootID
	}
	f.Parent = s.Resolve(f.Parent)
	parent, err := s.parent(f.Parent)
	if err != nil {
		return Found{}, err
	}
	f.DriveID, f.Space, f.Version, f.Owner = parent.DriveID, parent.Space, 1, nil
	if f.DriveID == "" {
		f.Owner = &s.me
	}
	e := &entry{f: f, ord: -1}
	if f.Content != nil {
		s.addRevision(e, false)
	}
	s.put(e)
	s.changed(e, false)
	return s.get(f.ID)
}

// parent returns the folder that a file is to be put into.
func (s *Store) parent(id string) (Found, error) {
	p, err := s.get(id)
	switch {
	case err != nil:
		return p, ErrNoParent
	case !p.IsFolder():
		return p, ErrNotFolder
	}
	return p, nil
}

// replace makes the entry's content a revision, the first behind the one that the file had before.
func (s *Store) replace(e *entry, before *resource.File, keep bool) {
	if len(e.revs) == 0 && before.Content != nil {
		e.revs = []Revision{{ID: before.HeadRevisionID(), Modified: before.Modified, MimeType: before.MimeType,
			OriginalFilename: before.OriginalFilename, Content: before.Content}}
	}
	s.addRevision(e, keep)
}

// addRevision makes the entry's content its newest revision.
func (s *Store) addRevision(e *entry, keep bool) {
	e.f.HeadRevision = s.newID() + "Rev"
	e.revs = append(slices.Clip(e.revs), Revision{
		ID: e.f.HeadRevision, Modified: e.f.Modified, MimeType: e.f.MimeType, OriginalFilename: e.f.OriginalFilename,
		Content: e.f.Content, KeepForever: keep,
	})
	for i := 0; len(e.revs) > maxRevisions && i < len(e.revs)-1; {
		if e.revs[i].KeepForever {
			i++
			continue
		}
		e.revs = slices.Delete(slices.Clone(e.revs), i, i+1)
	}
}

// Update changes a file by edit, which sees a copy and may refuse. A new parent is checked; a new content is a blob
// that is handed over with its reference, unless there is an error. keep keeps the revision of that content forever.
func (s *Store) Update(id string, keep bool, edit func(f *resource.File) error) (Found, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id = s.Resolve(id)
	e, err := s.own(id)
	if err != nil {
		return Found{}, err
	}
	if s.entries[id] == nil && len(s.entries) >= s.maxFiles {
		return Found{}, ErrFull
	}
	before := e.f
	if err := edit(&e.f); err != nil {
		return Found{}, err
	}
	if e.f.ExplicitlyTrashed && s.isRoot(id) {
		return Found{}, ErrRoot
	}
	if e.f.Parent != before.Parent {
		if err := s.checkMove(&e.f); err != nil {
			return Found{}, err
		}
	}
	e.f.ID, e.f.Version = before.ID, before.Version+1
	replaced := e.f.Content != before.Content
	if replaced {
		s.replace(&e, &before, keep)
	}
	s.put(&e)
	if replaced {
		drop(e.f.Content)
	}
	s.changed(&e, false)
	return s.get(id)
}

// checkMove checks a file's new parent and makes the file belong to the parent's drive.
func (s *Store) checkMove(f *resource.File) error {
	if s.isRoot(f.ID) {
		return ErrRoot
	}
	if f.Parent == "" {
		return nil
	}
	f.Parent = s.Resolve(f.Parent)
	p, err := s.parent(f.Parent)
	if err != nil {
		return err
	}
	if f.IsFolder() {
		if p.DriveID != f.DriveID {
			return ErrOtherSide
		}
		for id := f.Parent; id != ""; {
			if id == f.ID {
				return ErrCycle
			}
			above, err := s.get(id)
			if err != nil {
				break
			}
			id = above.Parent
		}
	}
	f.DriveID, f.Space = p.DriveID, p.Space
	if f.DriveID == "" && f.Owner == nil {
		f.Owner = &s.me
	}
	return nil
}

// isRoot says whether an id is a folder at the top.
func (s *Store) isRoot(id string) bool {
	if id == s.rootID || id == appDataID {
		return true
	}
	return slices.ContainsFunc(s.drives, func(d *Drive) bool { return d.ID == id })
}

// Delete removes a file for good, and everything below a folder. The error is ErrNotFound or ErrRoot.
func (s *Store) Delete(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remove(s.Resolve(id))
}

func (s *Store) remove(id string) error {
	if s.isRoot(id) {
		return ErrRoot
	}
	e, err := s.own(id)
	if err != nil {
		return err
	}
	s.removeBelow(id)
	s.bury(&e)
	s.changed(&e, true)
	return nil
}

// removeBelow removes what the overlay has below a folder. What a tree has there is found to be gone by its ancestors.
func (s *Store) removeBelow(id string) {
	todo := []string{id}
	for len(todo) > 0 {
		x := s.kids[todo[len(todo)-1]]
		if x == nil {
			todo = todo[:len(todo)-1]
			continue
		}
		kid := s.entries[x.refs[len(x.refs)-1].id]
		todo = append(todo, kid.f.ID)
		s.bury(kid)
		s.changed(kid, true)
	}
}

// bury takes an entry away. For a tree's item a tombstone stays.
func (s *Store) bury(e *entry) {
	if e.src != nil {
		gone := &entry{f: resource.File{ID: e.f.ID, MimeType: e.f.MimeType, DriveID: e.f.DriveID}, gone: true, src: e.src,
			ord: e.ord}
		s.put(gone)
		return
	}
	if old := s.entries[e.f.ID]; old != nil {
		s.unlink(old)
		old.release()
		delete(s.entries, e.f.ID)
		s.log.remove(e.f.ID)
	}
}

// EmptyTrash removes for good the items explicitly in the trash of My Drive, or of a shared drive.
func (s *Store) EmptyTrash(driveID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for _, r := range s.all.refs {
		if f := &s.entries[r.id].f; f.ExplicitlyTrashed && f.DriveID == driveID && f.Access(&s.me) == resource.Owns {
			ids = append(ids, r.id)
		}
	}
	for _, src := range s.sources {
		if src.driveID != driveID {
			continue
		}
		t := s.tree(src)
		for k := range t.Flagged(corpus.Trashed) {
			n := t.FlaggedAt(corpus.Trashed, k)
			if src.shadow[n] == nil && !t.Item(n).SharedWithMe { // what others own, they throw away
				ids = append(ids, t.ID(n))
			}
		}
	}
	for _, id := range ids {
		if err := s.remove(id); err != nil && !errors.Is(err, ErrNotFound) { // gone with a folder above it
			return err
		}
	}
	return nil
}

// Revisions returns a file's revisions, oldest first. The error is ErrNotFound.
func (s *Store) Revisions(id string) ([]Revision, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.revisions(s.Resolve(id))
}

func (s *Store) revisions(id string) ([]Revision, error) {
	f, err := s.get(id)
	if err != nil {
		return nil, err
	}
	if e := s.entries[id]; e != nil && len(e.revs) > 0 {
		return slices.Clone(e.revs), nil
	}
	if f.Content == nil && !f.IsDocument() {
		return nil, nil
	}
	return []Revision{{ID: f.HeadRevisionID(), Modified: f.Modified, MimeType: f.MimeType, OriginalFilename: f.Name,
		Content: f.Content}}, nil
}

// EditRevisions replaces a file's revisions by what edit makes of them. The error is ErrNotFound or edit's.
func (s *Store) EditRevisions(id string, edit func([]Revision) ([]Revision, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	id = s.Resolve(id)
	revs, err := s.revisions(id)
	if err != nil {
		return err
	}
	e, err := s.own(id)
	if err != nil {
		return err
	}
	if e.revs, err = edit(revs); err != nil {
		return err
	}
	s.put(&e)
	s.changed(&e, false)
	return nil
}

// contents are the blobs that an entry refers to, one for each reference.
func (e *entry) contents() []*blob.Blob {
	var list []*blob.Blob
	add := func(c resource.Content) {
		if a, ok := c.(*altered); ok {
			c = a.Content
		}
		if b, ok := c.(*blob.Blob); ok {
			list = append(list, b)
		}
	}
	add(e.f.Content)
	for _, r := range e.revs {
		add(r.Content)
	}
	return list
}

func (e *entry) retain() {
	for _, b := range e.contents() {
		b.Retain()
	}
}

func (e *entry) release() {
	for _, b := range e.contents() {
		b.Release()
	}
}

// drop releases the reference that came with a content.
func drop(c resource.Content) {
	if b, ok := c.(*blob.Blob); ok {
		b.Release()
	}
}
