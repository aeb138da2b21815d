package gateway

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/memsoak/memsoak/fakedrive/fault"
)

// Seen is what a gate saw since it was opened.
type Seen struct {
	fault.Counters
	// BytesIn are the bytes of requests' bodies that were passed on; Counters.Bytes those of replies.
	BytesIn int64 `json:"bytes_in"`
	// Statuses counts the replies by status.
	Statuses map[int]int64 `json:"statuses,omitempty"`
	// Unreached counts the requests that the target did not answer.
	Unreached int64 `json:"unreached"`
	// Errors are the last requests that failed or were answered with a status of 500 and above.
	Errors []Failure `json:"errors,omitempty"`
}

// Failure is a request that failed. Of its URL the path is kept alone: a query may have secrets.
type Failure struct {
	Time   time.Time `json:"time"`
	Method string    `json:"method,omitempty"`
	Path   string    `json:"path,omitempty"`
	Status int       `json:"status,omitempty"`
	Why    string    `json:"why,omitempty"`
}

// Bounds of what a gate remembers.
const (
	lastErrors  = 5
	maxDistinct = 1 << 20 // keys; beyond it, distinct ones are not counted any more
	maxStatus   = 1000
)

// tally counts what package fault does not.
type tally struct {
	bytesIn, unreached, distinct atomic.Int64
	statuses                     [maxStatus]atomic.Int64

	seed   maphash.Seed
	keysMu sync.Mutex
	keys   map[uint64]struct{}

	errMu  sync.Mutex
	errors []Failure
}

func newTally() *tally { return &tally{seed: maphash.MakeSeed(), keys: map[uint64]struct{}{}} }

// key counts a request's key if it is the first with it.
func (t *tally) key(method, uri string) {
	var h maphash.Hash
	h.SetSeed(t.seed)
	h.WriteString(method)
	h.WriteByte(' ')
	h.WriteString(uri)
	sum := h.Sum64()
	t.keysMu.Lock()
	defer t.keysMu.Unlock()
	if _, known := t.keys[sum]; known || len(t.keys) >= maxDistinct {
		return
	}
	t.keys[sum] = struct{}{}
	t.distinct.Add(1)
}

// status counts a reply.
func (t *tally) status(code int) {
	if code >= 0 && code < maxStatus {
		t.statuses[code].Add(1)
	}
}

// fail remembers a failure.
func (t *tally) fail(f Failure) {
	f.Time = time.Now()
	t.errMu.Lock()
	defer t.errMu.Unlock()
	if len(t.errors) == lastErrors {
		t.errors = append(t.errors[:0], t.errors[1:]...)
	}
	t.errors = append(t.errors, f)
}

// seen joins the gate's counters.
func (g *gate) seen() Seen {
	v := Seen{Counters: g.ctl.Counters(), BytesIn: g.tally.bytesIn.Load(), Unreached: g.tally.unreached.Load()}
	v.Distinct = g.tally.distinct.Load()
	for code := range g.tally.statuses {
		if n := g.tally.statuses[code].Load(); n > 0 {
			if v.Statuses == nil {
				v.Statuses = map[int]int64{}
			}
			v.Statuses[code] = n
		}
	}
	g.tally.errMu.Lock()
	defer g.tally.errMu.Unlock()
	v.Errors = append(v.Errors, g.tally.errors...)
	return v
}
