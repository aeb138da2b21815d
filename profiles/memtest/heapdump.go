package memtest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"
)

// The tags of a heap dump, as runtime/debug.WriteHeapDump writes it.
const (
	tagEOF = iota
	tagObject
	tagOtherRoot
	tagType
	tagGoroutine
	tagStackFrame
	tagParams
	tagFinalizer
	tagItab
	tagOSThread
	tagMemStats
	tagQueuedFinalizer
	tagData
	tagBSS
	tagDefer
	tagPanic
	tagMemProf
	tagAllocSample
)

const (
	dumpHeader = "go1.7 heap dump\n"
	// maxDump is the heap, in bytes, above which no dump is written.
	maxDump = 2 << 30
	// memStatsInts is the number of integers in the dump's copy of runtime.MemStats.
	memStatsInts = 281
)

var errNoDump = errors.New("no heap dump")

// dump is a file with the process's heap. The file is unlinked by Close.
type dump struct{ file *os.File }

// writeDump writes the heap to a temporary file. Go 1.26 stops the process when a system call returns while the dump is
// written, so that it is refused while a goroutine is inside one.
func writeDump() (*dump, error) {
	if heapInUse() > maxDump {
		return nil, errNoDump
	}
	for end := time.Now().Add(500 * time.Millisecond); inSystemCall(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			return nil, errNoDump
		}
	}
	f, err := os.CreateTemp("", "memtest-*.heapdump")
	if err != nil {
		return nil, err
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection that runs meanwhile has marks that aren't done
	debug.WriteHeapDump(f.Fd())
	return &dump{f}, nil
}

func inSystemCall() bool {
	for _, g := range goroutines() {
		if g.state == "syscall" && (len(g.frames) == 0 || g.frames[0].Function != "os/signal.signal_recv") {
			return true
		}
	}
	return false
}

func (d *dump) Close() error {
	return errors.Join(d.file.Close(), os.Remove(d.file.Name()))
}

// visitor takes what a dump has; nothing is missing in it. Slices of pointers are valid during the call only.
type visitor struct {
	bucket    func(id, size uint64, frames []Line)
	sample    func(addr, bucket uint64)
	object    func(addr, size uint64, pointers []uint64)
	goroutine func(gopc uint64)              // the frames that follow are its own
	frame     func(pointers, words []uint64) // of the goroutine before
	roots     func(pointers []uint64)        // of the data segments
}

// visit reads the dump from its beginning.
func (d *dump) visit(v visitor) error {
	if _, err := d.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	p := &dumpReader{r: bufio.NewReaderSize(d.file, 1<<20)}
	head := make([]byte, len(dumpHeader))
	if _, err := io.ReadFull(p.r, head); err != nil || string(head) != dumpHeader {
		return fmt.Errorf("heap dump of another format: %q", head)
	}
	for p.err == nil {
		tag := p.int()
		if p.err != nil {
			break
		}
		if tag == tagEOF {
			return nil
		}
		if !p.record(tag, v) {
			return fmt.Errorf("heap dump: unknown record %d", tag)
		}
	}
	return fmt.Errorf("heap dump: %w", p.err)
}

// plain are the records that are skipped: their integers, a string, and integers again.
var plain = map[uint64]struct {
	before int
	str    bool
	after  int
}{
	tagOtherRoot:       {0, true, 1},
	tagType:            {2, true, 1},
	tagFinalizer:       {5, false, 0},
	tagItab:            {2, false, 0},
	tagOSThread:        {3, false, 0},
	tagMemStats:        {memStatsInts, false, 0},
	tagQueuedFinalizer: {5, false, 0},
	tagDefer:           {7, false, 0},
	tagPanic:           {6, false, 0},
}

func (p *dumpReader) record(tag uint64, v visitor) bool {
	switch tag {
	case tagObject:
		addr := p.int()
		p.bytes()
		v.object(addr, uint64(len(p.content)), p.fields())
	case tagData, tagBSS:
		p.int()
		p.bytes()
		v.roots(p.fields())
	case tagGoroutine:
		p.goroutine(v)
	case tagStackFrame:
		p.ints(3)
		p.bytes()
		content := p.content
		p.ints(3)
		p.skip()
		p.content = content
		v.frame(p.fields(), p.words())
	case tagParams:
		p.params()
	case tagMemProf:
		p.memProf(v)
	case tagAllocSample:
		addr := p.int()
		v.sample(addr, p.int())
	default:
		shape, ok := plain[tag]
		if !ok {
			return false
		}
		p.ints(shape.before)
		if shape.str {
			p.skip()
		}
		p.ints(shape.after)
	}
	return true
}

func (p *dumpReader) goroutine(v visitor) {
	p.ints(3) // descriptor, stack pointer, number
	gopc := p.int()
	p.ints(4) // status, system, background, since
	p.skip()  // reason
	p.ints(4) // context, thread, defer, panic
	v.goroutine(gopc)
}

func (p *dumpReader) memProf(v visitor) {
	id, size, n := p.int(), p.int(), p.int()
	var frames []Line
	for i := uint64(0); i < n && p.err == nil; i++ {
		function, file, line := p.string(), p.string(), p.int()
		frames = append(frames, Line{function, file, int(line)})
	}
	p.ints(2) // allocations and frees
	v.bucket(id, size, frames)
}

// dumpReader reads the primitives of the format.
type dumpReader struct {
	r        *bufio.Reader
	err      error
	order    binary.ByteOrder
	ptr      int
	content  []byte // of the last object, segment or frame
	pointers []uint64
	all      []uint64
	strings  map[string]string
}

func (p *dumpReader) params() {
	p.order = binary.LittleEndian
	if p.int() == 1 {
		p.order = binary.BigEndian
	}
	p.ptr = int(p.int())
	p.ints(2)
	p.skip() // architecture
	p.skip() // version
	p.int()
}

func (p *dumpReader) int() uint64 {
	if p.err != nil {
		return 0
	}
	n, err := binary.ReadUvarint(p.r)
	p.err = err
	return n
}

func (p *dumpReader) ints(n int) {
	for range n {
		p.int()
	}
}

func (p *dumpReader) bytes() {
	n := p.int()
	if p.err != nil {
		return
	}
	if n > maxDump {
		p.err = fmt.Errorf("an object of %d bytes", n)
		return
	}
	if uint64(cap(p.content)) < n {
		p.content = make([]byte, n)
	}
	p.content = p.content[:n]
	_, p.err = io.ReadFull(p.r, p.content)
}

func (p *dumpReader) skip() {
	n := p.int()
	if p.err == nil {
		_, p.err = p.r.Discard(int(n))
	}
}

func (p *dumpReader) string() string {
	p.bytes()
	if p.strings == nil {
		p.strings = map[string]string{}
	}
	s, ok := p.strings[string(p.content)]
	if !ok {
		s = string(p.content)
		p.strings[s] = s
	}
	return s
}

// fields reads where pointers are in the content before, and returns those that aren't nil.
func (p *dumpReader) fields() []uint64 {
	p.pointers = p.pointers[:0]
	for p.err == nil {
		kind := p.int()
		if kind == 0 || p.err != nil {
			break
		}
		off := p.int()
		if off+uint64(p.ptr) > uint64(len(p.content)) || p.order == nil {
			continue
		}
		if to := p.word(int(off)); to != 0 {
			p.pointers = append(p.pointers, to)
		}
	}
	return p.pointers
}

// words are all words of the content before that aren't nil. What a frame's variables point to is missing in its fields
// where their address is taken, as the cases of a select are; words may also be left over from calls before.
func (p *dumpReader) words() []uint64 {
	p.all = p.all[:0]
	for off := 0; off+p.ptr <= len(p.content) && p.order != nil; off += p.ptr {
		if to := p.word(off); to != 0 {
			p.all = append(p.all, to)
		}
	}
	return p.all
}

func (p *dumpReader) word(off int) uint64 {
	if p.ptr == 8 {
		return p.order.Uint64(p.content[off:])
	}
	return uint64(p.order.Uint32(p.content[off:]))
}
