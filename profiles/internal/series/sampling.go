package series

import (
	"math"
)

// The runtime's table of the allocation stacks that it sampled is outside the heap and for good: an array of hash
// buckets, of which a page becomes resident with the first stack that falls there, and a record for each stack
// (runtime/mprof.go: buckHashSize, bucket, memRecord).
const (
	arrayBytes  = 179_999 * 8
	recordBytes = 48 + 4*32
	frameBytes  = 8
)

// ownRate is the sampling rate of a program that sets none: runtime.MemProfileRate.
const ownRate = 512 << 10

// Sampling is what a trial's fine sampling has the subject keep outside its heap. The zero value is of a trial that
// kept the subject's own rate.
type Sampling struct {
	Files  float64 // done in the trial
	Stacks []SampledStack
	Pages  float64 // of the array; 0 where these may be resident at any rate
}

// othersRecords is the part of the records, by the runtime's count, that heap profiles don't have where the table is
// theirs alone: it counts stacks of the harness's own requests and rounds up.
const othersRecords = 0.3

// SampledStack is one of them: its record, what it had allocated before the first wave, and since. Bytes.
type SampledStack struct{ Record, Before, Since float64 }

// Sampling reads it from the trial's first and last state at rest. A rate that a setting asks for, or that a program
// sets by itself, comes with the subject's next run as well.
func (s *Series) Sampling() (out Sampling) {
	var rest []*Snapshot
	for _, n := range s.Snaps {
		if n.Profiled && n.AtRest() {
			rest = append(rest, n)
		}
	}
	if s.Rate != float64(s.Trial.SampleRate) || s.Rate >= ownRate || s.Setting("memprofilerate", "") != "" ||
		len(rest) < 2 {
		return out
	}
	last := rest[len(rest)-1]
	out.Files = float64(max(1, last.Cov().FilesDone))
	before := map[int32]float64{}
	for _, b := range rest[0].Stacks {
		before[b.Stack] = b.Alloc
	}
	for _, b := range last.Stacks {
		out.Stacks = append(out.Stacks, SampledStack{Record: s.recordOf(b.Stack), Before: before[b.Stack],
			Since: math.Max(0, b.Alloc-before[b.Stack])})
	}
	records := 0.0
	for _, k := range out.Stacks {
		records += k.Record
	}
	// Stacks of blocking and mutex profiles are in the same array.
	if r := last.Runtime; r != nil && r.Profiling > 0 && s.Trial.PageSize > 0 &&
		float64(r.Profiling-arrayBytes) <= records/(1-othersRecords) {
		out.Pages = arrayBytes / float64(s.Trial.PageSize)
	}
	return out
}

// recordOf is the size of a stack's record, bytes.
func (s *Series) recordOf(stack int32) float64 {
	return recordBytes + frameBytes*float64(len(s.intern.paths[stack]))
}

// Beyond is by how much the table is larger than at the subject's own rate with so many files done, bytes: each
// allocation is sampled by itself, and what a stack allocates with files grows with more of them.
func (s Sampling) Beyond(files int64) (bytes float64) {
	times, all, rare := math.Max(1, float64(files)/s.Files), float64(len(s.Stacks)), 0.0
	for _, k := range s.Stacks {
		unseen := math.Exp(-(k.Before + times*k.Since) / ownRate)
		bytes, rare = bytes+k.Record*unseen, rare+unseen
	}
	if s.Pages > 0 {
		bytes += arrayBytes * (math.Exp(-(all-rare)/s.Pages) - math.Exp(-all/s.Pages))
	}
	return bytes
}
