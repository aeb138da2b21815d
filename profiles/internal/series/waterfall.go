package series

import (
	"fmt"
	"strings"

	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

// Waterfall splits the resident memory at the snapshot with the most of it.
func (s *Series) Waterfall() []record.Part {
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
	if top := s.TopSites(best, 3); len(top) > 0 {
		var names []string
		for _, t := range top {
			names = append(names,
				fmt.Sprintf("%s %s:%d", words.Bytes(float64(t.Bytes)), words.Short(t.Site.Function), t.Site.Line))
		}
		parts[0].Detail += "; the largest sites: " + strings.Join(names, ", ")
	}
	if c := best.Cgroup; c != nil && c.Usage > 0 {
		last := &parts[len(parts)-1]
		last.Detail += fmt.Sprintf("; the cgroup charges %s: %s anonymous, %s file pages (%s of them shared memory), %s "+
			"kernel",
			words.Bytes(float64(c.Usage)), words.Bytes(float64(c.Anon)), words.Bytes(float64(c.File)),
			words.Bytes(float64(c.Shmem)),
			words.Bytes(float64(c.Kernel)))
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
		{Part: record.PartLive, Bytes: live, Detail: "objects in use at the last collection"},
		{Part: record.PartGarbage, Bytes: r.HeapAlloc - live, Detail: "allocated since, or not yet swept"},
		{Part: record.PartUnused, Bytes: r.HeapInuse - r.HeapAlloc + free,
			Detail: fmt.Sprintf("%s in spans partly used, %s in free spans", words.Bytes(float64(r.HeapInuse-r.HeapAlloc)),
				words.Bytes(float64(free)))},
		{Part: record.PartStacks, Bytes: r.StackInuse, Detail: "of " + words.Count(r.Goroutines, "goroutine")},
		{Part: record.PartUntouched, Bytes: min(0, untouched), Detail: source},
		{Part: record.PartRuntime, Bytes: meta, Detail: "the runtime's own tables"},
		{Part: record.PartOffHeap, Bytes: p.OtherAnon - meta,
			Detail: "anonymous memory outside the Go heap: thread stacks, mmap, cgo"},
		{Part: record.PartFile, Bytes: p.File + p.Shmem,
			Detail: fmt.Sprintf("mapped files and the program's text, %s of it shared memory", words.Bytes(float64(p.Shmem)))},
	}
	var sum int64
	for _, x := range parts {
		sum += x.Bytes
	}
	return append(parts, record.Part{Part: record.PartRemainder, Bytes: p.RSS - sum, Detail: "not explained"})
}

// splitByKernel adds up a snapshot's memory where the subject exposes no account of its runtime and had no time for
// one: the profile has the live memory, the kernel the rest.
func splitByKernel(n *Snapshot) []record.Part {
	p := n.Process
	live := min(int64(n.Live.Bytes), p.HeapArena)
	return []record.Part{
		{Part: record.PartLive, Bytes: live, Detail: "objects in use at the last collection"},
		{Part: record.PartUnused, Bytes: p.HeapArena - live,
			Detail: "the rest of the heap's arenas: garbage, stacks and free spans; the runtime's account was not read"},
		{Part: record.PartOffHeap, Bytes: p.OtherAnon,
			Detail: "anonymous memory outside the Go heap: the runtime's own tables, thread stacks, mmap, cgo"},
		{Part: record.PartFile, Bytes: p.File + p.Shmem,
			Detail: fmt.Sprintf("mapped files and the program's text, %s of it shared memory", words.Bytes(float64(p.Shmem)))},
		{Part: record.PartRemainder, Bytes: p.RSS - p.HeapArena - p.OtherAnon - p.File - p.Shmem, Detail: "not explained"},
	}
}
