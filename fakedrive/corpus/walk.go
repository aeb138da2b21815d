package corpus

import (
	"iter"
	"slices"
)

// All yields every item in the order of ordinals, the root first.
func (t *Tree) All() iter.Seq[Item] {
	return func(yield func(Item) bool) {
		for n := range t.items {
			if !yield(t.Item(n)) {
				return
			}
		}
	}
}

// Path returns the names from the root's child down to item n. Names may contain "/".
func (t *Tree) Path(n int64) []string {
	var names []string
	for n > 0 {
		at := t.shape.place(n)
		names = append(names, t.name(n, at))
		n = at.parent
	}
	slices.Reverse(names)
	return names
}
