package holders

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/internal/units"
)

// pathsTried is how many of a site's objects are followed from their root: the path that stands for most is shown.
const pathsTried = 200

// path is a path from a root in words.
type path struct {
	words []string // root first
	// holder is the variable or the field that a person knows and that holds what comes behind it:
	// "main.server.audit.entries". It is empty when the path has none of the program's own.
	holder   string
	nameless int // objects on the way of which nothing is known
}

// commonPath is the path that the most bytes of the samples have from a root.
func (g *graph) commonPath(r int, samples []sample) path {
	tried, before := samples, g.shortest(r)
	if step := len(samples) / pathsTried; step > 1 {
		tried = nil
		for i := 0; i < len(samples); i += step {
			tried = append(tried, samples[i])
		}
	}
	type found struct {
		path
		weight float64
	}
	byText := map[string]*found{}
	for _, s := range tried {
		if before[s.obj] == none {
			continue
		}
		p := g.follow(r, before, s.obj)
		key := strings.Join(p.words, "\x00")
		if byText[key] == nil {
			byText[key] = &found{path: p}
		}
		byText[key].weight += s.weight
	}
	var best *found
	for _, f := range byText {
		if best == nil || f.weight > best.weight || f.weight == best.weight && slices.Compare(f.words, best.words) < 0 {
			best = f
		}
	}
	if best == nil {
		return path{words: []string{g.rootName(r)}}
	}
	return best.path
}

// rootName says what a root is in words.
func (g *graph) rootName(r int) string {
	root := &g.roots[r]
	switch root.kind {
	case rootGoroutine:
		name := shortName(root.name)
		if n := len(root.stacks); n > 1 {
			return fmt.Sprintf("%s (%s goroutines)", name, units.Comma(int64(n)))
		}
		return name + " (goroutine)"
	case rootFinalizer:
		return shortName(root.name)
	case rootTimers:
		return root.name + " (of the runtime)"
	}
	if root.name == "" {
		return "static data (package variable)"
	}
	return shortName(root.name) + " (package variable)"
}

// follow is the path to one object.
func (g *graph) follow(r int, before []uint32, target uint32) path {
	var chain []uint32
	for n := target; g.rootOf(n) < 0; n = before[n] {
		chain = append(chain, n)
	}
	slices.Reverse(chain)
	w := writer{words: []string{g.rootName(r)}}
	field, at := g.fromRoot(r, chain[0])
	if field != "" {
		w.words = append(w.words, field)
	}
	w.begin(g, &g.roots[r], field)
	for i, obj := range chain {
		if !at.known() {
			if p, ok := g.h.ofHeader(obj); ok {
				at = p
			}
		}
		if !at.known() {
			w.nameless++
		}
		last := i == len(chain)-1
		var next place
		var field string
		if !last {
			field, next = g.hop(at, obj, chain[i+1])
		}
		w.add(g, at, next, g.label(at, obj, last), field)
		at = next
	}
	return path{words: squeeze(w.words), holder: cmp.Or(w.holder, w.local), nameless: w.nameless}
}

// writer writes a path object by object.
type writer struct {
	words    []string
	holder   string
	local    string // the variable of a call, which is the holder where no type of the program's own follows
	nameless int
	open     bool // the next object's field belongs to the holder
	join     bool // the next object's field belongs to the last word
}

// begin takes a variable of the program itself for the holder.
func (w *writer) begin(g *graph, root *root, field string) {
	switch call, name, isLocal := strings.Cut(field, ": "); {
	case root.kind == rootVariable && g.known(root.name):
		w.holder = shortName(root.name) + field
	case isLocal && g.known(strings.TrimPrefix(call, "in ")):
		w.local = name + " " + call
	}
	w.open = w.holder != ""
}

// add writes an object. The fields of the program's own structs that point to one another are one word:
// "main.server.audit.entries". Links of lists stay apart.
func (w *writer) add(g *graph, at, next place, label, field string) {
	link := next.typ != nil && next.typ == at.typ
	plain := at.name == "" && !at.array && at.typ != nil && label == typeName(at.typ)
	own := plain && !link && field != "" && g.known(label)
	switch {
	case own && w.open:
		w.holder += field
	case own && w.holder == "":
		w.holder, w.open = label+field, true
	}
	switch {
	case own && w.join:
		w.words[len(w.words)-1] += field
	case strings.HasPrefix(label, "map["), strings.HasPrefix(label, "sync.Map"), label == "":
		w.words = append(w.words, label)
	default:
		w.words = append(w.words, label+field)
	}
	w.join, w.open = own, w.open && own
}

// known says whether a name, shortened, is of the program's own module.
func (g *graph) known(name string) bool {
	pkg, _, _ := strings.Cut(strings.TrimLeft(name, "[]*"), ".")
	return g.own[pkg]
}

// ownPackages are the last elements of the import paths of a module's packages.
func (m *image) ownPackages(module string) map[string]bool {
	out := map[string]bool{"main": true}
	for _, f := range m.funcs {
		rest, ok := strings.CutPrefix(f.name, module)
		if !ok || module == "" || rest == "" || rest[0] != '/' && rest[0] != '.' {
			continue
		}
		pkg, _, _ := strings.Cut(f.name[strings.LastIndexByte(f.name, '/')+1:], ".")
		out[pkg] = true
	}
	return out
}

// label is what an object on a path is called; empty for the inner parts of maps.
func (g *graph) label(at place, obj uint32, last bool) string {
	name := cmp.Or(at.name, typeName(at.typ))
	size := units.FormatBytes(int64(g.h.spanOf(obj).elem))
	switch {
	case strings.HasPrefix(name, "sync.indirect["), strings.HasPrefix(name, "sync.entry["):
		return "sync.Map"
	case strings.HasPrefix(name, "hchan<"):
		name = "chan " + strings.TrimSuffix(strings.TrimPrefix(name, "hchan<"), ">")
	case !last && innerPart(name):
		return ""
	}
	if last {
		if innerPart(name) {
			name = "inside of a map"
		}
		return cmp.Or(name, "object") + " of " + size
	}
	return cmp.Or(name, nameless+size)
}

// innerPart knows the runtime's parts of a map by their names.
func innerPart(name string) bool {
	name = strings.TrimLeft(name, "[]*")
	for _, p := range []string{"table<", "group<", "groupReference<", "map<", "noalg.map.group"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// nameless is what an object is called whose type is not known; a run of them is one step.
const nameless = "object of "

// squeeze leaves out empty words and writes runs of the same once: the links of a list.
func squeeze(words []string) []string {
	var out []string
	for i, w := range words {
		switch last := len(out) - 1; {
		case w == "":
		case last >= 0 && strings.TrimSuffix(out[last], " ...") == w,
			last >= 0 && i < len(words)-1 && strings.HasPrefix(out[last], nameless) && strings.HasPrefix(w, nameless):
			out[last] = strings.TrimSuffix(out[last], " ...") + " ..."
		default:
			out = append(out, w)
		}
	}
	return out
}

// hop finds by which field an object refers to the next one.
func (g *graph) hop(at place, obj, next uint32) (string, place) {
	base := g.h.address(obj)
	for off, w := range g.pointers(g.h.contents(obj), next) {
		if field, to := g.h.refer(at, base+uint64(off), w); to.known() {
			return field, to
		}
	}
	return "", place{base: g.h.address(next)}
}

// pointers yields the words of b that point into an object, by their offsets.
func (g *graph) pointers(b []byte, obj uint32) func(yield func(int, uint64) bool) {
	lo := g.h.address(obj)
	hi := lo + g.h.spanOf(obj).elem
	return func(yield func(int, uint64) bool) {
		for off := 0; off+ptrSize <= len(b); off += ptrSize {
			if w := binary.LittleEndian.Uint64(b[off:]); w >= lo && w < hi && !yield(off, w) {
				return
			}
		}
	}
}

// fromRoot finds by which of a root's words it refers to an object: the field of a package variable, or the function
// whose frame has it and its variable.
func (g *graph) fromRoot(r int, obj uint32) (string, place) {
	h, root := g.h, &g.roots[r]
	switch root.kind {
	case rootVariable:
		for i, k := range root.vars {
			v := &h.vars[k]
			at := place{base: v.addr + h.img.bias, typ: h.img.typeAt(v.typ)}
			var field string
			if i > 0 {
				field, at = g.static(root.vars[0], k)
			}
			for off, w := range g.pointers(h.bytes(v.addr+h.img.bias, v.size&^(ptrSize-1)), obj) {
				f, to := h.refer(at, v.addr+h.img.bias+uint64(off), w)
				return field + f, to
			}
		}
	case rootGoroutine:
		if field, to := h.variable(root, obj); field != "" {
			return field, to
		}
	}
	return "", place{base: h.address(obj)}
}

// static is what a variable says of a piece of static data that it refers to.
func (g *graph) static(named, nameless int) (string, place) {
	h, v, s := g.h, &g.h.vars[named], &g.h.vars[nameless]
	b := h.bytes(v.addr+h.img.bias, v.size&^(ptrSize-1))
	for off := 0; off < len(b); off += ptrSize {
		if w := binary.LittleEndian.Uint64(b[off:]); w-h.img.bias >= s.addr && w-h.img.bias < s.addr+s.size {
			at := place{base: v.addr + h.img.bias, typ: h.img.typeAt(v.typ)}
			return h.refer(at, at.base+uint64(off), w)
		}
	}
	return "", place{}
}
