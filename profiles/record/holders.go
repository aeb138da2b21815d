package record

import (
	"path/filepath"
	"time"
)

// HoldersFile is the file of a trial's directory that says who held what at its end, and HoldersSchema its schema.
const (
	HoldersFile   = "holders.json"
	HoldersSchema = "memsoak/holders/v1"
)

// Holders is holders.json: who held the objects of each allocation site in a process that was stopped for it, or in a
// core.
type Holders struct {
	Schema string    `json:"schema"`
	Time   time.Time `json:"time"`
	// Source is "process 123" or the core's path.
	Source string `json:"source"`
	// Stopped is for how long the process was stopped, seconds; 0 for a core.
	Stopped float64 `json:"stopped_seconds"`
	// Copied is the memory copied meanwhile, bytes: that which can have references.
	Copied  int64 `json:"copied_bytes,omitempty"`
	Objects int   `json:"objects"` // in reach of a root
	// Sites are the allocation sites with the most live bytes, largest first.
	Sites []HeldSite `json:"sites"`
	// WhyNot says in one line why nothing could be found out; then there are no sites.
	WhyNot string `json:"why_not,omitempty"`
}

// HeldStatus says how sure it is who holds a site's objects.
type HeldStatus string

// The values of HeldStatus.
const (
	HeldByRoot   HeldStatus = "held"           // all paths to the objects begin at the root
	HeldByShared HeldStatus = "shared"         // one object holds them, and several roots reach that: the nearest is named
	HeldByEach   HeldStatus = "each"           // every goroutine of the root has objects of its own
	HeldUnknown  HeldStatus = "not-determined" // several roots have a share, none a clear one
)

// HeldSite is an allocation site and who holds what it allocated.
type HeldSite struct {
	Site       Site       `json:"site"`
	Stack      []string   `json:"stack"`       // the one with the most bytes, leaf first, "function file:line"
	Bytes      int64      `json:"bytes"`       // live, estimated from the samples
	Samples    int        `json:"samples"`     // objects that the heap profiler sampled
	ObjectSize int64      `json:"object_size"` // of most of the bytes
	Status     HeldStatus `json:"status"`
	// Share of the bytes that would be free without the holder, 0 to 1; 0 where each goroutine has objects of its own.
	Share float64 `json:"share"`
	// Garbage is the share of the bytes that no root reaches: the collector has not freed them yet.
	Garbage float64 `json:"garbage,omitempty"`
	// Holder is the variable or field of the program's own that holds the objects, "main.server.audit.entries": the part
	// of the path that a person knows. Empty when the path has none.
	Holder string `json:"holder,omitempty"`
	// Each is how many objects of ObjectSize every goroutine of the root has for itself, and Goroutines how many of those
	// there are; both are 0 where that is not so.
	Each       int `json:"each,omitempty"`
	Goroutines int `json:"goroutines,omitempty"`
	// Path leads from the root to the objects, root first. Empty when the status is not-determined.
	Path []string `json:"path,omitempty"`
	// Roots are those with a share, or those that reach a shared object, largest first.
	Roots []HeldShare `json:"roots,omitempty"`
}

// HeldShare is a root and its share of a site's bytes. Without a share it is only known to reach them.
type HeldShare struct {
	Root  string  `json:"root"`
	Share float64 `json:"share,omitempty"`
}

// ReadHolders reads holders.json of a trial's directory.
func ReadHolders(dir string) (*Holders, error) {
	return read[Holders](filepath.Join(dir, HoldersFile), HoldersSchema)
}
