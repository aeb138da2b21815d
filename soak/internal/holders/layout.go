package holders

import (
	"fmt"
	"strings"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
)

// layout is where the runtime of one program keeps the data to read, all from the program's own DWARF.
type layout struct {
	mheap, firstModule, allgs, allp, allm, rate uint64 // addresses of package variables

	allspans                                             uint64
	types, data, edata, bss, ebss                        uint64 // of moduledata
	spanSize                                             uint64 // bytes of an mspan
	start, npages, nelems, class, state, elem            uint64 // of mspan
	specials, largeType                                  uint64
	specialNext, specialOffset, specialKind, specialSize uint64
	profileBucket, finalizerSize, cleanupSize            uint64
	bucketSize, bucketNstk, bucketLen                    uint64
	gSize, gLo, gHi, gSP, gBP, gPC, gSyscallSP           uint64
	gSyscallBP, gSyscallPC, gStatus, gID, gStart         uint64
	itabType, pTimers, mNext, gDefer, gPanic             uint64
	kindProfile, kindFinalizer, kindCleanup              byte
	spanInUse, spanManual, gDead, gRunning, gSyscall     uint64
}

// finder looks names up and remembers the first that is not there.
type finder struct {
	m   *image
	err error
}

// pageSize is the runtime's page; maxSmall is the largest object with its pointer bits in its span, larger ones begin
// with a word that points to their type.
const (
	pageSize = 8192
	maxSmall = 512
	ptrSize  = 8
)

// newLayout looks everything up. An error names what this runtime lacks.
func newLayout(m *image) (*layout, error) {
	f := &finder{m: m}
	l := &layout{
		mheap: f.variable("runtime.mheap_"), firstModule: f.variable("runtime.firstmoduledata"),
		allgs: f.variable("runtime.allgs"), allp: f.variable("runtime.allp"), allm: f.variable("runtime.allm"),
		mNext: f.field("runtime.m", "alllink"), pTimers: f.field("runtime.p", "timers.heap"),
		rate:     f.variable("runtime.MemProfileRate"),
		allspans: f.field("runtime.mheap", "allspans"),
		types:    f.field("runtime.moduledata", "types"), data: f.field("runtime.moduledata", "data"),
		edata: f.field("runtime.moduledata", "edata"),
		bss:   f.field("runtime.moduledata", "bss"), ebss: f.field("runtime.moduledata", "ebss"),
		spanSize: f.size("runtime.mspan"), start: f.field("runtime.mspan", "startAddr"), npages: f.field("runtime.mspan",
			"npages"),
		nelems: f.field("runtime.mspan", "nelems"), class: f.field("runtime.mspan", "spanclass"),
		state: f.field("runtime.mspan", "state"),
		elem:  f.field("runtime.mspan", "elemsize"), specials: f.field("runtime.mspan", "specials"),
		largeType:   f.field("runtime.mspan", "largeType"),
		specialNext: f.field("runtime.special", "next"), specialOffset: f.field("runtime.special", "offset"),
		specialKind: f.field("runtime.special", "kind"), specialSize: f.size("runtime.special"),
		profileBucket: f.field("runtime.specialprofile", "b"), finalizerSize: f.size("runtime.specialfinalizer"),
		cleanupSize: f.size("runtime.specialCleanup"),
		bucketSize:  f.field("runtime.bucket", "size"), bucketNstk: f.field("runtime.bucket", "nstk"),
		bucketLen: f.size("runtime.bucket"),
		gSize:     f.size("runtime.g"), gLo: f.field("runtime.g", "stack.lo"), gHi: f.field("runtime.g", "stack.hi"),
		gSP: f.field("runtime.g", "sched.sp"), gBP: f.field("runtime.g", "sched.bp"), gPC: f.field("runtime.g", "sched.pc"),
		gSyscallSP: f.field("runtime.g", "syscallsp"), gSyscallBP: f.field("runtime.g", "syscallbp"),
		gSyscallPC: f.field("runtime.g", "syscallpc"),
		gStatus:    f.field("runtime.g", "atomicstatus"), gID: f.field("runtime.g", "goid"), gStart: f.field("runtime.g",
			"startpc"),
		gDefer: f.field("runtime.g", "_defer"), gPanic: f.field("runtime.g", "_panic"),
		itabType:      f.field("internal/abi.ITab", "Type"),
		kindProfile:   byte(f.constant("runtime._KindSpecialProfile")),
		kindFinalizer: byte(f.constant("runtime._KindSpecialFinalizer")),
		kindCleanup:   byte(f.constant("runtime._KindSpecialCleanup")),
		spanInUse:     uint64(f.constant("runtime.mSpanInUse")),
		spanManual:    uint64(f.constant("runtime.mSpanManual")), gDead: uint64(f.constant("runtime._Gdead")),
		gRunning: uint64(f.constant("runtime._Grunning")), gSyscall: uint64(f.constant("runtime._Gsyscall")),
	}
	if f.err != nil {
		return nil, fmt.Errorf("%w: this Go runtime is laid out in another way: %w", ErrUnreadable, f.err)
	}
	return l, nil
}

func (f *finder) fail(what string) {
	if f.err == nil {
		f.err = fmt.Errorf("%s is not in its debug information", what)
	}
}

func (f *finder) variable(name string) uint64 {
	for _, v := range f.m.vars {
		if v.name == name {
			return v.addr + f.m.bias
		}
	}
	f.fail(name)
	return 0
}

func (f *finder) constant(name string) int64 {
	v, ok := f.m.consts[name]
	if !ok {
		f.fail(name)
	}
	return v
}

func (f *finder) size(name string) uint64 {
	t := f.m.structAt(name)
	if t == nil {
		f.fail(name)
		return 0
	}
	return uint64(t.ByteSize)
}

// field is the offset of a field, which may be a path of nested ones: "sched.sp".
func (f *finder) field(name, path string) uint64 {
	t := f.m.structAt(name)
	var off uint64
	for _, part := range strings.Split(path, ".") {
		if t == nil {
			f.fail(name + "." + path)
			return 0
		}
		fl := fieldOf(t, part)
		if fl == nil {
			f.fail(name + "." + path)
			return 0
		}
		off += uint64(fl.ByteOffset)
		t, _ = godwarf.ResolveTypedef(fl.Type).(*godwarf.StructType)
	}
	return off
}

func fieldOf(t *godwarf.StructType, name string) *godwarf.StructField {
	for _, f := range t.Field {
		if f.Name == name {
			return f
		}
	}
	return nil
}
