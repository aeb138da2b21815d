package capacity

import (
	"fmt"
	"math"
	"strconv"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/linear"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/record"
)

// rates are those of all trials that did work, together.
func (e *Evidence) rates() costs.Rates {
	var all record.Covariates
	seconds := 0.0
	for _, t := range e.Trials {
		if t.judged && t.speaks() {
			all.FilesDone, all.BytesDone, all.Requests = all.FilesDone+t.last.FilesDone, all.BytesDone+t.last.BytesDone,
				all.Requests+t.last.Requests
			all.Pages, all.Waves, all.Failed = all.Pages+t.last.Pages, all.Waves+t.last.Waves, all.Failed+t.last.Failed
			seconds += t.seconds
		}
	}
	return costs.RatesFrom(all, seconds)
}

// Costs is the run's table: that of all trials which did work.
func (e *Evidence) Costs() []record.Cost {
	var tables [][]record.Cost
	for _, t := range e.Trials {
		if t.judged && t.speaks() && len(t.costs) > 0 {
			tables = append(tables, t.costs)
		}
	}
	return costs.OfRun(tables)
}

// trialSize is a trial reduced to what the model of resident memory needs.
type trialSize struct {
	cell    record.Cell
	setting string // "gomemlimit=...,gogc=..."
	outcome record.Outcome
	Peak    record.Peak
	standing
	beside float64 // the most resident bytes outside the Go heap's arenas
	// memlimit is the GOMEMLIMIT that it ran with, bytes; 0: none.
	memlimit int64
	garbage  garbage
	copies   series.Copies
	sampling series.Sampling
	costs    []record.Cost
	last     record.Covariates // at its last floor
	seconds  float64           // until then
}

// Evidence is what a run's trials leave behind for the model: numbers, no profiles.
type Evidence struct {
	Rows   []linear.Observation // of all trials, in order
	Trials []trialSize
	States []seenState  // that no prediction may be below
	Words  record.Words // of the answer
	Again  string       // as record.Capacity has it
	// noKernel says that a trial was outside a cgroup: the kernel's memory for it was not read.
	noKernel bool
}

// Collect takes from a series and its verdict what the model needs.
func (e *Evidence) Collect(s *series.Series, v *record.Verdict) {
	t := s.Trial
	e.Words.Item = t.Item
	e.Words.InFlight = (t.Item == record.ItemRequest || uncounted(s)) && s.Setting("workers", "") == ""
	size := trialSize{cell: t.Cell, outcome: t.Outcome, Peak: v.Peak,
		standing: standingOf(s, v), copies: s.Copies(),
		setting: fmt.Sprintf("gomemlimit=%s,gogc=%s", s.Setting("gomemlimit", "off"), s.Setting("gogc", "100"))}
	workers, _ := strconv.Atoi(s.Setting("workers", "0"))
	size.memlimit, _ = units.ParseBytes(s.Setting("gomemlimit", "off"))
	apart := s.Apart()
	var most, mostInFlight int64
	var at work
	var last seenState
	for _, n := range s.Snaps {
		most, mostInFlight = max(most, n.Cov().BytesInFlight), max(mostInFlight, n.Cov().InFlight)
		at = at.then(n)
		e.noKernel = e.noKernel || n.Process != nil && n.Cgroup == nil
		if n.Process != nil {
			size.beside = math.Max(size.beside, float64(n.Process.RSS-n.Process.HeapArena))
			last = seen(n, workers, at, apart).after(last, n)
			e.States = append(e.States, last)
		}
		// Half-read bodies say nothing of the peak: a transfer is at its largest when the whole file is there.
		if size.speaks() && n.Profiled && (n.State.Held() && n.State != record.StateBody || n.State == record.StateFloor) &&
			n.Covariates != nil {
			o := linear.Observation{Cell: t.Cell.String(), Trial: len(e.Trials), Workers: workers, Held: n.State.Held(),
				Cov:  *n.Covariates,
				Most: most, MostInFlight: mostInFlight, Live: n.LiveHeap()}
			o.Arenas, o.Outside = n.BesideLive()
			o.Unwritten = n.Unwritten(o.Arenas)
			if r := n.Runtime; r != nil {
				o.Free = math.Max(0, float64(r.HeapIdle-r.HeapReleased))
			}
			o.Outside += apart
			o.Seconds = n.Time.Sub(s.Snaps[0].Time).Seconds()
			e.Rows = append(e.Rows, o)
		}
	}
	size.sampling = s.Sampling()
	size.costs, size.garbage = costs.Of(v), garbageOf(v, s.Setting("gogc", "100"))
	size.last, size.seconds = costs.LastWork(t)
	e.Trials = append(e.Trials, size)
}
