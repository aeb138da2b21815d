package queue

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// A record is a length and a checksum (of the payload, Castagnoli), four bytes each, and the payload.
const headerSize = 8

// maxRecord bounds a payload: what claims to be longer is damage.
const maxRecord = 16 << 20

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errShort   = errors.New("record is cut off")
	errDamaged = errors.New("record is damaged")
)

func appendRecord(b, payload []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(payload, castagnoli))
	return append(b, payload...)
}

// nextRecord returns the first record's payload and its whole length.
func nextRecord(b []byte) (payload []byte, size int, err error) {
	if len(b) < headerSize {
		return nil, headerSize, errShort
	}
	n := int(binary.LittleEndian.Uint32(b))
	if n == 0 || n > maxRecord {
		return nil, 0, errDamaged
	}
	if len(b) < headerSize+n {
		return nil, headerSize + n, errShort
	}
	payload = b[headerSize : headerSize+n]
	if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return nil, 0, errDamaged
	}
	return payload, headerSize + n, nil
}

// coder reads varints and texts of a journal entry; after the first error it returns zeros.
type coder struct {
	b   []byte
	bad bool
}

func (c *coder) int() int64 {
	v, n := binary.Varint(c.b)
	if n <= 0 {
		c.bad = true
		c.b = nil
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *coder) bytes() []byte {
	n := c.int()
	if n < 0 || n > int64(len(c.b)) {
		c.bad = true
		c.b = nil
		return nil
	}
	v := c.b[:n]
	c.b = c.b[n:]
	return v
}

func appendInts(b []byte, vs ...int64) []byte {
	for _, v := range vs {
		b = binary.AppendVarint(b, v)
	}
	return b
}

func appendBytes(b, v []byte) []byte {
	return append(binary.AppendVarint(b, int64(len(v))), v...)
}
