package query

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Subject is what a query is asked about. A field that makes no sense for a subject is empty, false or zero.
type Subject interface {
	// Text answers for Name, MimeType, Visibility, ShortcutTarget and FullText (all that is searchable).
	Text(Field) string
	Time(Field) time.Time
	// Flag answers for Trashed, Starred, SharedWithMe and Hidden.
	Flag(Field) bool
	Number(Field) int64
	// Member says whether value is in the collection.
	Member(f Field, value string) bool
	Property(f Field, key string) (value string, ok bool)
}

// Match evaluates the query.
func (q *Query) Match(s Subject) bool { return q.root == nil || q.root.match(s) }

func (n *node) match(s Subject) bool {
	switch n.kind {
	case nAnd:
		for _, k := range n.kids {
			if !k.match(s) {
				return false
			}
		}
		return true
	case nOr:
		for _, k := range n.kids {
			if k.match(s) {
				return true
			}
		}
		return false
	case nNot:
		return !n.kids[0].match(s)
	}
	return n.matchTerm(s)
}

func (n *node) matchTerm(s Subject) bool {
	switch n.field {
	case Trashed, Starred, SharedWithMe, Hidden:
		return (s.Flag(n.field) == n.flag) == (n.op == Eq)
	case ModifiedTime, ViewedByMeTime, CreatedTime:
		t := s.Time(n.field)
		return !t.IsZero() && holds(n.op, t.Compare(n.time))
	case MemberCount, OrganizerCount:
		return holds(n.op, cmp.Compare(s.Number(n.field), n.num))
	case Parents, Owners, Writers, Readers, Labels:
		return s.Member(n.field, n.text)
	case Properties, AppProperties:
		v, ok := s.Property(n.field, n.text)
		return ok && v == n.text2
	}
	return n.matchText(s.Text(n.field))
}

func (n *node) matchText(have string) bool {
	switch {
	case n.op != Contains:
		// A name is compared without regard to case, as Drive does.
		same := have == n.text || n.field == Name && strings.EqualFold(have, n.text)
		return same == (n.op == Eq)
	case n.field == MimeType:
		return strings.HasPrefix(have, n.text)
	case n.field == FullText && len(n.text) > 1 && n.text[0] == '"' && n.text[len(n.text)-1] == '"':
		return strings.Contains(strings.ToLower(have), strings.ToLower(n.text[1:len(n.text)-1]))
	case n.field == FullText:
		return allWords(tokens(have), n.words, func(have, want string) bool { return have == want })
	default:
		return allWords(tokens(have), n.words, strings.HasPrefix)
	}
}

// allWords says whether every wanted word is met by one that is there. No words are met by nothing.
func allWords(have, want []string, meets func(have, want string) bool) bool {
	for _, w := range want {
		if !slices.ContainsFunc(have, func(h string) bool { return meets(h, w) }) {
			return false
		}
	}
	return len(want) > 0
}

// tokens are the lower-case words of a text: runs of letters and digits.
func tokens(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

func holds(op Op, c int) bool {
	switch op {
	case Eq:
		return c == 0
	case Ne:
		return c != 0
	case Lt:
		return c < 0
	case Le:
		return c <= 0
	case Gt:
		return c > 0
	default:
		return c >= 0
	}
}

// Parents returns folder ids of which every match has one as its parent, without repeats, in the query's order. ok is
// false when a match may lie anywhere.
func (q *Query) Parents() (ids []string, ok bool) {
	if q.root == nil {
		return nil, false
	}
	ids, ok = q.root.parents(nil)
	if !ok {
		return nil, false
	}
	seen := make(map[string]bool, len(ids))
	return slices.DeleteFunc(ids, func(id string) bool {
		again := seen[id]
		seen[id] = true
		return again
	}), true
}

func (n *node) parents(into []string) ([]string, bool) {
	switch n.kind {
	case nTerm:
		if n.field == Parents {
			return append(into, n.text), true
		}
	case nAnd:
		for _, k := range n.kids {
			if ids, ok := k.parents(into); ok {
				return ids, true
			}
		}
	case nOr:
		start := len(into)
		for _, k := range n.kids {
			ids, ok := k.parents(into)
			if !ok {
				return into[:start], false
			}
			into = ids
		}
		return into, true
	}
	return into, false
}

// Requires says whether every match has the flag set to the value.
func (q *Query) Requires(f Field, value bool) bool { return q.root != nil && q.root.requires(f, value) }

func (n *node) requires(f Field, value bool) bool {
	need := func(k *node) bool { return k.requires(f, value) }
	switch n.kind {
	case nTerm:
		return n.field == f && (n.op == Eq) == (n.flag == value)
	case nAnd:
		return slices.ContainsFunc(n.kids, need)
	case nOr:
		return !slices.ContainsFunc(n.kids, func(k *node) bool { return !need(k) })
	}
	return false
}

// Uses says whether the term occurs anywhere.
func (q *Query) Uses(f Field) bool { return q.root != nil && q.root.uses(f) }

func (n *node) uses(f Field) bool {
	return n.kind == nTerm && n.field == f || slices.ContainsFunc(n.kids, func(k *node) bool { return k.uses(f) })
}
