package capacity

// What a forecast is made of, for a reader: the largest part is what binds first.

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/linear"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

// part is one term of the forecast.
type part struct {
	term  string
	what  string
	bytes float64
}

// parts are what the forecast for n workers adds up: of the live heap the rows of the cost table where they have more
// for each worker than the fit has, or a measurement where the forecast takes that.
func (m *peakModel) parts(p costs.Plan, n int) []part {
	f, o := m.Forecast(p, n), planned(p, n)
	grown, rows := 0.0, []part{}
	for _, c := range m.costs {
		if _, grows := m.Rates.PerFile(c.Per); grows && !c.Bounded {
			units, _ := m.Rates.Planned(c.Per, c.Bound, p, float64(n))
			rows = append(rows, part{term: c.Per, what: words.Cost(c), bytes: units * c.Bytes})
			grown += units * costs.Share(c, record.PartLive)
		}
	}
	rest, _ := m.live.At(planned(p, 0))
	live := partsOf(m.live, o, map[string]string{
		"constant": "what the process holds at rest", "workers": "memory per worker",
		"workers*part":    "part buffers per worker",
		"bytes-in-flight": "whole files in flight", "backlog": "listed files that wait",
		"files":    "what stays behind per file",
		"distinct": "what is kept per distinct item", "connections": "connection buffers",
	})
	if table := m.tableParts(p, n); sum(table) >= sum(live)-rest {
		live = append(table, part{term: "constant", what: "what the process holds at rest", bytes: rest})
	}
	if taken := math.Max(0, f.Live-grown); taken < (1-threshold.ModelError)*sum(live) {
		live = []part{{term: "constant", what: "what the process holds at rest", bytes: math.Min(rest, taken)},
			{term: "held", what: "what files of such a size were measured to hold", bytes: math.Max(0, taken-rest)}}
	}
	out := slices.Concat(rows, live, partsOf(m.arenas, o, beside("stacks and spans partly used")),
		partsOf(m.outside, o, beside("memory outside the Go heap")))
	return append(out, part{term: "copies", what: "copies of buffers that grow", bytes: f.mostCopies})
}

// tableParts are the rows of the cost table that inFlight adds up.
func (m *peakModel) tableParts(p costs.Plan, n int) []part {
	var out []part
	for _, c := range m.costs {
		if bytes := ofWorkers(c, p, n); bytes > 0 {
			out = append(out, part{term: c.Per, what: words.Cost(c), bytes: bytes})
		}
	}
	return out
}

// bySize reports whether any part is of the size of the files in flight.
func (m *peakModel) bySize(p costs.Plan) bool {
	o := planned(p, 1)
	all := slices.Concat(m.tableParts(p, 1), partsOf(m.live, o, nil), partsOf(m.arenas, o, nil),
		partsOf(m.outside, o, nil))
	return slices.ContainsFunc(all, func(t part) bool { return t.term == "bytes-in-flight" || t.term == "byte-in-flight" })
}

// partsOf are the terms of a fit that there may be none of, by their names.
func partsOf(l *linear.Model, o linear.Observation, what map[string]string) []part {
	var out []part
	if l != nil {
		for _, t := range l.Parts(o) {
			out = append(out, part{term: t.Term, what: what[t.Term], bytes: t.Bytes})
		}
	}
	return out
}

func sum(parts []part) (bytes float64) {
	for _, p := range parts {
		bytes += p.bytes
	}
	return bytes
}

// beside names the terms of the memory beside the live heap.
func beside(what string) map[string]string {
	out := map[string]string{"constant": what}
	for term, per := range map[string]string{"workers": "worker", "workers*part": "worker",
		"bytes-in-flight": "byte in flight", "backlog": "listed file that waits",
		"files": "file", "distinct": "distinct item", "connections": "connection"} {
		out[term] = what + " per " + per
	}
	return out
}

// binding says what makes up most of the need.
func (m *peakModel) binding(p costs.Plan, n int) string {
	t := slices.MaxFunc(m.parts(p, n), func(a, b part) int { return cmp.Compare(a.bytes, b.bytes) })
	return fmt.Sprintf("%s (%s): %s at %s", t.what, t.term, words.Bytes(t.bytes), words.Count(n, "worker"))
}
