package record

import "slices"

// Class is a finding's kind. The vocabulary is a contract; see the README's table.
type Class string

// The classes of findings.
const (
	Leak           Class = "leak"
	GoroutineLeak  Class = "goroutine-leak"
	ConnectionLeak Class = "connection-leak"
	Metadata       Class = "metadata"
	BufferFile     Class = "buffer-file"
	OffHeap        Class = "off-heap"
	PageCache      Class = "page-cache"
	BufferWorker   Class = "buffer-worker"
	BufferPool     Class = "buffer-pool"
	Cache          Class = "cache"
	Static         Class = "static" // kept for the process's life by one line, whatever the work
	Stacks         Class = "stacks"
	GCHeadroom     Class = "gc-headroom"
	GCThrash       Class = "gc-thrash"
	Unreturned     Class = "unreturned"
)

// kind is a row of the table of classes.
type kind struct {
	class    Class
	headline Headline // of a cell whose verdict is about such a finding
	fault    bool     // grows without bound as the work grows
}

// kinds is the table, in the order that breaks ties between findings.
var kinds = []kind{
	{class: Leak, headline: HeadLeak, fault: true},
	{class: GoroutineLeak, headline: HeadLeak, fault: true},
	{class: ConnectionLeak, headline: HeadLeak, fault: true},
	{class: Metadata, headline: HeadMetadata, fault: true},
	{class: BufferFile, headline: HeadBuffer, fault: true},
	{class: OffHeap, headline: HeadOffHeap, fault: true},
	{class: PageCache, headline: HeadOffHeap}, // a fault where the kernel can't drop it, see Finding.Unreclaimable
	{class: BufferWorker, headline: HeadBuffer},
	{class: BufferPool, headline: HeadBuffer},
	{class: Cache, headline: HeadBuffer},
	{class: Static, headline: HeadBuffer},
	{class: Stacks, headline: HeadBuffer},
	{class: GCHeadroom, headline: HeadHeadroom},
	{class: GCThrash, headline: HeadHeadroom},
	{class: Unreturned, headline: HeadHeadroom},
}

// Classes are all classes in the order of the table.
func Classes() (out []Class) {
	for _, k := range kinds {
		out = append(out, k.class)
	}
	return out
}

// Rank is the class's place in the table, -1 of a word that is no class.
func (c Class) Rank() int { return slices.IndexFunc(kinds, func(k kind) bool { return k.class == c }) }

// Headline is the verdict in one word on a cell that such a finding decides, empty for a word that is no class.
func (c Class) Headline() Headline { return c.kind().headline }

// Fault reports whether all findings of the class are faults by nature, whatever the settings.
func (c Class) Fault() bool { return c.kind().fault }

func (c Class) kind() kind {
	if i := c.Rank(); i >= 0 {
		return kinds[i]
	}
	return kind{}
}
