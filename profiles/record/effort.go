package record

// Targets are the detection limits that a trial's protocol asks for, by the nature of the unit: healthy needs each
// fault excluded below them. A protocol may declare wider ones; they stand in trial.json and in the verdict.
type Targets struct {
	// Item is bytes per file, request, listed file, backlog item and distinct item; 16 times of it per page of a listing
	// and per failed transfer, 32 times per file outside the heap, 256 times per wave.
	Item float64 `json:"bytes_per_item" yaml:"item"`
	// Count is goroutines or connections per file or request.
	Count float64 `json:"count_per_item" yaml:"count"`
	// Byte is bytes per byte in flight; a tenth of it per byte copied.
	Byte float64 `json:"bytes_per_byte" yaml:"byte"`
	// Second is bytes per second.
	Second float64 `json:"bytes_per_second" yaml:"second"`
}

// DefaultTargets are those of the evidence contract.
func DefaultTargets() Targets { return Targets{Item: 64, Count: 0.02, Byte: 0.05, Second: 16 << 10} }

// Effort is how far a trial went for the limits that its protocol asks for.
type Effort struct {
	// Looks is how often the hypotheses were judged between blocks of work, and Blocks how many blocks were added.
	Looks  int `json:"looks"`
	Blocks int `json:"blocks"`
	// Met says that at the last look each hypothesis was found, or excluded below its target.
	Met bool `json:"met"`
	// CapSeconds is the declared cap of the trial's time; Capped says that it ended the work.
	CapSeconds float64 `json:"cap_seconds,omitempty"`
	Capped     bool    `json:"capped,omitempty"`
	// Open are the hypotheses that the last look left open or above their targets.
	Open []Hypothesis `json:"open,omitempty"`
	// Error says why the hypotheses could not be judged.
	Error string `json:"error,omitempty"`
}

// LeftOut is why a phase did not run, or not in full. The zero value: it ran.
type LeftOut string

// The reasons for leaving out. What leans on such a phase is open.
const (
	LeftOutLimit   LeftOut = "half-of-limit" // its bytes in flight would exceed half of the memory limit
	LeftOutPoint   LeftOut = "no-such-point" // nothing around the subject can hold work there
	LeftOutMissing LeftOut = "phase-missing" // the phase whose work it repeats has not run
	LeftOutFlat    LeftOut = "no-growth"     // held memory stopped growing at a smaller size: nothing is missing
)

// Points of a Hold that holds nothing: what a service was brought to instead.
const (
	PointConnections = "connections" // so many connections open, nothing under way
	PointRunning     = "running"     // so many requests in flight
	PointAnswered    = "answered"    // so many requests answered, nothing waited for
)

// Points of a Hold in a body at a gate of a service: that before the service or one before an upstream.
const (
	PointRequestBody = "request-body"
	PointReplyBody   = "reply-body"
)

// Hold is what a hold came to when nothing moved any more.
type Hold struct {
	Point string `json:"point"`
	Size  int64  `json:"size"` // of each item, bytes
	Asked int    `json:"asked"`
	Held  int    `json:"held"`
	// Restless says that the subject never came to rest: requests or bytes went on beside the held items.
	Restless bool `json:"restless,omitempty"`
	// Share is the part of a processor that the subject was held to while the state came about, 0: all that it could get.
	Share float64 `json:"share,omitempty"`
}

// Short says that fewer items were held than asked for.
func (h Hold) Short() bool { return h.Held < h.Asked }
