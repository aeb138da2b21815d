package holders

import (
	"debug/dwarf"
	"encoding/binary"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/dwarf/op"
)

// maxFrames ends the walk of a damaged stack.
const maxFrames = 10_000

// calls yields the functions that a goroutine is in, leaf first, with the canonical frame address of each: the address
// above its return address. It goes by the frame pointers, and yields nothing for a goroutine that runs.
func (h *heap) calls(g goroutine, yield func(f *function, cfa uint64) bool) {
	pc, bp := g.pc, g.bp
	for range maxFrames {
		f := h.img.functionAt(pc)
		if f == nil || bp < g.sp || bp >= g.hi {
			return
		}
		if !yield(f, bp+2*ptrSize) {
			return
		}
		pc, bp = h.word(bp+ptrSize), h.word(bp)
	}
}

// local says to which call of a goroutine a word of its stack belongs, and to which of its variables where the debug
// information places one there.
func (h *heap) local(g goroutine, at, target uint64) (field string, to place) {
	to = place{base: target}
	h.calls(g, func(f *function, cfa uint64) bool {
		if at >= cfa {
			return true
		}
		field = "in " + shortName(f.name)
		if name, typ, base := h.variableIn(f, at, int64(cfa)); name != "" {
			var of string
			of, to = h.refer(place{base: base, typ: typ}, at, target)
			field += ": " + name + of
		}
		return false
	})
	return field, to
}

// variableIn is the variable of a call that lives at an address, by its frame's canonical address.
func (h *heap) variableIn(f *function, at uint64, cfa int64) (name string, typ godwarf.Type, base uint64) {
	tree := h.img.tree(f)
	if tree == nil {
		return "", nil, 0
	}
	var look func(t *godwarf.Tree) bool
	look = func(t *godwarf.Tree) bool {
		for _, c := range t.Children {
			if c.Tag != dwarf.TagVariable && c.Tag != dwarf.TagFormalParameter {
				if look(c) {
					return true
				}
				continue
			}
			loc, ok := c.Val(dwarf.AttrLocation).([]byte)
			off, typed := c.Val(dwarf.AttrType).(dwarf.Offset)
			if !ok || !typed {
				continue
			}
			addr, _, err := op.ExecuteStackProgram(op.DwarfRegisters{CFA: cfa, FrameBase: cfa, ByteOrder: binary.LittleEndian},
				loc, ptrSize, nil)
			t := h.img.typeAt(off)
			if err != nil || t == nil || at < uint64(addr) || at >= uint64(addr)+uint64(max(t.Size(), 0)) {
				continue
			}
			name, _ = c.Val(dwarf.AttrName).(string)
			typ, base = t, uint64(addr)
			return true
		}
		return false
	}
	look(tree)
	return name, typ, base
}
