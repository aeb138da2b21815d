package holders

import (
	"debug/dwarf"
	"encoding/binary"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/dwarf/loclist"
	"github.com/go-delve/delve/pkg/dwarf/op"
)

// locations are the tables that say where a variable of optimised code is: its place changes with the instruction.
type locations struct {
	lists *loclist.Dwarf5Reader
	addrs *godwarf.DebugAddrSection
	bases map[dwarf.Offset]uint64 // where the addresses of a compile unit begin
}

// loadLocations reads the tables. A program without them has its variables at fixed places.
func (m *image) loadLocations() {
	m.where.bases = map[dwarf.Offset]uint64{}
	data := func(name string) []byte {
		s := m.elf.Section(name)
		if s == nil {
			return nil
		}
		b, _ := s.Data() // variables without a place have no name in a path, and nothing else is lost
		return b
	}
	m.where.lists = loclist.NewDwarf5Reader(data(".debug_loclists"))
	m.where.addrs = godwarf.ParseAddr(data(".debug_addr"))
}

// location is the expression that says where a variable of a function is at pc, an address of the file. It is nil for
// nowhere.
func (m *image) location(f *function, val any, pc uint64) []byte {
	switch v := val.(type) {
	case []byte:
		return v
	case int64:
		if m.where.lists.Empty() {
			return nil
		}
		e, err := m.where.lists.Find(int(v), 0, 0, pc, m.where.addrs.GetSubsection(m.addrBase(f.unit)))
		if err == nil && e != nil {
			return e.Instr
		}
	}
	return nil
}

func (m *image) addrBase(unit dwarf.Offset) uint64 {
	base, ok := m.where.bases[unit]
	if !ok {
		r := m.dw.Reader()
		r.Seek(unit)
		if cu, err := r.Next(); err == nil && cu != nil {
			v, _ := cu.Val(dwarf.AttrAddrBase).(int64)
			base = uint64(v)
		}
		m.where.bases[unit] = base
	}
	return base
}

// frame is a call on a goroutine's stack. cfa is its canonical frame address, above its return address; pc lies within
// the call that it makes.
type frame struct {
	fn      *function
	pc, cfa uint64
}

// slot is a word of a frame. The same word of the same call has the same variable on every goroutine.
type slot struct {
	pc, off uint64 // off is counted from the canonical frame address
}

// local is a variable of a call; base is where it begins, counted from the canonical frame address.
type local struct {
	name string
	typ  godwarf.Type
	base uint64
}

// variableIn is the variable of a call that lives at an address; one without a name for none.
func (h *heap) variableIn(c frame, at uint64) local {
	key := slot{c.pc, at - c.cfa}
	v, ok := h.locals[key]
	if !ok {
		if tree := h.img.tree(c.fn); tree != nil {
			v, _ = h.search(tree, c, at)
		}
		h.locals[key] = v
	}
	return v
}

func (h *heap) search(t *godwarf.Tree, c frame, at uint64) (local, bool) {
	for _, child := range t.Children {
		if child.Tag != dwarf.TagVariable && child.Tag != dwarf.TagFormalParameter {
			if v, ok := h.search(child, c, at); ok {
				return v, true
			}
			continue
		}
		loc := h.img.location(c.fn, child.Val(dwarf.AttrLocation), c.pc-h.img.bias)
		off, typed := child.Val(dwarf.AttrType).(dwarf.Offset)
		if loc == nil || !typed {
			continue
		}
		typ := h.img.typeAt(off)
		if typ == nil {
			continue
		}
		if base, ok := placed(loc, c.cfa, at, uint64(max(typ.Size(), 0))); ok {
			name, _ := child.Val(dwarf.AttrName).(string)
			return local{name, typ, base - c.cfa}, true
		}
	}
	return local{}, false
}

// placed says where a variable of that size begins whose location holds an address. Of one in pieces those count that
// lie as they do in its type.
func placed(loc []byte, cfa, at, size uint64) (base uint64, ok bool) {
	addr, pieces, err := op.ExecuteStackProgram(op.DwarfRegisters{CFA: int64(cfa), FrameBase: int64(cfa),
		ByteOrder: binary.LittleEndian}, loc, ptrSize, nil)
	if err != nil {
		return 0, false
	}
	if len(pieces) == 0 {
		return uint64(addr), at >= uint64(addr) && at < uint64(addr)+size
	}
	var off, end uint64 // end is where the piece before ends in memory, 0 when it is elsewhere
	for _, p := range pieces {
		n := uint64(p.Size)
		inMemory := p.Kind == op.AddrPiece && (off == 0 || p.Val == end)
		if inMemory && at >= p.Val && at < p.Val+n {
			return p.Val - off, true
		}
		off, end = off+n, 0
		if inMemory {
			end = p.Val + n
		}
	}
	return 0, false
}
