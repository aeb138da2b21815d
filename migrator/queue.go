package migrator

import "context"

// Queue holds the folders still to list and the files still to copy, outside of memory. It delivers at least once: an
// item is delivered again if its process dies before Settle. That is harmless because keys are deterministic
// ([Namer]) and files delivered again are compared with the sink first.
//
// A queue may be shared by processes that only discover and others that only upload. Implementations are safe for
// concurrent use and bounded in memory whatever their length.
type Queue interface {
	// Push puts items in from outside: the root of a tree. They are durable when it returns.
	Push(ctx context.Context, items ...Item) error
	// Take waits for an item of the kind. It returns io.EOF when none is left and none can come any more, which for
	// files is only after the last folder was settled, in whatever process.
	Take(ctx context.Context, k Kind) (*Lease, error)
	// Settle ends a lease. What the item produced goes into the queue in the same step: after a crash either the
	// item comes back or all of its products are there.
	Settle(ctx context.Context, l *Lease, r Result) error
}

// Lease is an item in the hands of one worker.
type Lease struct {
	Item Item
	// Again is set when the item may have been worked on before: the sink has to be asked.
	Again bool
	// State is what the last Checkpoint saved for it; nil without one.
	State []byte
	// Ref is the queue's own handle.
	Ref any
}

// Checkpointer is a Queue that saves a few hundred bytes of progress with a leased item, durably against the death of
// the process. Without it a large file that was under way starts from its beginning.
type Checkpointer interface {
	Checkpoint(ctx context.Context, l *Lease, state []byte) error
}

// Locker is a Queue that several processes take files from. Lock keeps a key from all others until unlock is called;
// if the process dies, for a while longer.
type Locker interface {
	Lock(ctx context.Context, key string) (unlock func(), err error)
}

// Outcome says how an item ended.
type Outcome uint8

// The outcomes. The zero value puts the item back.
const (
	Returned Outcome = iota // put back, to be delivered again
	Listed                  // a page of a folder was listed
	Copied
	Skipped     // unchanged at the destination
	Filtered    // left out on purpose: filters, shortcuts not followed
	Unavailable // the source doesn't give it to anybody: dangling shortcuts, exports beyond the limit, forbidden downloads
	Failed      // given up after all tries
)

var outcomeNames = [...]string{"returned", "listed", "copied", "skipped", "filtered", "unavailable", "failed"}

func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return "unknown"
}

// Result is what Settle records.
type Result struct {
	Outcome  Outcome
	Bytes    int64  // content bytes stored
	Produced []Item // children, and the next page of the folder
	// Parked are items that need no work any more but belong into the report: failures and items left out.
	Parked []Parked
}

// Parked is an item that was given up or left out, with its reason.
type Parked struct {
	ID      string  `json:"id"`
	Path    string  `json:"path"`
	Outcome Outcome `json:"-"`
	Reason  string  `json:"reason"`
	Detail  string  `json:"detail,omitempty"`
	Bytes   int64   `json:"bytes,omitempty"`
}

// Totals count a migration over all its processes and restarts.
type Totals struct {
	Folders  int64 `json:"folders"` // folders found, the root included
	Files    int64 `json:"files"`   // files found and queued
	Size     int64 `json:"size"`    // bytes of the files found, where known
	Listed   int64 `json:"listed"`  // folders listed to their end
	Copied   int64 `json:"copied"`
	Skipped  int64 `json:"skipped"`
	Filtered int64 `json:"filtered"`
	// Unavailable and Failed files aren't copied; only the latter make a migration fail.
	Unavailable int64 `json:"unavailable"`
	Failed      int64 `json:"failed"`
	Bytes       int64 `json:"bytes"` // content bytes stored
}

// Counter is a Queue that knows the totals.
type Counter interface {
	Totals(ctx context.Context) (Totals, error)
}
