package fakes3

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Object is what the sink remembers of an object.
type Object struct {
	Key     string
	Size    int64
	ModTime time.Time
	// MD5 is the content's MD5 or, for an object that was uploaded in parts, the MD5 of the parts' MD5s.
	MD5 [md5.Size]byte
	// Parts are the sizes of the parts in order, equal neighbours together. It is nil for an object uploaded whole.
	Parts []PartRun
	// Headers are the headers kept with the object, by canonical name: Content-Type and the like, X-Amz-Meta-*.
	Headers map[string]string
}

// PartRun is Count neighbouring parts of the same Size.
type PartRun struct {
	Size  int64 `json:"size"`
	Count int64 `json:"count"`
}

// metaPrefix starts the header of a client's own metadata.
const metaPrefix = "X-Amz-Meta-"

// ETag is the entity tag without quotes.
func (o *Object) ETag() string {
	tag := hex.EncodeToString(o.MD5[:])
	if o.Parts == nil {
		return tag
	}
	parts := int64(0)
	for _, r := range o.Parts {
		parts += r.Count
	}
	return fmt.Sprintf("%s-%d", tag, parts)
}

// Metadata is the client's own metadata, names in lower case.
func (o *Object) Metadata() map[string]string {
	m := map[string]string{}
	for name, v := range o.Headers {
		if rest, ok := strings.CutPrefix(name, metaPrefix); ok {
			m[strings.ToLower(rest)] = v
		}
	}
	return m
}

// record is an Object but for its key, packed: a million of them are strings without pointers.
// Size and time as 8 bytes each, MD5, number of runs, the runs, then names and values of the headers, each ended by a
// zero byte (which no header can have).
type record string

func pack(o *Object) record {
	b := make([]byte, 0, 64)
	b = binary.LittleEndian.AppendUint64(b, uint64(o.Size))
	b = binary.LittleEndian.AppendUint64(b, uint64(o.ModTime.UnixNano()))
	b = append(b, o.MD5[:]...)
	b = binary.AppendUvarint(b, uint64(len(o.Parts)))
	for _, r := range o.Parts {
		b = binary.AppendUvarint(b, uint64(r.Size))
		b = binary.AppendUvarint(b, uint64(r.Count))
	}
	names := make([]string, 0, len(o.Headers))
	for n := range o.Headers {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		b = append(append(b, n...), 0)
		b = append(append(b, o.Headers[n]...), 0)
	}
	return record(b)
}

func (r record) size() int64 { return int64(binary.LittleEndian.Uint64([]byte(r[:8]))) }

func (r record) object(key string) *Object {
	b := []byte(r)
	o := &Object{
		Key:     key,
		Size:    int64(binary.LittleEndian.Uint64(b)),
		ModTime: time.Unix(0, int64(binary.LittleEndian.Uint64(b[8:]))).UTC(),
		MD5:     [md5.Size]byte(b[16:32]),
		Headers: map[string]string{},
	}
	b = b[32:]
	uvarint := func() int64 {
		v, n := binary.Uvarint(b)
		b = b[n:]
		return int64(v)
	}
	for range uvarint() {
		o.Parts = append(o.Parts, PartRun{Size: uvarint(), Count: uvarint()})
	}
	fields := strings.Split(string(b), "\x00")
	for i := 0; i+1 < len(fields); i += 2 {
		o.Headers[fields[i]] = fields[i+1]
	}
	return o
}
