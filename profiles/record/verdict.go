package record

// Headline is a cell's verdict in one word. The zero value means inconclusive; use String.
type Headline string

// The headlines.
const (
	Inconclusive Headline = "inconclusive"
	Healthy      Headline = "healthy"
	HeadLeak     Headline = "leak"
	HeadBuffer   Headline = "buffering"
	HeadMetadata Headline = "metadata"
	HeadHeadroom Headline = "headroom"
	HeadOffHeap  Headline = "off-heap"
)

// String returns the word; the zero value is inconclusive.
func (h Headline) String() string {
	if h == "" {
		return string(Inconclusive)
	}
	return string(h)
}

// Verdict is a trial's verdict.json.
type Verdict struct {
	Schema     string     `json:"schema"`
	Cell       Cell       `json:"cell"`
	Trial      int        `json:"trial,omitempty"`
	Outcome    Outcome    `json:"outcome"`
	Headline   Headline   `json:"headline"`
	Confidence float64    `json:"confidence"`
	Peak       Peak       `json:"peak"`
	Waterfall  []Part     `json:"waterfall"`
	Findings   []Finding  `json:"findings"`
	Floors     []Floor    `json:"floors,omitempty"`
	TopAtPeak  []SiteSize `json:"top_at_peak,omitempty"`
	TopAtFloor []SiteSize `json:"top_at_floor,omitempty"`
	// Hypotheses say for each class and unit whether it was found, excluded, or is open. Of schema v2.
	Hypotheses []Hypothesis `json:"hypotheses,omitempty"`
	// Closure says what the findings leave unexplained. Of schema v2.
	Closure *Closure `json:"closure,omitempty"`
	// Costs are what a unit costs in all memory: the one table that model, plan, gate and report read. Of schema v2.
	Costs []Cost `json:"costs,omitempty"`
	// Growth is the verdict on profiles without a controlled load: recordings and plain profiles.
	Growth   *Growth  `json:"growth,omitempty"`
	Warnings []string `json:"warnings"`
}

// Part is a bar of the waterfall. Parts: live-heap, garbage, unreturned, untouched, stacks, runtime, off-heap, file,
// and remainder, the difference to the resident size. Detail says in one line what belongs to it.
type Part struct {
	Part   string `json:"part"`
	Bytes  int64  `json:"bytes"`
	Detail string `json:"detail,omitempty"`
}

// Site is a place in the source.
type Site struct {
	Function string `json:"function"`
	File     string `json:"file"`
	Line     int    `json:"line"`
}

// SiteSize is a site's live bytes in one snapshot.
type SiteSize struct {
	Site  Site  `json:"site"`
	Bytes int64 `json:"bytes"`
}

// Floor is the live heap at a quiesce.
type Floor struct {
	Seq      int   `json:"seq"` // of the snapshot
	Files    int64 `json:"files"`
	HeapLive int64 `json:"heap_live"`
	RSS      int64 `json:"rss"`
	Routines int   `json:"goroutines"`
}

// Slope is bytes per unit with its 95 % interval.
type Slope struct {
	Bytes float64 `json:"bytes"`
	// file, byte, request, second, wave, error, listed-file, backlog-item, distinct-item, worker, byte-in-flight,
	// connection, goroutine, page
	Per  string     `json:"per"`
	CI95 [2]float64 `json:"ci95"`
}

// Finding is one thing that holds memory: class, site, slope, evidence.
type Finding struct {
	Class       Class    `json:"class"`
	Site        Site     `json:"site"`
	BytesAtPeak int64    `json:"bytes_at_peak"`
	Slope       *Slope   `json:"slope,omitempty"`
	R2          float64  `json:"r2,omitempty"`
	Confidence  float64  `json:"confidence,omitempty"`
	Stack       []string `json:"stack,omitempty"`    // leaf first, "function file:line"
	Evidence    []string `json:"evidence,omitempty"` // the numbers, the states, the contrast that decided
	HeldBy      []string `json:"held_by,omitempty"`  // a reference path from a root, root last
	// HeldShare is the part of the site's live bytes that would be free without that root, 0 to 1; HeldStatus says whether
	// the root has them alone.
	HeldShare  float64    `json:"held_share,omitempty"`
	HeldStatus HeldStatus `json:"held_status,omitempty"`
	Summary    string     `json:"summary"`
	// Unreclaimable says of file memory that the kernel can't drop it under pressure: tmpfs and shared memory.
	Unreclaimable bool `json:"unreclaimable,omitempty"`
	// AtPlan is the predicted size at the planned work (default 1,000,000 files, largest file 5 GiB), in bytes.
	AtPlan int64 `json:"at_plan,omitempty"`
	// Bound is the number of distinct items at which a cache stops, when known.
	Bound int64 `json:"bound,omitempty"`
}

// RunVerdict is the run's verdict.json: all cells, the memory model, the capacity answer.
type RunVerdict struct {
	Schema string    `json:"schema"`
	Cells  []Verdict `json:"cells"`
	// Lost is how many further trials have no verdict: they were not run, can't be read, or have records that disagree.
	Lost int `json:"lost,omitempty"`
	// Costs are the rows of the trials' tables, joined over the run.
	Costs    []Cost    `json:"costs,omitempty"`
	Model    *Model    `json:"model,omitempty"`
	Capacity *Capacity `json:"capacity,omitempty"`
	Answer   []string  `json:"answer"` // the summary, the most important line first
	Warnings []string  `json:"warnings"`
}

// Model is the memory model over cells: peak = sum of Terms, each a coefficient times a named quantity.
type Model struct {
	Quantity string `json:"quantity"` // the predicted quantity: "live-heap" or "peak-rss"
	Terms    []Term `json:"terms"`
	// Arenas and Outside are resident memory beside the live heap that no pressure reclaims: stacks, partly used spans;
	// and outside the Go heap anonymous and shared memory and the kernel's own for the cgroup.
	Arenas  []Term `json:"arenas,omitempty"`
	Outside []Term `json:"outside,omitempty"`
	// Beside is what each file adds beside the rows of the cost table, bytes; 0 where no row grows.
	Beside float64 `json:"beside,omitempty"`
	Sigma  float64 `json:"sigma"` // residual standard deviation, bytes
	R2     float64 `json:"r2"`
	Cells  int     `json:"cells"`
	// CrossCheck is the relative error of each cell predicted from the others.
	CrossCheck map[string]float64 `json:"cross_check,omitempty"`
	// RSSOverLive is peak RSS over peak live heap, by "gomemlimit=...,gogc=...".
	RSSOverLive map[string]float64 `json:"rss_over_live,omitempty"`
	Warnings    []string           `json:"warnings,omitempty"`
}

// Term is one term of the model. Names: constant, workers, workers*part, workers*largest, backlog, files, distinct,
// bytes-in-flight, connections.
type Term struct {
	Name  string     `json:"name"`
	Bytes float64    `json:"bytes"`
	CI95  [2]float64 `json:"ci95"`
}

// Capacity is the answer of soak plan.
type Capacity struct {
	Limit      int64 `json:"limit"`
	MaxWorkers int   `json:"max_workers"` // largest safe worker count; -1: none is safe, 0: not known
	// Answer is all that follows in sentences, the most important first: every place that shows a capacity shows these.
	Answer []string `json:"answer"`
	// AtLeast says that more may fit than MaxWorkers, by more than the matrix lets one predict: nothing is claimed beyond.
	AtLeast bool `json:"at_least,omitempty"`
	// Perhaps is the most workers that may fit where that is further from MaxWorkers than a tenth and one: between the two
	// it hangs on the garbage of the fullest moment, and on how many buffers are copied to larger ones then. Decides names
	// the run that tells. Else 0, and where it is more than the matrix lets one predict, which AtLeast says.
	Perhaps    int    `json:"perhaps,omitempty"`
	GOMEMLIMIT int64  `json:"gomemlimit"`
	Binds      string `json:"binds"` // what binds first
	// Without is the highest peak above Limit of a trial on no more workers and work, with a larger GOMEMLIMIT or none:
	// the answer hangs on its own.
	Without *TrialPeak `json:"without,omitempty"`
	// Unknown says why there is no answer, a reason each; then MaxWorkers is 0. Decides is the run that would decide.
	Unknown []string `json:"unknown,omitempty"`
	Decides string   `json:"decides,omitempty"`
	// UntriedSize says that the only reason is a planned size of files that no trial held.
	UntriedSize bool `json:"untried_size,omitempty"`
	// Estimate is what the model alone would say where Unknown keeps it from being an answer; 0: nothing.
	Estimate int `json:"estimate,omitempty"`
	// LargestFile and Files are the work that the answer is for.
	LargestFile int64 `json:"largest_file"`
	Files       int64 `json:"files"`
	// Fits says how much work fits, where something grows with the work; nil where nothing was found to.
	Fits *Fit `json:"fits,omitempty"`
	// FitsUnknown says why how much fits is not known although something was found to grow: a kill of the run says
	// otherwise.
	FitsUnknown string `json:"fits_unknown,omitempty"`
	// Smallest is of the question for the smallest limit: Limit is the answer then, in whole MiB. nil: a limit was given.
	Smallest *Smallest `json:"smallest,omitempty"`
	// Sizes says how large files may be; nil where nothing is known of it.
	Sizes *Sizes `json:"sizes,omitempty"`
	// Settings say what to set beside GOMEMLIMIT and why, a sentence each, as far as the recording shows it.
	Settings []string `json:"settings,omitempty"`
	// Mended is how many workers would fit without the largest row of the cost table; 0: not known, or nothing to mend.
	Mended int `json:"mended,omitempty"`
	// KilledAt is the smallest worker count that a limit of this size or larger killed on no more work than is planned; 0:
	// none was.
	KilledAt int `json:"killed_at,omitempty"`
	// Extrapolated names the settings of the answer outside the tested ranges, each with its range.
	Extrapolated []string `json:"extrapolated,omitempty"`
	// BytesInFlight says that the model has a term of the size of the files in flight.
	BytesInFlight bool           `json:"bytes_in_flight,omitempty"`
	At            []CapacityStep `json:"at"`
	Assumes       []string       `json:"assumes"` // largest file, files, ...
	Warnings      []string       `json:"warnings,omitempty"`
	// Verified are trials of the answer and of one worker more, below the limit in a real cgroup.
	Verified []HeldTrial `json:"verified,omitempty"`
	// Words are those of the subject's kind.
	Words Words `json:"words,omitzero"`
	// Again are the flags by which another run has this one's subject, work and fixed settings.
	Again string `json:"again,omitempty"`
}

// Words say what a subject's items and workers are called.
type Words struct {
	Item string `json:"item,omitempty"` // ItemRequest for a service, else files
	// InFlight says that no setting counts the subject's workers: what stands for them is requests in flight.
	InFlight bool `json:"in_flight,omitempty"`
}

// Fit is how much work fits below a limit before what grows with it fills the rest.
type Fit struct {
	Workers int     `json:"workers"`
	Per     string  `json:"per"`  // the unit that is counted: that of the largest row
	Most    float64 `json:"most"` // units that are safe, at the upper end of the costs' intervals
	// Range is the 95 % interval of where it breaks, without an upper end where that is not known, as where Most is a
	// lower bound, AtLeast: some of the kept memory had no pages. Tried is the most units that a trial had: beyond it is
	// extrapolation.
	Range   []float64 `json:"range"`
	AtLeast bool      `json:"at_least,omitempty"`
	// GOMEMLIMIT is the one to set for so many, bytes.
	GOMEMLIMIT int64   `json:"gomemlimit"`
	Tried      float64 `json:"tried"`
	Files      float64 `json:"files"` // the same as Most in finished files
	// PerFile is what each finished file adds, in bytes, by all rows that grow, and Cost the largest of these.
	PerFile float64 `json:"per_file"`
	Cost    Cost    `json:"cost"`
}

// Smallest is what so many workers need. All but Workers is 0 where it is not known.
type Smallest struct {
	Workers int      `json:"workers"`
	Need    int64    `json:"need"`    // in the middle of the interval, bytes in whole MiB
	PI95    [2]int64 `json:"pi95"`    // of what they need, bytes
	Outside int64    `json:"outside"` // of it outside the Go heap, which no GOMEMLIMIT keeps down, bytes
}

// Sizes are the sizes of files that so many workers may hold below a limit, a file each. Bytes.
type Sizes struct {
	Workers int   `json:"workers"`
	Safe    int64 `json:"safe"` // the largest that is safe; -1: none is, 0: not known
	// Binds says that memory is in proportion to the size; else Safe is as far as sizes were held.
	Binds bool `json:"binds,omitempty"`
	// Breaks is the size that doesn't fit even at the lower end of the interval; 0: there is none.
	Breaks int64 `json:"breaks,omitempty"`
	// Extrapolated says from what the size or the count of workers is extrapolated; "": both were tried.
	Extrapolated string `json:"extrapolated,omitempty"`
	Unknown      string `json:"unknown,omitempty"` // why nothing is known
}

// HeldTrial is a trial in which all workers held a file of FileSize bytes at the same time.
type HeldTrial struct {
	Workers  int     `json:"workers"`
	FileSize int64   `json:"file_size"`
	Outcome  Outcome `json:"outcome"`
	Live     int64   `json:"live"`    // live heap while all were held, bytes
	Outside  int64   `json:"outside"` // outside the Go heap then: anonymous and shared memory and the kernel's own, bytes
	Peak     int64   `json:"peak"`    // as Peak.Memory has it, bytes
}

// TrialPeak is the most that a trial with so many workers was charged for, bytes.
type TrialPeak struct {
	Workers int   `json:"workers"`
	Bytes   int64 `json:"bytes"`
}

// CapacityStep is a point of the capacity curve.
type CapacityStep struct {
	Workers int      `json:"workers"`
	Live    int64    `json:"live"`    // live heap, bytes
	Outside int64    `json:"outside"` // anonymous and shared memory outside the Go heap and the kernel's own, bytes
	Peak    int64    `json:"peak"`    // as record.Peak.Memory has it, bytes
	PI95    [2]int64 `json:"pi95"`    // of Peak
	// Measured is the highest peak of the run's trials with so many workers, 0: there was none.
	Measured int64 `json:"measured,omitempty"`
}
