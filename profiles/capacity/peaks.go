package capacity

// Predictions keep to measurements. The memory model is of states after collections. A trial's peak has beside it
// garbage, spans that are not returned, and states that no row of the model has: what it had beyond the model is a term
// of its own. So at a setting that was tried, on as much work, a prediction covers the measured peak, and with more
// workers none is below it; beyond all that were tried it grows with each transfer as measured.

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// work is what a trial had done until a moment: the most files listed or done, and the largest file.
type work struct{ Files, Largest int64 }

// then is the work with a snapshot's.
func (w work) then(n *series.Snapshot) work {
	c := n.Cov()
	w.Files, w.Largest = max(w.Files, c.FilesListed, c.FilesDone), max(w.Largest, c.Largest)
	if c.InFlight > 0 {
		w.Largest = max(w.Largest, c.BytesInFlight/c.InFlight)
	}
	return w
}

// within reports whether a plan names as much.
func (w work) within(p costs.Plan) bool { return w.Files <= p.Files && w.Largest <= p.LargestFile }

// seenState is memory that was there and that no collection takes away. Bytes.
type seenState struct {
	Workers int
	work
	Inside  float64 // of the Go heap's arenas; 0 where garbage may have been among it
	Outside float64
	// rest is the memory of the quiesce before, size the largest mean size of the files in flight since then, and each the
	// memory that a transfer brought beyond the error of such a reading; 0 where not all workers had one. Bytes.
	rest, size, each float64
}

// after takes from the state before what a state by itself doesn't show.
func (s seenState) after(last seenState, n *series.Snapshot) seenState {
	s.rest, s.size = last.rest, last.size
	inFlight := float64(n.Cov().InFlight)
	switch {
	case n.State == record.StateFloor && s.Inside > 0:
		s.rest, s.size = s.Inside+s.Outside, 0
	case inFlight > 0:
		s.size = math.Max(s.size, float64(n.Cov().BytesInFlight)/inFlight)
	}
	if s.Inside > 0 && s.rest > 0 && inFlight > 0 && inFlight >= float64(s.Workers) {
		s.each = math.Max(0, s.Inside+s.Outside-s.rest-threshold.BesideFloor) / inFlight
	}
	return s
}

// fronts are the states with the most transfers of such a size: beyond them a measurement grows with the transfers.
func fronts(states []seenState) []seenState {
	out := slices.Clone(states)
	for i := range out {
		s := &out[i]
		if slices.ContainsFunc(states, func(o seenState) bool {
			return o.Inside > 0 && o.Workers > s.Workers && o.size >= s.size
		}) {
			s.each = 0
		}
	}
	return out
}

// seen reads it from a snapshot. A setting that doesn't bound the transfers in flight says as much of fewer workers.
func seen(n *series.Snapshot, workers int, w work, apart float64) seenState {
	s := seenState{Workers: workers, work: w}
	switch inFlight := int(n.Cov().InFlight); {
	case workers == 0:
		s.Workers = inFlight
	case inFlight > workers:
		s.Workers = 1
	}
	arenas, outside := n.BesideLive()
	s.Outside = outside + apart
	if n.ForcedGC > 0 && n.Profiled && !math.IsNaN(arenas) {
		s.Inside = n.LiveHeap() - n.Unwritten(arenas) + arenas
	}
	return s
}

// seenPeak is a trial's peak, in bytes.
type seenPeak struct {
	workers int
	work
	whole    int64   // the largest size that all workers held
	memlimit int64   // GOMEMLIMIT, 0: none
	bytes    float64 // as record.Peak.Memory has it
	charged  float64 // without the pages of files among it, where these are known
	beyond   float64 // the model of the trial's own work
	// need is what the model says of that work where a limit killed it that the model would have let pass: with a
	// GOMEMLIMIT that follows the limit, or with twice the garbage that trials had without; else 0.
	need, limit float64
}

// see takes the peaks of trials into the model.
func (m *peakModel) see(trials []trialSize) {
	for i := range trials {
		t := &trials[i]
		bytes, kind := t.Peak.Memory()
		s := seenPeak{workers: max(1, t.Workers), work: work{t.Files, t.Held}, whole: t.Whole, memlimit: t.memlimit,
			bytes: float64(bytes), charged: float64(bytes)}
		if kind != record.PeakCharged {
			s.charged = float64(cmp.Or(t.Peak.Anon, bytes))
		}
		p := costs.Plan{Files: t.Files, LargestFile: cmp.Or(t.Held, t.largest)}
		if t.outcome == record.OOMKilled { // no reading may have seen the last of it
			s.bytes, s.charged = math.Max(s.bytes, float64(t.killed)), math.Max(s.charged, float64(t.killed))
		}
		f := m.Forecast(p, s.workers)
		mid, high := f.Needs()
		if t.memlimit == 0 || t.memlimit > goMemoryLimit(t.killed, f) {
			high = math.Max(high, (f.Live+f.spread)*(2*m.factor-1)+f.arenas+f.outside) // twice the garbage that trials had
		}
		if high < float64(t.killed) {
			s.need, s.limit = high, float64(t.killed)
		}
		s.beyond = math.Max(0, s.bytes-math.Max(mid, f.Live*m.factor+f.outside))
		m.peaks = append(m.peaks, s)
	}
	slices.SortStableFunc(m.peaks, func(a, b seenPeak) int { return cmp.Compare(a.workers, b.workers) })
}

// beyond is the most that a peak of n workers or fewer had beyond the model; where all trials had more, that of those
// with the fewest.
func (m *peakModel) beyond(n int) float64 {
	most := 0.0
	for _, s := range m.peaks {
		if s.workers <= max(n, m.peaks[0].workers) {
			most = math.Max(most, s.beyond)
		}
	}
	return most
}

// floor is the most that no more workers were seen to need on no more work: memory after collections, memory outside
// the Go heap at any time, and peaks that a GOMEMLIMIT as low as the plan's did not prevent.
func (m *peakModel) floor(p costs.Plan, n int, f forecast) float64 {
	most := 0.0
	for _, s := range m.States {
		if s.Workers > n || !s.within(p) {
			continue
		}
		most = math.Max(most, s.Outside+math.Max(s.Inside, f.Live+f.arenas))
		if s.each > 0 {
			most = math.Max(most, s.Inside+s.Outside+float64(n-s.Workers)*s.each)
		}
	}
	return math.Max(most, m.limited(p, n, f))
}

// limited is the most that no more workers peaked at on no more work in spite of a GOMEMLIMIT as low as the plan's.
func (m *peakModel) limited(p costs.Plan, n int, f forecast) float64 {
	memlimit, most := goMemoryLimit(p.Limit, f), 0.0
	for _, s := range m.peaks {
		if s.workers <= n && s.within(p) && s.memlimit > 0 && s.memlimit <= memlimit {
			most = math.Max(most, s.charged+m.growth(p, s.workers, n))
		}
	}
	return most
}

// growth is the least that n workers need beyond fewer, as measured: what each transfer brought in the states with the
// most of its size, for those beyond them.
func (m *peakModel) growth(p costs.Plan, fewer, n int) float64 {
	most := 0.0
	for _, s := range m.States {
		if s.within(p) {
			most = math.Max(most, float64(n-max(fewer, s.Workers))*s.each)
		}
	}
	return most
}

// unseen is the most files with which no more workers were seen to need more than the limit.
func (m *peakModel) unseen(p costs.Plan, n int) float64 {
	most := math.Inf(1)
	for _, s := range m.States {
		if s.Workers <= n && s.Largest <= p.LargestFile && s.Inside+s.Outside > float64(p.Limit) {
			most = math.Min(most, math.Max(0, float64(s.Files-1)))
		}
	}
	return most
}

// missed says which kill the model did not foresee that speaks against n workers: of no more, or where n are beyond the
// most of a sound trial of fewer than firmReach times as many. "" for none.
func (m *peakModel) missed(n, seen int) string {
	for _, s := range m.peaks {
		if s.need == 0 || s.workers > n && (n <= seen || s.workers >= firmReach*n) {
			continue
		}
		with := ""
		if s.memlimit > 0 {
			with = fmt.Sprintf(" with GOMEMLIMIT=%dMiB", s.memlimit>>20)
		}
		return fmt.Sprintf("by the memory model %s live in %s, but a limit of %s killed as many%s: the model misses "+
			"something",
			words.Count(s.workers, "worker"), words.Bytes(s.need), words.Bytes(s.limit), with)
	}
	return ""
}

// without is the highest peak above the limit of n workers or fewer that a GOMEMLIMIT as low as the plan's might have
// prevented; nil for none.
func (m *peakModel) without(p costs.Plan, n int, memlimit int64) *record.TrialPeak {
	var most *record.TrialPeak
	for _, s := range m.peaks {
		if s.workers <= n && s.within(p) && (s.memlimit == 0 || s.memlimit > memlimit) && s.charged > float64(p.Limit) &&
			(most == nil || int64(s.charged) > most.Bytes) {
			most = &record.TrialPeak{Workers: s.workers, Bytes: int64(s.charged)}
		}
	}
	return most
}

// factor is the peak resident heap over live heap with the collector unlimited, as the trials had it.
func (e *Evidence) factor() float64 {
	var factor []float64
	live := map[string]float64{}
	for _, t := range e.Trials {
		k := t.cell.String()
		live[k] = math.Max(live[k], float64(t.Peak.HeapLive))
	}
	for _, t := range e.Trials {
		if l := live[t.cell.String()]; l > 0 && t.beside > 0 && t.outcome == record.OK && t.speaks() {
			factor = append(factor, math.Max(1, (float64(t.Peak.RSS)-t.beside)/l))
		}
	}
	if len(factor) == 0 {
		return threshold.DefaultFactor
	}
	return trend.Quantile(factor, 0.9)
}

// ratios is peak RSS over peak live heap by setting of the collector, in the median.
func (e *Evidence) ratios() map[string]float64 {
	by := map[string][]float64{}
	live := map[string]float64{}
	for _, t := range e.Trials {
		if t.Peak.HeapLive > 0 {
			live[t.cell.String()] = math.Max(live[t.cell.String()], float64(t.Peak.HeapLive))
		}
	}
	for _, t := range e.Trials {
		if l := live[t.cell.String()]; l > 0 && t.Peak.RSS > 0 && t.outcome == record.OK {
			by[t.setting] = append(by[t.setting], float64(t.Peak.RSS)/l)
		}
	}
	out := map[string]float64{}
	for k, v := range by {
		out[k] = trend.Median(v)
	}
	return out
}

// steps are the points of the curve that is shown: powers of two, the counts that were tried, the answer and the one
// beyond. More workers are never said to need less.
func (m *peakModel) steps(p costs.Plan, answer int, memlimit int64) []record.CapacityStep {
	counts := []int{max(answer, 1), answer + 1}
	for n := 1; n < answer; n *= 2 {
		counts = append(counts, n)
	}
	for _, s := range m.peaks {
		if s.workers < answer {
			counts = append(counts, s.workers)
		}
	}
	slices.Sort(counts)
	var out []record.CapacityStep
	for i, n := range slices.Compact(counts) {
		s := m.Step(p, n, memlimit)
		if i > 0 {
			s.Peak, s.PI95[1] = max(s.Peak, out[i-1].Peak), max(s.PI95[1], out[i-1].PI95[1])
		}
		out = append(out, s)
	}
	return out
}

// Step predicts the peak at n workers: from no garbage at all to as much as a trial had, and with GOMEMLIMIT no more
// than that leaves room for, as long as what has to be there leaves it room.
func (m *peakModel) Step(p costs.Plan, n int, memlimit int64) record.CapacityStep {
	f := m.Forecast(p, n)
	mid, high := f.Needs()
	low := math.Max(0, f.Live+f.arenas+f.outside-f.spread)
	room, beyond := float64(memlimit)+f.outside, m.beyond(n)
	peak := math.Max(mid, math.Min(f.Live*m.factor+f.outside+beyond, room))
	most := math.Max(high, math.Min((f.Live+f.spread)*m.factor+f.outside+beyond, room))
	bytes := func(v float64) int64 { return int64(math.Min(v, math.MaxInt64/4)) }
	var measured float64
	for _, s := range m.peaks {
		if s.workers <= n && s.within(p) {
			peak = math.Max(peak, math.Min(s.bytes+m.growth(p, s.workers, n), room))
		}
		if s.workers == n {
			measured = math.Max(measured, s.bytes)
			if s.whole >= p.LargestFile && s.Files >= p.Files {
				low = math.Min(low, s.bytes)
			}
		}
	}
	return record.CapacityStep{Workers: n, Live: bytes(f.Live), Outside: bytes(f.outside), Peak: bytes(peak),
		PI95: [2]int64{bytes(low), bytes(math.Max(peak, most))}, Measured: bytes(measured)}
}
