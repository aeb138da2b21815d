package holders

import "strings"

// maxFrames ends the walk of a damaged stack.
const maxFrames = 10_000

// calls yields the calls that a goroutine is in, leaf first. It goes by the frame pointers, and yields nothing for a
// goroutine that runs.
func (h *heap) calls(g goroutine, yield func(c frame) bool) {
	pc, bp := g.pc, g.bp
	for range maxFrames {
		f := h.img.functionAt(pc)
		if f == nil || bp < g.sp || bp >= g.hi {
			return
		}
		if !yield(frame{f, pc - 1, bp + 2*ptrSize}) {
			return
		}
		pc, bp = h.word(bp+ptrSize), h.word(bp)
	}
}

// local says to which call of a goroutine a word of its stack belongs, and to which of its variables where the debug
// information places one there. The arguments of a call lie in the frame of its caller.
func (h *heap) local(g goroutine, at, target uint64) (field string, to place) {
	to = place{base: target}
	var callee frame
	h.calls(g, func(c frame) bool {
		if at >= c.cfa {
			callee = c
			return true
		}
		v := h.variableIn(c, at)
		if v.name == "" && callee.fn != nil {
			if v = h.variableIn(callee, at); v.name != "" {
				c = callee
			}
		}
		field = "in " + shortName(c.fn.name)
		if v.name != "" {
			var of string
			of, to = h.refer(place{base: c.cfa + v.base, typ: v.typ}, at, target)
			field += ": " + strings.TrimPrefix(v.name, "&") + of
		}
		return false
	})
	return field, to
}
