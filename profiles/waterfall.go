package profiles

import (
	"fmt"
	"strings"

	"github.com/memsoak/memsoak/profiles/record"
)

// The parts of a waterfall, from what the program holds to what the kernel charges.
const (
	partLive      = "live-heap"
	partGarbage   = "garbage"
	partUnused    = "unreturned"
	partUntouched = "untouched"
	partStacks    = "stacks"
	partRuntime   = "runtime"
	partOffHeap   = "off-heap"
	partFile      = "file"
	partRemainder = "remainder"
)

// waterfall splits the resident memory at the snapshot with the most of it.
func (s *Series) waterfall() []record.Part {
	var best *Snapshot
	for _, n := range s.Snaps {
		if n.Process != nil && (n.Runtime != nil || n.Profiled) && (best == nil || n.Process.RSS > best.Process.RSS) {
			best = n
		}
	}
	if best == nil {
		return []record.Part{}
	}
	parts := splitMemory(best)
	if top := s.topSites(best, 3); len(top) > 0 {
		var names []string
		for _, t := range top {
			names = append(names, fmt.Sprintf("%s %s:%d", bytesText(float64(t.Bytes)), short(t.Site.Function), t.Site.Line))
		}
		parts[0].Detail += "; the largest sites: " + strings.Join(names, ", ")
	}
	if c := best.Cgroup; c != nil && c.Usage > 0 {
		last := &parts[len(parts)-1]
		last.Detail += fmt.Sprintf("; the cgroup charges %s: %s anonymous, %s file pages (%s of them shared memory), %s "+
			"kernel",
			bytesText(float64(c.Usage)), bytesText(float64(c.Anon)), bytesText(float64(c.File)), bytesText(float64(c.Shmem)),
			bytesText(float64(c.Kernel)))
	}
	return parts
}

// splitMemory adds up a snapshot's memory. The runtime has the parts of the arenas: live, garbage, free spans, stacks.
// The kernel has the part of their mapped, unreleased memory that it has never backed with a page: untouched,
// below zero, so that the bars add up to the resident size. The rest is where the two accounts disagree: memory
// mapped for the heap of which the runtime does not know, or the other way round.
func splitMemory(n *Snapshot) []record.Part {
	p, r := n.Process, n.Runtime
	if r == nil {
		return splitByKernel(n)
	}
	live := min(int64(n.Live.Bytes), r.HeapAlloc)
	if !n.Profiled {
		live = r.HeapAlloc
	}
	free := r.HeapIdle - r.HeapReleased
	committed := r.HeapInuse + free + r.StackInuse
	untouched, source := p.HeapArena+r.HeapReleased-p.ArenaSize,
		"mapped for the heap and not released, but never written, so not resident"
	if p.ArenaSize == 0 {
		untouched, source = p.HeapArena-committed,
			"in the runtime's account but not resident; by difference, since the size of the arenas was not read"
	}
	meta := min(r.Metadata, p.OtherAnon)
	parts := []record.Part{
		{Part: partLive, Bytes: live, Detail: "objects in use at the last collection"},
		{Part: partGarbage, Bytes: r.HeapAlloc - live, Detail: "allocated since, or not yet swept"},
		{Part: partUnused, Bytes: r.HeapInuse - r.HeapAlloc + free,
			Detail: fmt.Sprintf("%s in spans partly used, %s in free spans", bytesText(float64(r.HeapInuse-r.HeapAlloc)),
				bytesText(float64(free)))},
		{Part: partStacks, Bytes: r.StackInuse, Detail: "of " + count(r.Goroutines, "goroutine")},
		{Part: partUntouched, Bytes: min(0, untouched), Detail: source},
		{Part: partRuntime, Bytes: meta, Detail: "the runtime's own tables"},
		{Part: partOffHeap, Bytes: p.OtherAnon - meta,
			Detail: "anonymous memory outside the Go heap: thread stacks, mmap, cgo"},
		{Part: partFile, Bytes: p.File + p.Shmem,
			Detail: fmt.Sprintf("mapped files and the program's text, %s of it shared memory", bytesText(float64(p.Shmem)))},
	}
	var sum int64
	for _, x := range parts {
		sum += x.Bytes
	}
	return append(parts, record.Part{Part: partRemainder, Bytes: p.RSS - sum, Detail: "not explained"})
}

// splitByKernel adds up a snapshot's memory where the subject exposes no account of its runtime and had no time for
// one: the profile has the live memory, the kernel the rest.
func splitByKernel(n *Snapshot) []record.Part {
	p := n.Process
	live := min(int64(n.Live.Bytes), p.HeapArena)
	return []record.Part{
		{Part: partLive, Bytes: live, Detail: "objects in use at the last collection"},
		{Part: partUnused, Bytes: p.HeapArena - live,
			Detail: "the rest of the heap's arenas: garbage, stacks and free spans; the runtime's account was not read"},
		{Part: partOffHeap, Bytes: p.OtherAnon,
			Detail: "anonymous memory outside the Go heap: the runtime's own tables, thread stacks, mmap, cgo"},
		{Part: partFile, Bytes: p.File + p.Shmem,
			Detail: fmt.Sprintf("mapped files and the program's text, %s of it shared memory", bytesText(float64(p.Shmem)))},
		{Part: partRemainder, Bytes: p.RSS - p.HeapArena - p.OtherAnon - p.File - p.Shmem, Detail: "not explained"},
	}
}
