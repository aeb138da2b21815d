package series

import (
	"math"

	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/record"
)

// Copies describes a trial's buffers that grow by copying, as io.ReadAll and bytes.Buffer make them: while a
// worker makes the last copy, the source of the copy is there as well. No held state shows that: it is over by then.
type Copies struct {
	Share  float64 // of the live heap that is in such buffers
	Beside float64 // bytes beside a buffer while its last copy is made, over the buffer's
}

// Copies finds such buffers in the state held at the upload's reply with the most live bytes. Each stack there is asked
// what it allocated since the state before for what it keeps: all of these are the transfers' own, as other states
// have files in their wave that passed. What they allocate beyond what they keep is there beside it, up to as much
// again: a buffer that doubled has copied from half of its size and leaves the smaller ones as garbage, and one that is
// put together from pieces at the end, as that of io.ReadAll, has all of these. Sums of both look alike. A stack that
// keeps nothing, at a place where another keeps, makes such pieces as well.
func (s *Series) Copies() Copies {
	top, floor, before, last := -1, -1, -1, -1
	for i, n := range s.Snaps {
		switch {
		case n.State == record.StateHigh || n.State == record.StatePress: // while the buffers grow
			continue
		case !n.Profiled:
		case n.State == record.StateFloor && top < 0:
			floor = i
		case n.State == record.StateReply && last >= 0 && s.Snaps[last].Profiled &&
			(top < 0 || n.Live.Bytes > s.Snaps[top].Live.Bytes):
			top, before = i, last
		}
		last = i
	}
	if top < 0 || floor < 0 || s.Snaps[top].Live.Bytes <= 0 {
		return Copies{}
	}
	var kept, beside float64
	for id, b := range s.besideCopies(s.Snaps[top], s.Snaps[before], s.Snaps[floor]) {
		if held := s.Snaps[top].Sites[id].Bytes - s.Snaps[floor].Sites[id].Bytes; b > threshold.LeastCopy*held {
			kept, beside = kept+held, beside+math.Min(b, threshold.MostPieces*held)
		}
	}
	if kept <= 0 {
		return Copies{}
	}
	return Copies{Share: math.Min(1, kept/s.Snaps[top].Live.Bytes), Beside: beside / kept}
}

// besideCopies is, by site that holds memory for the transfers, the memory beside its buffers when they were made.
func (s *Series) besideCopies(top, before, floor *Snapshot) map[int32]float64 {
	out := map[int32]float64{}
	stacks := func(n *Snapshot) map[int32]StackBytes {
		m := make(map[int32]StackBytes, len(n.Stacks))
		for _, b := range n.Stacks {
			m[b.Stack] = b
		}
		return m
	}
	atFloor, atBefore := stacks(floor), stacks(before)
	for _, b := range top.Stacks {
		id := s.SiteOf(b.Stack)
		if top.Sites[id].Bytes-floor.Sites[id].Bytes < threshold.MinHeldBytes {
			continue
		}
		kept, made := b.Live-atFloor[b.Stack].Live, b.Alloc-atBefore[b.Stack].Alloc
		switch {
		case made <= kept:
		case kept > threshold.MinHeldBytes:
			out[id] += math.Min(kept, made-kept)
		default:
			out[id] += made
		}
	}
	return out
}

// Copying is how many of n workers make their last copy at the same moment: each is at it for a part of its time, by
// itself. It is the number that is exceeded with the chance of a normal deviate beyond z.
func (c Copies) Copying(n int, z float64) float64 {
	p := threshold.CopyTime * math.Min(1, c.Beside)
	mean := float64(n) * p
	return math.Min(float64(n), mean+z*math.Sqrt(mean*(1-p)))
}
