// Package index keeps account of what was copied.
package index

import "sync"

// Index counts the files that were copied.
type Index struct {
	mu     sync.Mutex
	copied int
}

// Add notes a file.
func (i *Index) Add(id string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.copied++
}
