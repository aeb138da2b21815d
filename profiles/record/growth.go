package record

import "time"

// Shape is how a quantity went over the profiles of a series. The zero value is not known.
type Shape string

// The shapes.
const (
	ShapeUnknown Shape = ""         // too few profiles
	Growing      Shape = "growing"  // rises to the end
	Rising       Shape = "rising"   // more at the end, but too few profiles or sampled objects to be sure
	Levelled     Shape = "levelled" // rose, then stayed: a warm-up, a cache that is full, a pool
	Stepped      Shape = "stepped"  // rose at one moment and stayed
	Steady       Shape = "steady"   // no growth above the limit
	Falling      Shape = "falling"
)

// Curve is a quantity over the profiles of a series: bytes, or goroutines.
type Curve struct {
	// State is found for growth that is sure, excluded where growth above Limit would have been seen, else open.
	State HypothesisState `json:"state"`
	Shape Shape           `json:"shape"`
	First float64         `json:"first"`
	Last  float64         `json:"last"`
	// Slope is per second, with its 95 % interval; nil without a span of time.
	Slope *Slope `json:"slope,omitempty"`
	// PerWork is per finished request, where a counter of them was recorded.
	PerWork *Slope `json:"per_work,omitempty"`
	// Limit is the growth per second that would have been seen in 95 of 100 such series.
	Limit float64 `json:"limit,omitempty"`
	Up    int     `json:"up"`    // steps that went up
	Steps int     `json:"steps"` // steps that went up or down
	// Confidence is the probability that it grows, below 1.
	Confidence float64 `json:"confidence"`
	// Noise is by how much sampling and the process's ups and downs alone move the growth, one standard deviation.
	Noise float64 `json:"noise"`
	// Final is where a curve that flattens would end; 0 for others.
	Final float64 `json:"final,omitempty"`
	// Slack says of a curve that rose and then stayed that the process worked less by then, or that nothing tells: what
	// leaks stays as well without work.
	Slack bool `json:"slack,omitempty"`
}

// Grew is the difference between the ends.
func (c *Curve) Grew() float64 { return c.Last - c.First }

// Cause is a set of allocation sites that grow together and share a place in the code.
type Cause struct {
	Curve
	// Site is the place that allocates: the first frame from the leaf that isn't the standard library's.
	Site Site `json:"site"`
	// User is the first frame of the user's own module, when it is another one; Via are the packages' functions between.
	User *Site    `json:"user,omitempty"`
	Via  []string `json:"via,omitempty"`
	// Share is the part of the total's growth, or of the total for a composition.
	Share float64 `json:"share"`
	// Sites are all places of the cause with their growth, the largest first.
	Sites []SiteSize `json:"sites,omitempty"`
	Stack []string   `json:"stack,omitempty"`
	// Objects is how many objects of Site there are in the last profile, and ObjectBytes their mean size; 0: not known.
	Objects     float64 `json:"objects,omitempty"`
	ObjectBytes float64 `json:"object_bytes,omitempty"`
	// PerGoroutine is the entry of goroutines of which there are as many as objects, where each object was counted.
	PerGoroutine string `json:"per_goroutine,omitempty"`
	// Kept is the part of the allocations between the first and the last profile that was not freed; -1: not known.
	Kept float64 `json:"kept"`
	// Rest is how much of the growth was still there when the load had stopped, in bytes; nil: not known.
	Rest *int64 `json:"rest,omitempty"`
}

// RoutineGrowth is a group of goroutines with the same entry that wait in the same place.
type RoutineGrowth struct {
	Curve
	Class   Class  `json:"class"`
	Root    string `json:"root"`              // the function that the goroutine runs
	Creator string `json:"creator,omitempty"` // the function with the go statement
	Wait    string `json:"wait"`              // chan send, select, IO wait ...
	At      Site   `json:"at"`                // where it waits
	// Peak is how many there were before they became fewer, of a queue that rose as long as its load came; 0 of others.
	Peak float64 `json:"peak,omitempty"`
	// Remain says that they were there when the load had stopped and not before it began.
	Remain bool  `json:"remain,omitempty"`
	Stack  int64 `json:"stack_bytes"` // the least that their stacks take
}

// The parts of a process's memory that the kernel and the runtime tell of, which are in no heap profile.
const (
	ResidentPart = "resident memory"
	StackPart    = "stacks of goroutines"
	OutsidePart  = "outside Go's heap (mmap, cgo, shared memory)"
)

// MemoryPart is a part of a process's memory over the recording.
type MemoryPart struct {
	Name string `json:"name"`
	Curve
}

// Growth is the verdict on a series without a controlled load: verdict.json of recordings and of plain profiles.
type Growth struct {
	Profiles int `json:"profiles"`
	Floors   int `json:"floors"` // profiles taken while the load had stopped
	// Collections is how many of the profiles that were judged differ from the one before: between two collections of
	// the process a heap profile stays the same.
	Collections int       `json:"collections"`
	From        time.Time `json:"from"`
	To          time.Time `json:"to"`
	// Lives is how many processes the profiles are of, one after the other or side by side; Judged those that have
	// several profiles.
	Lives  int    `json:"lives"`
	Total  Curve  `json:"total"`
	Reason string `json:"reason,omitempty"` // why the total is open, in one line

	Causes   []Cause         `json:"causes"`   // what grew, the largest first
	Stayed   []Cause         `json:"stayed"`   // large places that did not grow
	Routines []RoutineGrowth `json:"routines"` // groups that grew, the most first
	// Resting are large groups of goroutines that did not grow.
	Resting []RoutineGrowth `json:"resting,omitempty"`
	// Memory are the parts that are in no heap profile, where they were read: of them only OutsidePart is judged.
	Memory []MemoryPart `json:"memory,omitempty"`
	// Allocated says that Causes and Stayed count allocations, since the profiles don't have live memory.
	Allocated bool `json:"allocated,omitempty"`
	// Difference says that the profile is a difference of two.
	Difference bool `json:"difference,omitempty"`
	// Profiler is the memory of the profiler itself in the last profile, which is left out of the total; Lost what has no
	// stack, which is in it.
	Profiler int64 `json:"profiler_bytes"`
	Lost     int64 `json:"without_stack_bytes,omitempty"`

	// Next is what would make it sure, and Command the command for it.
	Next    string `json:"next"`
	Command string `json:"command"`
}
