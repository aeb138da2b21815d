package store

import (
	"slices"
	"time"
)

// maxChanges bounds the change log; older changes are forgotten.
const maxChanges = 200_000

// Change says that a file, or a shared drive, changed.
type Change struct {
	Token   int64
	FileID  string
	DriveID string // of the shared drive that the file is in
	Removed bool
	Time    time.Time
	IsDrive bool // the drive itself changed
	Space   string
}

// subject is what changed: a shared drive and its root folder have one id.
type subject struct {
	id      string
	isDrive bool
}

func (c *Change) subject() subject { return subject{c.FileID, c.IsDrive} }

// changeLog is the newest changes, with consecutive tokens.
type changeLog struct {
	list []Change
	base int64 // the token of the next change while the list is empty; 0 is firstToken
}

// firstToken is a start page token as Drive's look: a plain number, not one.
const firstToken = 1001

func (l *changeLog) next() int64 {
	if len(l.list) == 0 {
		return max(l.base, firstToken)
	}
	return l.list[len(l.list)-1].Token + 1
}

func (l *changeLog) add(c Change) {
	c.Token = l.next()
	l.list = append(l.list, c)
	if len(l.list) > maxChanges {
		l.list = slices.Clone(l.list[maxChanges/10:])
	}
}

// NextChange is the token that the next change will have: a start page token.
func (s *Store) NextChange() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.changes.next()
}

// Changes returns at most n changes from a token on, each file's or drive's newest only, and the token to go on from.
// ok is false for a token of the future or of changes that are forgotten.
func (s *Store) Changes(from int64, n int) (list []Change, next int64, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	end := s.changes.next()
	first := end
	if len(s.changes.list) > 0 {
		first = s.changes.list[0].Token
	}
	if from > end || from < first {
		return nil, 0, false
	}
	all := s.changes.list[from-first:]
	newest := make(map[subject]int64, len(all))
	for _, c := range all {
		newest[c.subject()] = c.Token
	}
	for _, c := range all {
		if newest[c.subject()] != c.Token {
			continue
		}
		if len(list) == n {
			return list, c.Token, true
		}
		list = append(list, c)
	}
	return list, end, true
}

func (s *Store) changed(e *entry, removed bool) {
	s.changes.add(Change{FileID: e.f.ID, DriveID: e.f.DriveID, Removed: removed, Time: s.now(), Space: e.f.Space})
	s.log.change(s.changes.next())
}
