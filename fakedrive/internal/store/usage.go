package store

import (
	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
)

// charge is the bytes that Drive charges to the account, and those of them in the trash.
type charge struct{ total, trash int64 }

func (c *charge) add(n, factor int64, trashed bool) {
	c.total += n * factor
	if trashed {
		c.trash += n * factor
	}
}

// Usage returns the bytes charged to the account: the sizes of all files that it owns in My Drive, and those of them
// that are in the trash.
func (s *Store) Usage() (total, trash int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var c charge
	for _, key := range s.order {
		if src := s.sources[key]; src.driveID == "" {
			s.chargeTree(&c, src)
		}
	}
	for _, r := range s.all.refs {
		f := &s.entries[r.id].f
		above := s.above(f.Parent)
		if n, ok := f.Size(); ok && !above.gone && f.DriveID == "" && f.Access(&s.me) == resource.Owns {
			c.add(n, 1, f.ExplicitlyTrashed || above.trashed)
		}
	}
	return c.total, c.trash
}

// chargeTree adds what the overlay has left of a tree.
func (s *Store) chargeTree(c *charge, src *source) {
	t := s.tree(src)
	src.account.Do(func() { src.charged.total, src.charged.trash = t.Account() })
	c.total, c.trash = c.total+src.charged.total, c.trash+src.charged.trash
	for n, e := range src.shadow {
		it := t.Item(n)
		c.add(owned(&it), -1, it.Trashed)
		if it.Kind != corpus.Folder {
			continue
		}
		now := s.above(e.f.ID)
		if now.gone || now.trashed != it.Trashed {
			s.chargeBelow(c, src, t, n, now)
		}
	}
}

// chargeBelow moves what lies below a folder that the overlay has thrown away, deleted or brought back. Folders that
// the overlay has of their own are counted on their own.
func (s *Store) chargeBelow(c *charge, src *source, t *corpus.Tree, folder int64, now fate) {
	first, count := t.Children(folder)
	for n := first; n < first+count; n++ {
		if src.shadow[n] != nil {
			continue
		}
		it := t.Item(n)
		c.add(owned(&it), -1, it.Trashed)
		if !now.gone {
			c.add(owned(&it), 1, it.ExplicitlyTrashed || now.trashed)
		}
		if it.Kind == corpus.Folder {
			below := now
			below.trashed = now.trashed || it.ExplicitlyTrashed
			s.chargeBelow(c, src, t, n, below)
		}
	}
}

// owned is what the account is charged for an item.
func owned(it *corpus.Item) int64 {
	if it.SharedWithMe {
		return 0
	}
	return it.Size
}
