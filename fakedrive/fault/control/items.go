package control

import "sync/atomic"

// itemsPerChunk is how many items one lazily made chunk covers, 32 in a word: 8 KiB.
const itemsPerChunk = 1 << 15

// Items remembers of each file of a tree, by ordinal, whether it was listed and whether it is done: the backlog and
// the distinct files, exactly, in two bits a file that was touched. It is safe for concurrent use.
type Items struct {
	c      *Control
	n      int64
	chunks []atomic.Pointer[itemChunk]
}

// itemChunk has two bits an item, side by side in one word so that one atomic operation sees both.
type itemChunk [itemsPerChunk / 32]atomic.Uint64

const (
	listedBit = 1
	doneBit   = 2
)

// NewItems returns the memory of a tree of n items. It grows with the items that are touched.
func (c *Control) NewItems(n int64) *Items {
	return &Items{c: c, n: n, chunks: make([]atomic.Pointer[itemChunk], (n+itemsPerChunk-1)/itemsPerChunk)}
}

// Listed notes that the file was sent in a list page. Ordinals outside the tree are ignored.
func (it *Items) Listed(ordinal int64) {
	if it.mark(ordinal, listedBit) == 0 {
		it.c.backlog.Add(1)
	}
}

// Done notes that the file has been finished.
func (it *Items) Done(ordinal int64) {
	switch it.mark(ordinal, doneBit) {
	case 0:
		it.c.distinct.Add(1)
	case listedBit:
		it.c.distinct.Add(1)
		it.c.backlog.Add(-1)
	}
}

// mark sets a bit of an item and returns both as they were before; both set for an ordinal outside the tree.
func (it *Items) mark(ordinal int64, bit uint64) uint64 {
	if ordinal < 0 || ordinal >= it.n {
		return listedBit | doneBit
	}
	p := &it.chunks[ordinal/itemsPerChunk]
	ch := p.Load()
	if ch == nil {
		p.CompareAndSwap(nil, new(itemChunk))
		ch = p.Load()
	}
	shift := ordinal % 32 * 2
	return ch[ordinal%itemsPerChunk/32].Or(bit<<shift) >> shift & (listedBit | doneBit)
}
