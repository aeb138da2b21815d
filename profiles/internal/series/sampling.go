package series

import "math"

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
// theirs alone: it counts frames that they leave out.
const othersRecords = 0.3

// SampledStack is one of them: its record, what it had allocated before the first wave, and since. Bytes.
type SampledStack struct{ Record, Before, Since float64 }

// bucket is what the table has of a stack: its records, one for each size of its objects, and what they allocated.
type bucket struct{ record, alloc float64 }

func (b *bucket) add(frames int, alloc float64) {
	b.record, b.alloc = b.record+recordBytes+frameBytes*float64(frames), b.alloc+alloc
}

// bucket finds or makes that of a stack.
func (t *heapTotals) bucket(stack int32) *bucket {
	for int(stack) >= len(t.table) {
		t.table = append(t.table, bucket{})
	}
	return &t.table[stack]
}

// restTable is the table of a state at rest.
type restTable struct {
	at    *Snapshot
	table []bucket
}

// Sampling reads it from the trial's first and last state at rest. A rate that a setting asks for, or that a program
// sets by itself, comes with the subject's next run as well.
func (s *Series) Sampling() (out Sampling) {
	first, last := s.rest[0], s.rest[1]
	if s.Rate != float64(s.Trial.SampleRate) || s.Rate >= ownRate || s.Setting("memprofilerate", "") != "" ||
		first.at == last.at {
		return out
	}
	out.Files = float64(max(1, last.at.Cov().FilesDone))
	records := 0.0
	for i, b := range last.table {
		if b.record == 0 {
			continue
		}
		k := SampledStack{Record: b.record, Since: b.alloc}
		if i < len(first.table) {
			k.Before = math.Min(b.alloc, first.table[i].alloc)
			k.Since -= k.Before
		}
		out.Stacks, records = append(out.Stacks, k), records+k.Record
	}
	// Stacks of blocking and mutex profiles are in the same array.
	if r := last.at.Runtime; r != nil && r.Profiling > 0 && s.Trial.PageSize > 0 &&
		float64(r.Profiling-arrayBytes) <= records/(1-othersRecords) {
		out.Pages = arrayBytes / float64(s.Trial.PageSize)
	}
	return out
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
