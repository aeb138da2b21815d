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

// Walk calls visit for every item below folder n, parents before their children and siblings in order; names are those
// from n's child down to the item, valid during the call only. An error ends the walk and is returned.
func (t *Tree) Walk(n int64, visit func(it Item, names []string) error) error {
	type todo struct{ next, end int64 }
	var stack []todo
	var names []string
	push := func(n int64) {
		first, count := t.Children(n)
		stack = append(stack, todo{first, first + count})
	}
	for push(n); len(stack) > 0; {
		top := &stack[len(stack)-1]
		names = names[:len(stack)-1]
		if top.next == top.end {
			stack = stack[:len(stack)-1]
			continue
		}
		it := t.Item(top.next)
		top.next++
		names = append(names, it.Name)
		if err := visit(it, names); err != nil {
			return err
		}
		if it.Kind == Folder {
			push(it.Ordinal)
		}
	}
	return nil
}
