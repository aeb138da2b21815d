package fakedrive

import (
	"cmp"
	"container/heap"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/memsoak/memsoak/fakedrive/internal/resource"
	"github.com/memsoak/memsoak/fakedrive/internal/store"
)

// maxSorted is the number of files in a scope beyond which the order that was asked for is ignored, as Drive's
// documentation says it is for users with about a million files.
const maxSorted = 1_000_000

// ordering is an orderBy parameter.
type ordering struct{ keys []orderKey }

type orderKey struct {
	name string
	desc bool
}

// sortKey is a file's place in an ordering: one value a key.
type sortKey struct {
	Text []string `json:"t,omitempty"`
	Num  []int64  `json:"n,omitempty"`
	At   store.Position
}

// orderKeys are the sort keys of the documentation.
var orderKeys = []string{"createdTime", "folder", "modifiedByMeTime", "modifiedTime", "name", "name_natural",
	"quotaBytesUsed",
	"recency", "sharedWithMeTime", "starred", "viewedByMeTime"}

// parseOrder reads an orderBy parameter; an empty one is nil.
func parseOrder(text string) (*ordering, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	o := &ordering{}
	for part := range strings.SplitSeq(text, ",") {
		words := strings.Fields(part)
		if len(words) == 0 || len(words) > 2 || !slices.Contains(orderKeys, words[0]) {
			return nil, fmt.Errorf("unknown sort key %q", strings.TrimSpace(part))
		}
		k := orderKey{name: words[0]}
		if len(words) == 2 {
			if words[1] != "desc" {
				return nil, fmt.Errorf("unknown direction %q; want desc", words[1])
			}
			k.desc = true
		}
		o.keys = append(o.keys, k)
	}
	if len(o.keys) > len(orderKeys) {
		return nil, fmt.Errorf("%d sort keys, at most %d", len(o.keys), len(orderKeys))
	}
	return o, nil
}

// key computes a file's place.
func (o *ordering) key(f *resource.File, me *resource.User, at store.Position) *sortKey {
	k := &sortKey{At: at, Text: make([]string, len(o.keys)), Num: make([]int64, len(o.keys))}
	for i, ok := range o.keys {
		switch ok.name {
		case "name", "name_natural":
			k.Text[i] = strings.ToLower(f.Name)
		case "folder":
			if !f.IsFolder() {
				k.Num[i] = 1
			}
		case "starred":
			if !f.Starred {
				k.Num[i] = 1
			}
		case "quotaBytesUsed":
			k.Num[i], _ = f.Size()
		default:
			k.Num[i] = timeKey(ok.name, f, me).UnixNano()
		}
	}
	return k
}

func timeKey(name string, f *resource.File, me *resource.User) time.Time {
	switch name {
	case "createdTime":
		return f.Created
	case "modifiedByMeTime":
		return orEpoch(f.ModifiedByMe(me))
	case "sharedWithMeTime":
		return orEpoch(f.SharedAt)
	case "viewedByMeTime":
		return orEpoch(f.Viewed)
	case "recency":
		if f.Viewed.After(f.Modified) {
			return f.Viewed
		}
	}
	return f.Modified
}

func orEpoch(t time.Time) time.Time {
	if t.IsZero() {
		return time.Unix(0, 0)
	}
	return t
}

// compare orders two places; files that are equal in every key keep the order of the enumeration.
func (o *ordering) compare(a, b *sortKey) int {
	for i, k := range o.keys {
		var c int
		switch k.name {
		case "name":
			c = strings.Compare(a.Text[i], b.Text[i])
		case "name_natural":
			c = compareNatural(a.Text[i], b.Text[i])
		default:
			c = cmp.Compare(a.Num[i], b.Num[i])
		}
		if k.desc {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Or(cmp.Compare(a.At.Segment, b.At.Segment), cmp.Compare(a.At.Next, b.At.Next))
}

// fits says whether a key from a page token has the shape of this ordering's keys.
func (o *ordering) fits(k *sortKey) bool {
	return len(k.Text) == len(o.keys) && len(k.Num) == len(o.keys)
}

// compareNatural compares with runs of digits as numbers: file2 before file10.
func compareNatural(a, b string) int {
	for a != "" && b != "" {
		da, db := digits(a), digits(b)
		if da == 0 || db == 0 {
			if a[0] != b[0] {
				return cmp.Compare(a[0], b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		na, nb := strings.TrimLeft(a[:da], "0"), strings.TrimLeft(b[:db], "0")
		if c := cmp.Or(cmp.Compare(len(na), len(nb)), strings.Compare(na, nb)); c != 0 {
			return c
		}
		a, b = a[da:], b[db:]
	}
	return cmp.Compare(len(a), len(b))
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// topKeys is a heap with the largest key on top: the smallest keys seen so far.
type topKeys struct {
	o    *ordering
	keys []*sortKey
}

func (t *topKeys) Len() int           { return len(t.keys) }
func (t *topKeys) Less(i, j int) bool { return t.o.compare(t.keys[i], t.keys[j]) > 0 }
func (t *topKeys) Swap(i, j int)      { t.keys[i], t.keys[j] = t.keys[j], t.keys[i] }
func (t *topKeys) Push(x any)         { t.keys = append(t.keys, x.(*sortKey)) }
func (t *topKeys) Pop() any {
	last := t.keys[len(t.keys)-1]
	t.keys = t.keys[:len(t.keys)-1]
	return last
}

// fillOrdered writes the page of the smallest keys after the last page's. It visits the whole scope for each page but
// keeps no more than a page of keys.
func (p *page) fillOrdered(place listPlace) (next listPlace, more bool, err error) {
	if place.After == nil && place.Position != (store.Position{}) {
		// The scope was too large to sort when the listing began.
		return p.unordered(place)
	}
	if place.After != nil && !p.l.order.fits(place.After) {
		return next, false, errInvalid("pageToken", fmt.Errorf("the page token has another order"))
	}
	top := &topKeys{o: p.l.order}
	want, me := p.l.size+1, p.c.store.Me()
	_, tooMany, err := p.c.store.Scan(p.l.scope, store.Position{}, maxSorted, func(f store.Found, at store.Position) bool {
		if !p.l.match.matches(f.File) {
			return true
		}
		k := p.l.order.key(f.File, &me, at)
		if place.After != nil && p.l.order.compare(k, place.After) <= 0 {
			return true
		}
		if top.Len() == want {
			if p.l.order.compare(k, top.keys[0]) >= 0 {
				return true
			}
			heap.Pop(top)
		}
		heap.Push(top, k)
		return true
	})
	if err != nil {
		return next, false, scanError(err)
	}
	if tooMany {
		return p.unordered(place)
	}
	slices.SortFunc(top.keys, p.l.order.compare)
	for i, k := range top.keys {
		if i == p.l.size {
			return next, true, nil
		}
		if f, ok := p.c.store.At(p.l.scope, k.At); ok {
			p.add(f)
		}
		next = listPlace{After: k}
	}
	return listPlace{}, false, nil
}

func (p *page) unordered(place listPlace) (listPlace, bool, error) {
	p.l.order = nil
	return p.fill(place)
}
