package control

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/memsoak/memsoak/fakedrive/fault"
)

// Bounds of holds. A dead runner must leave no stuck fake, a wild one no heap of holds.
const (
	DefaultHoldTimeout = 10 * time.Minute
	maxHolds           = 1000
)

// holdTable has the holds that are set. Transfers read the list without a lock; all else is under the mutex.
type holdTable struct {
	active atomic.Pointer[[]*hold] // never modified in place; nil when there are none
	mu     sync.Mutex
	nextID int64
}

// hold is one hold. Offset and Point never change; the rest belongs to the table's mutex.
type hold struct {
	fault.Hold
	id      int64
	arrived int
	held    int // transfers that were stopped and did not give up
	skipped int // transfers that passed before
	waiting []*waiter
	changed chan struct{} // closed at the next arrival; nil without a watcher
	removed bool
	timer   *time.Timer
}

// waiter is one stopped transfer.
type waiter struct {
	size int64
	free chan struct{}
}

// list returns the holds that are set, oldest first.
func (t *holdTable) list() []*hold {
	if p := t.active.Load(); p != nil {
		return *p
	}
	return nil
}

func (t *holdTable) set(h fault.Hold) (fault.HoldStatus, error) {
	if h.Timeout <= 0 {
		h.Timeout = fault.Duration(DefaultHoldTimeout)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.list()
	if len(old) >= maxHolds {
		return fault.HoldStatus{}, fmt.Errorf("there are %d holds already; release some", len(old))
	}
	t.nextID++
	n := &hold{Hold: h, id: t.nextID}
	n.timer = time.AfterFunc(time.Duration(h.Timeout), func() { t.release(n.id, 0) })
	list := append(slices.Clone(old), n)
	t.active.Store(&list)
	return n.status(), nil
}

// find returns the hold of an id. The caller holds the mutex.
func (t *holdTable) find(id int64) *hold {
	for _, h := range t.list() {
		if h.id == id {
			return h
		}
	}
	return nil
}

// release lets count waiting transfers go, oldest first; 0 lets all go and removes the hold.
func (t *holdTable) release(id int64, count int) (fault.HoldStatus, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.find(id)
	if h == nil {
		return fault.HoldStatus{}, false
	}
	if count == 0 {
		t.remove(h)
		count = len(h.waiting)
	}
	h.free(min(count, len(h.waiting)))
	return h.status(), true
}

func (t *holdTable) releaseAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.list() {
		t.remove(h)
		h.free(len(h.waiting))
	}
}

// remove takes the hold off the list. The caller holds the mutex.
func (t *holdTable) remove(h *hold) {
	h.removed = true
	h.timer.Stop()
	h.notify()
	list := slices.DeleteFunc(slices.Clone(t.list()), func(o *hold) bool { return o == h })
	if len(list) == 0 {
		t.active.Store(nil)
		return
	}
	t.active.Store(&list)
}

func (t *holdTable) statuses() []fault.HoldStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := []fault.HoldStatus{}
	for _, h := range t.list() {
		all = append(all, h.status())
	}
	return all
}

// await returns the hold's status once n transfers have arrived, the hold is gone or ctx has ended. The boolean is
// false if there is no such hold.
func (t *holdTable) await(ctx context.Context, id int64, n int) (fault.HoldStatus, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.find(id)
	if h == nil {
		return fault.HoldStatus{}, false
	}
	for h.arrived < n && !h.removed && ctx.Err() == nil {
		if h.changed == nil {
			h.changed = make(chan struct{})
		}
		changed := h.changed
		t.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		t.mu.Lock()
	}
	return h.status(), true
}

// stop brings a transfer of size bytes to the hold, which may keep it until it is released or ctx ends. Only the
// latter is an error.
func (t *holdTable) stop(ctx context.Context, h *hold, size int64) error {
	t.mu.Lock()
	if h.removed {
		t.mu.Unlock()
		return nil
	}
	if h.skipped < h.Skip {
		h.skipped++
		t.mu.Unlock()
		return nil
	}
	h.arrived++
	if h.Limit > 0 && h.held >= h.Limit {
		h.notify()
		t.mu.Unlock()
		return nil
	}
	w := &waiter{size: size, free: make(chan struct{})}
	h.held++
	h.waiting = append(h.waiting, w)
	h.notify()
	t.mu.Unlock()

	select {
	case <-w.free:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(h.waiting, w); i >= 0 {
		h.waiting = slices.Delete(h.waiting, i, i+1)
		h.held-- // it gave up: its retry may take the place
	}
	return context.Cause(ctx)
}

// free lets the n oldest waiting transfers go. The caller holds the mutex.
func (h *hold) free(n int) {
	for _, w := range h.waiting[:n] {
		close(w.free)
	}
	h.waiting = slices.Clone(h.waiting[n:])
}

// notify wakes who waits for arrivals. The caller holds the mutex.
func (h *hold) notify() {
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

// status is the hold as the protocol shows it. The caller holds the mutex.
func (h *hold) status() fault.HoldStatus {
	s := fault.HoldStatus{ID: h.id, Hold: h.Hold, Arrived: h.arrived, Waiting: len(h.waiting)}
	for _, w := range h.waiting {
		s.BytesWaiting += w.size
	}
	return s
}
