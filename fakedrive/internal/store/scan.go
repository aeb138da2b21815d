package store

import (
	"fmt"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
)

// Scope is where a search looks. The zero Scope is My Drive and the items shared with the user.
type Scope struct {
	// Parents limits the search to the children of these folders.
	Parents []string
	// DriveID limits the search to a shared drive; AllDrives adds every shared drive to My Drive.
	DriveID   string
	AllDrives bool
	// Space is "drive" (or empty), "appDataFolder", or another, which is empty.
	Space string
	// Flag limits the search of trees to the items with a flag.
	Flag *corpus.Flag
}

// Position is a place in the enumeration of a scope. Zero is its start.
type Position struct {
	Segment int    `json:"s,omitempty"`
	Next    uint64 `json:"n,omitempty"`
}

// segment is a run of the enumeration: items of a tree, or files of the overlay.
type segment struct {
	src          *source
	first, count int64        // ordinals
	flag         *corpus.Flag // instead of ordinals: the k-th flagged item
	overlay      *index       // nil for trees and for nothing
}

// Scan enumerates the scope from a position on, at most budget files. It stops before the first file that visit
// does not take and returns its position; more is false at the end of the scope. The file that visit sees is valid
// only until it returns, and visit must not call the store. A parent that does not exist is ErrNotFound.
func (s *Store) Scan(sc Scope, from Position, budget int, visit func(Found, Position) bool) (next Position, more bool,
	err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	segs, err := s.segments(sc)
	if err != nil {
		return Position{}, false, err
	}
	r := &run{s: s, sc: sc, budget: budget, visit: visit, fates: map[string]fate{}}
	for i := from.Segment; i < len(segs); i++ {
		start := uint64(0)
		if i == from.Segment {
			start = from.Next
		}
		var at uint64
		var stopped bool
		if segs[i].overlay != nil {
			at, stopped = r.overlay(segs[i], i, start)
		} else {
			at, stopped = r.tree(segs[i], i, start)
		}
		if stopped {
			return Position{i, at}, true, nil
		}
	}
	return Position{}, false, nil
}

// At returns the file at a position that Scan gave to visit. ok is false if it is gone.
func (s *Store) At(sc Scope, p Position) (f Found, ok bool) {
	_, _, err := s.Scan(sc, p, 1, func(x Found, at Position) bool {
		if at != p {
			return false
		}
		f, ok = x, true // the last that this run shows, so it stays valid
		return true
	})
	return f, ok && err == nil
}

// segments lays out the scope. It depends on the scope alone, so that positions stay true.
func (s *Store) segments(sc Scope) ([]segment, error) {
	switch {
	case len(sc.Parents) > 0:
		return s.parentSegments(sc)
	case sc.elsewhere():
		return []segment{{overlay: &s.all}}, nil
	}
	segs := []segment{{overlay: &s.all}} // first, since trees that are added during a listing come behind it
	for _, key := range s.order {
		src := s.sources[key]
		first := int64(1) // roots of drives are in no listing
		if !src.main && src.driveID == "" {
			first = 0 // a tree of a run is a folder without a parent, which a search finds
		}
		switch {
		case !src.within(sc):
		case sc.Flag != nil:
			segs = append(segs, segment{src: src, count: s.tree(src).Flagged(*sc.Flag), flag: sc.Flag})
		default:
			segs = append(segs, segment{src: src, first: first, count: src.n - first})
		}
	}
	return segs, nil
}

// within says whether a search in the scope sees the tree: My Drive is every tree that is no shared drive, those of
// runs included, since the account owns them.
func (src *source) within(sc Scope) bool {
	if src.driveID == "" {
		return sc.DriveID == ""
	}
	return sc.AllDrives || src.driveID == sc.DriveID
}

func (s *Store) parentSegments(sc Scope) ([]segment, error) {
	var segs []segment
	seen := map[string]bool{}
	for _, id := range sc.Parents {
		id = s.Resolve(id)
		if seen[id] {
			continue // named twice, by its id and by an alias
		}
		seen[id] = true
		f, err := s.get(id)
		if err != nil {
			return nil, fmt.Errorf("parent %s: %w", id, err)
		}
		if !sc.sees(f.File) {
			return nil, fmt.Errorf("parent %s: %w", id, ErrNotFound)
		}
		var tree segment
		if src, n, ok := s.locate(id); ok {
			tree.src = src
			tree.first, tree.count = s.tree(src).Children(n)
		}
		over := s.kids[id]
		if over == nil {
			over = &index{}
		}
		segs = append(segs, tree, segment{overlay: over})
	}
	return segs, nil
}

// elsewhere says whether the scope is another space than Drive's own, where no tree is.
func (sc *Scope) elsewhere() bool { return sc.Space != "" && sc.Space != "drive" }

// sees says whether a file lies in the scope's drives and space.
func (sc *Scope) sees(f *resource.File) bool {
	space := sc.Space
	if space == "drive" {
		space = ""
	}
	switch {
	case f.Space != space:
		return false
	case sc.DriveID != "":
		return f.DriveID == sc.DriveID
	default:
		return f.DriveID == "" || sc.AllDrives
	}
}

// run is one Scan under way.
type run struct {
	s      *Store
	sc     Scope
	budget int
	visit  func(Found, Position) bool
	fates  map[string]fate // of parents, where the overlay has a say
	v      view
}

func (r *run) spent() bool {
	r.budget--
	return r.budget < 0
}

func (r *run) tree(g segment, i int, from uint64) (at uint64, stopped bool) {
	if g.count == 0 {
		return 0, false
	}
	t := r.s.tree(g.src)
	for k := from; k < uint64(g.count); k++ {
		if r.spent() {
			return k, true
		}
		n := g.first + int64(k)
		if g.flag != nil {
			n = t.FlaggedAt(*g.flag, int64(k))
		}
		if e := g.src.shadow[n]; e != nil {
			if !e.gone && r.inPlace(e) && !r.own(e, Position{i, k}) {
				return k, true
			}
			continue
		}
		f := r.s.fill(&r.v, g.src, t, n)
		if g.src.folders > 0 {
			a := r.fate(f.Parent)
			if a.gone {
				continue
			}
			f.Trashed = f.ExplicitlyTrashed || a.trashed
		}
		if !r.visit(Found{f, g.src.items, n}, Position{i, k}) {
			return k, true
		}
	}
	return 0, false
}

func (r *run) overlay(g segment, i int, from uint64) (at uint64, stopped bool) {
	k, _ := g.overlay.at(from)
	for ; k < len(g.overlay.refs); k++ {
		x := g.overlay.refs[k]
		if r.spent() {
			return x.seq, true
		}
		if e := r.s.entries[x.id]; !r.inPlace(e) && !r.own(e, Position{i, x.seq}) {
			return x.seq, true
		}
	}
	return 0, false
}

// inPlace says whether the run finds a tree's item that the overlay has taken over where the tree has it, and not among
// the overlay's own files: a listing under way neither misses an item that is changed nor gives it twice.
func (r *run) inPlace(e *entry) bool {
	if e.src == nil || r.sc.elsewhere() {
		return false
	}
	t := r.s.tree(e.src)
	it := t.Item(e.ord)
	if len(r.sc.Parents) > 0 {
		return it.Parent >= 0 && t.ID(it.Parent) == e.f.Parent
	}
	return e.src.within(r.sc) && (r.sc.Flag == nil || it.Has(*r.sc.Flag))
}

// own visits a file of the overlay, if the scope sees it. taken is false if visit did not take it.
func (r *run) own(e *entry, at Position) (taken bool) {
	above := r.fate(e.f.Parent)
	if above.gone || !r.sc.sees(&e.f) || r.s.isRoot(e.f.ID) { // roots are in no listing
		return true
	}
	f := e.f
	f.Trashed = f.ExplicitlyTrashed || above.trashed
	return r.visit(e.found(&f), at)
}

// fate is above, remembered for the run.
func (r *run) fate(parent string) fate {
	a, ok := r.fates[parent]
	if !ok {
		a = r.s.above(parent)
		r.fates[parent] = a
	}
	return a
}
