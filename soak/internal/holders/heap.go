package holders

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// span is a run of pages with objects of one size. Objects are numbered over all spans.
type span struct {
	start, end, elem uint64
	first, n         uint32
	noscan           bool
	header           bool   // its objects begin with a word that points to their type
	largeType        uint64 // type of a span's only object, 0 when not known
	specials         uint64
}

// heap is the memory read of a process.
type heap struct {
	view
	from  memory
	img   *image
	lay   *layout
	spans []span // by address
	// stacks are the pages that the runtime manages by hand: stacks of goroutines, and what else it keeps there.
	stacks []extent
	pages  map[uint64][]int32
	slots  uint32 // objects, used and free

	vars       []variable // package variables and static data, by address
	samples    []sample
	finalizers []finalizer
	rate       int64
	typesAt    uint64
	locals     map[slot]local
}

// sample is an object that the heap profiler sampled.
type sample struct {
	obj    uint32
	bucket uint64
	weight float64 // bytes that it stands for
}

// finalizer is a finalizer or cleanup that waits for an object.
type finalizer struct {
	obj     uint32
	cleanup bool
	words   []uint64 // of the record
}

// maxSlots bounds the work: beyond it the heap is too large to be read in the time there is.
const maxSlots = 60_000_000

// readSpans reads where the objects of a process are. It has to be stopped meanwhile; the objects are not read.
func readSpans(mem memory, img *image, lay *layout) (*heap, error) {
	h := &heap{view: view{mem: mem}, from: mem, img: img, lay: lay, pages: map[uint64][]int32{},
		locals: map[slot]local{}}
	h.rate = int64(h.word(lay.rate))
	h.typesAt = h.word(lay.firstModule + lay.types)
	all, n := h.word(lay.mheap+lay.allspans), h.word(lay.mheap+lay.allspans+ptrSize)
	if h.err != nil {
		return nil, h.err
	}
	if n > maxSlots {
		return nil, fmt.Errorf("%w: %d spans: the heap is too large, or damaged", ErrUnreadable, n)
	}
	ptrs := h.bytes(all, n*ptrSize)
	for ; len(ptrs) > 0 && h.err == nil; ptrs = ptrs[ptrSize:] {
		h.addSpan(binary.LittleEndian.Uint64(ptrs))
	}
	slices.SortFunc(h.spans, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	if err := h.number(); err != nil {
		return nil, err
	}
	return h, h.err
}

// readRecords reads the records on the objects.
func (h *heap) readRecords(ctx context.Context) error {
	for i := range h.spans {
		if h.spans[i].specials != 0 {
			h.readSpecials(&h.spans[i])
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
	return h.err
}

func (h *heap) addSpan(at uint64) {
	l := h.lay
	b := h.bytes(at, l.spanSize)
	word := func(off uint64) uint64 { return binary.LittleEndian.Uint64(b[off:]) }
	if uint64(b[l.state]) == l.spanManual {
		h.stacks = append(h.stacks, extent{word(l.start), word(l.start) + word(l.npages)*pageSize})
	}
	if uint64(b[l.state]) != l.spanInUse {
		return
	}
	class := b[l.class]
	s := span{
		start: word(l.start), elem: word(l.elem), n: uint32(binary.LittleEndian.Uint16(b[l.nelems:])),
		noscan: class&1 != 0, specials: word(l.specials),
	}
	s.end = s.start + word(l.npages)*pageSize
	large := class>>1 == 0
	if large {
		s.largeType = word(l.largeType)
	}
	s.header = !large && !s.noscan && s.elem > maxSmall
	if s.elem == 0 || s.n == 0 || s.end <= s.start || uint64(s.n)*s.elem > s.end-s.start {
		return
	}
	h.spans = append(h.spans, s)
}

// arenaShift makes pages findable by two steps, like the runtime's own index.
const arenaShift = 26

// number gives each object its number and each page its span.
func (h *heap) number() error {
	var n uint64
	for i := range h.spans {
		s := &h.spans[i]
		s.first = uint32(n)
		if n += uint64(s.n); n > maxSlots {
			return fmt.Errorf("%w: more than %d objects: the heap is too large", ErrUnreadable, maxSlots)
		}
		for a := s.start; a < s.end; a += pageSize {
			arena := a >> arenaShift
			if h.pages[arena] == nil {
				h.pages[arena] = make([]int32, 1<<arenaShift/pageSize)
			}
			h.pages[arena][a%(1<<arenaShift)/pageSize] = int32(i + 1)
		}
	}
	h.slots = uint32(n)
	return nil
}

// object finds the object that an address points into.
func (h *heap) object(addr uint64) (obj uint32, ok bool) {
	pages := h.pages[addr>>arenaShift]
	if pages == nil {
		return 0, false
	}
	i := pages[addr%(1<<arenaShift)/pageSize]
	if i == 0 {
		return 0, false
	}
	s := &h.spans[i-1]
	k := (addr - s.start) / s.elem
	if k >= uint64(s.n) {
		return 0, false
	}
	return s.first + uint32(k), true
}

// spanOf is the span of an object.
func (h *heap) spanOf(obj uint32) *span {
	i, ok := slices.BinarySearchFunc(h.spans, obj, func(s span, o uint32) int { return cmp.Compare(s.first, o) })
	if !ok {
		i--
	}
	return &h.spans[i]
}

// address is where an object's slot begins.
func (h *heap) address(obj uint32) uint64 {
	s := h.spanOf(obj)
	return s.start + uint64(obj-s.first)*s.elem
}

// maxSpecials ends the reading of a damaged list.
const maxSpecials = 1 << 20

// readSpecials reads the records on the objects of a span: profiler samples, finalizers and cleanups.
func (h *heap) readSpecials(s *span) {
	l := h.lay
	at := s.specials
	for i := 0; at != 0 && i < maxSpecials && h.err == nil; i++ {
		b := h.bytes(at, max(l.specialSize+ptrSize, l.finalizerSize, l.cleanupSize))
		word := func(off uint64) uint64 { return binary.LittleEndian.Uint64(b[off:]) }
		obj, ok := h.object(s.start + word(l.specialOffset))
		if !ok {
			h.err = fmt.Errorf("%w: a record of the heap is not where it should be", ErrUnreadable)
			return
		}
		switch kind := b[l.specialKind]; kind {
		case l.kindProfile:
			h.samples = append(h.samples, sample{obj, word(l.profileBucket), h.weigh(s.elem)})
		case l.kindFinalizer, l.kindCleanup:
			f := finalizer{obj: obj, cleanup: kind == l.kindCleanup}
			end := l.finalizerSize
			if f.cleanup {
				end = l.cleanupSize
			}
			for off := l.specialSize; off+ptrSize <= end; off += ptrSize {
				f.words = append(f.words, word(off))
			}
			h.finalizers = append(h.finalizers, f)
		}
		at = word(l.specialNext)
	}
}

// weigh is how many bytes a sampled object of that size stands for, as the profile itself is scaled.
func (h *heap) weigh(size uint64) float64 {
	if h.rate <= 1 {
		return float64(size)
	}
	return float64(size) / -math.Expm1(-float64(size)/float64(h.rate))
}

// stack is the stack that a profiler's bucket was sampled at.
func (h *heap) stack(bucket uint64) []Frame {
	l := h.lay
	n := h.word(bucket + l.bucketNstk)
	const deepest = 1024 // more than the runtime keeps
	if n > deepest {
		return nil
	}
	var out []Frame
	for pcs := h.bytes(bucket+l.bucketLen, n*ptrSize); len(pcs) > 0; pcs = pcs[ptrSize:] {
		out = append(out, h.img.frames(binary.LittleEndian.Uint64(pcs))...)
	}
	return out
}
