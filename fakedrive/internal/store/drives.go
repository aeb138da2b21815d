package store

import "slices"

// AddDrive makes a shared drive. The error is ErrExists or ErrFull.
func (s *Store) AddDrive(name string) (Drive, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.drives) >= maxSources {
		return Drive{}, ErrFull
	}
	d := &Drive{ID: "0A" + s.newID()[:17], Name: name, Created: s.now()}
	s.drives = append(s.drives, d)
	f := s.folder(d.ID, "Drive", d.Created)
	f.Owner, f.DriveID = nil, d.ID
	s.put(&entry{f: f, ord: -1})
	s.driveChanged(d, false)
	return *d, nil
}

// EditDrive changes a shared drive's name or whether it is hidden. The error is ErrNotFound.
func (s *Store) EditDrive(id string, edit func(*Drive)) (Drive, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, d := range s.drives {
		if d.ID != id {
			continue
		}
		changed := *d
		edit(&changed)
		s.drives[i] = &changed
		s.driveChanged(&changed, false)
		return changed, nil
	}
	return Drive{}, ErrNotFound
}

// DeleteDrive removes a shared drive that a client made. The error is ErrNotFound, ErrNotEmpty for one with items that
// are not in the trash (unless all is set, when they go with it), or ErrRoot for a drive that is a tree.
func (s *Store) DeleteDrive(id string, all bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.drives, func(d *Drive) bool { return d.ID == id })
	switch {
	case i < 0:
		return ErrNotFound
	case s.drives[i].src != nil:
		return ErrRoot
	case !all && s.hasKids(id):
		return ErrNotEmpty
	}
	d := s.drives[i]
	s.drives = slices.Delete(slices.Clone(s.drives), i, i+1)
	s.removeBelow(id)
	s.bury(s.entries[id])
	s.driveChanged(d, true)
	return nil
}

// hasKids says whether a folder of the overlay has anything in it that is not in the trash.
func (s *Store) hasKids(id string) bool {
	x := s.kids[id]
	return x != nil && slices.ContainsFunc(x.refs, func(r ref) bool { return !s.entries[r.id].f.ExplicitlyTrashed })
}

func (s *Store) driveChanged(d *Drive, removed bool) {
	s.changes.add(Change{FileID: d.ID, DriveID: d.ID, Removed: removed, Time: s.now(), IsDrive: true})
	s.log.drives(s.drives)
	s.log.change(s.changes.next())
}
