package series

import (
	"math"

	"github.com/memsoak/memsoak/profiles/trend"
)

// LiveHeap is the live heap, garbage apart: as the runtime counts it where that was read between the collection and
// anything new, and never less than the sites of the profile, which are a sample. Bytes.
func (n *Snapshot) LiveHeap() float64 {
	if n.Exact && n.Runtime != nil {
		return math.Max(n.Live.Bytes, float64(n.Runtime.HeapAlloc))
	}
	return n.Live.Bytes
}

// Unwritten is the live heap that is not resident. Resident pages of the arenas are an upper bound of the
// resident part of objects and of the rest, since free pages that the runtime has not returned are among them. Pages in
// swap were written.
func (n *Snapshot) Unwritten(arenas float64) float64 {
	p := n.Process
	if p == nil || p.HeapArena <= 0 || math.IsNaN(arenas) {
		return 0
	}
	return math.Min(n.LiveHeap(), math.Max(0, n.LiveHeap()+arenas-float64(p.HeapArena+p.Swap)))
}

// BesideLive is resident memory beside the live heap that no pressure reclaims, NaN where it was not read. In the
// arenas these are the parts of spans without objects and the stacks, for as the collections were forced there is next
// to no garbage; outside are anonymous and shared memory and the kernel's own for the cgroup: page tables, sockets,
// stacks of threads. Free spans and pages of files, the program's text among them, make room.
func (n *Snapshot) BesideLive() (arenas, outside float64) {
	arenas, outside = math.NaN(), math.NaN()
	if r := n.Runtime; r != nil {
		arenas = math.Max(0, float64(r.HeapInuse-r.HeapAlloc+r.StackInuse))
	}
	if p := n.Process; p != nil {
		outside = float64(p.OtherAnon + p.Shmem)
		if c := n.Cgroup; c != nil {
			outside = float64(p.OtherAnon + max(p.Shmem, c.Shmem) + c.Kernel)
		}
	}
	return arenas, outside
}

// Apart is the anonymous memory of a trial's cgroup that is not the subject's own process's: its children's. The kernel
// adds up its counters now and then, so single readings are off by megabytes and the median counts.
func (s *Series) Apart() float64 {
	var v []float64
	for _, n := range s.Snaps {
		if n.Process != nil && n.Cgroup != nil && n.Cgroup.Anon > 0 {
			v = append(v, float64(n.Cgroup.Anon-n.Process.Anon))
		}
	}
	if len(v) == 0 {
		return 0
	}
	return math.Max(0, trend.Median(v))
}
