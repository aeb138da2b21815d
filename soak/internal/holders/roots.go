package holders

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
)

// rootKind says what a root is.
type rootKind int

const (
	rootVariable rootKind = iota
	rootGoroutine
	rootFinalizer
	rootTimers
)

// root is where references begin: a package variable with the static data that it alone names, or all goroutines that
// began in one function, or all finalizers of one function, or the runtime's
// timers.
type root struct {
	kind   rootKind
	name   string
	vars   []int // in heap.vars, the variable itself first
	stacks []goroutine
	refs   []uint32 // objects, with repetitions removed
	// where has, by object, the words of the stacks that point to it, those of outer calls last. It is filled when first
	// asked for.
	where map[uint32][]stackWord
}

// stackWord is a word of a goroutine's stack.
type stackWord struct {
	stack    int // in root.stacks
	at, word uint64
}

// goroutine is a goroutine that has not ended.
type goroutine struct {
	id         uint64
	self       uint32 // its own record in the heap
	sp, bp, pc uint64
	hi         uint64
}

// ownName are the runtime's variables that are records of a goroutine or a thread, or lead to all of them.
var ownName = map[string]bool{"runtime.allgs": true, "runtime.allgptr": true, "runtime.g0": true, "runtime.m0": true,
	"runtime.gcrash": true}

// finalizing are the runtime's goroutines that call the user's functions with what they hold.
var finalizing = map[string]bool{"runtime.runFinalizers": true, "runtime.runCleanups": true}

// readRoots finds all roots. own are the runtime's records of goroutines, processors and threads, which count as no
// references: they reach each other and so everything, and have old addresses in buffers that the collector never looks
// at. What a user's goroutine or timer holds through them is a root by itself.
func (h *heap) readRoots(sps []uint64) (roots []root, own map[uint32]bool) {
	roots, own = h.variableRoots(), map[uint32]bool{}
	byFunc := h.goroutineRoots(sps, own)
	byFinal := map[string]*root{}
	for _, f := range h.finalizers {
		name := h.finalizerName(&f)
		r := byFinal[name]
		if r == nil {
			r = &root{kind: rootFinalizer, name: name}
			byFinal[name] = r
		}
		for _, w := range f.words {
			if obj, ok := h.object(w); ok {
				r.refs = append(r.refs, obj)
			}
		}
		if !f.cleanup { // the runtime keeps what the object refers to, for its finalizer, and not the object
			h.scan(h.contents(f.obj), func(_ int, obj uint32) { r.refs = append(r.refs, obj) })
		}
	}
	timers, processors := h.timers()
	for _, p := range append(processors, h.threads()...) {
		own[p] = true
	}
	for _, m := range []map[string]*root{byFunc, byFinal, {"": timers}} {
		for _, r := range m {
			roots = append(roots, *r)
		}
	}
	slices.SortFunc(roots, func(a, b root) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), strings.Compare(a.name, b.name))
	})
	for i := range roots {
		roots[i].refs = slices.DeleteFunc(roots[i].refs, func(o uint32) bool { return own[o] })
		slices.Sort(roots[i].refs)
		roots[i].refs = slices.Compact(roots[i].refs)
	}
	return roots, own
}

// goroutineRoots are the goroutines by the functions that they began in. Their records are added to own.
func (h *heap) goroutineRoots(sps []uint64, own map[uint32]bool) map[string]*root {
	byFunc, all := map[string]*root{}, h.goroutines(sps)
	ends := map[uint64]bool{} // the end of a stack is the beginning of what lies behind it
	for _, g := range all {
		ends[g.hi] = true
	}
	for _, g := range all {
		name := h.began(g)
		if strings.HasPrefix(name, "runtime.") && (!finalizing[name] || h.idle(g)) {
			own[g.self] = true // the collector's own, which holds nothing for anybody
			continue
		}
		r := byFunc[name]
		if r == nil {
			r = &root{kind: rootGoroutine, name: name}
			byFunc[name] = r
		}
		r.stacks = append(r.stacks, g)
		own[g.self] = true
		for _, off := range []uint64{h.lay.gDefer, h.lay.gPanic} {
			if obj, ok := h.object(h.word(h.address(g.self) + off)); ok {
				r.refs = append(r.refs, obj)
			}
		}
		b := h.stackOf(g)
		h.scan(b, func(off int, obj uint32) {
			if !ends[binary.LittleEndian.Uint64(b[off:])] {
				r.refs = append(r.refs, obj)
			}
		})
	}
	return byFunc
}

// idle says that a goroutine of the runtime's is in none of the user's functions: whatever is on its stack is left
// over, be it from who had that memory before. One such word may point into the middle of a list, and so to all of it.
func (h *heap) idle(g goroutine) bool {
	start := h.word(h.address(g.self) + h.lay.gStart)
	if g.pc == start { // it has not run yet
		return true
	}
	var begun *function
	user := false
	h.calls(g, func(c frame) bool {
		begun, user = c.fn, !strings.HasPrefix(c.fn.name, "runtime.")
		return !user
	})
	return begun != nil && begun == h.img.functionAt(start) && !user // a walk that broke off says nothing
}

// threads are the runtime's records of its threads.
func (h *heap) threads() []uint32 {
	var out []uint32
	const most = 1 << 16
	for m := h.word(h.lay.allm); m != 0 && len(out) < most && h.err == nil; m = h.word(m + h.lay.mNext) {
		obj, ok := h.object(m)
		if ok {
			out = append(out, obj)
		}
	}
	return out
}

// timers are the timers that wait, by the processors that have them.
func (h *heap) timers() (r *root, processors []uint32) {
	r = &root{kind: rootTimers, name: "pending timers"}
	base, n := h.word(h.lay.allp), h.word(h.lay.allp+ptrSize)
	const most = 1 << 16 // processors
	if h.err != nil || n > most {
		return r, nil
	}
	for ptrs := h.bytes(base, n*ptrSize); len(ptrs) > 0; ptrs = ptrs[ptrSize:] {
		p := binary.LittleEndian.Uint64(ptrs)
		if obj, ok := h.object(p); ok {
			processors = append(processors, obj)
		}
		if obj, ok := h.object(h.word(p + h.lay.pTimers)); ok {
			r.refs = append(r.refs, obj)
		}
	}
	return r, processors
}

// began names the function that a goroutine began in: what the source says after go, not the wrapper that carries its
// arguments.
func (h *heap) began(g goroutine) string {
	f := h.img.functionAt(h.word(h.address(g.self) + h.lay.gStart))
	switch {
	case f == nil:
		return "runtime internals"
	case f.name == "runtime.main":
		return "main.main"
	case !strings.Contains(f.name, ".gowrap"):
		return f.name
	}
	name := f.name
	h.calls(g, func(c frame) bool {
		if c.fn.low == f.low {
			return false
		}
		name = c.fn.name
		return true
	})
	return name
}

// finalizerName is the function that a finalizer or cleanup would call.
func (h *heap) finalizerName(f *finalizer) string {
	what := "finalizer"
	if f.cleanup {
		what = "cleanup"
	}
	for _, w := range f.words {
		var b [ptrSize]byte
		if w == 0 || !h.try(w, b[:]) {
			continue
		}
		if fn := h.img.functionAt(binary.LittleEndian.Uint64(b[:])); fn != nil && !strings.HasPrefix(fn.name, "runtime.") {
			return what + " " + fn.name
		}
	}
	return what
}

// scan calls yield for each word of b that points to an object, with the word's offset.
func (h *heap) scan(b []byte, yield func(off int, obj uint32)) {
	for off := 0; off+ptrSize <= len(b); off += ptrSize {
		if w := binary.LittleEndian.Uint64(b[off:]); w != 0 {
			if obj, ok := h.object(w); ok {
				yield(off, obj)
			}
		}
	}
}

// contents are the bytes of an object that may hold references; nil for one without.
func (h *heap) contents(obj uint32) []byte {
	s := h.spanOf(obj)
	if s.noscan {
		return nil
	}
	return h.bytes(h.address(obj), s.elem)
}

// goroutines lists those that have not ended.
func (h *heap) goroutines(sps []uint64) []goroutine {
	l := h.lay
	base, n := h.word(l.allgs), h.word(l.allgs+ptrSize)
	if h.err != nil || n > maxSlots {
		return nil
	}
	var out []goroutine
	for ptrs := h.bytes(base, n*ptrSize); len(ptrs) > 0; ptrs = ptrs[ptrSize:] {
		at := binary.LittleEndian.Uint64(ptrs)
		b := h.bytes(at, l.gSize)
		word := func(off uint64) uint64 { return binary.LittleEndian.Uint64(b[off:]) }
		self, ok := h.object(at)
		const scanBit = 0x1000
		status := uint64(uint32(word(l.gStatus))) &^ scanBit
		if !ok || status == l.gDead || word(l.gHi) == 0 {
			continue
		}
		g := goroutine{id: word(l.gID), self: self, sp: word(l.gSP), bp: word(l.gBP), pc: word(l.gPC), hi: word(l.gHi)}
		lo := word(l.gLo)
		switch status {
		case l.gSyscall:
			g.sp, g.bp, g.pc = word(l.gSyscallSP), word(l.gSyscallBP), word(l.gSyscallPC)
		case l.gRunning:
			// The saved pointer is old. A thread's own stack pointer is right; without one the whole stack is looked at.
			g.sp, g.bp, g.pc = lo, 0, 0
			for _, sp := range sps {
				if sp >= lo && sp < g.hi {
					g.sp = sp
				}
			}
		}
		if g.sp >= lo && g.sp < g.hi {
			out = append(out, g)
		}
	}
	return out
}

// words finds the words of a root's stacks that point to an object.
func (h *heap) words(r *root, obj uint32) []stackWord {
	if r.where == nil {
		r.where = map[uint32][]stackWord{}
		for i, s := range r.stacks {
			b, from := h.stackOf(s), (s.sp+ptrSize-1)&^(ptrSize-1)
			h.scan(b, func(off int, o uint32) {
				r.where[o] = append(r.where[o], stackWord{i, from + uint64(off), binary.LittleEndian.Uint64(b[off:])})
			})
		}
	}
	return r.where[obj]
}

// variable says by which variable of which call a root's stacks refer to an object: that of the outermost call that
// has a name for it, else the outermost call. Those further in were given it, or have it left over.
func (h *heap) variable(r *root, obj uint32) (field string, to place) {
	const most = 64 // goroutines may share an object
	words := h.words(r, obj)
	for i, w := range slices.Backward(words[max(0, len(words)-most):]) {
		f, t := h.local(r.stacks[w.stack], w.at, w.word)
		if t.known() {
			return f, t
		}
		if i == min(len(words), most)-1 {
			field, to = f, t
		}
	}
	return field, to
}

// stackOf are the bytes of a goroutine's stack that are in use.
func (h *heap) stackOf(g goroutine) []byte {
	from := (g.sp + ptrSize - 1) &^ (ptrSize - 1)
	return h.bytes(from, g.hi-from)
}
