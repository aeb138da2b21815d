// Package recent is the smallest library with a memtest: it remembers the last names that it saw.
package recent

import "sync"

// List keeps the last names, up to a bound. The zero List keeps 100.
type List struct {
	Bound int

	mu    sync.Mutex
	names []string
}

// Saw adds a name.
func (l *List) Saw(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	bound := l.Bound
	if bound == 0 {
		bound = 100
	}
	if len(l.names) == bound {
		copy(l.names, l.names[1:]) // without this the list is a leak, and the test names this file
		l.names = l.names[:bound-1]
	}
	l.names = append(l.names, name)
}

// Names are the last names, the oldest first.
func (l *List) Names() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.names...)
}
