package content

import (
	"encoding/binary"
	"io"
	"strconv"
	"sync"
)

// A stream is cut into blocks of BlockSize bytes. A block starts with a stamp of StampSize bytes that says in plain
// text where it belongs; the rest is a slice of one pool of random bytes, at an offset drawn from variant and block.
// The streams are frozen: the committed table of checksums depends on every byte of them.
const (
	BlockSize = 1 << 20
	StampSize = 64
	poolSize  = 2 << 20
)

// pool returns the random bytes that all streams share. Callers must not write to them.
var pool = sync.OnceValue(func() []byte {
	b := make([]byte, poolSize)
	x := uint64(0x6d656d736f616b21)
	for i := 0; i < len(b); i += 8 {
		x += golden
		binary.LittleEndian.PutUint64(b[i:], Mix(x))
	}
	return b
})

const golden = 0x9e3779b97f4a7c15

// How many variants of content there are for files of at most SmallSize bytes, and for larger ones up to 4 GiB; beyond,
// all files share one.
const (
	SmallVariants = 64
	SmallSize     = 64 << 10
	LargeVariants = 8
	SharedSize    = 4 << 30
)

// Mix is a bijection of 64-bit numbers that scatters its argument (the finalizer of splitmix64).
func Mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// body returns the bytes of a block behind its stamp.
func body(variant uint32, block int64) []byte {
	const places = (poolSize-BlockSize)/StampSize + 1
	off := Mix(uint64(block)*golden+uint64(variant)+1) % places * StampSize
	return pool()[off:][: BlockSize-StampSize : BlockSize-StampSize]
}

const stampText = "memsoak corpus: variant 00000000, offset 0000000000000000 bytes\n"

// Stamp is the head of a block.
type Stamp [StampSize]byte

// Set makes s the stamp of a block.
func (s *Stamp) Set(variant uint32, block int64) {
	copy(s[:], stampText)
	putHex(s[24:32], uint64(variant))
	putHex(s[41:57], uint64(block)*BlockSize)
}

// Begins says which of the variants begins with s, if one does.
func (s *Stamp) Begins() (variant uint32, ok bool) {
	v, err := strconv.ParseUint(string(s[24:32]), 16, 32)
	if err != nil || v >= SmallVariants {
		return 0, false
	}
	var want Stamp
	want.Set(uint32(v), 0)
	return uint32(v), *s == want
}

func putHex(b []byte, v uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = "0123456789abcdef"[v&15]
		v >>= 4
	}
}

// Chunk returns bytes of a stream from offset on: at least one, at most limit and never beyond a block's stamp or
// body. The slice is shared and read-only, or a part of scratch.
func Chunk(variant uint32, offset, limit int64, scratch *Stamp) []byte {
	block, at := offset/BlockSize, offset%BlockSize
	if at < StampSize {
		scratch.Set(variant, block)
		return scratch[at:min(at+limit, StampSize)]
	}
	b := body(variant, block)[at-StampSize:]
	return b[:min(limit, int64(len(b)))]
}

// WriteRange writes length bytes of a stream from offset on.
func WriteRange(w io.Writer, variant uint32, offset, length int64) error {
	var scratch Stamp
	for length > 0 {
		b := Chunk(variant, offset, length, &scratch)
		if _, err := w.Write(b); err != nil {
			return err
		}
		offset += int64(len(b))
		length -= int64(len(b))
	}
	return nil
}
