package capacity

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

// garbage is a trial's finding that the heap has headroom for garbage.
type garbage struct {
	bytes, peak int64
	gogc        int // percent; 0: another setting than a number
}

func garbageOf(v *record.Verdict, gogc string) (g garbage) {
	for _, f := range v.Findings {
		if f.Class == record.GCHeadroom && f.BytesAtPeak > g.bytes {
			g.bytes = f.BytesAtPeak
		}
	}
	g.peak, _ = v.Peak.Memory()
	g.gogc, _ = strconv.Atoi(gogc)
	return g
}

// settings say what to set beside GOMEMLIMIT for so many workers, where the run's trials show that it matters: garbage
// is a third of a peak, or a hundredth of the limit is for two connections of each worker.
func (e *Evidence) settings(m *peakModel, limit int64, workers int) (out []string) {
	var most garbage
	for i := range e.Trials {
		if t := &e.Trials[i]; t.supports() && t.garbage.bytes > most.bytes {
			most = t.garbage
		}
	}
	if 3*most.bytes > most.peak && most.gogc > 1 {
		out = append(out, fmt.Sprintf("GOGC=%d where GOMEMLIMIT can't be set: at GOGC=%d %s of a peak of %s were garbage; "+
			"half as much waits, for twice as many collections",
			most.gogc/2, most.gogc, words.Bytes(float64(most.bytes)), words.Bytes(float64(most.peak))))
	}
	pool := slices.IndexFunc(m.costs, func(c record.Cost) bool {
		return c.Class == record.BufferPool && c.Per == "connection" && 100*2*float64(workers)*c.Bytes > float64(limit)
	})
	if pool >= 0 {
		out = append(out, fmt.Sprintf("Pool: %s, idle ones as well: keep no more idle for each host than %s use "+
			"(MaxIdleConnsPerHost=%d)", words.Cost(m.costs[pool]), words.Count(workers, "worker"), workers))
	}
	return out
}
