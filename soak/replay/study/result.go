package study

import (
	"time"

	"github.com/memsoak/memsoak/soak/replay/history"
)

// Schema is that of a Result in JSON.
const Schema = "memsoak/replay/v1"

// Result is a whole replay.
type Result struct {
	Schema string        `json:"schema"`
	Scale  int           `json:"scale"`
	Free   time.Duration `json:"free_ns"`
	Out    string        `json:"out"`
	// Predicted says that no limits could be set, so that no outcome was suffered.
	Predicted bool          `json:"predicted,omitempty"`
	Cells     []*Cell       `json:"cells"`
	Expected  []Expectation `json:"expected"`
	FullSize  *FullSize     `json:"full_size,omitempty"`
	Rclone    *Rclone       `json:"rclone,omitempty"`
	Skipped   []string      `json:"skipped,omitempty"` // with the reason
	Took      time.Duration `json:"took_ns"`
}

// Expectation sets what the history expected beside the measurement of one version: on the corpus of huge files,
// where workers hold the most.
type Expectation struct {
	Row       string  `json:"row"`
	PerWorker int64   `json:"per_worker"` // bytes, at full size: the slopes of memory held per worker
	Total     int64   `json:"total"`      // bytes, at full size: the peak
	Rate      float64 `json:"rate"`       // content bytes a second, of this machine
	Happened  string  `json:"happened"`   // by the history
	// Outcomes are the cell's by corpus.
	Outcomes map[string]string `json:"outcomes"`
	// Agrees says that what happened by the history was suffered on one of the corpora at least; nil where the history
	// tells nothing.
	Agrees *bool `json:"agrees,omitempty"`
}

// expectations joins the cells of each version.
func expectations(rows []Row, cells []*Cell, scale int) []Expectation {
	out := []Expectation{}
	for _, r := range rows {
		if r.Group != Versions {
			continue
		}
		e := Expectation{Row: r.Name, Happened: r.Happened, Outcomes: map[string]string{}}
		for _, c := range cells {
			if c.Row != r.Name {
				continue
			}
			e.Outcomes[c.Corpus] = c.Outcome
			if c.Corpus == huge {
				e.PerWorker, e.Total, e.Rate = c.perWorker()*int64(scale), c.Peak*int64(scale), c.Rate
			}
		}
		if len(e.Outcomes) == 0 {
			continue
		}
		if r.Expected != history.Unknown {
			agrees := false
			for _, o := range e.Outcomes {
				agrees = agrees || o == r.Expected
			}
			e.Agrees = &agrees
		}
		out = append(out, e)
	}
	return out
}

// perWorker is what the verdict says of one worker: its buffers, and its share of the files in flight.
func (c *Cell) perWorker() int64 {
	sum := 0.0
	for _, s := range c.Shares {
		if s.Slope != nil && s.Slope.Per == "worker" {
			sum += s.Slope.Bytes
		}
	}
	return int64(sum)
}
