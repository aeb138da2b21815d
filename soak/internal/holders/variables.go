package holders

import (
	"cmp"
	"encoding/binary"
	"maps"
	"slices"
)

// region is a range of addresses.
type region struct{ lo, hi uint64 }

// scannedData are the parts of the program's data that the collector looks at.
func (h *heap) scannedData() []region {
	at := func(off uint64) uint64 { return h.word(h.lay.firstModule+off) - h.img.bias }
	return []region{{at(h.lay.data), at(h.lay.edata)}, {at(h.lay.bss), at(h.lay.ebss)}}
}

// placeVariables lists the package variables that may hold references, and the static data between them, which has no
// name in the debug information: the initial values of variables. Static data is cut where something points to it.
func (h *heap) placeVariables() {
	var gaps []variable
	for _, r := range h.scannedData() {
		at := r.lo
		for _, v := range h.img.vars {
			if v.addr < r.lo || v.addr+v.size > r.hi {
				continue
			}
			if v.addr > at {
				gaps = append(gaps, variable{addr: at, size: v.addr - at})
			}
			at = max(at, v.addr+v.size)
			h.vars = append(h.vars, v)
		}
		if at < r.hi {
			gaps = append(gaps, variable{addr: at, size: r.hi - at})
		}
	}
	cuts := map[uint64]bool{}
	for _, v := range slices.Concat(h.vars, gaps) {
		for b := h.contentsOf(&v); len(b) >= ptrSize; b = b[ptrSize:] {
			cuts[binary.LittleEndian.Uint64(b)-h.img.bias] = true
		}
	}
	starts := slices.Sorted(maps.Keys(cuts))
	for _, g := range gaps {
		lo, end := g.addr, g.addr+g.size
		first, _ := slices.BinarySearch(starts, lo+1)
		for _, cut := range starts[first:] {
			if cut >= end {
				break
			}
			if cut%ptrSize == 0 {
				h.vars = append(h.vars, variable{addr: lo, size: cut - lo})
				lo = cut
			}
		}
		h.vars = append(h.vars, variable{addr: lo, size: end - lo})
	}
	slices.SortFunc(h.vars, func(a, b variable) int { return cmp.Compare(a.addr, b.addr) })
}

// contentsOf are the words of a variable.
func (h *heap) contentsOf(v *variable) []byte {
	if v.addr%ptrSize != 0 {
		return nil
	}
	return h.bytes(v.addr+h.img.bias, v.size&^(ptrSize-1))
}

// variableRoots are the package variables. Static data without a name belongs to the variable that refers to it.
func (h *heap) variableRoots() []root {
	h.placeVariables()
	refs, owner := make([][]uint32, len(h.vars)), make([]int, len(h.vars))
	for i := range h.vars {
		owner[i] = -1
	}
	for i := range h.vars {
		v := &h.vars[i]
		if ownName[v.name] {
			continue
		}
		for b := h.contentsOf(v); len(b) > 0; b = b[ptrSize:] {
			w := binary.LittleEndian.Uint64(b)
			if obj, ok := h.object(w); ok {
				refs[i] = append(refs[i], obj)
			} else if j := h.variableAt(w); j >= 0 && j != i && h.vars[j].name == "" && owner[j] < 0 {
				owner[j] = i
			}
		}
	}
	var roots []root
	at := map[int]int{} // variable to root
	for i := range h.vars {
		if len(refs[i]) == 0 {
			continue
		}
		top := named(h.vars, owner, i)
		r, ok := at[top]
		if !ok {
			r = len(roots)
			at[top] = r
			roots = append(roots, root{kind: rootVariable, name: h.vars[top].name, vars: []int{top}})
		}
		if top != i {
			roots[r].vars = append(roots[r].vars, i)
		}
		roots[r].refs = append(roots[r].refs, refs[i]...)
	}
	return roots
}

// named follows static data that refers to static data up to a variable with a name; i itself when there is none.
func named(vars []variable, owner []int, i int) int {
	const deepest = 8
	top := i
	for range deepest {
		if vars[top].name != "" {
			return top
		}
		if owner[top] < 0 {
			return i
		}
		top = owner[top]
	}
	return i
}

// variableAt is the index of the variable at an address of the process; -1 for none.
func (h *heap) variableAt(addr uint64) int {
	addr -= h.img.bias
	i, ok := slices.BinarySearchFunc(h.vars, addr, func(v variable, a uint64) int { return cmp.Compare(v.addr, a) })
	if !ok {
		i--
	}
	if i < 0 || addr >= h.vars[i].addr+h.vars[i].size {
		return -1
	}
	return i
}
