package trial

import (
	"time"

	"github.com/memsoak/memsoak/profiles/record"
)

// staleHeap says when a process that is only read has made no collection for so long that one is forced: its heap
// profile is that of the last collection, and tells nothing new until the next.
type staleHeap struct {
	after time.Duration // how old a profile may be
	// cost is the time that the newest forced collection took: CPU time, or, of a process elsewhere, all of it.
	cost time.Duration

	at    time.Time // of the newest known collection
	gcs   int64
	alloc int64 // bytes allocated by then, in all
	live  int64 // bytes of the heap then, or soon after
}

const (
	// staleShare is the part of a recording's length after which a profile is stale, within leastStale and mostStale:
	// enough profiles of different collections to tell growth from ups and downs.
	staleShare = 15
	leastStale = 5 * time.Second
	mostStale  = time.Minute
	// staleAlloc is the part of the live heap up to which a process that allocates little since its last collection is
	// collected: one that allocates more would soon do so by itself, and its garbage is worth seeing. After staleTimes as
	// long it is collected whatever it allocates.
	staleAlloc = 0.75
	staleTimes = 3
	// forcedShare is the part of the time that forced collections may take.
	forcedShare = 0.01
)

// staleAfter is how old a profile may be in this recording.
func (r *recording) staleAfter() time.Duration {
	if r.For <= 0 {
		return mostStale
	}
	return min(mostStale, max(leastStale, r.For/staleShare))
}

// due takes a reading into account and reports whether a collection is to be forced now.
func (h *staleHeap) due(s record.Sample) bool {
	if s.Runtime == nil {
		return false
	}
	if h.at.IsZero() {
		return true // the age of the first profile isn't known
	}
	if s.Runtime.NumGC != h.gcs {
		h.collected(s)
		return false
	}
	age := s.Time.Sub(h.at)
	if float64(h.cost) > forcedShare*float64(age) {
		return false
	}
	little := float64(s.Runtime.TotalAlloc-h.alloc) < staleAlloc*float64(h.live)
	return age >= h.after && little || age >= staleTimes*h.after
}

// collected notes a collection that was just made.
func (h *staleHeap) collected(s record.Sample) {
	if s.Runtime != nil {
		h.at, h.gcs, h.alloc, h.live = s.Time, s.Runtime.NumGC, s.Runtime.TotalAlloc, s.Runtime.HeapAlloc
	}
}
