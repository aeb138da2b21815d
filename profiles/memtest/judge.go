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

// Four bounds tell the largest size so far of containers that are emptied again from memory that each operation leaves:
// of largest times as many operations it has flat times the growth at most, in minSteps steps at least, and it has
// become wider times as large as at the first floor. A leak has more growth, also where it doubles its room and held
// much before: then its room is still less than wider times as large, or the operations outweigh the size before.
const (
	largest  = 8
	flat     = 2
	minSteps = 5
	wider    = 6
)

// flattens reports whether it grows by less and less, as the largest of ever more sizes does.
func (s series) flattens() bool {
	last := len(s.ops) - 1
	at := s.before(float64(s.ops[last])/largest, last)
	grew := s.values[at] - s.values[0]
	return grew > 0 && s.values[last]-s.values[0] <= flat*grew && s.values[last] >= wider*s.values[0] &&
		s.steps() >= minSteps
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
