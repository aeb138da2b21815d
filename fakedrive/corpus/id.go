package corpus

import (
	"encoding/base64"
	"encoding/binary"

	"github.com/memsoak/memsoak/fakedrive/corpus/internal/content"
)

// IDLen is the length of an id: 33 characters that are safe in URLs, like Drive's.
const IDLen = 33

const idBytes = 24

// Key identifies a tree among the trees that one server serves.
type Key struct {
	Tag        uint32 // hash of the spec
	Generation uint64
}

// An id is three words, in base64 behind a "1": the ordinal, the generation, and the tree's tag with a check of all
// three. Each of the first two is scrambled by those behind it, so that ids look drawn and neighbours differ.
type idCoder struct{ key Key }

const idSalt = 0x6472697665696473

func idCheck(n int64, generation uint64, tag uint32) uint64 {
	h := content.Mix(uint64(n) ^ idSalt)
	h = content.Mix(h ^ generation)
	return content.Mix(h^uint64(tag)) >> 32
}

func (c idCoder) append(b []byte, n int64) []byte {
	third := idCheck(n, c.key.Generation, c.key.Tag)<<32 | uint64(c.key.Tag)
	// The tag alone would be the same in all ids of a tree: scramble it by the check.
	third ^= content.Mix(third>>32) & 0xffffffff
	second := c.key.Generation ^ content.Mix(third)
	first := uint64(n) ^ content.Mix(second+third)
	var raw [idBytes]byte
	binary.BigEndian.PutUint64(raw[0:], first)
	binary.BigEndian.PutUint64(raw[8:], second)
	binary.BigEndian.PutUint64(raw[16:], third)
	return base64.RawURLEncoding.AppendEncode(append(b, '1'), raw[:])
}

// ParseID says which item of which tree the id names; ok is false for any other string. The ordinal may
// lie past the tree's last item: dangling shortcuts point there.
func ParseID(id string) (k Key, n int64, ok bool) {
	if len(id) != IDLen || id[0] != '1' {
		return Key{}, 0, false
	}
	var text [IDLen - 1]byte
	copy(text[:], id[1:])
	var raw [idBytes]byte
	if k, err := base64.RawURLEncoding.Decode(raw[:], text[:]); err != nil || k != idBytes {
		return Key{}, 0, false
	}
	first := binary.BigEndian.Uint64(raw[0:])
	second := binary.BigEndian.Uint64(raw[8:])
	third := binary.BigEndian.Uint64(raw[16:])
	n = int64(first ^ content.Mix(second+third))
	k.Generation = second ^ content.Mix(third)
	check := third >> 32
	k.Tag = uint32(third ^ content.Mix(check))
	if n < 0 || check != idCheck(n, k.Generation, k.Tag) {
		return Key{}, 0, false
	}
	return k, n, true
}

// Key returns the tree's key.
func (t *Tree) Key() Key { return t.ids.key }

// ID returns the Drive id of item n. It is defined for ordinals past the last item as well.
func (t *Tree) ID(n int64) string {
	var b [IDLen]byte
	return string(t.ids.append(b[:0], n))
}

// Ordinal returns the item with the id; ok is false for ids of other trees and generations, and for those past the
// last item.
func (t *Tree) Ordinal(id string) (n int64, ok bool) {
	k, n, ok := ParseID(id)
	if !ok || k != t.ids.key || n >= t.items {
		return 0, false
	}
	return n, true
}
