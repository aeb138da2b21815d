package holders

import (
	"debug/dwarf"
	"strings"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
)

// place is a piece of memory with its type, as far as it is known.
type place struct {
	base  uint64       // address where typ begins
	typ   godwarf.Type // nil when not known
	array bool         // typ again and again
	fn    *function    // of a closure
	name  string       // how a person calls it, when that is not the type's name
}

// known says whether the object there has a known type.
func (p place) known() bool { return p.typ != nil || p.fn != nil || p.name != "" }

// refer follows the reference in the word at an address of the place: by which field it goes, and the known type of
// its target. base is where it points.
func (h *heap) refer(p place, at, target uint64) (field string, to place) {
	to.base = target
	switch {
	case p.fn != nil:
		return h.captured(p, at, to)
	case p.typ == nil || at < p.base:
		return "", to
	}
	off := at - p.base
	if size := uint64(max(p.typ.Size(), 1)); p.array {
		off %= size
	} else if off >= size {
		return "", to
	}
	return h.descend(p.typ, off, at, to)
}

// descend goes down a type to the reference at an offset in it.
func (h *heap) descend(t godwarf.Type, off, at uint64, to place) (string, place) {
	switch t := t.(type) {
	case *godwarf.StructType:
		return h.descendStruct(t, off, at, to)
	case *godwarf.ArrayType:
		if size := t.Type.Size(); size > 0 {
			return h.descend(t.Type, off%uint64(size), at, to)
		}
	case *godwarf.SliceType:
		if off == 0 {
			to.typ, to.array, to.name = t.ElemType, true, "[]"+typeName(t.ElemType)
		}
	case *godwarf.StringType:
		if off == 0 {
			to.name = "string"
		}
	case *godwarf.InterfaceType:
		return "", h.dynamic(t, at, to)
	case *godwarf.MapType:
		return "", pointee(t.Type, to, typeName(t))
	case *godwarf.ChanType:
		return "", pointee(t.Type, to, typeName(t))
	case *godwarf.FuncType:
		return "", h.closure(to)
	case *godwarf.PtrType:
		return "", h.refine(pointee(t, to, ""))
	case *godwarf.TypedefType:
		return h.descend(t.Type, off, at, to)
	}
	return "", to
}

func (h *heap) descendStruct(t *godwarf.StructType, off, at uint64, to place) (string, place) {
	// its word is an unsafe.Pointer, a field of size 0 has the type
	if strings.HasPrefix(t.StructName, "sync/atomic.Pointer[") {
		for _, f := range t.Field {
			if a, ok := godwarf.ResolveTypedef(f.Type).(*godwarf.ArrayType); ok {
				return "", h.refine(pointee(a.Type, to, ""))
			}
		}
	}
	if g := h.smallMap(t, off, at); g != nil {
		to.typ, to.array = g, true
		return "", to
	}
	for _, f := range t.Field {
		size, start := uint64(max(f.Type.Size(), 0)), uint64(f.ByteOffset)
		if off < start || off >= start+size {
			continue
		}
		name, next := h.descend(f.Type, off-start, at, to)
		if f.Embedded {
			return name, next
		}
		return "." + f.Name + name, next
	}
	return "", to
}

// smallMap is the type of a map's only group: a map of a few entries has no tables. It is nil for all else.
func (h *heap) smallMap(t *godwarf.StructType, off, at uint64) godwarf.Type {
	args, isMap := strings.CutPrefix(t.StructName, "map<")
	dir, length := fieldOf(t, "dirPtr"), fieldOf(t, "dirLen")
	if !isMap || dir == nil || length == nil || off != uint64(dir.ByteOffset) ||
		h.word(at-off+uint64(length.ByteOffset)) != 0 {
		return nil
	}
	if g := h.img.structAt("group<" + args); g != nil {
		return g
	}
	return nil
}

// pointee is what a pointer type points to, under another name if one is given.
func pointee(t godwarf.Type, to place, name string) place {
	p, ok := godwarf.ResolveTypedef(t).(*godwarf.PtrType)
	if !ok {
		return to
	}
	if _, void := p.Type.(*godwarf.VoidType); void || p.Type == nil {
		return to
	}
	to.typ, to.name = p.Type, name
	// A map's tables and groups are as many as it has room for, and its type says one.
	to.array = innerPart(typeName(p.Type)) && !strings.HasPrefix(typeName(p.Type), "map<")
	return to
}

// refine corrects types that the source casts: a node of a sync.Map is an entry or an inner node.
func (h *heap) refine(p place) place {
	s, ok := p.typ.(*godwarf.StructType)
	if !ok {
		if td, isTypedef := p.typ.(*godwarf.TypedefType); isTypedef {
			s, ok = td.Type.(*godwarf.StructType)
		}
	}
	const node = "internal/sync.node["
	if !ok || !strings.HasPrefix(s.StructName, node) {
		return p
	}
	kind := "internal/sync.indirect["
	var isEntry [1]byte
	if h.try(p.base, isEntry[:]) && isEntry[0] != 0 {
		kind = "internal/sync.entry["
	}
	if t := h.img.structAt(kind + strings.TrimPrefix(s.StructName, node)); t != nil {
		p.typ = t
	}
	return p
}

// dynamic is the content of an interface whose data word is at an address.
func (h *heap) dynamic(t *godwarf.InterfaceType, at uint64, to place) place {
	var b [2 * ptrSize]byte
	if !h.try(at-ptrSize, b[:]) {
		return to
	}
	rtype := h.word(at - ptrSize)
	if s, ok := godwarf.ResolveTypedef(t.Type).(*godwarf.StructType); ok && s.StructName == "runtime.iface" && rtype != 0 {
		rtype = h.word(rtype + h.lay.itabType)
	}
	typ := h.runtimeType(rtype)
	if typ == nil {
		return to
	}
	if typ.Size() == ptrSize && !isWord(typ) { // the word is the value itself
		_, p := h.descend(typ, 0, at, to)
		return p
	}
	to.typ = typ
	return to
}

// isWord says whether a type of one word is no pointer.
func isWord(t godwarf.Type) bool {
	switch t := godwarf.ResolveTypedef(t).(type) {
	case *godwarf.PtrType, *godwarf.MapType, *godwarf.ChanType, *godwarf.FuncType:
		return false
	case *godwarf.StructType:
		for _, f := range t.Field {
			if f.Type.Size() == ptrSize {
				return isWord(f.Type)
			}
		}
	case *godwarf.ArrayType:
		return isWord(t.Type)
	}
	return true
}

// runtimeType is the DWARF type of a type of the runtime by its address; nil when it has none.
func (h *heap) runtimeType(addr uint64) godwarf.Type {
	if addr < h.typesAt {
		return nil
	}
	return h.img.typeAt(h.img.runtimeTypes[addr-h.typesAt])
}

// closure reads which function's closure an object is.
func (h *heap) closure(to place) place {
	var b [ptrSize]byte
	if !h.try(to.base, b[:]) {
		return to
	}
	if f := h.img.functionAt(h.word(to.base)); f != nil {
		to.fn, to.name = f, "closure "+f.name
	}
	return to
}

// captured follows a reference from a closure by the variable that it captured.
func (h *heap) captured(p place, at uint64, to place) (string, place) {
	tree := h.img.tree(p.fn)
	if tree == nil || at < p.base {
		return "", to
	}
	for _, c := range tree.Children {
		start, ok := c.Val(godwarf.AttrGoClosureOffset).(int64)
		off, typed := c.Val(dwarf.AttrType).(dwarf.Offset)
		if !ok || !typed {
			continue
		}
		t := h.img.typeAt(off)
		if t == nil || at-p.base < uint64(start) || at-p.base >= uint64(start)+uint64(max(t.Size(), 0)) {
			continue
		}
		name, _ := c.Val(dwarf.AttrName).(string)
		field, next := h.descend(t, at-p.base-uint64(start), at, to)
		return "." + strings.TrimPrefix(name, "&") + field, next
	}
	return "", to
}

// ofHeader is what an object itself says of its type: objects that are not small have it noted.
func (h *heap) ofHeader(obj uint32) (place, bool) {
	s := h.spanOf(obj)
	p, rtype := place{base: h.address(obj)}, s.largeType
	if s.header {
		rtype = h.word(p.base)
		p.base += ptrSize
	}
	if p.typ = h.runtimeType(rtype); p.typ == nil {
		return p, false
	}
	usable := s.elem - (p.base - h.address(obj))
	if size := uint64(max(p.typ.Size(), 1)); size*2 <= usable {
		p.array, p.name = true, "[]"+typeName(p.typ)
	}
	return p, true
}

// typeName is a type's name with the last element of each import path, and byte for uint8.
func typeName(t godwarf.Type) string {
	if t == nil {
		return ""
	}
	name := t.Common().Name
	if name == "" {
		name = t.String()
	}
	if s, ok := t.(*godwarf.StructType); ok && name == "" {
		name = s.StructName
	}
	return shortName(name)
}

// shortName drops the directories of the import paths in a name: "map[string]*a.b/c.T" is "map[string]*c.T".
func shortName(name string) string {
	var out strings.Builder
	word := 0
	flush := func(end int) {
		w := name[word:end]
		if i := strings.LastIndexByte(w, '/'); i >= 0 {
			w = w[i+1:]
		}
		if w == "uint8" {
			w = "byte"
		}
		out.WriteString(w)
	}
	for i, c := range name {
		if strings.ContainsRune("[]*(), {}<>", c) {
			flush(i)
			out.WriteRune(c)
			word = i + 1
		}
	}
	flush(len(name))
	return out.String()
}
