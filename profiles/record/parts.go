package record

// The parts of a waterfall, from what the program holds to what the kernel charges.
const (
	PartLive      = "live-heap"
	PartGarbage   = "garbage"
	PartUnused    = "unreturned"
	PartUntouched = "untouched"
	PartStacks    = "stacks"
	PartRuntime   = "runtime"
	PartOffHeap   = "off-heap"
	PartFile      = "file"
	PartRemainder = "remainder"
)
