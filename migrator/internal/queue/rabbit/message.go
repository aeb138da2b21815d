package rabbit

import (
	"encoding/binary"
	"slices"
	"strconv"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
)

// schema is the version of the queues and of their messages; it is the type of every message. Items carry their own
// version besides.
const schema = "migrator/rabbit/3"

// levels is how many queues of folders there are: one for each depth of the tree; what lies deeper shares the last.
const levels = 16

// The queues of a migration, behind its name and a dot.
const (
	queueState   = "state"  // the ledger's, and who keeps it
	queueEvents  = "events" // to the ledger
	queueFiles   = "files"
	queueFolders = "folders" // and the level
	queueParked  = "parked"  // and the outcome
)

func folders(level int) string { return queueFolders + "." + strconv.Itoa(level) }

var parkedOutcomes = []migrator.Outcome{migrator.Failed, migrator.Unavailable, migrator.Filtered}

// workQueues are those whose messages are items.
func workQueues() []string {
	names := []string{queueFiles}
	for n := range levels {
		names = append(names, folders(n))
	}
	return names
}

// contentQueues are those that restarting empties.
func contentQueues() []string {
	names := workQueues()
	for _, o := range parkedOutcomes {
		names = append(names, queueParked+"."+o.String())
	}
	return names
}

// allQueues are in the order in which they are declared: where the last one is, all are.
func allQueues() []string { return append(contentQueues(), queueEvents, queueState) }

// arguments are what a queue is declared with: replicated, on disk, and never dropping anything by itself. (Newer
// versions of RabbitMQ drop a message delivered 20 times, and close consumers that hold a message for half an hour: an
// upload may take longer.)
func arguments(queue string) amqp.Table {
	t := amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-delivery-limit": int64(1 << 30),
		"x-consumer-timeout": int64(7 * 24 * 3600 * 1000)}
	if queue == queueState {
		t[amqp.SingleActiveConsumerArg] = true
	}
	return t
}

// work is an item in a message.
type work struct {
	run   uint64
	id    itemID
	again bool
	level int // not in the message: the queue's
	item  []byte
}

// bundle is the items of one message: a folder, or files of one listing. What a message costs the broker doesn't
// depend on its length, and is as much as copying a small file: so small files share one, and large ones, of which
// another process could do the next, have each their own.
type bundle []work

// A bundle has at most so many files, and bytes to copy.
const (
	bundleFiles = 8
	bundleSize  = 1 << 20
)

// bundles packs the files of a listing. Those of unknown size are taken for large ones.
func bundles(files []work, sizes []int64) (all []bundle) {
	var sum int64
	for i := range files {
		size := sizes[i]
		if size < 0 {
			size = bundleSize
		}
		if sum += size; i == 0 || sum > bundleSize || len(all[len(all)-1]) == bundleFiles {
			all, sum = append(all, nil), size
		}
		last := &all[len(all)-1]
		*last = append(*last, files[i])
	}
	return all
}

func (b bundle) encode() []byte {
	first, size := &b[0], 32
	for i := range b {
		size += len(b[i].item) + 8
	}
	out := binary.AppendUvarint(make([]byte, 0, size), first.run)
	out = binary.AppendUvarint(out, first.id.Page)
	out = binary.AppendUvarint(out, uint64(first.id.Try))
	again := byte(0)
	if first.again {
		again = 1
	}
	out = append(out, again)
	for i := range b {
		out = binary.AppendUvarint(out, uint64(b[i].id.N))
		out = binary.AppendUvarint(out, uint64(len(b[i].item)))
		out = append(out, b[i].item...)
	}
	return out
}

// queue is where an item goes.
func (w *work) queue() string {
	if w.id.N > 0 {
		return queueFiles
	}
	return folders(w.level)
}

// decodeBundle reads what encode wrote. The items' bytes are those of body.
func decodeBundle(body []byte, level int) (b bundle, err error) {
	d := uvarints{b: body}
	w := work{run: d.next(), id: itemID{Page: d.next(), Try: uint32(d.next())}, level: level}
	w.again = d.next() == 1
	for len(d.b) > 0 {
		w.id.N = uint32(d.next())
		n := d.next()
		if d.bad || n > uint64(len(d.b)) {
			return nil, broker.ErrSchema
		}
		w.item, d.b = d.b[:n:n], d.b[n:]
		b = append(b, w)
	}
	if d.bad || len(b) == 0 || len(b) > 1 && !b.files() {
		return nil, broker.ErrSchema
	}
	return b, nil
}

func (b bundle) files() bool {
	return !slices.ContainsFunc(b, func(w work) bool { return w.id.N == 0 })
}

// delivery is the message that items came by. It is acknowledged when this process has no item of it any more.
type delivery struct {
	s    *session // the items are another process's when it has ended
	tag  uint64
	left atomic.Int64 // items
}

// level is the depth of a folder in the tree, as far as there are queues for it.
func level(it *migrator.Item) int { return min(max(len(it.Ancestors)-1, 0), levels-1) }

// makeProduct describes an item that came of another for the ledger.
func makeProduct(of, it *migrator.Item) (p product, err error) {
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

// persistent is a message that survives the broker's restart.
func persistent(body []byte) amqp.Publishing {
	return amqp.Publishing{DeliveryMode: amqp.Persistent, Type: schema, ContentType: "application/octet-stream",
		Body: body}
}
