package corpus

import (
	"encoding/binary"
	"io"
	"sync"

	"memsoak/fakedrive/corpus/internal/content"
)

// body is the content of one file: a prefix of a shared stream, then a tail of its own.
type body struct {
	variant uint32
	prefix  int64
	tail    [minTail + 64]byte
	size    int64
}

// body returns the content of item n; ok is false for folders and shortcuts.
func (t *Tree) body(n int64) (b body, ok bool) {
	t.check(n)
	if n == 0 {
		return b, false
	}
	at := t.shape.place(n)
	if at.isFolder {
		return b, false
	}
	c, r := t.content(t.group(at.index))
	if c == nil {
		return b, false
	}
	b.variant, b.prefix, b.size = c.variant(r), c.prefix, c.size(r)
	b.fillTail(t.key, n)
	return b, true
}

// fillTail makes the tail from the key and the ordinal. Its first eight bytes are a bijection of the ordinal, so no
// two files of a tree that are at least that long have the same content.
func (b *body) fillTail(key uint64, n int64) {
	x := key + uint64(n)
	for i := 0; i < len(b.tail); i += 8 {
		x = content.Mix(x + uint64(i))
		binary.LittleEndian.PutUint64(b.tail[i:], x)
	}
}

func (b *body) ownTail() []byte { return b.tail[:b.size-b.prefix] }

// sum sets the wanted checksums.
func (b *body) sum(s *Sums, want Hashes) {
	state := content.At(b.variant, b.prefix)
	h := hashers.Get().(*content.Hasher)
	defer hashers.Put(h)
	tail := b.ownTail()
	for i, to := range [...][]byte{s.MD5[:0], s.SHA1[:0], s.SHA256[:0]} {
		if want&(1<<i) != 0 {
			h.Set(i, &state, b.prefix)
			h.Hash(i).Write(tail)
			h.Hash(i).Sum(to)
		}
	}
}

var hashers = sync.Pool{New: func() any { return content.NewHasher() }}

// Sums returns the checksums of item n's content: of a document, of its export, which Drive doesn't tell. They are
// zero for folders and shortcuts.
func (t *Tree) Sums(n int64) Sums { return t.SumsOf(n, AllHashes) }

// SumsOf returns the wanted checksums of item n's content; the others are zero.
func (t *Tree) SumsOf(n int64, want Hashes) (s Sums) {
	if b, ok := t.body(n); ok {
		b.sum(&s, want)
	}
	return s
}

// Open returns the content of item n from offset on. Folders and shortcuts have none.
func (t *Tree) Open(n, offset int64) *Reader { return t.OpenRange(n, offset, MaxSize) }

// OpenRange returns length bytes of the content of item n from offset on, fewer where the content ends before.
func (t *Tree) OpenRange(n, offset, length int64) *Reader {
	r := &Reader{}
	r.body, _ = t.body(n)
	r.at = min(max(offset, 0), r.body.size)
	r.end = r.at + min(max(length, 0), r.body.size-r.at)
	return r
}

// Reader reads a range of a file. It can't fail, and isn't safe for concurrent use.
type Reader struct {
	body    body
	at, end int64
	stamp   content.Stamp
}

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
