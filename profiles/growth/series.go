package growth

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
)

// Place is an allocation site as a person would name it.
type Place struct {
	// Site is the first frame from the leaf that isn't the standard library's; User the first one of the user's module,
	// nil when it is the same or there is none; Via are functions of other packages between them.
	Site record.Site  `json:"site"`
	User *record.Site `json:"user,omitempty"`
	Via  []string     `json:"via,omitempty"`
	// Key groups places that belong together from the start: the user's function, else the package.
	Key string `json:"key"`
	// Frames are the functions of the stack, leaf first, without the standard library's and without the outermost.
	Frames []string `json:"frames,omitempty"`
	Stack  []string `json:"stack,omitempty"`
}

// Amount is what a place holds in one profile. Variance is that of Bytes by sampling; Alloc is what it has allocated
// since the process began, and below 0 where the profile doesn't say.
type Amount struct {
	Bytes    float64 `json:"b"`
	Variance float64 `json:"v,omitempty"`
	Alloc    float64 `json:"a,omitempty"`
	Objects  float64 `json:"o,omitempty"` // 0 where the profile doesn't say
}

// Group is goroutines with the same entry that wait in the same place for the same reason.
type Group struct {
	Root    string      `json:"root"`
	Creator string      `json:"creator,omitempty"`
	Wait    string      `json:"wait"`
	At      record.Site `json:"at"`
	// Conn says that it is one of a client's connection.
	Conn bool `json:"conn,omitempty"`
}

// Point is one moment: a heap profile, a goroutine profile, or both.
type Point struct {
	Time time.Time `json:"time"`
	Name string    `json:"name"`
	// Rest says that the load had stopped: a floor.
	Rest     bool           `json:"rest,omitempty"`
	Binary   string         `json:"binary,omitempty"`
	Heap     map[int]Amount `json:"heap,omitempty"`     // by place; nil: no heap profile
	Routines map[int]int    `json:"routines,omitempty"` // by group; nil: no goroutine profile
	Profiler float64        `json:"profiler,omitempty"`
	Lost     float64        `json:"lost,omitempty"`
	// Work is how much had been finished; 0 where nothing counts it.
	Work float64 `json:"work,omitempty"`
	// Memory are sizes in bytes of the parts of the process's memory, by their names in package record; nil: not read.
	Memory map[string]float64 `json:"memory,omitempty"`
}

// Series is the recorded series, in any order.
type Series struct {
	Places []Place `json:"places"`
	Groups []Group `json:"groups"`
	Points []Point `json:"points"`
	// Rate is the sampling rate, bytes; the largest of the profiles'.
	Rate float64 `json:"rate"`
	// Allocs says that the profiles have allocation counts, so that processes can be distinguished.
	Allocs bool `json:"allocs"`
	// Allocated and Difference are those of record.Growth.
	Allocated  bool `json:"allocated,omitempty"`
	Difference bool `json:"difference,omitempty"`
	// Timed says that the times are those inside the profiles.
	Timed bool `json:"timed"`
}

// roundedAlloc is the part of what a place had allocated that may be missing in a later profile, by rounding, and
// lostAlloc that of all places together, by tools that leave small ones out. A new process loses nearly all.
const (
	roundedAlloc = 0.01
	lostAlloc    = 0.001
)

// lives splits points with heap profiles into those of one process each: what a process has allocated never shrinks, at
// any place. A profile belongs to the process whose newest profile is nearest below it. The longest life comes first.
func (s *Series) lives() [][]*Point {
	var out [][]*Point
	for i := range s.Points {
		p := &s.Points[i]
		if p.Heap == nil {
			continue
		}
		best, most := -1, -1.0
		for k, life := range out {
			last := life[len(life)-1]
			if a := last.allocated(); a > most && s.follows(last, p) {
				best, most = k, a
			}
		}
		if best < 0 {
			out = append(out, nil)
			best = len(out) - 1
		}
		out[best] = append(out[best], p)
	}
	slices.SortStableFunc(out, func(a, b []*Point) int { return cmp.Compare(len(b), len(a)) })
	return out
}

// distinct leaves out profiles that are the same as the one before: the live heap is that of the last collection, and a
// profile between two tells nothing new. Where none is left to compare with, the last stays.
func distinct(life []*Point) []*Point {
	var out []*Point
	for _, p := range life {
		if n := len(out); n == 0 || !maps.Equal(out[n-1].Heap, p.Heap) {
			out = append(out, p)
		}
	}
	if len(out) == 1 && len(life) > 1 {
		out = append(out, life[len(life)-1])
	}
	return out
}

// follows reports whether q can be a later profile of p's process.
func (s *Series) follows(p, q *Point) bool {
	if p.Binary != q.Binary && p.Binary != "" && q.Binary != "" {
		return false
	}
	if !s.Allocs {
		return true
	}
	lost := 0.0
	for id, a := range p.Heap {
		lost += math.Max(0, (1-roundedAlloc)*a.Alloc-q.Heap[id].Alloc)
	}
	return lost <= lostAlloc*p.allocated()
}

// allocated is what the process had allocated.
func (p *Point) allocated() float64 {
	sum := 0.0
	for _, id := range sortedKeys(p.Heap) {
		sum += math.Max(0, p.Heap[id].Alloc)
	}
	return sum
}

// total is the sum over the places.
func (p *Point) total() Amount {
	var t Amount
	for _, id := range sortedKeys(p.Heap) {
		a := p.Heap[id]
		t.Bytes += a.Bytes
		t.Variance += a.Variance
		t.Alloc += a.Alloc
	}
	return t
}

// sortedKeys makes sums over maps the same in each run.
func sortedKeys[V any](m map[int]V) []int {
	keys := make([]int, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
