package profiles

import (
	"fmt"

	"memsoak/profiles/record"
)

// Sizing is the inverse of a capacity: the limit that a number of workers needs, by the memory model of a run. Bytes.
type Sizing struct {
	Workers int `json:"workers"`
	// Limit is the smallest limit that the predicted peak stays below, and Safe that which the upper end of its 95 %
	// interval does: 'soak plan --limit Safe' says that so many workers are safe. Both are exact to sizingStep.
	Limit int64 `json:"limit"`
	Safe  int64 `json:"safe"`

	below func(limit int64) (record.CapacityStep, int64)
}

// GOMEMLIMIT is what to set below a limit; the sizing assumes it. 0: the limit has no room for a heap.
func (s *Sizing) GOMEMLIMIT(limit int64) int64 {
	_, memlimit := s.below(limit)
	return memlimit
}

// sizingStep is how exact a sizing is, and sizingMost the largest limit that is considered.
const (
	sizingStep = 1 << 20
	sizingMost = 1 << 40
)

// SmallestLimit says which limit so many workers need, from a recorded run, for the planned work; its Limit is not read.
// It reads the whole run. The error is ErrNoModel, wrapped, where the run can't tell.
func SmallestLimit(dir string, workers int, p Plan, o Options) (*Sizing, error) {
	rv, e, err := diagnoseRun(dir, o, nil)
	if err != nil {
		return nil, err
	}
	if rv.Model == nil {
		return nil, fmt.Errorf("%w: need >= %d steered snapshots, have %d", ErrNoModel, minModelRows, len(e.rows))
	}
	return e.sizing(rv.Model, p, workers)
}

// sizing searches both limits. A larger limit never makes less room: GOMEMLIMIT grows by less than the limit does.
func (e *evidenceOfRun) sizing(m *record.Model, p Plan, workers int) (*Sizing, error) {
	b := e.budget()
	s := &Sizing{Workers: workers, below: func(limit int64) (record.CapacityStep, int64) {
		memlimit := b.memlimit(limit)
		return e.step(m, p, b, memlimit, workers), memlimit
	}}
	smallest := func(peak func(record.CapacityStep) int64) int64 {
		lo, hi := int64(0), int64(sizingMost) // in neither is the answer known
		for hi-lo > sizingStep {
			mid := (lo + hi) / 2 &^ (sizingStep - 1)
			if step, _ := s.below(mid); peak(step) <= mid {
				hi = mid
			} else {
				lo = mid
			}
		}
		return hi
	}
	s.Limit = smallest(func(c record.CapacityStep) int64 { return c.Peak })
	s.Safe = smallest(func(c record.CapacityStep) int64 { return c.PI95[1] })
	if s.Limit >= sizingMost {
		return nil, fmt.Errorf("%w: %d workers need more than %s", ErrNoModel, workers, bytesText(sizingMost))
	}
	return s, nil
}
