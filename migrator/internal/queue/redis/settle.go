package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"memsoak/migrator"
	"memsoak/migrator/internal/queue/broker"
)

// batch is how many leases one script settles.
const batch = 128

// stream is where an item goes.
func stream(it *migrator.Item) string {
	if it.Kind == migrator.File {
		return "files"
	}
	return "folders:" + strconv.Itoa(min(max(len(it.Ancestors)-1, 0), levels-1))
}

// Push implements migrator.Queue.
func (q *Queue) Push(ctx context.Context, items ...migrator.Item) error {
	args, err := settleArgs("", "", nil, migrator.Result{Produced: items})
	if err != nil {
		return err
	}
	return q.settle(ctx, args)
}

// Settle implements migrator.Queue. Settles of files go out together.
func (q *Queue) Settle(ctx context.Context, lease *migrator.Lease, r migrator.Result) error {
	h, err := q.own(lease)
	if err != nil {
		return err
	}
	if r.Outcome == migrator.Returned && len(r.Produced) == 0 {
		h.lease.Again = true
		return q.giveBack(ctx, h)
	}
	args, err := settleArgs(h.lane, h.id, &lease.Item, r)
	if err != nil {
		return err
	}
	if len(r.Produced) == 0 {
		err = q.settles.Send(ctx, q.ending, args)
	} else {
		err = q.settle(ctx, args)
	}
	if err == nil {
		q.release(h)
	}
	return err
}

func (q *Queue) own(lease *migrator.Lease) (*held, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.held.Own(lease.Ref)
}

func (q *Queue) release(h *held) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.held, h)
}

// giveBack puts an item back with what was saved of it.
func (q *Queue) giveBack(ctx context.Context, h *held) error {
	again := "0"
	if h.lease.Again {
		again = "1"
	}
	err := q.settle(ctx, []any{h.lane, h.id, "1", 0, 1, h.lane, again, h.payload, 0})
	if err == nil {
		q.release(h)
	}
	return err
}

// settleArgs are the settle script's arguments for one lease of an item, or for items from outside with an empty lane
// and no item.
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
	changes := []any{}
	add := func(name string, n int64) {
		if n != 0 {
			changes = append(changes, name, n)
		}
	}
	add("open_folders", openFolders)
	add("open_files", openFiles)
	for name, n := range counters(&t) {
		add(name, *n)
	}
	args := append([]any{lane, id, "0", len(changes) / 2}, changes...)
	return append(append(args, products...), parked...), nil
}

// settle runs the settle script. Leases that were lost to others are no error: those have settled them or will.
func (q *Queue) settle(ctx context.Context, args []any) error {
	_, err := q.run(ctx, settleScript, "meta", append([]any{q.base, group, maxParked, maxReasons}, args...)...)
	return err
}

// settleAll settles in one script.
func (q *Queue) settleAll(ctx context.Context, all [][]any) error {
	return q.settle(ctx, slices.Concat(all...))
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
