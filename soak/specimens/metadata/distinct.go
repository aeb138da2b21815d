package metadata

import (
	"context"
	"hash/fnv"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/memsoak/memsoak/soak/specimens/copier"
)

// visited remembers every file that was ever listed, "to skip duplicates". Fixed, it is a Bloom filter of 32 KiB.
type visited struct {
	mu     sync.Mutex
	seen   map[string]*[896]byte
	filter []uint64
}

func newVisited(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		v := &visited{seen: map[string]*[896]byte{}}
		if fixed {
			v.filter = make([]uint64, 4096)
		}
		return copier.Hooks{Listed: func(_ context.Context, f copier.File) { v.visit(f.ID) }}
	}
}

func (v *visited) visit(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.filter != nil {
		h := fnv.New64a()
		_, _ = h.Write([]byte(id))
		bit := h.Sum64() % uint64(64*len(v.filter))
		v.filter[bit/64] |= 1 << (bit % 64)
		return
	}
	if v.seen[id] == nil {
		entry := new([896]byte) // fault:meta-visited
		for i := range entry {
			entry[i] = id[i%len(id)] // memory without a write has no pages, and kills nothing
		}
		v.seen[strings.Clone(id)] = entry
	}
}

// etags is a cache of each file's last upload, without a bound. Fixed, it forgets all of it after 256 entries.
type etags struct {
	mu    sync.Mutex
	byID  map[string][]byte
	bound int
}

func newEtags(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		c := &etags{byID: map[string][]byte{}}
		if fixed {
			c.bound = 256
		}
		return copier.Hooks{Done: func(_ context.Context, _ *copier.Worker, f copier.File) { c.store(f.ID) }}
	}
}

func (c *etags) store(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byID[id]; ok {
		return
	}
	if c.bound > 0 && len(c.byID) >= c.bound {
		clear(c.byID)
	}
	size := 2048
	if c.bound > 0 {
		size = 64
	}
	c.byID[id] = make([]byte, size) // fault:meta-cache
}

// newPerFileMetrics counts copies by a label with the file's id: a series per distinct file.
func newPerFileMetrics(*copier.Engine) copier.Hooks {
	copies := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "copies_total"}, []string{"file"})
	return copier.Hooks{Done: func(_ context.Context, _ *copier.Worker, f copier.File) { count(copies, f.ID) }}
}

func count(copies *prometheus.CounterVec, id string) {
	copies.WithLabelValues(id).Inc() // fault:meta-labels
}
