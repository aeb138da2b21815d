package corpus

import (
	"encoding/binary"
	"io"
	"sync"

	"github.com/memsoak/memsoak/fakedrive/corpus/internal/content"
)

// Content is the content of an item: a prefix of a shared stream, then a tail of its own. The zero value is empty.
// It is a small value, safe for concurrent use.
type Content struct {
	key     uint64 // of the tree
	ordinal int64
	prefix  int64
	size    int64
	variant uint32
}

func newContent(t *Tree, n int64, c *sizeClass, rank int64) Content {
	return Content{t.key, n, c.prefix, c.size(rank), c.variant(rank)}
}

// contentOf returns the content of item n.
func (t *Tree) contentOf(n int64) Content {
	t.check(n)
	if n == 0 {
		return Content{}
	}
	at := t.shape.place(n)
	if at.isFolder {
		return Content{}
	}
	c, r := t.content(t.group(at.index))
	if c == nil {
		return Content{}
	}
	return newContent(t, n, c, r)
}

// Size returns the length of the content.
func (c Content) Size() int64 { return c.size }

// Sums returns the wanted checksums of the content; the others are zero. The content of a folder or shortcut, which
// has no key, has none.
func (c Content) Sums(want Hashes) Sums {
	if c == (Content{}) {
		return Sums{}
	}
	x := summers.Get().(*summer)
	defer summers.Put(x)
	x.body.set(c)
	x.sum(want)
	return x.sums
}

// Open returns the content from offset on.
func (c Content) Open(offset int64) *Reader {
	r := &Reader{}
	r.body.set(c)
	r.at, r.end = min(max(offset, 0), c.size), c.size
	return r
}

// body is a content with its tail.
type body struct {
	Content
	tail [minTail + 64]byte
}

func (b *body) set(c Content) {
	b.Content = c
	b.fillTail(c.key, c.ordinal)
}

// fillTail makes the tail from the key and the ordinal. Its first eight bytes are a bijection of the ordinal, so no
// two files of a tree that are at least that long have the same content.
func (b *body) fillTail(key uint64, n int64) {
	x := key + uint64(n)
	for i := 0; i < int(b.size-b.prefix); i += 8 {
		x = content.Mix(x + uint64(i))
		binary.LittleEndian.PutUint64(b.tail[i:], x)
	}
}

func (b *body) ownTail() []byte { return b.tail[:b.size-b.prefix] }

// summer is what it takes to sum a file, kept for the next one.
type summer struct {
	hasher *content.Hasher
	body   body
	sums   Sums
}

var summers = sync.Pool{New: func() any { return &summer{hasher: content.NewHasher()} }}

// sum computes the wanted checksums of the body.
func (x *summer) sum(want Hashes) {
	x.sums = Sums{}
	state := content.At(x.body.variant, x.body.prefix)
	tail := x.body.ownTail()
	for i, to := range [...][]byte{x.sums.MD5[:0], x.sums.SHA1[:0], x.sums.SHA256[:0]} {
		if want&(1<<i) != 0 {
			x.hasher.Set(i, &state, x.body.prefix)
			x.hasher.Hash(i).Write(tail)
			x.hasher.Hash(i).Sum(to)
		}
	}
}

// Sums returns the wanted checksums of item n's content: of a document, of its export, which Drive doesn't tell. The
// others are zero, and those of folders and shortcuts.
func (t *Tree) Sums(n int64, want Hashes) Sums { return t.contentOf(n).Sums(want) }

// Open returns the content of item n from offset on. Folders and shortcuts have none.
func (t *Tree) Open(n, offset int64) *Reader { return t.contentOf(n).Open(offset) }

// OpenRange returns length bytes of the content of item n from offset on, fewer where the content ends before.
func (t *Tree) OpenRange(n, offset, length int64) *Reader {
	r := t.Open(n, offset)
	r.Limit(length)
	return r
}

// Reader reads a range of a file. It can't fail, and isn't safe for concurrent use.
type Reader struct {
	body    body
	at, end int64
	stamp   content.Stamp
}

// Limit ends the range n bytes from here, unless it ends before.
func (r *Reader) Limit(n int64) { r.end = min(r.end, r.at+max(n, 0)) }

// Len returns the number of bytes left.
func (r *Reader) Len() int64 { return r.end - r.at }

// next returns the next bytes, of which there are some. They are read-only.
func (r *Reader) next() []byte {
	if r.at >= r.body.prefix {
		return r.body.ownTail()[r.at-r.body.prefix : r.end-r.body.prefix]
	}
	return content.Chunk(r.body.variant, r.at, min(r.end, r.body.prefix)-r.at, &r.stamp)
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (n int, err error) {
	if r.at >= r.end {
		return 0, io.EOF
	}
	for n < len(p) && r.at < r.end {
		k := copy(p[n:], r.next())
		n += k
		r.at += int64(k)
	}
	return n, nil
}

// WriteTo implements io.WriterTo. What it writes are slices of shared memory of up to 1 MiB.
func (r *Reader) WriteTo(w io.Writer) (n int64, err error) {
	for r.at < r.end {
		b := r.next()
		k, err := w.Write(b)
		r.at += int64(k)
		n += int64(k)
		if err != nil {
			return n, err
		}
		if k < len(b) {
			return n, io.ErrShortWrite
		}
	}
	return n, nil
}
