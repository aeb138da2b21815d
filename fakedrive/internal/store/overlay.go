package store

import (
	"slices"

	"github.com/memsoak/memsoak/fakedrive/internal/resource"
)

// entry is a file of the overlay. It is immutable: a change puts another one in its place.
type entry struct {
	f    resource.File // Trashed is not kept, it depends on the folders above
	seq  uint64        // its place in enumerations
	gone bool          // a tree's item that was deleted
	src  *source       // what it shadows, if ord >= 0
	ord  int64
	revs []Revision // oldest first; empty for a file never written to
}

func (e *entry) found(f *resource.File) Found {
	if e.src != nil {
		return Found{f, e.src.items, e.ord}
	}
	return Found{f, nil, 0}
}

// index is a set of entries in the order of their places.
type index struct{ refs []ref }

type ref struct {
	seq uint64
	id  string
}

func (x *index) at(seq uint64) (int, bool) {
	return slices.BinarySearchFunc(x.refs, seq, func(r ref, seq uint64) int {
		switch {
		case r.seq < seq:
			return -1
		case r.seq > seq:
			return 1
		}
		return 0
	})
}

func (x *index) add(r ref) {
	if i, there := x.at(r.seq); !there {
		x.refs = slices.Insert(x.refs, i, r)
	}
}

func (x *index) remove(seq uint64) {
	if i, there := x.at(seq); there {
		x.refs = slices.Delete(x.refs, i, i+1)
	}
}

// put publishes an entry in place of the one of its id. A new one gets the next place.
func (s *Store) put(e *entry) {
	id := e.f.ID
	old := s.entries[id]
	e.retain()
	if old == nil {
		s.seq++
		e.seq = s.seq
	} else {
		e.seq, e.src, e.ord = old.seq, old.src, old.ord
		s.unlink(old)
		old.release()
	}
	s.entries[id] = e
	s.log.put(e)
	if e.src != nil && old == nil {
		if e.src.shadow == nil {
			e.src.shadow = map[int64]*entry{}
		}
		if e.f.IsFolder() {
			e.src.folders++
		}
	}
	if e.src != nil {
		e.src.shadow[e.ord] = e
	}
	if e.gone {
		return
	}
	s.all.add(ref{e.seq, id})
	if e.f.Parent != "" {
		x := s.kids[e.f.Parent]
		if x == nil {
			x = &index{}
			s.kids[e.f.Parent] = x
		}
		x.add(ref{e.seq, id})
	}
}

// unlink takes an entry out of the indexes.
func (s *Store) unlink(e *entry) {
	s.all.remove(e.seq)
	if x := s.kids[e.f.Parent]; x != nil {
		x.remove(e.seq)
		if len(x.refs) == 0 {
			delete(s.kids, e.f.Parent)
		}
	}
}

// own returns the entry of a file to make a changed copy of: the overlay's, or a tree's item turned into one. The
// error is ErrNotFound.
func (s *Store) own(id string) (entry, error) {
	found, err := s.get(id)
	if err != nil {
		return entry{}, err
	}
	if e := s.entries[id]; e != nil {
		return *e, nil
	}
	src, n, _ := s.locate(id)
	return entry{f: *found.File, src: src, ord: n}, nil
}
