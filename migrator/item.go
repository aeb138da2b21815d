package migrator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Kind is what a worker has to do with an item.
type Kind uint8

// The kinds of items.
const (
	Folder Kind = iota + 1 // list one page
	File                   // copy
)

// Item is a unit of work in a [Queue]: one page of a folder to list, or one file to copy.
type Item struct {
	Kind Kind
	ID   string
	// Key is a file's object key; for a folder what the keys of its children begin with ("" or ending in a slash).
	Key string

	// Of folders: the page to list, and the way here.
	Page      string
	Ancestors []uint64 // hashes of the ids of the folders above, and its own
	Shortcuts uint8    // shortcuts to folders followed on the way here

	// Of files.
	Target   string // id of the content, where it isn't ID: of shortcuts
	Name     string // what the plain key ends in
	Parent   string // id of the folder it was listed in
	Size     int64  // -1 when unknown
	MD5      string
	Modified time.Time
	MIME     string
	Export   string // MIME type to export to
}

const itemVersion = 1

var errItem = errors.New("not an item of this version's queue")

// AppendBinary appends the item's encoding, which begins with a version, to b.
func (it *Item) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, itemVersion, byte(it.Kind))
	b = appendText(b, it.ID)
	b = appendText(b, it.Key)
	if it.Kind == Folder {
		b = appendText(b, it.Page)
		b = append(b, it.Shortcuts)
		b = binary.AppendUvarint(b, uint64(len(it.Ancestors)))
		for _, a := range it.Ancestors {
			b = binary.LittleEndian.AppendUint64(b, a)
		}
		return b, nil
	}
	b = appendText(b, it.Target)
	b = appendText(b, it.Name)
	b = appendText(b, it.Parent)
	b = binary.AppendVarint(b, it.Size)
	b = appendText(b, it.MD5)
	b = binary.AppendVarint(b, unixMilli(it.Modified))
	b = appendText(b, it.MIME)
	return appendText(b, it.Export), nil
}

// UnmarshalBinary reads what AppendBinary wrote. The item keeps nothing of b.
func (it *Item) UnmarshalBinary(b []byte) error {
	if len(b) < 2 || b[0] != itemVersion {
		return fmt.Errorf("%w: bad version", errItem)
	}
	d := decoder{b: b[2:]}
	*it = Item{Kind: Kind(b[1])}
	it.ID, it.Key = d.text(), d.text()
	switch it.Kind {
	case Folder:
		it.Page = d.text()
		it.Shortcuts = d.byte()
		if n := d.count(8); n > 0 {
			it.Ancestors = make([]uint64, n)
			for i := range it.Ancestors {
				it.Ancestors[i] = d.uint64()
			}
		}
	case File:
		it.Target, it.Name, it.Parent = d.text(), d.text(), d.text()
		it.Size = d.varint()
		it.MD5 = d.text()
		it.Modified = fromUnixMilli(d.varint())
		it.MIME, it.Export = d.text(), d.text()
	default:
		d.bad = true
	}
	if d.bad || len(d.b) != 0 {
		return errItem
	}
	return nil
}

// content is the id to download.
func (it *Item) content() string {
	if it.Target != "" {
		return it.Target
	}
	return it.ID
}

// shortcut is the id of the shortcut that led to the content, empty where none did.
func (it *Item) shortcut() string {
	if it.Target != "" {
		return it.ID
	}
	return ""
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// unixMilli keeps the zero time apart from 1970.
func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromUnixMilli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// decoder reads an encoding; after the first error it only returns zero values.
type decoder struct {
	b   []byte
	bad bool
}

// count reads a length and refuses one that the rest can't hold at size bytes each.
func (d *decoder) count(size int) int {
	n, w := binary.Uvarint(d.b)
	if d.bad || w <= 0 || n > uint64(len(d.b)-w)/uint64(size) {
		d.bad = true
		return 0
	}
	d.b = d.b[w:]
	return int(n)
}

func (d *decoder) text() string {
	n := d.count(1)
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *decoder) varint() int64 {
	v, w := binary.Varint(d.b)
	if d.bad || w <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[w:]
	return v
}

func (d *decoder) byte() byte {
	if d.bad || len(d.b) < 1 {
		d.bad = true
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uint64() uint64 {
	if d.bad || len(d.b) < 8 {
		d.bad = true
		return 0
	}
	v := binary.LittleEndian.Uint64(d.b)
	d.b = d.b[8:]
	return v
}
