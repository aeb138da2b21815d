// Package caches has caches that are bounded: they grow with distinct files and then stay. Their size is a finding,
// not a fault. The line that a verdict should name ends in a comment "fault:NAME".
package caches

import (
	"context"
	"sync"

	"github.com/golang/groupcache/lru"
	hashilru "github.com/hashicorp/golang-lru/v2"

	"github.com/memsoak/memsoak/soak/specimens/copier"
	"github.com/memsoak/memsoak/soak/specimens/specimen"
)

// All returns the package's specimens.
func All() []specimen.Specimen {
	return []specimen.Specimen{
		{Name: "cache-lru", Hooks: newThumbnails(400)},
		{Name: "cache-groupcache", Hooks: newPreviews(300)},
		{Name: "cache-map", Hooks: newHeaders(500)},
		{Name: "ok-warm", Hooks: newWarm(256)},
		{Name: "ok-smallcache", Hooks: newThumbnails(4)},
	}
}

// newThumbnails keeps an image of 4 KiB of each of the n files used last, in a third party's LRU.
func newThumbnails(n int) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		cache, err := hashilru.New[string, []byte](n)
		if err != nil {
			panic(err) // n is a positive constant
		}
		return copier.Hooks{Done: func(_ context.Context, _ *copier.Worker, f copier.File) {
			if !cache.Contains(f.ID) {
				cache.Add(f.ID, thumbnail(f))
			}
		}}
	}
}

func thumbnail(f copier.File) []byte {
	b := make([]byte, 4096) // fault:cache-lru
	copy(b, f.Name)
	return b
}

// newPreviews is the same with another library and a value of 3 KiB.
//
//go:noinline
func newPreviews(n int) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		var mu sync.Mutex
		cache := lru.New(n)
		return copier.Hooks{Done: func(_ context.Context, _ *copier.Worker, f copier.File) {
			mu.Lock()
			defer mu.Unlock()
			if _, ok := cache.Get(f.ID); !ok {
				p := new(preview) // fault:cache-groupcache
				cache.Add(f.ID, p)
			}
		}}
	}
}

type preview struct{ pixels [3072]byte }

// headers is a plain map that evicts the entry it has had longest.
type headers struct {
	mu    sync.Mutex
	byID  map[string]*header
	order []string
	next  int
}

type header struct{ raw [2048]byte }

func newHeaders(n int) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		h := &headers{byID: make(map[string]*header, n), order: make([]string, n)}
		return copier.Hooks{Listed: func(_ context.Context, f copier.File) { h.put(f.ID) }}
	}
}

func (h *headers) put(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.byID[id]; ok {
		return
	}
	delete(h.byID, h.order[h.next])
	h.order[h.next] = id
	h.next = (h.next + 1) % len(h.order)
	h.byID[id] = &header{} // fault:cache-map
}

// newWarm is a cache that is full from the start: entries are replaced, the size never changes.
func newWarm(n int) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		slots := make([][]byte, n)
		for i := range slots {
			slots[i] = make([]byte, 4096)
		}
		var mu sync.Mutex
		return copier.Hooks{Done: func(_ context.Context, _ *copier.Worker, f copier.File) {
			mu.Lock()
			defer mu.Unlock()
			slots[e.Sequence()%int64(n)] = append(make([]byte, 0, 4096), f.ID...)
		}}
	}
}
