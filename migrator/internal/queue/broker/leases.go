package broker

import "errors"

// ErrClosed means that the queue was closed in the meantime.
var ErrClosed = errors.New("queue: closed")

// Leases are the items in the hands of a process, by what its queue knows of each.
type Leases[H comparable] map[H]struct{}

// Own returns what the queue knows of a lease that it gave out and that isn't settled. The caller holds the lock that
// guards the map.
func (l Leases[H]) Own(ref any) (h H, err error) {
	h, ok := ref.(H)
	if !ok {
		return h, errors.New("queue: the lease isn't of this queue")
	}
	if _, ok := l[h]; !ok {
		return h, errors.New("queue: the lease was settled before")
	}
	return h, nil
}
