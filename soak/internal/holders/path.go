package holders

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
)

// pathsTried is how many of a site's objects are followed from their root: the path that stands for most is shown.
const pathsTried = 200

// commonPath is the path, in words, that the most bytes of the samples have from a root, and their part of what was
// followed.
func (g *graph) commonPath(r int, before []uint32, samples []sample) []string {
	tried := samples
	if step := len(samples) / pathsTried; step > 1 {
		tried = nil
		for i := 0; i < len(samples); i += step {
			tried = append(tried, samples[i])
		}
	}
	type found struct {
		words  []string
		weight float64
	}
	byText := map[string]*found{}
	for _, s := range tried {
		if before[s.obj] == none {
			continue
		}
		words := g.words(r, before, s.obj)
		key := strings.Join(words, "\x00")
		if byText[key] == nil {
			byText[key] = &found{words: words}
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
		return []string{g.rootName(r)}
	}
	return best.words
}

// rootName says what a root is in words.
func (g *graph) rootName(r int) string {
	root := &g.roots[r]
	switch root.kind {
	case rootGoroutine:
		name := shortName(root.name)
		if n := len(root.stacks); n > 1 {
			return fmt.Sprintf("%s (%s goroutines)", name, humanize.Comma(int64(n)))
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

// words is one path in words, root first.
func (g *graph) words(r int, before []uint32, target uint32) []string {
	var chain []uint32
	for n := target; g.rootOf(n) < 0; n = before[n] {
		chain = append(chain, n)
	}
	slices.Reverse(chain)
	out := []string{g.rootName(r)}
	field, at := g.fromRoot(r, chain[0])
	if field != "" {
		out = append(out, field)
	}
	for i, obj := range chain {
		if at.typ == nil && at.fn == nil {
			if p, ok := g.h.ofHeader(obj); ok {
				at = p
			}
		}
		label := g.label(at, obj, i == len(chain)-1)
		var next place
		if i+1 < len(chain) {
			var field string
			field, next = g.hop(at, obj, chain[i+1])
			if !strings.HasPrefix(label, "map[") && !strings.HasPrefix(label, "sync.Map") && label != "" {
				label += field
			}
		}
		out = append(out, label)
		at = next
	}
	return squeeze(out)
}

// label is what an object on a path is called; empty for the inner parts of maps.
func (g *graph) label(at place, obj uint32, last bool) string {
	name := cmp.Or(at.name, typeName(at.typ))
	size := humanize.IBytes(g.h.spanOf(obj).elem)
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

// squeeze leaves out what is empty and writes runs of the same once: the links of a list.
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
		if field, to := g.h.refer(at, base+uint64(off), w); to.typ != nil || to.fn != nil || to.name != "" {
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
		if w, ok := h.locate(root, obj); ok {
			return h.local(root.stacks[w.stack], w.at, w.word)
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
