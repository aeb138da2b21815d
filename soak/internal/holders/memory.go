package holders

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// memory is a stopped process: its bytes by address, and the stack pointers of its threads.
type memory interface {
	io.ReaderAt
	// entry is the address of the program's entry point, which tells where the program was loaded.
	entry() (uint64, error)
	// stackPointers are those of the threads, in no order.
	stackPointers() []uint64
	// release lets the process go on. It may be called again, and by another goroutine.
	release()
	close() error
}

// view reads words of a memory and remembers the first error, so that a walk can be written without a check per word.
type view struct {
	mem   io.ReaderAt
	err   error
	block []byte // the last block read: the runtime's structures lie together
	at    uint64
}

// blockSize is the size of one read for single words.
const blockSize = 16 << 10

// bytes reads n bytes at addr into a new slice; zeros after an error.
func (v *view) bytes(addr, n uint64) []byte {
	out := make([]byte, n)
	v.read(addr, out)
	return out
}

func (v *view) read(addr uint64, p []byte) {
	if v.err != nil {
		clear(p)
		return
	}
	if uint64(len(p)) > blockSize/4 {
		v.direct(addr, p)
		return
	}
	if v.block == nil || addr < v.at || addr+uint64(len(p)) > v.at+uint64(len(v.block)) {
		if cap(v.block) < blockSize {
			v.block = make([]byte, blockSize)
		}
		v.block, v.at = v.block[:cap(v.block)], addr
		n, _ := v.mem.ReadAt(v.block, int64(addr)) // the block may reach beyond the mapping
		v.block = v.block[:n]
		if n < len(p) {
			v.direct(addr, p)
			return
		}
	}
	copy(p, v.block[addr-v.at:])
}

func (v *view) direct(addr uint64, p []byte) {
	if _, err := v.mem.ReadAt(p, int64(addr)); err != nil {
		clear(p)
		v.err = fmt.Errorf("read %d bytes at %#x: %w", len(p), addr, err)
	}
}

func (v *view) word(addr uint64) uint64 {
	var b [8]byte
	v.read(addr, b[:])
	return binary.LittleEndian.Uint64(b[:])
}

// try reads without leaving an error behind.
func (v *view) try(addr uint64, p []byte) bool {
	if v.err != nil {
		return false
	}
	v.read(addr, p)
	ok := v.err == nil
	v.err = nil
	return ok
}

// core is a core file. What the kernel left out of it, because it is in the program's file, is read from there.
type core struct {
	file  *elf.File
	exe   *elf.File
	start uint64
	sps   []uint64
}

// Types of notes and the place of the stack pointer in them.
const (
	noteStatus  = 1
	noteAuxv    = 6
	auxEntry    = 9
	regsAt      = 112 // of pr_reg in elf_prstatus on 64-bit Linux
	spAMD64     = 19
	spARM64     = 31
	noteHeadLen = 12
)

func openCore(path string, exe *elf.File) (*core, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open core %s: %w", path, err)
	}
	c := &core{file: f, exe: exe}
	if f.Type != elf.ET_CORE {
		f.Close()
		return nil, fmt.Errorf("%s is no core file", path)
	}
	if f.Machine != exe.Machine {
		f.Close()
		return nil, fmt.Errorf("core %s is of %s, the program of %s", path, f.Machine, exe.Machine)
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE {
			continue
		}
		b, err := io.ReadAll(p.Open())
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("read the notes of core %s: %w", path, err)
		}
		c.notes(b)
	}
	return c, nil
}

// notes reads the threads' stack pointers and the entry point.
func (c *core) notes(b []byte) {
	sp := spAMD64
	if c.file.Machine == elf.EM_AARCH64 {
		sp = spARM64
	}
	align := func(n uint32) int { return int(n+3) &^ 3 }
	for len(b) >= noteHeadLen {
		nameLen, descLen, kind := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]),
			binary.LittleEndian.Uint32(b[8:])
		body := noteHeadLen + align(nameLen)
		end := body + align(descLen)
		if body > len(b) || end > len(b) || end < body {
			return
		}
		desc := b[body:end]
		switch at := regsAt + 8*sp; {
		case kind == noteStatus && len(desc) >= at+8:
			c.sps = append(c.sps, binary.LittleEndian.Uint64(desc[at:]))
		case kind == noteAuxv:
			c.start = entryOf(desc)
		}
		b = b[end:]
	}
}

// entryOf finds the entry point in an auxiliary vector; 0 when it has none.
func entryOf(auxv []byte) uint64 {
	for ; len(auxv) >= 16; auxv = auxv[16:] {
		if binary.LittleEndian.Uint64(auxv) == auxEntry {
			return binary.LittleEndian.Uint64(auxv[8:])
		}
	}
	return 0
}

func (c *core) entry() (uint64, error) {
	if c.start == 0 {
		return 0, errors.New("the core does not say where its program was loaded")
	}
	return c.start, nil
}

func (c *core) stackPointers() []uint64 { return c.sps }
func (c *core) release()                {}
func (c *core) close() error            { return c.file.Close() }

// ReadAt reads len(p) bytes at an address, over the borders of segments that follow each other.
func (c *core) ReadAt(p []byte, addr int64) (int, error) {
	n := 0
	for n < len(p) {
		k := segment(c.file, 0, uint64(addr)+uint64(n), p[n:])
		if k == 0 {
			k = segment(c.exe, c.start-c.exe.Entry, uint64(addr)+uint64(n), p[n:])
		}
		if k == 0 {
			return n, fmt.Errorf("address %#x is not in the core: %w", uint64(addr)+uint64(n), io.ErrUnexpectedEOF)
		}
		n += k
	}
	return n, nil
}

// segment reads from the segment of a file that has the address; 0 when none has.
func segment(f *elf.File, bias, addr uint64, p []byte) int {
	addr -= bias
	for _, s := range f.Progs {
		if s.Type != elf.PT_LOAD || addr < s.Vaddr || addr >= s.Vaddr+s.Filesz {
			continue
		}
		n := min(uint64(len(p)), s.Vaddr+s.Filesz-addr)
		k, _ := s.ReadAt(p[:n], int64(addr-s.Vaddr)) // a torn core reads short
		return k
	}
	return 0
}
