package blame

import "github.com/memsoak/memsoak/profiles/record"

// Recursion is the function of the user's that occurs most often in a deep stack, at the line where it does so most:
// what made the stack deep. ok is false when none occurs twice.
func (b Blamer) Recursion(stack []Frame) (f Frame, ok bool) {
	calls, lines := map[string]int{}, map[record.Site]int{}
	for _, x := range stack {
		if b.User(x) {
			calls[CleanName(x.Function)]++
			lines[lineOf(x)]++
		}
	}
	most, at := 1, 0
	for _, x := range stack {
		c, l := calls[CleanName(x.Function)], lines[lineOf(x)]
		if b.User(x) && (c > most || c == most && ok && l > at) {
			f, ok, most, at = x, true, c, l
		}
	}
	return f, ok
}

// lineOf is a frame's place, whatever instance of a generic function it is in.
func lineOf(f Frame) record.Site {
	return record.Site{Function: CleanName(f.Function), File: f.File, Line: f.Line}
}
