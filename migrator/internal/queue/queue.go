// Package queue is the migrator's embedded queue: segments on disk, read and written in order, and a journal.
//
// Two lanes (folders and files) are logs of items; a third file keeps the parked items, as lines of JSON. The journal
// holds the settled items. One settle appends the products to the lanes and then one entry to the journal: the entry
// commits them, so after kill -9 either an item is still there or all of its products are. The journal is rewritten as
// a snapshot (cursors, and the few items in the hands of workers) when it has grown by a megabyte; segments before the
// cursors are removed then. So memory depends on the number of workers, and the disk holds the backlog alone.
//
// Against the death of the process nothing needs fsync. Against a power cut all files are synced each second, and an
// entry counts on recovery only as far as the records that it commits are whole; what came later is done again.
package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/memsoak/memsoak/migrator"
)

// Queue is a migrator.Queue in a directory. Safe for concurrent use; one process at a time has it open.
type Queue struct {
	dir  string
	lock *os.File

	mu      sync.Mutex
	lanes   [2]laneState // by kind - 1
	parked  *os.File
	ends    ends
	totals  migrator.Totals
	journal *os.File
	gen     uint64 // of the journal's file
	size    int64  // of the journal
	base    int64  // size of its snapshot
	grown   ends   // ends at the snapshot
	synced  mark   // what the background sync saw last
	broken  error  // an earlier write failed: nothing is sure any more
	wake    chan struct{}
	buf     []byte // records of one lane
	entry   []byte

	stop chan struct{}
	done chan struct{}
}

// mark is a place in the journal. Nothing is written without the journal.
type mark struct {
	gen  uint64
	size int64
}

// ends are the committed lengths of the two lanes and of the parked file.
type ends [3]int64

// laneState is a lane and who holds what of it.
type laneState struct {
	lane
	cursor   int64 // everything before was delivered
	reserved int64 // an earlier process may have delivered as far as here
	ahead    []held
	returned []held
	leased   map[int64]*held
}

// held is an item in memory.
type held struct {
	offset  int64
	next    int64 // offset behind it
	again   bool
	payload []byte
	state   []byte
}

var (
	// ErrDamaged means that the queue's files can't be read.
	ErrDamaged = errors.New("the queue is damaged")
	// ErrInUse means that another process has the queue open.
	ErrInUse = errors.New("the queue is in use by another process")
)

const (
	prefetch    = 128     // items read at a time
	journalGrow = 1 << 20 // bytes after which the journal is rewritten
	lanesGrow   = 64 << 20
	syncEvery   = time.Second
)

// Open opens the queue in dir, which is made if it isn't there. resumed says that it holds work of an earlier run.
func Open(dir string) (q *Queue, resumed bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrInUse
		}
		return nil, false, fmt.Errorf("%s: %w", dir, err)
	}
	q = &Queue{dir: dir, lock: lock, wake: make(chan struct{}), stop: make(chan struct{}), done: make(chan struct{})}
	for i, name := range []string{"folders", "files"} {
		q.lanes[i] = laneState{lane: lane{dir: dir, name: name}, leased: map[int64]*held{}}
	}
	if resumed, err = q.recover(); err != nil {
		return nil, false, errors.Join(fmt.Errorf("%s: %w", dir, err), q.closeFiles())
	}
	go q.syncer()
	return q, resumed, nil
}

func (q *Queue) lane(k migrator.Kind) (*laneState, error) {
	if k != migrator.Folder && k != migrator.File {
		return nil, fmt.Errorf("queue: no lane for items of kind %d", k)
	}
	return &q.lanes[k-1], nil
}

// Push implements migrator.Queue.
func (q *Queue) Push(_ context.Context, items ...migrator.Item) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.commit(entryPush, 0, 0, migrator.Result{Produced: items}); err != nil {
		return err
	}
	return q.syncAll()
}

// Take implements migrator.Queue.
func (q *Queue) Take(ctx context.Context, k migrator.Kind) (*migrator.Lease, error) {
	l, err := q.lane(k)
	if err != nil {
		return nil, err
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		q.mu.Lock()
		h, err := q.next(l, k)
		over := h == nil && q.over(k)
		wake := q.wake
		q.mu.Unlock()
		switch {
		case err != nil:
			return nil, err
		case h != nil:
			return q.lease(k, h)
		case over:
			return nil, io.EOF
		}
		select {
		case <-wake:
		case <-ctx.Done():
		}
	}
}

func (q *Queue) lease(k migrator.Kind, h *held) (*migrator.Lease, error) {
	lease := &migrator.Lease{Again: h.again, State: h.state, Ref: h}
	if err := lease.Item.UnmarshalBinary(h.payload); err != nil || lease.Item.Kind != k {
		return nil, fmt.Errorf("%s: %w: %v", q.dir, ErrDamaged, err)
	}
	return lease, nil
}

// next leases the next item of a lane; nil when there is none now.
func (q *Queue) next(l *laneState, k migrator.Kind) (*held, error) {
	if q.broken != nil {
		return nil, q.broken
	}
	if n := len(l.returned); n > 0 {
		h := l.returned[n-1]
		l.returned = l.returned[:n-1]
		l.leased[h.offset] = &h
		return &h, nil
	}
	if len(l.ahead) == 0 {
		if err := q.readAhead(l, k); err != nil {
			return nil, err
		}
	}
	if len(l.ahead) == 0 {
		return nil, nil
	}
	h := l.ahead[0]
	l.ahead = l.ahead[1:]
	l.cursor = h.next
	l.leased[h.offset] = &h
	return &h, nil
}

// readAhead reads a few items and notes in the journal that they may be delivered.
func (q *Queue) readAhead(l *laneState, k migrator.Kind) error {
	l.ahead = l.ahead[:0]
	limit := q.ends[k-1]
	_, err := l.read(l.cursor, limit, func(offset int64, payload []byte) bool {
		h := held{offset: offset, next: offset + headerSize + int64(len(payload)), again: offset < l.reserved}
		h.payload = append(h.payload, payload...)
		l.ahead = append(l.ahead, h)
		return len(l.ahead) < prefetch
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if n := len(l.ahead); n > 0 && l.ahead[n-1].next > l.reserved {
		l.reserved = l.ahead[n-1].next
		q.entry = appendInts(append(q.entry[:0], entryTake, byte(k)), l.reserved)
		return q.log(q.entry)
	}
	return nil
}

// over says whether no item of the kind is left and none can come.
func (q *Queue) over(k migrator.Kind) bool {
	for i := range k {
		l := &q.lanes[i]
		if len(l.leased)+len(l.ahead)+len(l.returned) > 0 || l.cursor < q.ends[i] {
			return false
		}
	}
	return true
}

// Settle implements migrator.Queue.
func (q *Queue) Settle(_ context.Context, lease *migrator.Lease, r migrator.Result) error {
	h, ok := lease.Ref.(*held)
	if !ok {
		return errors.New("queue: the lease isn't of this queue")
	}
	k := lease.Item.Kind
	l, err := q.lane(k)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if l.leased[h.offset] != h {
		return errors.New("queue: the lease was settled before")
	}
	if r.Outcome == migrator.Returned && len(r.Produced) == 0 {
		delete(l.leased, h.offset)
		h.again = true
		l.returned = append(l.returned, *h)
		q.broadcast()
		return nil
	}
	delete(l.leased, h.offset)
	if err := q.commit(entrySettle, k, h.offset, r); err != nil {
		return err
	}
	if len(r.Produced) > 0 || len(l.leased) == 0 {
		q.broadcast()
	}
	return q.maybeSnapshot()
}

// Checkpoint implements migrator.Checkpointer.
func (q *Queue) Checkpoint(_ context.Context, lease *migrator.Lease, state []byte) error {
	h, ok := lease.Ref.(*held)
	if !ok {
		return errors.New("queue: the lease isn't of this queue")
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	h.state = append([]byte(nil), state...)
	q.entry = appendInts(append(q.entry[:0], entryState, byte(lease.Item.Kind)), h.offset)
	q.entry = appendBytes(q.entry, state)
	return q.log(q.entry)
}

// Totals implements migrator.Counter.
func (q *Queue) Totals(context.Context) (migrator.Totals, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.totals, nil
}

func (q *Queue) broadcast() {
	close(q.wake)
	q.wake = make(chan struct{})
}

// commit appends what an item produced and the entry that makes it count.
func (q *Queue) commit(typ byte, k migrator.Kind, offset int64, r migrator.Result) error {
	if q.broken != nil {
		return q.broken
	}
	e := q.ends
	t := q.totals
	if err := q.produce(&e, &t, r.Produced); err != nil {
		return q.fail(err)
	}
	if err := q.park(&e, r.Parked); err != nil {
		return q.fail(err)
	}
	count(&t, r)
	q.entry = appendInts(append(q.entry[:0], typ, byte(k)), offset)
	q.entry = appendInts(q.entry, e[:]...)
	q.entry = appendTotals(q.entry, &t)
	if err := q.log(q.entry); err != nil {
		return err
	}
	q.setEnds(e)
	q.totals = t
	return nil
}

func (q *Queue) setEnds(e ends) {
	q.ends = e
	q.lanes[0].end, q.lanes[1].end = e[0], e[1]
}

// produce appends items to their lanes, a chunk at a time.
func (q *Queue) produce(e *ends, t *migrator.Totals, items []migrator.Item) error {
	var payload [512]byte
	for k := migrator.Folder; k <= migrator.File; k++ {
		l := &q.lanes[k-1]
		q.buf = q.buf[:0]
		flush := func() (err error) {
			if e[k-1], err = l.append(q.buf); err == nil {
				l.end = e[k-1]
			}
			q.buf = q.buf[:0]
			return err
		}
		for i := range items {
			it := &items[i]
			if it.Kind != k {
				continue
			}
			b, err := it.AppendBinary(payload[:0])
			if err != nil {
				return err
			}
			q.buf = appendRecord(q.buf, b)
			if k == migrator.File {
				t.Files++
				t.Size += max(it.Size, 0)
			} else if it.Page == "" {
				t.Folders++
			}
			if len(q.buf) >= chunk {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		if err := flush(); err != nil {
			return err
		}
	}
	return nil
}

// count adds an outcome to the totals.
func count(t *migrator.Totals, r migrator.Result) {
	switch r.Outcome {
	case migrator.Listed:
		t.Listed++
	case migrator.Copied:
		t.Copied++
		t.Bytes += r.Bytes
	case migrator.Skipped:
		t.Skipped++
	}
	for _, p := range r.Parked {
		switch p.Outcome {
		case migrator.Failed:
			t.Failed++
		case migrator.Unavailable:
			t.Unavailable++
		default:
			t.Filtered++
		}
	}
}
