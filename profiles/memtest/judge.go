package memtest

// growth says how one quantity went over the floors.
type growth int

const (
	steady  growth = iota // it stays, or grew less than allowed
	filling               // it grew lately, but not before: more waves decide
	growing               // it grew in both windows
)

// window is the ratio of operations between the starts of the windows. It is above 2, so that a table that doubles its
// size grows at least once in each.
const window = 2.2

// series is one quantity at each floor.
type series struct {
	ops    []int // before each floor, since the start of the process's first operation
	values []int64
}

// judge compares the late window, since the operations have doubled, and the one before it, with the allowance. A
// cache that is full stays flat in the late window; a leak grows in both, and so does memory that doubles.
func (s series) judge(limit float64) (g growth, perOp float64, total int64) {
	last := len(s.ops) - 1
	if last < 1 {
		return steady, 0, 0
	}
	total = s.values[last] - s.values[0]
	perOp = s.slope(0, last)
	if last < 2 || perOp <= limit {
		return steady, perOp, total
	}
	lateFrom := s.before(float64(s.ops[last])/window, last)
	if s.slope(lateFrom, last) <= limit {
		return steady, perOp, total
	}
	if lateFrom == 0 {
		return filling, perOp, total
	}
	if s.slope(s.before(float64(s.ops[lateFrom])/window, lateFrom), lateFrom) <= limit {
		return filling, perOp, total
	}
	return growing, perOp, total
}

// before is the latest floor at no more than ops operations, and before the floor end.
func (s series) before(ops float64, end int) int {
	at := 0
	for i := range end {
		if float64(s.ops[i]) <= ops {
			at = i
		}
	}
	return at
}

func (s series) slope(from, to int) float64 {
	return float64(s.values[to]-s.values[from]) / float64(max(s.ops[to]-s.ops[from], 1))
}

// steps counts the floors at which it rose. What rises only one time isn't kept per operation.
func (s series) steps() (n int) {
	top := s.values[0]
	for _, v := range s.values[1:] {
		if v > top {
			top = v
			n++
		}
	}
	return n
}
