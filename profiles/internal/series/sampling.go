package series

import (
	"math"
)

// The record that the runtime has for each allocation stack that it sampled, outside the heap and for good
// (runtime/mprof.go: bucket, memRecord). The array of hash buckets before them isn't counted: which of its pages are
// resident hangs on their size and on profiles of other kinds.
const (
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
}

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
	if s.Rate != float64(s.Trial.SampleRate) || s.Rate >= ownRate || s.Setting("memprofilerate", "") != "" || len(rest) < 2 {
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
	return out
}

// recordOf is the size of a stack's record, bytes.
func (s *Series) recordOf(stack int32) float64 {
	return recordBytes + frameBytes*float64(len(s.intern.paths[stack]))
}

// Beyond is by how much the records are more than at the subject's own rate with so many files done, bytes: each
// allocation is sampled by itself, and what a stack allocates with files it goes on to allocate.
func (s Sampling) Beyond(files int64) (bytes float64) {
	times := math.Max(1, float64(files)/s.Files)
	for _, k := range s.Stacks {
		bytes += k.Record * math.Exp(-(k.Before+times*k.Since)/ownRate)
	}
	return bytes
}
