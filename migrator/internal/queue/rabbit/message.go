package rabbit

import (
	"encoding/binary"
	"strconv"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
)

// schema is the version of the queues and of their messages; it is the type of every message. Items carry their own
// version besides.
const schema = "migrator/rabbit/2"

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

// work is the body of an item's message.
type work struct {
	run   uint64
	id    itemID
	again bool
	level int // not in the body: the queue's
	item  []byte
}

func (w *work) encode() []byte {
	b := binary.AppendUvarint(make([]byte, 0, len(w.item)+16), w.run)
	b = binary.AppendUvarint(b, w.id.Page)
	b = binary.AppendUvarint(b, uint64(w.id.Try))
	b = binary.AppendUvarint(b, uint64(w.id.N))
	again := byte(0)
	if w.again {
		again = 1
	}
	return append(append(b, again), w.item...)
}

// queue is where an item goes.
func (w *work) queue() string {
	if w.id.N > 0 {
		return queueFiles
	}
	return folders(w.level)
}

// decodeWork reads what encode wrote. The item's bytes are those of b.
func decodeWork(b []byte) (w work, err error) {
	d := uvarints{b: b}
	w.run, w.id.Page, w.id.Try, w.id.N = d.next(), d.next(), uint32(d.next()), uint32(d.next())
	if d.bad || len(d.b) == 0 {
		return w, broker.ErrSchema
	}
	w.again, w.item = d.b[0] == 1, d.b[1:]
	return w, nil
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
