package rabbit

import (
	"encoding/json"

	"github.com/memsoak/memsoak/migrator"
)

// itemID names an item for good: no number is ever given twice, whatever crashes in between.
type itemID struct {
	Page uint64 `json:"p"`           // the page of a folder
	Try  uint32 `json:"t,omitempty"` // which listing of the page; of a page in flight, the current one
	N    uint32 `json:"n,omitempty"` // from 1: which file of that listing; 0 is the page itself
}

// event is what processes tell the ledger. One event is one message: all of it counts or nothing.
type event struct {
	Settled []settled `json:"settled,omitempty"`
	Took    *took     `json:"took,omitempty"`
	Back    *back     `json:"back,omitempty"`
	State   *saved    `json:"state,omitempty"`
	Holds   *holds    `json:"holds,omitempty"`
	Begin   *begin    `json:"begin,omitempty"`
	Push    *push     `json:"push,omitempty"` // settled is one from outside, which counts once
}

// push names a push: those of a process have rising numbers, and it sends none before the one before has arrived or is
// given up.
type push struct {
	Proc string `json:"proc"`
	N    int64  `json:"n"`
}

// settled ends an item. With the zero ID nothing ends and products come from outside.
type settled struct {
	ID      itemID           `json:"id"`
	Run     uint64           `json:"run,omitempty"` // the migration that the item is of; others' change nothing
	Outcome migrator.Outcome `json:"o"`
	Bytes   int64            `json:"b,omitempty"`
	// Files and Size: the listing's files are in the queue already, published by the process that listed the page.
	Files    uint32    `json:"f,omitempty"`
	Size     int64     `json:"s,omitempty"`
	Products []product `json:"i,omitempty"` // others, for the ledger to publish
	Parked   []parked  `json:"k,omitempty"`
}

type product struct {
	Payload []byte `json:"p"`
	Folder  bool   `json:"d,omitempty"`
	Found   bool   `json:"f,omitempty"` // a folder that counts as found; further pages don't
	Level   int    `json:"l,omitempty"` // of a folder, its depth
	Size    int64  `json:"s,omitempty"` // of a file
}

type parked struct {
	migrator.Parked
	Outcome migrator.Outcome `json:"outcome"`
}

// took asks for leave to work on an item: always for pages, for files where a process may have worked on it before.
type took struct {
	ID          itemID `json:"id"`
	Run         uint64 `json:"run"`
	Proc        string `json:"proc"`
	Redelivered bool   `json:"redelivered,omitempty"`
	Limit       int64  `json:"limit"`
	Deliveries  int64  `json:"deliveries"`
}

// back takes a took back: the process didn't die.
type back struct {
	ID   itemID `json:"id"`
	Run  uint64 `json:"run"`
	Proc string `json:"proc"`
}

// holds says that a process has items, of files and of folders. It changes nothing but what the keeper makes of
// silence.
type holds struct {
	Proc    string `json:"proc"`
	Files   bool   `json:"files,omitempty"`
	Folders bool   `json:"folders,omitempty"`
}

// saved is the progress of a file.
type saved struct {
	ID    itemID `json:"id"`
	Run   uint64 `json:"run"`
	Proc  string `json:"proc"`
	State []byte `json:"state"`
}

type begin struct {
	Request string `json:"request"` // the same when it is asked again
	// drawn at random: items of a migration that is forgotten are never this one's
	Run       uint64          `json:"run"`
	Migration json.RawMessage `json:"migration"`
	Root      product         `json:"root"`
	Restart   bool            `json:"restart,omitempty"`
}

// verdict is the answer to took.
type verdict string

const (
	goOn   verdict = "go"
	gone   verdict = "gone" // it was settled, or never counted
	wait   verdict = "wait" // too many files are queued
	poison verdict = "poison"
)

// reply answers an event: the answer to its question, and how far the migration is.
type reply struct {
	Verdict verdict `json:"verdict,omitempty"`
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

// outgoing is a message that the ledger publishes because of an event.
type outgoing struct {
	id      itemID
	product product
	parked  *parked
}

// maxParked bounds the lines kept of each outcome, maxReasons the reasons counted apart. Totals count all.
const (
	maxParked  = 10_000
	maxReasons = 100
)
