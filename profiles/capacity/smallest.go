package capacity

import (
	"fmt"
	"math"
	"strings"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/internal/words"
)

// Sizing is the inverse of a capacity: the limit that a number of workers needs, by the memory model of a run. Bytes.
type Sizing struct {
	Workers int `json:"workers"`
	// Limit is the smallest limit that the predicted need stays below, and Safe that which the upper end of its 95 %
	// interval does: 'soak plan --limit Safe' says that so many workers are safe. Both are exact to sizingStep.
	Limit int64 `json:"limit"`
	Safe  int64 `json:"safe"`

	forecast forecast
}

// GOMEMLIMIT is what to set below a limit; the sizing assumes it. 0: the limit has no room for a heap.
func (s *Sizing) GOMEMLIMIT(limit int64) int64 { return goMemoryLimit(limit, s.forecast) }

// sizingStep is how exact a sizing is, and sizingMost the largest limit that is considered.
const (
	sizingStep = 1 << 20
	sizingMost = 1 << 40
)

// SmallestLimit says which limit so many workers need for the planned work, whose Limit is not read. The error is
// ErrNoModel, wrapped, where the run can't tell.
func (e *Evidence) SmallestLimit(workers int, p costs.Plan) (*Sizing, error) {
	m := e.PeakModel()
	if m == nil {
		return nil, fmt.Errorf("%w: need >= %d steered snapshots, have %d", ErrNoModel, threshold.MinModelRows, len(e.Rows))
	}
	g := e.grounds(p)
	if g.seen == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoModel, strings.Join(g.why, "; "))
	}
	if p.LargestFile == 0 {
		p.LargestFile = g.held
	}
	return m.sizing(p, workers)
}

// sizing rounds what the workers need up to whole steps. Garbage needs no room of its own: GOMEMLIMIT is below the
// limit.
func (m *peakModel) sizing(p costs.Plan, workers int) (*Sizing, error) {
	f := m.Forecast(p, workers)
	mid, high := f.Needs()
	if high > sizingMost {
		return nil, fmt.Errorf("%w: %d workers need more than %s", ErrNoModel, workers, words.Bytes(sizingMost))
	}
	up := func(need float64) int64 { return int64(math.Ceil(need/sizingStep)) * sizingStep }
	return &Sizing{Workers: workers, Limit: up(mid), Safe: up(high), forecast: f}, nil
}
