package holders

import (
	"context"
	"debug/elf"
	"fmt"
	"io"
	"slices"
)

// snapshot is a copy of the part of a process's memory that can have references, taken while the process was stopped:
// the objects with pointers, and all writable memory outside of the heap. Memory that was there and has no part in it
// reads as zeros. It is judged when the process runs again.
type snapshot struct {
	exe   *elf.File
	start uint64
	sps   []uint64
	known []extent // writable memory, by address
	parts []part   // by address
}

// extent is a range of addresses.
type extent struct{ start, end uint64 }

// part is a copied piece of an extent.
type part struct {
	start uint64
	data  []byte
}

// partSize is the largest part, and the copy between two looks at the time.
const partSize = 4 << 20

// analysisPerObject is what the analysis takes for each object, used or free, beside the copy: numbers of 4 bytes for
// its place in the graph and in the tree of dominators, and its references.
const analysisPerObject = 96

// source is a stopped process whose memory can be copied.
type source interface {
	memory
	// writable are the extents of the anonymous and of the program's own writable memory, by address.
	writable() ([]extent, error)
	// present are the runs of an extent that have pages of their own.
	present(extent) []extent
}

// snapshot copies what the objects of h refer with, unless the memory for it is more than is allowed.
func (o *Options) snapshot(ctx context.Context, src source, h *heap) (*snapshot, error) {
	all, err := src.writable()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	at, err := src.entry()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	s := &snapshot{exe: h.img.elf, start: at, sps: src.stackPointers(), known: all}
	var copied []extent
	var size uint64
	for _, x := range h.referring(all) {
		for _, run := range src.present(x) {
			copied = append(copied, run)
			size += run.end - run.start
		}
	}
	if err := o.affords(h, size); err != nil {
		return nil, err
	}
	for _, run := range copied {
		for run.start < run.end {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
			p := part{run.start, make([]byte, min(partSize, run.end-run.start))}
			if _, err := src.ReadAt(p.data, int64(p.start)); err != nil {
				return nil, fmt.Errorf("copy %d bytes at %#x: %w", len(p.data), p.start, err)
			}
			s.parts = append(s.parts, p)
			run.start += uint64(len(p.data))
		}
	}
	return s, nil
}

// referring are the extents that can have references: of those with objects, the spans of objects with pointers and of
// stacks; the others whole.
func (h *heap) referring(all []extent) []extent {
	spans := slices.Clone(h.stacks)
	for _, s := range h.spans {
		if !s.noscan {
			spans = append(spans, extent{s.start, s.end})
		}
	}
	byStart := func(a, b extent) int { return int(int64(a.start - b.start)) }
	spanAt := func(s span, at uint64) int { return int(int64(s.start - at)) }
	slices.SortFunc(spans, byStart)
	for _, x := range all {
		i, _ := slices.BinarySearchFunc(h.spans, x.start, spanAt)
		if i == len(h.spans) || h.spans[i].start >= x.end {
			spans = append(spans, x)
		}
	}
	slices.SortFunc(spans, byStart)
	var out []extent
	for _, x := range spans {
		if n := len(out); n > 0 && x.start <= out[n-1].end {
			out[n-1].end = max(out[n-1].end, x.end)
			continue
		}
		out = append(out, x)
	}
	return out
}

// size is how much was copied.
func (s *snapshot) size() (n int64) {
	for _, p := range s.parts {
		n += int64(len(p.data))
	}
	return n
}

func (s *snapshot) entry() (uint64, error)  { return s.start, nil }
func (s *snapshot) stackPointers() []uint64 { return s.sps }
func (s *snapshot) release()                {}
func (s *snapshot) close() error            { return nil }

// ReadAt reads len(p) bytes at an address; what can't be written is read from the program's file.
func (s *snapshot) ReadAt(p []byte, addr int64) (int, error) {
	n := 0
	for n < len(p) {
		at := uint64(addr) + uint64(n)
		k := s.copyAt(at, p[n:])
		if k == 0 {
			k = segment(s.exe, s.start-s.exe.Entry, at, p[n:])
		}
		if k == 0 {
			return n, fmt.Errorf("address %#x is not in the copy: %w", at, io.ErrUnexpectedEOF)
		}
		n += k
	}
	return n, nil
}

// copyAt reads from the part that has an address, or zeros up to the next part; 0 outside of the known memory.
func (s *snapshot) copyAt(at uint64, p []byte) int {
	i, found := slices.BinarySearchFunc(s.parts, at, func(q part, at uint64) int { return int(int64(q.start - at)) })
	if !found {
		i--
	}
	if i >= 0 && at < s.parts[i].start+uint64(len(s.parts[i].data)) {
		return copy(p, s.parts[i].data[at-s.parts[i].start:])
	}
	k, found := slices.BinarySearchFunc(s.known, at, func(x extent, at uint64) int { return int(int64(x.start - at)) })
	if !found {
		k--
	}
	if k < 0 || at >= s.known[k].end {
		return 0
	}
	end := s.known[k].end
	if i+1 < len(s.parts) {
		end = min(end, s.parts[i+1].start)
	}
	n := min(uint64(len(p)), end-at)
	clear(p[:n])
	return int(n)
}
