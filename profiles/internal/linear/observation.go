package linear

import (
	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/record"
)

// Observation is one steered snapshot reduced to what the memory model needs. Sizes are bytes.
type Observation struct {
	Cell    string // the cell's canonical form
	Trial   int    // its place among the run's trials
	Workers int
	Held    bool
	Cov     record.Covariates
	Seconds float64        // since the trial's first snapshot
	Growth  costs.Gathered // what the cost table says has gathered by then
	Most    int64          // the most bytes in flight in the trial so far
	// MostInFlight is the most transfers in flight in the trial so far.
	MostInFlight int64
	Live         float64
	// Unwritten is the least of the live heap that no page stands for: buffers of which nothing was written yet. It may be
	// more by as much as Free, spans without objects that the runtime keeps: how many of them have pages is not known.
	Unwritten, Free float64
	// Arenas is what the Go heap's arenas have to have beside live objects, outside what a limit counts beside them; NaN
	// where it was not read.
	Arenas, Outside float64
}

// The rests are the parts of memory without what the cost table says has gathered.
func (o Observation) LiveRest() float64    { return o.Live - o.Growth.Live }
func (o Observation) ArenasRest() float64  { return o.Arenas - o.Growth.Arenas }
func (o Observation) OutsideRest() float64 { return o.Outside - o.Growth.Outside }

// Units is how much of a cost's unit there was in an observation.
func (o Observation) Units(row record.Cost) (float64, bool) {
	c, per := o.Cov, row.Per
	v, ok := map[string]int64{"file": c.FilesDone, "listed-file": c.FilesListed, "backlog-item": c.Backlog,
		"distinct-item": c.Distinct,
		"byte":          c.BytesDone, "request": c.Requests, "page": c.Pages, "wave": c.Waves, "error": c.Failed,
		"byte-in-flight": c.BytesInFlight}[per]
	if per == "second" {
		return o.Seconds, true
	}
	return float64(v), ok
}
