package profiles

import (
	"math"

	"github.com/memsoak/memsoak/profiles/record"
)

// copies describes a trial's buffers that grow by copying, as io.ReadAll and bytes.Buffer make them: while a
// worker makes the last copy, the source of the copy is there as well. No held state shows that: it is over by then.
type copies struct {
	share  float64 // of the live heap that is in such buffers
	beside float64 // bytes beside a buffer while its last copy is made, over the buffer's
}

// copies finds such buffers in the state held at the upload's reply with the most live bytes. Each stack there is asked
// what it allocated since the state before for what it keeps: all of these are the transfers' own, as other states
// have files in their wave that passed. What they allocate beyond what they keep is there beside it, up to as much
// again: a buffer that doubled has copied from half of its size and leaves the smaller ones as garbage, and one that is
// put together from pieces at the end, as that of io.ReadAll, has all of these. Sums of both look alike. A stack that
// keeps nothing, at a place where another keeps, makes such pieces as well.
func (s *Series) copies() copies {
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
		return copies{}
	}
	var kept, beside float64
	for id, b := range s.besideCopies(s.Snaps[top], s.Snaps[before], s.Snaps[floor]) {
		if held := s.Snaps[top].Sites[id].Bytes - s.Snaps[floor].Sites[id].Bytes; b > leastCopy*held {
			kept, beside = kept+held, beside+math.Min(b, mostPieces*held)
		}
	}
	if kept <= 0 {
		return copies{}
	}
	return copies{share: math.Min(1, kept/s.Snaps[top].Live.Bytes), beside: beside / kept}
}

// besideCopies is, by site that holds memory for the transfers, the memory beside its buffers when they were made.
func (s *Series) besideCopies(top, before, floor *Snapshot) map[int32]float64 {
	out := map[int32]float64{}
	stacks := func(n *Snapshot) map[int32]stackBytes {
		m := make(map[int32]stackBytes, len(n.stacks))
		for _, b := range n.stacks {
			m[b.stack] = b
		}
		return m
	}
	atFloor, atBefore := stacks(floor), stacks(before)
	for _, b := range top.stacks {
		id := s.siteOf(b.stack)
		if top.Sites[id].Bytes-floor.Sites[id].Bytes < minHeldBytes {
			continue
		}
		kept, made := b.live-atFloor[b.stack].live, b.alloc-atBefore[b.stack].alloc
		switch {
		case made <= kept:
		case kept > minHeldBytes:
			out[id] += math.Min(kept, made-kept)
		default:
			out[id] += made
		}
	}
	return out
}

// copying is how many of n workers make their last copy at the same moment: each is at it for a part of its time, by
// itself. It is the number that is exceeded with the chance of a normal deviate beyond z.
func (c copies) copying(n int, z float64) float64 {
	p := copyTime * math.Min(1, c.beside)
	mean := float64(n) * p
	return math.Min(float64(n), mean+z*math.Sqrt(mean*(1-p)))
}
