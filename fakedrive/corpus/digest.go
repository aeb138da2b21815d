package corpus

import (
	"bytes"
	"crypto/md5"

	"github.com/memsoak/memsoak/fakedrive/corpus/internal/content"
)

// Digest is the MD5 of the bytes written to it, for receivers of a corpus. While they are those of a corpus' stream,
// each is compared with it, and not hashed: the sum of that much of the stream is known. From the first byte that
// differs on, which is the tail of a file, or damage, or another content altogether, they are hashed. So the sum is
// MD5's whatever is written, at ten times the speed for what a corpus serves.
//
// The zero value is the digest of nothing. It isn't safe for concurrent use.
type Digest struct {
	variant uint32
	same    int64         // bytes so far that were the stream's
	head    content.Stamp // the first of them, until they say which stream it is
	left    bool          // the stream was left: hash has all so far
	hash    *content.Hasher
}

// Reset makes it the digest of nothing.
func (d *Digest) Reset() { *d = Digest{hash: d.hash} }

// Write implements io.Writer. It never fails.
func (d *Digest) Write(p []byte) (int, error) {
	n := len(p)
	if !d.left {
		p = d.follow(p)
	}
	if len(p) > 0 {
		d.hash.Hash(0).Write(p)
	}
	return n, nil
}

// follow takes the bytes that equal the stream's and returns the rest.
func (d *Digest) follow(p []byte) []byte {
	if d.same < content.StampSize {
		n := copy(d.head[d.same:], p)
		d.same, p = d.same+int64(n), p[n:]
		if d.same < content.StampSize {
			return nil
		}
		var ok bool
		if d.variant, ok = d.head.Begins(); !ok {
			d.leave()
			return p
		}
	}
	var scratch content.Stamp
	for len(p) > 0 {
		want := content.Chunk(d.variant, d.same, int64(len(p)), &scratch)
		n := len(want)
		if !bytes.Equal(p[:n], want) {
			for n = 0; p[n] == want[n]; n++ {
			}
		}
		d.same, p = d.same+int64(n), p[n:]
		if n < len(want) {
			d.leave()
			return p
		}
	}
	return nil
}

// leave makes hash have all that came so far.
func (d *Digest) leave() {
	d.left = true
	d.sync()
}

func (d *Digest) sync() {
	if d.hash == nil {
		d.hash = content.NewHasher()
	}
	if _, known := d.head.Begins(); d.same < content.StampSize || !known {
		d.hash.Set(0, nil, 0)
		d.hash.Hash(0).Write(d.head[:d.same])
		return
	}
	const block = md5.BlockSize
	from := d.same / block * block
	state := content.At(d.variant, from)
	d.hash.Set(0, &state, from)
	_ = content.WriteRange(d.hash.Hash(0), d.variant, from, d.same-from) // a hash can't fail
}

// Sum returns the MD5 of the bytes written so far.
func (d *Digest) Sum() (sum [md5.Size]byte) {
	if !d.left {
		d.sync()
	}
	d.hash.Hash(0).Sum(sum[:0])
	return sum
}
