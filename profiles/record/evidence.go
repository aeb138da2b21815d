package record

// Verdict v2 says what a trial would have seen, and shares one table of costs with everything that computes from it.

// HypothesisState says how a hypothesis ended. The zero value is open.
type HypothesisState string

// The states of a hypothesis.
const (
	// Open: the data can neither show nor exclude it; Needs names the experiment that decides.
	Open HypothesisState = "open"
	// Found: it holds, with Slope.
	Found HypothesisState = "found"
	// Excluded: a slope of Limit would have been seen in 95 of 100 trials like this one, and none was.
	Excluded HypothesisState = "excluded"
)

// String returns the word; the zero value is open.
func (s HypothesisState) String() string {
	if s == "" {
		return string(Open)
	}
	return string(s)
}

// Hypothesis is one fault that a trial looked for: a class and the unit of work that it grows with.
type Hypothesis struct {
	Class Class           `json:"class"`
	Per   string          `json:"per"` // a unit, as in Slope.Per
	State HypothesisState `json:"state"`
	// Slope is the growth that was found.
	Slope *Slope `json:"slope,omitempty"`
	// Limit is the detection limit: the slope that 95 of 100 such trials would have shown. Bytes per unit; goroutines or
	// connections per unit for goroutine-leak and connection-leak. Zero: not known.
	Limit float64 `json:"limit,omitempty"`
	// Target is the limit that healthy needs, in the unit of Limit.
	Target float64 `json:"target,omitempty"`
	// Needs is the experiment that decides an open hypothesis, in one line.
	Needs string `json:"needs,omitempty"`
	// Growing says of an open hypothesis that something grows, by too few samples to name its line: more of the same work
	// tells, though the limit doesn't fall with it.
	Growing bool `json:"growing,omitempty"`
}

// Closure says how much of the growth between states the findings and the constants explain.
type Closure struct {
	Explained   int64 `json:"explained"`   // bytes
	Unexplained int64 `json:"unexplained"` // bytes above the detection limit that no finding explains
	// Contrast names the pair of states with the largest unexplained part: "floor 1 to floor 9", "start to peak".
	Contrast string `json:"contrast,omitempty"`
	// Kind is the kind of memory of that part: live-heap, stacks, off-heap or file.
	Kind string `json:"kind,omitempty"`
	// Sites grew most in that contrast and belong to no finding.
	Sites []SiteSize `json:"sites,omitempty"`
}

// Cost is a row of the cost table: all memory that comes with one unit (objects, what they keep, stacks, off-heap).
// Model, plan, limit, gate and report read these rows; none computes a cost of its own.
type Cost struct {
	Class Class      `json:"class"`
	Site  Site       `json:"site"`
	Per   string     `json:"per"`   // a unit, as in Slope.Per
	Bytes float64    `json:"bytes"` // of all memory per unit
	CI95  [2]float64 `json:"ci95"`
	// Parts are the shares of Bytes: live-heap, stacks, off-heap, file.
	Parts map[string]float64 `json:"parts,omitempty"`
	// Tried is the range of units over which the cost was seen; beyond it every use is an extrapolation.
	Tried [2]float64 `json:"tried"`
	// Bounded says that settings, not the work, end its growth; Bound is the number of units at which it stops, when
	// known.
	Bounded bool    `json:"bounded"`
	Bound   float64 `json:"bound,omitempty"`
	// Copied says that it is a container that is copied to a larger one when it is full: for that moment there are both.
	Copied bool `json:"copied,omitempty"`
}
