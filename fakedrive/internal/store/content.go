package store

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"io"
	"sync"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
)

// Export returns a document's content: of a tree's, what any export of it contains; of one that a client made, its
// text. The error is ErrNotFound. fromTree says which.
func (s *Store) Export(id string) (c resource.Content, fromTree bool, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c, err = s.export(s.Resolve(id))
	_, fromTree = c.(*treeContent)
	return c, fromTree, err
}

func (s *Store) export(id string) (resource.Content, error) {
	f, err := s.get(id)
	if err != nil {
		return nil, err
	}
	if f.Content != nil {
		return f.Content, nil
	}
	src, n, inTree := s.locate(id)
	if !inTree {
		return nil, ErrNotFound
	}
	t := s.tree(src)
	it := t.Item(n)
	c := contentOf(t, &it)
	return &c, nil
}

// Alter gives a file another content of the same size, as a user who edits it while it is copied would. The error is
// ErrNotFound, also for an item without content.
func (s *Store) Alter(id string) (Found, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.own(id)
	if err != nil {
		return Found{}, err
	}
	before := e.f
	switch c := before.Content.(type) {
	case nil:
		return Found{}, ErrNotFound
	case *altered: // all bits inverted twice are as they were
		e.f.Content = c.Content
	default:
		e.f.Content = &altered{Content: c}
	}
	e.f.Modified = s.now()
	e.f.Version++
	s.replace(&e, &before, false)
	s.put(&e)
	s.changed(&e, false)
	return s.get(id)
}

// altered is a content with the bits of every byte inverted.
type altered struct {
	resource.Content
	once sync.Once
	sums corpus.Sums
}

// Sums reads the whole content, once.
func (a *altered) Sums(corpus.Hashes) corpus.Sums {
	a.once.Do(func() {
		r, err := a.Open(0)
		if err != nil {
			return
		}
		defer r.Close()
		m, s1, s2 := md5.New(), sha1.New(), sha256.New()
		if _, err := io.Copy(io.MultiWriter(m, s1, s2), r); err != nil {
			return
		}
		m.Sum(a.sums.MD5[:0])
		s1.Sum(a.sums.SHA1[:0])
		s2.Sum(a.sums.SHA256[:0])
	})
	return a.sums
}

func (a *altered) Open(offset int64) (io.ReadCloser, error) {
	r, err := a.Content.Open(offset)
	if err != nil {
		return nil, err
	}
	return &inverted{r}, nil
}

type inverted struct{ r io.ReadCloser }

func (i *inverted) Read(p []byte) (int, error) {
	n, err := i.r.Read(p)
	for k := range p[:n] {
		p[k] ^= 0xff
	}
	return n, err
}

func (i *inverted) Close() error { return i.r.Close() }
