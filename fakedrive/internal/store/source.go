package store

import (
	"fmt"
	"io"
	"sync"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/fault/control"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
)

// Bounds of what a store keeps of trees.
const (
	maxTrees   = 64    // built trees; others are rebuilt when they are asked for
	maxSources = 10000 // trees served at all; the oldest fresh roots are forgotten beyond that
)

// source is a tree that is served, built or not.
type source struct {
	spec    *corpus.Spec
	gen     uint64
	key     corpus.Key
	n       int64
	rootID  string
	driveID string // of a shared drive, which is its root's id
	main    bool   // shows below root
	items   *control.Items

	account sync.Once // fills charged
	charged charge    // what the account pays for the tree as it was made

	// Guarded by the store's mutex.
	shadow  map[int64]*entry // items that the overlay has taken over
	folders int              // folders among them
}

// Tree is a tree in service.
type Tree struct {
	RootID string
	Stats  corpus.Stats
}

// AddTree serves a tree below its own root folder and returns where. Adding it again changes nothing. Its files have
// no parent above the root, unless the tree is a shared drive, which then appears among the drives.
func (s *Store) AddTree(spec *corpus.Spec, generation uint64) (Tree, error) {
	return s.addTree(spec, generation, false)
}

func (s *Store) addTree(spec *corpus.Spec, generation uint64, main bool) (Tree, error) {
	t, err := corpus.New(spec, generation)
	if err != nil {
		return Tree{}, fmt.Errorf("build the tree of corpus %s: %w", spec.Name, err)
	}
	key := t.Key()
	s.mu.Lock()
	defer s.mu.Unlock()
	src := s.sources[key]
	if src == nil {
		src = &source{spec: spec, gen: generation, key: key, n: t.Len(), rootID: t.ID(0), main: main,
			items: s.ctl.NewItems(t.Len())}
		if name := t.SharedDrive(); name != "" && !main {
			src.driveID = src.rootID
			s.drives = append(s.drives, &Drive{ID: src.rootID, Name: name, Created: t.Item(0).Created, src: src})
		}
		s.sources[key] = src
		s.order = append(s.order, key)
		s.forgetOldest()
	}
	s.trees.Add(key, t)
	return Tree{RootID: src.rootID, Stats: t.Stats()}, nil
}

// forgetOldest keeps the number of sources in its bound. My Drive, shared drives and trees with changes stay. The
// caller holds the mutex.
func (s *Store) forgetOldest() {
	for i := 0; len(s.order) > maxSources && i < len(s.order); i++ {
		src := s.sources[s.order[i]]
		if src.main || src.driveID != "" || len(src.shadow) > 0 {
			continue
		}
		delete(s.sources, s.order[i])
		s.trees.Remove(s.order[i])
		s.order = append(s.order[:i:i], s.order[i+1:]...)
		i--
	}
}

// tree returns the source's tree, building it if it was put away.
func (s *Store) tree(src *source) *corpus.Tree {
	if t, ok := s.trees.Get(src.key); ok {
		return t
	}
	t, err := corpus.New(src.spec, src.gen)
	if err != nil {
		panic(fmt.Sprintf("store: a tree that was built before: %v", err))
	}
	s.trees.Add(src.key, t)
	return t
}

// treeContent is the content of a tree's file.
type treeContent struct {
	tree *corpus.Tree
	n    int64
	corpus.Content
}

// contentOf returns the content of a tree's item.
func contentOf(t *corpus.Tree, it *corpus.Item) treeContent {
	return treeContent{t, it.Ordinal, it.Content()}
}

func (c *treeContent) Open(offset int64) (io.ReadCloser, error) {
	return treeReader{c.Content.Open(offset)}, nil
}

// treeReader reads a tree's file; its WriteTo is the corpus's own.
type treeReader struct{ *corpus.Reader }

func (treeReader) Close() error { return nil }

// view is the file of a tree's item, in one piece so that a listing can reuse it.
type view struct {
	f       resource.File
	item    corpus.Item
	owner   resource.User
	content treeContent
	// The parent of the last item: its children come one after another.
	parent   int64
	parentID string
}

// fill makes the view show item n. The file is valid until the next fill.
func (s *Store) fill(v *view, src *source, t *corpus.Tree, n int64) *resource.File {
	t.Describe(&v.item, n)
	it := &v.item
	v.owner = it.Owner
	f := &v.f
	*f = resource.File{} // and not a literal, which would be made elsewhere and copied
	f.ID, f.Name, f.MimeType, f.DriveID = t.ID(n), it.Name, it.MimeType, src.driveID
	f.Created, f.Modified, f.Version = it.Created, it.Modified, 1
	// the members of a drive have it without sharing
	f.Starred, f.SharedWithMe = it.Starred, it.SharedWithMe && src.driveID == ""
	f.ExplicitlyTrashed, f.Trashed = it.ExplicitlyTrashed, it.Trashed
	if src.driveID == "" {
		f.Owner = &v.owner
	}
	if it.Parent >= 0 {
		if v.parentID == "" || v.parent != it.Parent {
			v.parent, v.parentID = it.Parent, t.ID(it.Parent)
		}
		f.Parent = v.parentID
	}
	if f.SharedWithMe {
		f.SharedAt = it.Modified
		if s.resourceKeys {
			f.ResourceKey = "0-" + f.ID[len(f.ID)-22:] // of the length and the look of real ones
		}
	}
	if it.ExplicitlyTrashed {
		f.TrashedAt = it.Modified
	}
	switch {
	case it.Kind == corpus.Binary:
		v.content = contentOf(t, it)
		f.Content = &v.content
		f.Abusive = s.abusiveEvery > 0 && n%s.abusiveEvery == 0
	case it.Kind == corpus.Shortcut:
		f.TargetID, f.TargetMimeType = t.ID(it.Target), it.TargetMime
	case it.Kind.Exportable():
		v.content = contentOf(t, it)
		f.DocSize = it.Size
	}
	return f
}
