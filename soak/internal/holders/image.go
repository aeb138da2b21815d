package holders

import (
	"bytes"
	"cmp"
	"debug/buildinfo"
	"debug/dwarf"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/dwarf/reader"
)

// Supported are the Go releases whose runtime this package has been run on.
var Supported = []string{"go1.26"}

// ErrUnreadable is returned, wrapped, for a program that nothing can be said of: no DWARF, another Go, another
// platform.
var ErrUnreadable = errors.New("cannot say who holds what")

// image is a program's debug information. Addresses in it are those of the file; bias is added to those of the process.
type image struct {
	elf   *elf.File
	dw    *dwarf.Data
	bias  uint64
	vars  []variable // those with a name, by address
	funcs []function // by address
	types map[string]dwarf.Offset
	// runtimeTypes has the DWARF type of a runtime type by its distance from the beginning of the type data.
	runtimeTypes map[uint64]dwarf.Offset
	consts       map[string]int64
	cache        map[dwarf.Offset]godwarf.Type
	trees        map[dwarf.Offset]*godwarf.Tree
	lines        map[dwarf.Offset][]string // file names by compile unit
	calls        map[uint64][]Frame        // by return address
	where        locations
}

// variable is a package variable, or a nameless piece of static data.
type variable struct {
	name       string
	addr, size uint64
	typ        dwarf.Offset // 0 for static data that has no name in the source
}

// function is a concrete function of the program.
type function struct {
	low, high uint64
	name      string
	off, unit dwarf.Offset
}

// openImage reads the debug information of a program.
func openImage(path string) (*image, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %s is no Go program that says its version: %w", ErrUnreadable, path, err)
	}
	if !slices.ContainsFunc(Supported, func(v string) bool {
		return info.GoVersion == v ||
			strings.HasPrefix(info.GoVersion, v+".")
	}) {
		return nil, fmt.Errorf("%w: the program was built with %s, and only the heap of %s is known", ErrUnreadable,
			info.GoVersion, strings.Join(Supported, ", "))
	}
	f, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %s is no ELF file: %w", ErrUnreadable, path, err)
	}
	m := &image{
		elf: f, types: map[string]dwarf.Offset{}, runtimeTypes: map[uint64]dwarf.Offset{}, consts: map[string]int64{},
		cache: map[dwarf.Offset]godwarf.Type{}, trees: map[dwarf.Offset]*godwarf.Tree{}, lines: map[dwarf.Offset][]string{},
		calls: map[uint64][]Frame{},
	}
	if err := m.load(); err != nil {
		f.Close()
		return nil, fmt.Errorf("%w: %s: %w", ErrUnreadable, path, err)
	}
	return m, nil
}

// sameBuild says whether another program file is of the same build, which a stripped copy is.
func (m *image) sameBuild(path string) (bool, error) {
	f, err := elf.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	const note = ".note.go.buildid"
	a, b := m.elf.Section(note), f.Section(note)
	if a == nil || b == nil {
		return a == b, nil
	}
	x, err := a.Data()
	if err != nil {
		return false, err
	}
	y, err := b.Data()
	return bytes.Equal(x, y), err
}

func (m *image) close() { m.elf.Close() }

func (m *image) load() error {
	if m.elf.Machine != elf.EM_X86_64 && m.elf.Machine != elf.EM_AARCH64 {
		return fmt.Errorf("built for %s, not for amd64 or arm64", m.elf.Machine)
	}
	stripped := m.elf.Section(".debug_info") == nil && m.elf.Section(".zdebug_info") == nil
	if stripped {
		return errors.New("no debug information (stripped, or built with -ldflags=-s or -w)")
	}
	var err error
	if m.dw, err = m.elf.DWARF(); err != nil {
		return err
	}
	if err := m.walk(); err != nil {
		return err
	}
	m.setSizes()
	m.loadLocations()
	slices.SortFunc(m.vars, func(a, b variable) int { return cmp.Compare(a.addr, b.addr) })
	slices.SortFunc(m.funcs, func(a, b function) int { return cmp.Compare(a.low, b.low) })
	return nil
}

// walk reads the top level of the debug information once.
func (m *image) walk() error {
	abstract := map[dwarf.Offset]string{}
	origins := map[int]dwarf.Offset{} // index in funcs
	r := m.dw.Reader()
	var unit dwarf.Offset
	for {
		e, err := r.Next()
		if err != nil {
			return err
		}
		if e == nil {
			break
		}
		name, _ := e.Val(dwarf.AttrName).(string)
		switch e.Tag {
		case dwarf.TagCompileUnit:
			unit = e.Offset
			continue
		case dwarf.TagVariable:
			m.addVar(e, name)
		case dwarf.TagConstant:
			if v, ok := e.Val(dwarf.AttrConstValue).(int64); ok && strings.HasPrefix(name, "runtime.") {
				m.consts[name] = v
			}
		case dwarf.TagSubprogram:
			abstract[e.Offset] = name
			if f, ok := concrete(e); ok {
				f.unit, f.name = unit, name
				if o, ok := e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset); ok {
					origins[len(m.funcs)] = o
				}
				m.funcs = append(m.funcs, f)
			}
		default:
			m.addType(e, name)
		}
		if e.Children {
			r.SkipChildren()
		}
	}
	for i, o := range origins {
		m.funcs[i].name = abstract[o]
	}
	return nil
}

func (m *image) addVar(e *dwarf.Entry, name string) {
	loc, _ := e.Val(dwarf.AttrLocation).([]byte)
	typ, ok := e.Val(dwarf.AttrType).(dwarf.Offset)
	const opAddr = 0x03
	if !ok || len(loc) != 9 || loc[0] != opAddr {
		return
	}
	m.vars = append(m.vars, variable{name: name, addr: binary.LittleEndian.Uint64(loc[1:]), typ: typ})
}

func (m *image) addType(e *dwarf.Entry, name string) {
	switch e.Tag {
	case dwarf.TagStructType:
		m.types[name] = e.Offset
	case dwarf.TagTypedef, dwarf.TagPointerType, dwarf.TagArrayType, dwarf.TagSubroutineType, dwarf.TagBaseType:
	default:
		return
	}
	if at, ok := e.Val(godwarf.AttrGoRuntimeType).(uint64); ok && at != 0 {
		if _, known := m.runtimeTypes[at]; !known || e.Tag == dwarf.TagTypedef {
			m.runtimeTypes[at] = e.Offset
		}
	}
}

// concrete is the address range of a function that has one.
func concrete(e *dwarf.Entry) (function, bool) {
	low, ok := e.Val(dwarf.AttrLowpc).(uint64)
	if !ok {
		return function{}, false
	}
	f := function{low: low, off: e.Offset}
	switch h := e.Val(dwarf.AttrHighpc).(type) {
	case uint64:
		f.high = h
	case int64:
		f.high = low + uint64(h)
	default:
		return f, false
	}
	return f, f.high > f.low
}

// setSizes gives the variables their sizes: those of their symbols, else of their types.
func (m *image) setSizes() {
	sizes := map[uint64]uint64{}
	syms, _ := m.elf.Symbols() // a program may have debug information and no symbols
	for _, s := range syms {
		if elf.ST_TYPE(s.Info) == elf.STT_OBJECT {
			sizes[s.Value] = max(sizes[s.Value], s.Size)
		}
	}
	for i := range m.vars {
		v := &m.vars[i]
		if v.size = sizes[v.addr]; v.size == 0 {
			if t := m.typeAt(v.typ); t != nil {
				v.size = uint64(max(t.Size(), 0))
			}
		}
	}
}

// typeAt reads a type; nil when it can't be read.
func (m *image) typeAt(off dwarf.Offset) godwarf.Type {
	if off == 0 {
		return nil
	}
	t, err := godwarf.ReadType(m.dw, 0, off, m.cache)
	if err != nil {
		return nil
	}
	return t
}

// structAt is the struct type of that name.
func (m *image) structAt(name string) *godwarf.StructType {
	t, _ := m.typeAt(m.types[name]).(*godwarf.StructType)
	return t
}

// functionAt is the function with the code at pc, an address of the process.
func (m *image) functionAt(pc uint64) *function {
	pc -= m.bias
	i, ok := slices.BinarySearchFunc(m.funcs, pc, func(f function, pc uint64) int { return cmp.Compare(f.low, pc) })
	if !ok {
		i--
	}
	if i < 0 || pc >= m.funcs[i].high {
		return nil
	}
	return &m.funcs[i]
}

// tree is the DWARF of a function.
func (m *image) tree(f *function) *godwarf.Tree {
	t, ok := m.trees[f.off]
	if !ok {
		t, _ = godwarf.LoadTree(f.off, m.dw, 0) // nil when it can't be read
		m.trees[f.off] = t
	}
	return t
}

// Frame is a call on a stack.
type Frame struct {
	Function, File string
	Line           int
}

// frames are the calls at a return address, inlined ones first.
func (m *image) frames(pc uint64) []Frame {
	out, ok := m.calls[pc]
	if !ok {
		out = m.expand(pc)
		m.calls[pc] = out
	}
	return out
}

func (m *image) expand(pc uint64) []Frame {
	f := m.functionAt(pc - 1)
	if f == nil {
		return nil
	}
	at := pc - 1 - m.bias
	file, line := m.line(f, at)
	tree := m.tree(f)
	if tree == nil {
		return []Frame{{f.name, file, line}}
	}
	var out []Frame
	inlined := reader.InlineStack(tree, at)
	for _, t := range slices.Backward(outermostFirst(inlined)) {
		name, _ := t.Val(dwarf.AttrName).(string)
		out = append(out, Frame{name, file, line})
		n, _ := t.Val(dwarf.AttrCallLine).(int64)
		i, _ := t.Val(dwarf.AttrCallFile).(int64)
		line, file = int(n), m.file(f.unit, int(i))
	}
	return append(out, Frame{f.name, file, line})
}

// outermostFirst puts nested inlined calls in the order of their depth: a child begins behind its parent.
func outermostFirst(ts []*godwarf.Tree) []*godwarf.Tree {
	ts = slices.Clone(ts)
	slices.SortFunc(ts, func(a, b *godwarf.Tree) int { return cmp.Compare(a.Offset, b.Offset) })
	return ts
}

// line is the line of an address of the file.
func (m *image) line(f *function, at uint64) (string, int) {
	r := m.dw.Reader()
	r.Seek(f.unit)
	cu, err := r.Next()
	if err != nil {
		return "", 0
	}
	lr, err := m.dw.LineReader(cu)
	if err != nil || lr == nil {
		return "", 0
	}
	var e dwarf.LineEntry
	if lr.SeekPC(at, &e) != nil || e.File == nil {
		return "", 0
	}
	return e.File.Name, e.Line
}

// file is the name of a compile unit's file.
func (m *image) file(unit dwarf.Offset, i int) string {
	names, ok := m.lines[unit]
	if !ok {
		r := m.dw.Reader()
		r.Seek(unit)
		if cu, err := r.Next(); err == nil {
			if lr, err := m.dw.LineReader(cu); err == nil && lr != nil {
				for _, f := range lr.Files() {
					name := ""
					if f != nil {
						name = f.Name
					}
					names = append(names, name)
				}
			}
		}
		m.lines[unit] = names
	}
	if i < 0 || i >= len(names) {
		return ""
	}
	return names[i]
}
