package fakedrive

import (
	"time"

	"github.com/memsoak/memsoak/fakedrive/internal/query"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
	"github.com/memsoak/memsoak/fakedrive/internal/store"
)

// matcher asks a query about files.
type matcher struct {
	query      *query.Query
	store      *store.Store
	domainOnly bool // corpora=domain: only what the whole domain may see
	at         subject
}

func (m *matcher) matches(f *resource.File) bool {
	if me := m.store.Me(); f.Access(&me) == resource.NoAccess {
		return false
	}
	if m.domainOnly {
		switch f.Visibility() {
		case "domainCanFind", "anyoneCanFind":
		default:
			return false
		}
	}
	m.at = subject{f, m.store} // kept, so that no file costs an allocation
	return m.query.Match(&m.at)
}

// subject is a file as the search language sees it.
type subject struct {
	f *resource.File
	s *store.Store
}

func (s subject) Text(f query.Field) string {
	switch f {
	case query.Name:
		return s.f.Name
	case query.MimeType:
		return s.f.MimeType
	case query.Visibility:
		return s.f.Visibility()
	case query.ShortcutTarget:
		return s.f.TargetID
	case query.FullText:
		return s.f.Name + " " + s.f.Description
	}
	return ""
}

func (s subject) Time(f query.Field) time.Time {
	switch f {
	case query.ModifiedTime:
		return s.f.Modified
	case query.CreatedTime:
		return s.f.Created
	case query.ViewedByMeTime:
		return s.f.Viewed
	}
	return time.Time{}
}

func (s subject) Flag(f query.Field) bool {
	switch f {
	case query.Trashed:
		return s.f.Trashed
	case query.Starred:
		return s.f.Starred
	case query.SharedWithMe:
		return s.f.SharedWithMe
	}
	return false
}

func (s subject) Number(query.Field) int64 { return 0 }

func (s subject) Member(f query.Field, value string) bool {
	me := s.s.Me()
	if f != query.Parents && value == "me" {
		value = me.Email
	}
	switch f {
	case query.Parents:
		return s.f.Parent != "" && s.f.Parent == s.s.Resolve(value)
	case query.Owners:
		return s.f.HasOwner(value, &me)
	case query.Writers:
		return s.f.HasWriter(value, &me)
	case query.Readers:
		return s.f.HasReader(value, &me)
	}
	return false
}

func (s subject) Property(f query.Field, key string) (string, bool) {
	kv := s.f.Properties
	if f == query.AppProperties {
		kv = s.f.AppProperties
	}
	v, ok := kv[key]
	return v, ok
}
