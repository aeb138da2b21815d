package store

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/fault/control"
	"github.com/memsoak/memsoak/fakedrive/internal/blob"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
)

// Ids that stand for others in requests.
const (
	RootAlias    = "root"
	AppDataAlias = "appDataFolder"
)

// Ids of the roots that no tree provides.
const (
	plainRootID = "0AFakeDriveRootUk9PVA"
	appDataID   = "0AFakeDriveAppDataUk9PVA"
)

// ErrNotFound says that there is no file of that id, or not any more.
var ErrNotFound = errors.New("file not found")

// Config is what a store starts with.
type Config struct {
	Control *control.Control // takes the counts of listed and finished files
	// Main is the tree of My Drive; nil starts with an empty one.
	Main       *corpus.Spec
	Generation uint64
	Me         resource.User // the account; owner of all that no tree shares with it
	Now        func() time.Time
	MaxFiles   int         // in the overlay
	Blobs      *blob.Store // contents of the overlay
	// ResourceKeys gives a tree's files that are shared with the user resource keys; AbusiveEvery flags every n-th
	// binary file of a tree as abusive.
	ResourceKeys bool
	AbusiveEvery int64
}

// Drive is a shared drive.
type Drive struct {
	ID, Name string
	Created  time.Time
	Hidden   bool
	src      *source // nil for one that a client made
}

// Store holds everything.
type Store struct {
	ctl    *control.Control
	now    func() time.Time
	me     resource.User
	rootID string
	trees  *lru.Cache[corpus.Key, *corpus.Tree]
	blobs  *blob.Store

	maxFiles     int
	resourceKeys bool
	abusiveEvery int64

	mu      sync.RWMutex
	sources map[corpus.Key]*source
	order   []corpus.Key // of sources, oldest first
	drives  []*Drive
	entries map[string]*entry
	kids    map[string]*index // by parent
	all     index
	seq     uint64
	changes changeLog
	log     *journal
}

// New makes a store.
func New(c Config) (*Store, error) {
	trees, err := lru.New[corpus.Key, *corpus.Tree](maxTrees)
	if err != nil {
		return nil, fmt.Errorf("make the cache of trees: %w", err)
	}
	s := &Store{
		ctl: c.Control, now: c.Now, me: c.Me, trees: trees, blobs: c.Blobs, maxFiles: c.MaxFiles,
		resourceKeys: c.ResourceKeys, abusiveEvery: c.AbusiveEvery,
		sources: map[corpus.Key]*source{}, entries: map[string]*entry{}, kids: map[string]*index{},
	}
	created := s.now()
	if c.Main == nil {
		s.rootID = plainRootID
		s.put(&entry{f: s.folder(plainRootID, "My Drive", created), ord: -1})
	} else {
		t, err := s.addTree(c.Main, c.Generation, true)
		if err != nil {
			return nil, err
		}
		s.rootID = t.RootID
	}
	app := s.folder(appDataID, "appDataFolder", created)
	app.Space = AppDataAlias
	s.put(&entry{f: app, ord: -1})
	return s, nil
}

// Open brings back what the journal holds and keeps it from here on. Call it once, after the trees are added.
func (s *Store) Open(journal string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.restore(journal)
}

// Close ends the journal.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.close()
}

func (s *Store) folder(id, name string, at time.Time) resource.File {
	return resource.File{ID: id, Name: name, MimeType: resource.Folder, Created: at, Modified: at, Version: 1,
		Owner: &s.me}
}

// Me is the account that uses the Drive.
func (s *Store) Me() resource.User { return s.me }

// Resolve turns an alias into the id it stands for.
func (s *Store) Resolve(id string) string {
	switch id {
	case RootAlias:
		return s.rootID
	case AppDataAlias:
		return appDataID
	}
	return id
}

// Found is a file and how it is accounted for.
type Found struct {
	*resource.File
	Items   *control.Items // nil for files of the overlay
	Ordinal int64
}

// Listed notes that the file was sent in a page.
func (f Found) Listed() {
	if f.Items != nil {
		f.Items.Listed(f.Ordinal)
	}
}

// Done notes that the file was downloaded to its end.
func (f Found) Done() {
	if f.Items != nil {
		f.Items.Done(f.Ordinal)
	}
}

// Get returns the file of an id or an alias. The error is ErrNotFound.
func (s *Store) Get(id string) (Found, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	id = s.Resolve(id)
	f, err := s.get(id)
	if err == nil {
		f.Root = s.isRoot(id)
	}
	return f, err
}

func (s *Store) get(id string) (Found, error) {
	if e := s.entries[id]; e != nil {
		if e.gone {
			return Found{}, ErrNotFound
		}
		above := s.above(e.f.Parent)
		if above.gone {
			return Found{}, ErrNotFound
		}
		f := e.f
		f.Trashed = f.ExplicitlyTrashed || above.trashed
		return e.found(&f), nil
	}
	src, n, ok := s.locate(id)
	if !ok {
		return Found{}, ErrNotFound
	}
	v := &view{}
	f := s.fill(v, src, s.tree(src), n)
	s.asRoot(src, n, f)
	if src.folders > 0 {
		a := s.above(f.Parent)
		if a.gone {
			return Found{}, ErrNotFound
		}
		f.Trashed = f.ExplicitlyTrashed || a.trashed
	}
	return Found{f, src.items, n}, nil
}

// asRoot makes the root of a tree what a root is in Drive.
func (s *Store) asRoot(src *source, n int64, f *resource.File) {
	switch {
	case n != 0:
	case src.main:
		f.Name = "My Drive"
	case src.driveID != "":
		f.Name = "Drive" // real shared drives' root folders all bear this name
	}
}

// locate finds a tree's item by its id. The caller holds the mutex, as of all that follow.
func (s *Store) locate(id string) (*source, int64, bool) {
	key, n, ok := corpus.ParseID(id)
	if !ok {
		return nil, 0, false
	}
	src := s.sources[key]
	if src == nil || n < 0 || n >= src.n {
		return nil, 0, false
	}
	return src, n, true
}

// fate is what the folders above a file decide for it.
type fate struct{ trashed, gone bool }

// above walks up from a folder: whether it or any folder above it is in the trash, or deleted.
func (s *Store) above(id string) (a fate) {
	for id != "" {
		e := s.entries[id]
		if e == nil {
			src, n, ok := s.locate(id)
			switch {
			case !ok:
				a.gone = true
				return a
			case src.folders == 0:
				a.trashed = a.trashed || s.tree(src).Item(n).Trashed
				return a
			}
			it := s.tree(src).Item(n)
			a.trashed = a.trashed || it.ExplicitlyTrashed
			if it.Parent < 0 {
				return a
			}
			id = s.tree(src).ID(it.Parent)
			continue
		}
		if e.gone {
			a.gone = true
			return a
		}
		a.trashed = a.trashed || e.f.ExplicitlyTrashed
		id = e.f.Parent
	}
	return a
}

// Drives returns the shared drives, oldest first.
func (s *Store) Drives() []Drive {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]Drive, len(s.drives))
	for i, d := range s.drives {
		out[i] = *d
	}
	return out
}

// Drive returns the shared drive of an id. The error is ErrNotFound.
func (s *Store) Drive(id string) (Drive, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if i := slices.IndexFunc(s.drives, func(d *Drive) bool { return d.ID == id }); i >= 0 {
		return *s.drives[i], nil
	}
	return Drive{}, ErrNotFound
}
