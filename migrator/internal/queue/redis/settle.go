package redis

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
)

// remember is for how long a push is known: longer than it can be sent again.
func (q *Queue) remember() time.Duration { return 2*q.o.Patience + time.Minute }

// filesLane is the stream of all files.
const filesLane = "files"

// stream is where an item goes.
func stream(it *migrator.Item) string {
	if it.Kind == migrator.File {
		return filesLane
	}
	return "folders:" + strconv.Itoa(min(max(len(it.Ancestors)-1, 0), levels-1))
}

// Push implements migrator.Queue. However often it has to be sent, its items enter once.
func (q *Queue) Push(ctx context.Context, items ...migrator.Item) error {
	args, err := settleArgs("", rand.Text(), nil, migrator.Result{Produced: items})
	if err != nil {
		return err
	}
	return q.settle(ctx, nil, args)
}

// Settle implements migrator.Queue. An end without products goes out with others a moment later: if the process dies
// before, the item comes again. An error of sending is returned by the next Settle, and by Close.
func (q *Queue) Settle(ctx context.Context, lease *migrator.Lease, r migrator.Result) error {
	h, err := q.own(lease)
	if err != nil {
		return err
	}
	if r.Outcome == migrator.Returned && len(r.Produced) == 0 {
		h.lease.Again = true
		return q.giveBack(ctx, h)
	}
	if h.lane == filesLane && r.Outcome == migrator.Copied && len(r.Produced)+len(r.Parked) == 0 {
		return q.tell(ctx, h, ended{id: h.id, bytes: r.Bytes})
	}
	args, err := settleArgs(h.lane, h.id, &lease.Item, r)
	if err != nil {
		return err
	}
	if len(r.Produced) == 0 {
		return q.tell(ctx, h, ended{args: args})
	}
	if err := q.settle(ctx, nil, args); err != nil {
		return err
	}
	q.release(h)
	return nil
}

// tell ends a lease without products. One that a process died with before ends immediately: beside an item that
// processes die of it would come again each time, until it is held to be the cause.
func (q *Queue) tell(ctx context.Context, h *held, e ended) error {
	q.release(h)
	if err := q.ends.Add(ctx, e); err != nil || h.deliveries == 1 {
		return err
	}
	return q.ends.Flush(ctx)
}

// own returns the record of a lease that this process has.
func (q *Queue) own(lease *migrator.Lease) (*held, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.held.Own(lease.Ref)
}

func (q *Queue) release(all ...*held) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, h := range all {
		delete(q.held, h)
	}
}

// giveBack puts items back with their saved progress.
func (q *Queue) giveBack(ctx context.Context, all ...*held) error {
	if len(all) == 0 {
		return nil
	}
	var args []any
	for _, h := range all {
		again := "0"
		if h.lease.Again {
			again = "1"
		}
		args = append(args, h.lane, h.id, "1", 0, 1, h.lane, again, h.payload, 0)
	}
	if err := q.settle(ctx, nil, args); err != nil {
		return err
	}
	q.release(all...)
	return nil
}

// settleArgs are the settle script's arguments for one lease of an item, or for items from outside with an empty lane,
// an id of this push alone and no item.
func settleArgs(lane, id string, of *migrator.Item, r migrator.Result) ([]any, error) {
	var t migrator.Totals
	openFolders, openFiles := int64(0), int64(0)
	switch {
	case of == nil:
	case of.Kind == migrator.Folder:
		openFolders--
	default:
		openFiles--
	}
	products := []any{len(r.Produced)}
	for i := range r.Produced {
		it := &r.Produced[i]
		b, err := it.AppendBinary(nil)
		if err != nil {
			return nil, err
		}
		products = append(products, stream(it), "0", b)
		if it.Kind == migrator.File {
			openFiles++
			t.Files++
			t.Size += max(it.Size, 0)
			continue
		}
		openFolders++
		if broker.Found(of, it) {
			t.Folders++
		}
	}
	parked := []any{len(r.Parked)}
	for i := range r.Parked {
		line, err := json.Marshal(&r.Parked[i])
		if err != nil {
			return nil, err
		}
		parked = append(parked, broker.CountParked(&t, r.Parked[i].Outcome), r.Parked[i].Reason, line)
	}
	broker.Count(&t, r.Outcome, r.Bytes)
	changes := make([]any, 0, 8)
	add := func(name string, n int64) {
		if n != 0 {
			changes = append(changes, name, n)
		}
	}
	add("open_folders", openFolders)
	add("open_files", openFiles)
	for _, c := range counters(&t) {
		add(c.name, *c.n)
	}
	return slices.Concat([]any{lane, id, "0", len(changes) / 2}, changes, products, parked), nil
}

// ended is a lease that is at its end without products: a file that was copied, which most are, or another's arguments
// of the settle script.
type ended struct {
	id    string
	bytes int64
	args  []any
}

// settle runs the settle script with id and bytes of each file copied, and the arguments of other leases. Leases that
// were lost to others are no error: those have settled them or will.
func (q *Queue) settle(ctx context.Context, copied, others []any) error {
	args := []any{q.base, group, maxParked, maxReasons, q.remember().Milliseconds(), len(copied) / 2}
	_, err := q.run(ctx, settleScript, "meta", slices.Concat(args, copied, others)...)
	return err
}

// settleAll settles in one script. One that was settled by an earlier try is passed over.
func (q *Queue) settleAll(ctx context.Context, all []ended) error {
	copied := make([]any, 0, 2*len(all))
	var others []any
	for i := range all {
		if e := &all[i]; e.args == nil {
			copied = append(copied, e.id, e.bytes)
		} else {
			others = append(others, e.args...)
		}
	}
	return q.settle(ctx, copied, others)
}

// Checkpoint implements migrator.Checkpointer.
func (q *Queue) Checkpoint(ctx context.Context, lease *migrator.Lease, state []byte) error {
	h, err := q.own(lease)
	if err != nil {
		return err
	}
	_, err = q.run(ctx, checkpointScript, "states", q.key(h.lane), group, q.me, h.id, h.lane+" "+h.id, state)
	return err
}

// renewer gives signs of life until Close. When Redis can't be reached it is silent: the calls of others tell.
func (q *Queue) renewer() {
	t := time.NewTicker(q.o.Lease / 3)
	defer t.Stop()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), q.o.Lease/3)
		_ = q.renew(ctx)
		cancel()
		select {
		case <-t.C:
		case <-q.ending.Done():
			return
		}
	}
}

func (q *Queue) renew(ctx context.Context) error {
	q.mu.Lock()
	args := []any{q.base, group, q.me, q.o.Lease.Milliseconds(), levels, len(q.locks)}
	for l := range q.locks {
		args = append(args, l)
	}
	for h := range q.held {
		args = append(args, h.lane, h.id)
	}
	q.mu.Unlock()
	if _, err := renewScript.Run(ctx, q.rdb, []string{q.key("workers")}, args...).Result(); err != nil {
		return fmt.Errorf("sign of life: %w", err)
	}
	return nil
}
