package heldout

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"expvar"
	"hash/fnv"
	"slices"
	"sync"
	"text/template"

	"github.com/hashicorp/golang-lru/v2"

	"github.com/memsoak/memsoak/soak/specimens/copier"
)

// sorted has everything that was ever listed in the order of its digest, to find duplicates by bisection.
type sorted struct {
	mu   sync.Mutex
	seen []*known
}

type known struct {
	digest    [sha256.Size]byte
	size      int64
	locations [152]byte
}

func newSorted(*copier.Engine) copier.Hooks {
	s := &sorted{}
	return copier.Hooks{Listed: func(_ context.Context, f copier.File) { s.add(sha256.Sum256([]byte(f.ID)), f.Size) }}
}

func (s *sorted) add(digest [sha256.Size]byte, size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, found := slices.BinarySearchFunc(s.seen, digest, func(k *known,
		d [sha256.Size]byte) int {
		return bytes.Compare(k.digest[:], d[:])
	})
	if found {
		return
	}
	k := &known{digest: digest, size: size} // fault:meta-sorted
	s.seen = slices.Insert(s.seen, at, k)
}

// counters publishes how often each file was copied, as a variable per file.
type counters struct{ copies *expvar.Map }

func newCounters(*copier.Engine) copier.Hooks {
	c := &counters{copies: new(expvar.Map).Init()}
	return done(func(f copier.File) {
		digest := sha256.Sum256([]byte(f.ID))
		c.count(digest[:])
	})
}

func (c *counters) count(digest []byte) {
	c.copies.Add(hex.EncodeToString(digest), 1) // fault:meta-expvar
}

// templates caches a parsed template of the notification by kind and file, where the kind alone would do.
type templates struct {
	mu     sync.Mutex
	parsed map[string]*template.Template
	out    bytes.Buffer
}

const notification = `{"kind": "{{.Kind}}", "size": {{.File.Size}}{{if .File.Name}}, "name": "{{.File.Name}}"{{end}}}`

func newTemplates(*copier.Engine) copier.Hooks {
	t := &templates{parsed: map[string]*template.Template{}}
	return copier.Hooks{Done: func(_ context.Context, _ *copier.Worker, f copier.File) {
		kind := "small"
		if f.Size > 1<<20 {
			kind = "large"
		}
		t.notify(kind, f)
	}}
}

func (t *templates) notify(kind string, f copier.File) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := kind + ":" + f.ID
	if t.parsed[key] == nil {
		t.parsed[key] = template.Must(template.New("notification").Parse(notification)) // fault:meta-template
	}
	t.out.Reset()
	_ = t.parsed[key].Execute(&t.out, struct { // the template is a constant, the buffer doesn't fail
		Kind string
		File copier.File
	}{kind, f})
}

// newRenditions keeps an image of each of 360 files in a cache with two queues.
func newRenditions(*copier.Engine) copier.Hooks {
	cache, err := lru.New2Q[string, *rendition](renditions)
	if err != nil {
		panic(err) // the size is a positive constant
	}
	return done(func(f copier.File) {
		if _, ok := cache.Get(f.ID); !ok {
			cache.Add(f.ID, render(f.Size))
		}
	})
}

const renditions = 360

type rendition struct {
	size   int64
	pixels [5368]byte
}

//go:noinline
func render(size int64) *rendition {
	return &rendition{size: size} // fault:cache-2q
}

// fresh is a cache of 128 replies that are forgotten after so many transfers: old ones go before new ones come.
type fresh struct {
	mu    sync.Mutex
	byID  map[string]*reply
	order []*reply // oldest first
}

type reply struct {
	id      string
	expires int64
	header  [968]byte
}

const freshFor = 128

func newFresh(e *copier.Engine) copier.Hooks {
	c := &fresh{byID: map[string]*reply{}}
	return done(func(f copier.File) { c.store(e.Sequence(), f.ID) })
}

func (c *fresh) store(now int64, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.order) > 0 && c.order[0].expires <= now {
		delete(c.byID, c.order[0].id)
		c.order = slices.Delete(c.order, 0, 1)
	}
	if c.byID[id] == nil {
		r := &reply{id: id, expires: now + freshFor}
		c.byID[id] = r
		c.order = append(c.order, r)
	}
}

// newAlphabet interns the extension of each file, of which there are sixteen, with a record of 512 bytes.
func newAlphabet(*copier.Engine) copier.Hooks {
	var mu sync.Mutex
	interned := map[string]*[512]byte{}
	return done(func(f copier.File) {
		h := fnv.New32a()
		h.Write([]byte(f.ID))
		extension := "." + hex.EncodeToString([]byte{byte(h.Sum32() % 16)})
		mu.Lock()
		defer mu.Unlock()
		if interned[extension] == nil {
			interned[extension] = new([512]byte)
		}
		interned[extension][h.Sum32()%512]++
	})
}
