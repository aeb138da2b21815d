package ledger

import (
	"encoding/json"

	"github.com/memsoak/memsoak/migrator"
)

// ItemID names an item for good: no number is ever given twice, whatever crashes in between.
type ItemID struct {
	Page uint64 `json:"p"`           // the page of a folder
	Try  uint32 `json:"t,omitempty"` // which listing of the page; of a page in flight, the current one
	N    uint32 `json:"n,omitempty"` // from 1: which file of that listing; 0 is the page itself
}

// Event is what processes tell the ledger. One event is one message: all of it counts or nothing.
type Event struct {
	Settled []Settled `json:"settled,omitempty"`
	Took    *Took     `json:"took,omitempty"`
	Back    *Back     `json:"back,omitempty"`
	State   *Saved    `json:"state,omitempty"`
	Holds   *Holds    `json:"holds,omitempty"`
	Begin   *Begin    `json:"begin,omitempty"`
	Push    *Push     `json:"push,omitempty"` // settled is one from outside, which counts once
}

// Push names a push: those of a process have rising numbers, and it sends none before the one before has arrived or is
// given up.
type Push struct {
	Proc string `json:"proc"`
	N    int64  `json:"n"`
}

// Settled ends an item. With the zero ID nothing ends and products come from outside.
type Settled struct {
	ID      ItemID           `json:"id"`
	Run     uint64           `json:"run,omitempty"` // the migration that the item is of; others' change nothing
	Outcome migrator.Outcome `json:"o"`
	Bytes   int64            `json:"b,omitempty"`
	// Files and Size: the listing's files are in the queue already, published by the process that listed the page.
	Files    uint32    `json:"f,omitempty"`
	Size     int64     `json:"s,omitempty"`
	Products []Product `json:"i,omitempty"` // others, for the ledger to publish
	Parked   []Parked  `json:"k,omitempty"`
}

// Product is an item that came of another.
type Product struct {
	Payload []byte `json:"p"`
	Folder  bool   `json:"d,omitempty"`
	Found   bool   `json:"f,omitempty"` // a folder that counts as found; further pages don't
	Level   int    `json:"l,omitempty"` // of a folder, its depth
	Size    int64  `json:"s,omitempty"` // of a file
}

// Parked is an item that was given up or left out.
type Parked struct {
	migrator.Parked
	Outcome migrator.Outcome `json:"outcome"`
}

// Took asks for leave to work on an item: always for pages, for files where a process may have worked on it before.
type Took struct {
	ID          ItemID `json:"id"`
	Run         uint64 `json:"run"`
	Proc        string `json:"proc"`
	Redelivered bool   `json:"redelivered,omitempty"`
	Limit       int64  `json:"limit"`
	Deliveries  int64  `json:"deliveries"`
}

// Back takes a took back: the process didn't die.
type Back struct {
	ID   ItemID `json:"id"`
	Run  uint64 `json:"run"`
	Proc string `json:"proc"`
}

// Holds says that a process has items, of files and of folders. It changes nothing but what the keeper makes of
// silence.
type Holds struct {
	Proc    string `json:"proc"`
	Files   bool   `json:"files,omitempty"`
	Folders bool   `json:"folders,omitempty"`
}

// Saved is the progress of a file.
type Saved struct {
	ID    ItemID `json:"id"`
	Run   uint64 `json:"run"`
	Proc  string `json:"proc"`
	State []byte `json:"state"`
}

// Begin begins a migration with its root, unless there is one.
type Begin struct {
	Request string `json:"request"` // the same when it is asked again
	// drawn at random: items of a migration that is forgotten are never this one's
	Run       uint64          `json:"run"`
	Migration json.RawMessage `json:"migration"`
	Root      Product         `json:"root"`
	Restart   bool            `json:"restart,omitempty"`
}

// Verdict is the answer to took.
type Verdict string

// The answers to took.
const (
	GoOn   Verdict = "go"
	Gone   Verdict = "gone" // it was settled, or never counted
	Wait   Verdict = "wait" // too many files are queued
	Poison Verdict = "poison"
)

// Reply answers an event: the answer to its question, and how far the migration is.
type Reply struct {
	Verdict Verdict `json:"verdict,omitempty"`
	Try     uint32  `json:"try,omitempty"`
	Deaths  int64   `json:"deaths,omitempty"`
	State   []byte  `json:"state,omitempty"`

	Schema  string           `json:"schema"`
	Run     uint64           `json:"run"`
	Mine    json.RawMessage  `json:"migration,omitempty"` // null: none was begun
	Totals  migrator.Totals  `json:"totals"`
	Folders int64            `json:"folders_left"`
	Files   int64            `json:"files_left"`
	Reasons map[string]int64 `json:"reasons,omitempty"`
	Lost    bool             `json:"lost,omitempty"` // items are open that are nowhere
}

// Outgoing is a message that the ledger publishes because of an event.
type Outgoing struct {
	id      ItemID
	product Product
	parked  *Parked
}

// maxParked bounds the lines kept of each outcome, maxReasons the reasons counted apart. Totals count all.
const (
	maxParked  = 10_000
	maxReasons = 100
)

// Done says that a migration was begun and nothing is open.
func (r *Reply) Done() bool { return r.Begun() && r.Folders == 0 && r.Files == 0 }

// Begun says that there is a migration.
func (r *Reply) Begun() bool { return len(r.Mine) > 0 && string(r.Mine) != "null" }
