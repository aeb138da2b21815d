package content

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"hash"
	"sync"
)

// MD5Size is the length of the MD5 part, which comes first in a State.
const MD5Size = md5.Size

// StateSize is the length of a State in the table.
const StateSize = md5.Size + sha1.Size + sha256.Size

// State is what the three hashes have come to after a whole number of their 64-byte blocks: MD5's chaining value,
// then SHA-1's, then SHA-256's.
type State [StateSize]byte

// The pieces of a State, and of the form in which Go's hashes are saved: a magic prefix, the chaining value, a block
// of unprocessed bytes, the number of bytes so far.
var parts = [3]struct {
	from, to int
	new      func() hash.Hash
}{
	{0, md5.Size, md5.New},
	{md5.Size, md5.Size + sha1.Size, sha1.New},
	{md5.Size + sha1.Size, StateSize, sha256.New},
}

const magicSize, savedBlock, savedCount = 4, 64, 8

// Hasher is the three hashes, which can be set to a State. Get one from a Pool; it isn't safe for concurrent use.
type Hasher struct {
	h     [3]hash.Hash
	fresh [3][]byte // the saved form of the empty hash
	saved [3][]byte // scratch
}

// NewHasher returns hashes of nothing.
func NewHasher() *Hasher {
	x := &Hasher{}
	for i, p := range parts {
		x.h[i] = p.new()
		b, err := x.h[i].(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil || len(b) != magicSize+p.to-p.from+savedBlock+savedCount {
			panic("content: this version of Go saves its hashes in another form")
		}
		x.fresh[i], x.saved[i] = b, append([]byte(nil), b...)
	}
	return x
}

// Hash returns one of the hashes: 0 is MD5, 1 is SHA-1, 2 is SHA-256.
func (x *Hasher) Hash(i int) hash.Hash { return x.h[i] }

// Set makes hash i continue behind the first n bytes, whose state is s. n is a multiple of 64; with n = 0 the state
// is ignored.
func (x *Hasher) Set(i int, s *State, n int64) {
	p, b := parts[i], x.saved[i]
	if n == 0 {
		copy(b, x.fresh[i])
	} else {
		copy(b[magicSize:], s[p.from:p.to])
		binary.BigEndian.PutUint64(b[len(b)-savedCount:], uint64(n))
	}
	if err := x.h[i].(encoding.BinaryUnmarshaler).UnmarshalBinary(b); err != nil {
		panic("content: " + err.Error())
	}
}

// save stores the state of hash i in s.
func (x *Hasher) save(i int, s *State) {
	b, err := x.h[i].(encoding.BinaryAppender).AppendBinary(x.saved[i][:0])
	if err != nil {
		panic("content: " + err.Error())
	}
	copy(s[parts[i].from:parts[i].to], b[magicSize:])
}

// Advance returns the state at offset to of a stream, from the state at from. Both are multiples of 64.
func Advance(variant uint32, s State, from, to int64) State {
	x := hashers.Get().(*Hasher)
	defer hashers.Put(x)
	for i := range parts {
		s.Continue(x, i, variant, from, to)
	}
	return s
}

// Continue advances hash i of the state alone, so that two goroutines can share the work.
func (s *State) Continue(x *Hasher, i int, variant uint32, from, to int64) {
	x.Set(i, s, from)
	if err := WriteRange(x.h[i], variant, from, to-from); err != nil {
		panic("content: a hash failed to write: " + err.Error())
	}
	x.save(i, s)
}

var hashers = sync.Pool{New: func() any { return NewHasher() }}
