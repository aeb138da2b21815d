package metadata

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"

	"google.golang.org/api/drive/v3"

	"github.com/memsoak/memsoak/soak/specimens/copier"
)

// entry is what an inventory knows of a file.
type entry struct {
	id   string
	size int64
	meta [232]byte
}

// whileListing returns hooks that list the whole tree before the transfers are through, or file by file when fixed.
func whileListing(fixed bool, h copier.Hooks) copier.Hooks {
	if !fixed {
		h.Queue = eager
	}
	return h
}

// inventory lists the whole tree into memory: an entry per listed file until the wave ends. Fixed, it keeps a window.
type inventory struct {
	mu      sync.Mutex
	entries []*entry
	fixed   bool
}

func newInventory(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		inv := &inventory{fixed: fixed}
		return whileListing(fixed, copier.Hooks{Listed: inv.add, WaveEnd: inv.drop})
	}
}

func (inv *inventory) add(_ context.Context, f copier.File) {
	e := &entry{size: f.Size} // fault:meta-list
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if inv.fixed && len(inv.entries) == 64 {
		clear(inv.entries)
		inv.entries = inv.entries[:0]
	}
	inv.entries = append(inv.entries, e)
}

func (inv *inventory) drop() { inv.entries = nil }

// paths maps each listed file to its full path. Fixed, an entry goes when its file is done.
type paths struct {
	mu    sync.Mutex
	byID  map[string]string
	fixed bool
}

func newPaths(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		p := &paths{byID: map[string]string{}, fixed: fixed}
		return whileListing(fixed, copier.Hooks{
			Listed: func(_ context.Context, f copier.File) { p.put(f) },
			Done:   func(_ context.Context, _ *copier.Worker, f copier.File) { p.done(f) },
			WaveEnd: func() {
				p.byID = map[string]string{}
			},
		})
	}
}

const parents = "/shared drives/engineering/archive/2019/projects/migration/source/media/originals/batch"

func (p *paths) put(f copier.File) {
	full := strings.Repeat(parents, 12) + f.Name // fault:meta-pathmap
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byID[f.ID] = full
}

func (p *paths) done(f copier.File) {
	if p.fixed {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.byID, f.ID)
	}
}

// node is a tree of anything.
type node[T any] struct {
	value    T
	children []*node[T]
}

// insert adds a child and returns it.
func insert[T any](parent *node[T], v T) *node[T] {
	n := &node[T]{value: v} // fault:meta-tree
	parent.children = append(parent.children, n)
	return n
}

// newTree builds the folder tree with a node per file. Fixed, each page is a tree of its own that is soon dropped.
func newTree(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		var mu sync.Mutex
		root := &node[attributes]{}
		return whileListing(fixed, copier.Hooks{
			Page: func(p *copier.Page) {
				mu.Lock()
				defer mu.Unlock()
				if fixed {
					root = &node[attributes]{}
				}
				for _, f := range p.Files {
					insert(root, attributes{size: f.Size})
				}
			},
			WaveEnd: func() { root = &node[attributes]{} },
		})
	}
}

type attributes struct {
	size  int64
	times [3]int64
	sums  [52]byte
	flags [300]byte
}

// newRawEntries keeps each page's entries as decoded JSON values, map and all, until the wave ends.
func newRawEntries(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		var mu sync.Mutex
		var pages []any
		return whileListing(fixed, copier.Hooks{
			Page: func(p *copier.Page) {
				v := decode(p.Raw)
				mu.Lock()
				defer mu.Unlock()
				if fixed {
					pages = pages[:0]
				}
				pages = append(pages, v)
			},
			WaveEnd: func() { pages = nil },
		})
	}
}

func decode(raw []byte) any {
	var v any
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&v); err != nil { // fault:meta-json
		return nil
	}
	return v
}

// newResults gathers a result per finished file for a summary at the wave's end. Fixed, it counts them.
func newResults(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		var mu sync.Mutex
		var all []*result
		count := 0
		return copier.Hooks{
			Done: func(_ context.Context, _ *copier.Worker, f copier.File) {
				mu.Lock()
				defer mu.Unlock()
				if fixed {
					count++
					return
				}
				all = append(all, newResult(f.Size))
			},
			WaveEnd: func() { all, count = nil, 0 },
		}
	}
}

type result struct {
	size int64
	log  [504]byte
}

//go:noinline
func newResult(size int64) *result {
	return &result{size: size} // fault:meta-results
}

// newDriveFiles keeps the Drive library's own files of the whole listing. Fixed, only those of the last page.
func newDriveFiles(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		var mu sync.Mutex
		var all []*drive.File
		return whileListing(fixed, copier.Hooks{
			Page: func(p *copier.Page) {
				mu.Lock()
				defer mu.Unlock()
				if fixed {
					clear(all)
					all = all[:0]
				}
				for _, f := range p.Files {
					all = append(all, driveFile(f))
				}
			},
			WaveEnd: func() { all = nil },
		})
	}
}

func driveFile(f copier.File) *drive.File {
	return &drive.File{Size: f.Size} // fault:meta-drivefiles
}
