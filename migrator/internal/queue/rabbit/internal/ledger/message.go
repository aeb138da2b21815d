package ledger

import (
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
)

// Schema is the version of the queues and of their messages; it is the type of every message. Items carry their own
// version besides.
const Schema = "migrator/rabbit/3"

// levels is how many queues of folders there are: one for each depth of the tree; what lies deeper shares the last.
const levels = 16

// The queues of a migration, behind its name and a dot.
const (
	QueueState   = "state"  // the ledger's, and who keeps it
	QueueEvents  = "events" // to the ledger
	QueueFiles   = "files"
	queueFolders = "folders" // and the level
	QueueParked  = "parked"  // and the outcome
)

// Folders is the queue of a level.
func Folders(level int) string { return queueFolders + "." + strconv.Itoa(level) }

var parkedOutcomes = []migrator.Outcome{migrator.Failed, migrator.Unavailable, migrator.Filtered}

// WorkQueues are those whose messages are items.
func WorkQueues() []string {
	names := []string{QueueFiles}
	for n := range levels {
		names = append(names, Folders(n))
	}
	return names
}

// ContentQueues are those that restarting empties.
func ContentQueues() []string {
	names := WorkQueues()
	for _, o := range parkedOutcomes {
		names = append(names, QueueParked+"."+o.String())
	}
	return names
}

// AllQueues are in the order in which they are declared: where the last one is, all are.
func AllQueues() []string { return append(ContentQueues(), QueueEvents, QueueState) }

// Work is an item in a message.
type Work struct {
	Run   uint64
	ID    ItemID
	Again bool
	Level int // not in the message: the queue's
	Item  []byte
}

// Bundle is the items of one message: a folder, or files of one listing. What a message costs the broker doesn't
// depend on its length, and is as much as copying a small file: so small files share one, and large ones, of which
// another process could do the next, have each their own.
type Bundle []Work

// A bundle has at most so many files, and bytes to copy.
const (
	BundleFiles = 8
	bundleSize  = 1 << 20
)

// Pack packs the files of a listing. Those of unknown size are taken for large ones.
func Pack(files []Work, sizes []int64) (all []Bundle) {
	var sum int64
	for i := range files {
		size := sizes[i]
		if size < 0 {
			size = bundleSize
		}
		if sum += size; i == 0 || sum > bundleSize || len(all[len(all)-1]) == BundleFiles {
			all, sum = append(all, nil), size
		}
		last := &all[len(all)-1]
		*last = append(*last, files[i])
	}
	return all
}

// Encode writes the items as one message.
func (b Bundle) Encode() []byte {
	first, size := &b[0], 32
	for i := range b {
		size += len(b[i].Item) + 8
	}
	out := binary.AppendUvarint(make([]byte, 0, size), first.Run)
	out = binary.AppendUvarint(out, first.ID.Page)
	out = binary.AppendUvarint(out, uint64(first.ID.Try))
	again := byte(0)
	if first.Again {
		again = 1
	}
	out = append(out, again)
	for i := range b {
		out = binary.AppendUvarint(out, uint64(b[i].ID.N))
		out = binary.AppendUvarint(out, uint64(len(b[i].Item)))
		out = append(out, b[i].Item...)
	}
	return out
}

// Queue is where an item goes.
func (w *Work) Queue() string {
	if w.ID.N > 0 {
		return QueueFiles
	}
	return Folders(w.Level)
}

// DecodeBundle reads what encode wrote. The items' bytes are those of body.
func DecodeBundle(body []byte, level int) (b Bundle, err error) {
	d := uvarints{b: body}
	w := Work{Run: d.next(), ID: ItemID{Page: d.next(), Try: uint32(d.next())}, Level: level}
	w.Again = d.next() == 1
	for len(d.b) > 0 {
		w.ID.N = uint32(d.next())
		n := d.next()
		if d.bad || n > uint64(len(d.b)) {
			return nil, broker.ErrSchema
		}
		w.Item, d.b = d.b[:n:n], d.b[n:]
		b = append(b, w)
	}
	if d.bad || len(b) == 0 || len(b) > 1 && !b.files() {
		return nil, broker.ErrSchema
	}
	return b, nil
}

func (b Bundle) files() bool {
	return !slices.ContainsFunc(b, func(w Work) bool { return w.ID.N == 0 })
}

// level is the depth of a folder in the tree, as far as there are queues for it.
func level(it *migrator.Item) int { return min(max(len(it.Ancestors)-1, 0), levels-1) }

// NewProduct describes an item that came of another for the ledger.
func NewProduct(of, it *migrator.Item) (p Product, err error) {
	if p.Payload, err = it.AppendBinary(nil); err != nil {
		return p, err
	}
	if it.Kind == migrator.File {
		p.Size = max(it.Size, 0)
		return p, nil
	}
	p.Folder, p.Level, p.Found = true, level(it), broker.Found(of, it)
	return p, nil
}
