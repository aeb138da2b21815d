package capacity

// Measurements with files of one size, beside the fit over all sizes. A limit counts pages, and a page comes with
// the first write: a subject that makes buffers larger than its files lives in less than its live heap, by how much
// only the states say that held such files.

import (
	"math"

	"github.com/memsoak/memsoak/profiles/internal/linear"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/trend"
)

// hold is a state held with transfers whose bodies are there.
type hold struct {
	size, transfers float64
	// written is the live heap that they brought with pages for it at most, least that at least, unwritten that without.
	// Bytes.
	written, least, unwritten float64
}

// holds takes from the live heap of each held state what the model of it says is there without transfers.
func (e *Evidence) holds(live *linear.Model) []hold {
	var out []hold
	for _, o := range e.Rows {
		n := float64(o.Cov.InFlight - o.Cov.AtHeader)
		if !o.Held || n <= 0 {
			continue
		}
		idle := o
		idle.Cov.InFlight, idle.Cov.AtHeader, idle.Cov.WithBody, idle.Cov.BytesInFlight, idle.Cov.ConnsOpen = 0, 0, 0, 0, 0
		h := hold{size: float64(o.Cov.BytesInFlight) / n, transfers: n, unwritten: o.Unwritten,
			written: math.Max(0, o.LiveRest()-o.Unwritten-live.Of(idle))}
		if h.least = h.written; o.Unwritten > 0 {
			h.least = math.Max(0, h.written-o.Free)
		}
		out = append(out, h)
	}
	return out
}

// measured is what each transfer of a planned size brought to the live heap.
type measured struct {
	each, se  float64 // with pages for it at most, and the standard error
	least     float64 // with pages for it at least
	sigma     float64 // residual standard deviation of a state
	unwritten float64 // the most without pages
}

// measured reads it from the states that held such files. For a size between two that were held no transfer has more
// than with the larger, or in proportion than with the smaller.
func (m *peakModel) measured(size float64) (t measured, ok bool) {
	below, above := 0.0, math.Inf(1)
	for _, h := range m.holds {
		switch _, enough := m.heldAt(h.size); {
		case !enough:
		case size <= h.size:
			above = math.Min(above, h.size)
		default:
			below = math.Max(below, h.size)
		}
	}
	if t, ok = m.heldAt(size); ok || math.IsInf(above, 1) {
		return t, ok
	}
	t, ok = m.heldAt(above)
	if less, ok := m.heldAt(below); ok {
		if by := size / below; less.each*by > t.each {
			t.each, t.se, t.sigma, t.least = less.each*by, less.se*by, less.sigma*by, less.least*by
		}
		t.unwritten = math.Max(t.unwritten, less.unwritten)
	}
	return t, ok
}

// heldAt is measured with files that were held, of a size or hardly more; ok is false where there are few states, or
// where they held fewer transfers than half of the most of any: what many at a time share does not show in few.
func (m *peakModel) heldAt(size float64) (t measured, ok bool) {
	var sum, least, squares, most, mostHere float64
	var here []hold
	for _, h := range m.holds {
		most = math.Max(most, h.transfers)
		if size <= h.size+1 && h.size-size <= threshold.SameSize*size {
			here = append(here, h)
			sum, squares = sum+h.transfers*h.written, squares+trend.Square(h.transfers)
			least += h.transfers * h.least
			mostHere = math.Max(mostHere, h.transfers)
			t.unwritten = math.Max(t.unwritten, h.unwritten/h.transfers)
		}
	}
	if len(here) < threshold.LeastHolds || 2*mostHere < most {
		return measured{}, false
	}
	t.each, t.least = sum/squares, least/squares
	for _, h := range here {
		t.sigma += trend.Square(h.written - t.each*h.transfers)
	}
	t.sigma = math.Max(threshold.ModelFloor, math.Sqrt(t.sigma/float64(len(here)-1)))
	t.se = t.sigma / math.Sqrt(squares)
	return t, true
}

// bare is the part of what gathers on the live heap for which no page stands, as each trial shows at least: objects
// that are kept and never written. How much of them gets pages hangs on the collector: memory that it hands out again
// has been written to before.
func (e *Evidence) bare() float64 {
	floors := map[int][]linear.Observation{}
	for _, o := range e.Rows {
		if !o.Held {
			floors[o.Trial] = append(floors[o.Trial], o)
		}
	}
	least := math.Inf(1)
	for _, rows := range floors {
		least = math.Min(least, bareOf(rows))
	}
	if len(floors) == 0 {
		return 0
	}
	return math.Max(0, least)
}

// bareOf reads it from the second half of a trial's growth, of which it gives no more than the last reading has: free
// pages hide some of what has none, and other memory without pages may have been there from the start.
func bareOf(floors []linear.Observation) float64 {
	most := 0.0
	for _, o := range floors {
		most = math.Max(most, o.Growth.Live)
	}
	var x, y []float64
	for _, o := range floors {
		if o.Growth.Live > 0 && o.Growth.Live >= most/2 {
			x, y = append(x, o.Growth.Live), append(y, o.Unwritten)
		}
	}
	if len(x) < threshold.LeastHolds {
		return 0
	}
	last := len(x) - 1
	return math.Min(trend.TheilSen(x, y).Slope, (y[last]-threshold.BesideFloor)/x[last])
}
