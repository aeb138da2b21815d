package series

import "math"

// The runtime's table of allocation stacks is memory outside the heap that is never freed: an array of hash buckets, of
// which a page becomes resident with the first stack that falls there, and a record for each stack
// (runtime/mprof.go: buckHashSize, bucket, memRecord).
const (
	tableBytes  = 179_999 * 8
	tablePages  = tableBytes / 4096.
	recordBytes = 48 + 4*32
	frameBytes  = 8
)

// ownRate is the sampling rate of a program that sets none: runtime.MemProfileRate.
const ownRate = 512 << 10

// profilerTable is what of it is resident: with the stacks of a profile, and with those of them that are to be expected
// at ownRate.
type profilerTable struct{ stacks, records, ownStacks, ownRecords float64 }

// add takes in a stack that has allocated so many bytes. Of its objects, each is sampled by itself.
func (t *profilerTable) add(frames int, alloc float64) {
	bytes, p := float64(recordBytes+frameBytes*frames), -math.Expm1(-alloc/ownRate)
	t.stacks, t.records = t.stacks+1, t.records+bytes
	t.ownStacks, t.ownRecords = t.ownStacks+p, t.ownRecords+p*bytes
}

// excess is by how much it is larger than at ownRate, in bytes.
func (t *profilerTable) excess() float64 {
	touched := func(stacks float64) float64 { return -math.Expm1(-stacks/tablePages) * tableBytes }
	return t.records - t.ownRecords + touched(t.stacks) - touched(t.ownStacks)
}
