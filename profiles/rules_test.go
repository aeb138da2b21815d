package profiles

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// series makes a series of snapshots with these covariates, a second apart.
func series(states []record.State, covs []record.Covariates) *Series {
	s := newSeries(&record.Trial{Kind: record.Attribution, SampleRate: 4096, Subject: record.Subject{Module: "app"}},
		"")
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i, st := range states {
		n := &Snapshot{Profiled: true}
		n.Seq, n.State, n.Phase, n.Time = i+1, st, "wave-1", start.Add(time.Duration(i)*time.Second)
		if covs != nil {
			n.Covariates = &covs[i]
		}
		s.Snaps = append(s.Snaps, n)
	}
	return s
}

// TestSteadyWithOneLargeStep has the work of a trial whose last step is more than half of it.
func TestSteadyWithOneLargeStep(t *testing.T) {
	work := []float64{60, 60, 60, 60, 60, 60, 60, 60, 106, 406, 1506, 6}
	grows := func(slope func(k int) float64) []float64 {
		y := make([]float64, len(work))
		for k, w := range work {
			y[k] = w * slope(k)
		}
		return y
	}
	steady := func(y []float64) bool {
		cands := []trend.Candidate{{Values: work}}
		fit := &trend.Fit{Terms: []int{0}, Coef: []float64{100}}
		return new(term).steady(fit, 0, y, cands, 1)
	}
	assert.True(t, steady(grows(func(int) float64 { return 100 })))
	assert.False(t, steady(grows(func(k int) float64 {
		if k >= 9 {
			return 10
		}
		return 100
	})), "it rose early and is flat in the larger half")
}

func TestLargestPerWorker(t *testing.T) {
	const mib = 1 << 20
	held := func(flight, size int64) record.Covariates {
		return record.Covariates{InFlight: flight, BytesInFlight: flight * size, Largest: 16 * mib}
	}
	s := series([]record.State{record.StateIdle, record.StateFloor, record.StateReply, record.StateReply,
		record.StateReply, record.StateHeader},
		[]record.Covariates{
			{},
			{FilesDone: 42, BytesDone: 2*2*mib + 40<<12, Largest: 2 * mib}, // two concurrent ones of 2 MiB, and small ones
			held(5, mib),
			held(5, 4*mib),
			held(2, 16*mib),
			{InFlight: 5, AtHeader: 5, Largest: 16 * mib},
		})
	for i, n := range s.Snaps {
		n.Phase = strconv.Itoa(i)
	}
	assert.Equal(t, []float64{0, 4 * mib, 7 * mib, 20 * mib, 44 * mib, 44 * mib}, s.largestPerWorker(false))
	s.Snaps[4].Phase = s.Snaps[3].Phase
	assert.Equal(t, []float64{0, 4 * mib, 7 * mib, 20 * mib, 20 * mib, 20 * mib}, s.largestPerWorker(false),
		"the same two")
	s.Snaps[4].Phase = "larger"
	s.Snaps = append(s.Snaps, &Snapshot{Snapshot: record.Snapshot{State: record.StateReply, Phase: "largest",
		Sample: record.Sample{Covariates: &record.Covariates{InFlight: 1, BytesInFlight: 64 * mib, Largest: 64 * mib}}}})
	assert.Equal(t, float64((44+60)*mib), s.largestPerWorker(false)[6], "a worker with 4 MiB gets the largest")
	assert.Equal(t, float64((44+48)*mib), s.largestPerWorker(true)[6], "one with 16 MiB gets it")
}

// TestHeadroomFromWaves judges garbage without a free run: the memory when each wave's floor began.
func TestHeadroomFromWaves(t *testing.T) {
	make := func(garbage int64, kind string) *Series {
		s := &Series{Trial: &record.Trial{Phases: []record.Phase{{Name: "wave-1", Kind: kind}}}}
		for range 4 {
			n := &Snapshot{Profiled: true, Live: Amount{Bytes: 4 << 20}}
			n.State, n.Phase, n.HeapBefore = record.StateFloor, "wave-1", 4<<20+garbage
			s.Snaps = append(s.Snaps, n)
		}
		return s
	}
	j := make(40<<20, "wave").headroom()
	require.NotNil(t, j)
	assert.Equal(t, record.GCHeadroom, j.Class)
	assert.InDelta(t, 40<<20, j.term.amount, 1)
	assert.Nil(t, make(3<<20, "wave").headroom(), "as much garbage as GOGC=100 allows")
	assert.Nil(t, make(40<<20, "repeat").headroom(), "a heap that had just been large by a hold")
}

// TestRecursionNamesTheCall has the innermost frame at the line that ends the recursion.
func TestRecursionNamesTheCall(t *testing.T) {
	at := func(fn string, line int) Frame { return Frame{Function: fn, File: "/src/app/walk.go", Line: line} }
	stack := []Frame{at("net/http.send", 3), at("app/walk.down", 12), at("app/walk.down", 15), at("app/walk.down", 15),
		at("app/walk.down", 15),
		at("app/copy.run", 9), at("app/copy.run", 9)}
	f, ok := NewBlamer("app").recursion(stack)
	assert.True(t, ok)
	assert.Equal(t, at("app/walk.down", 15), f)
	_, ok = NewBlamer("app").recursion(stack[:2])
	assert.False(t, ok, "nothing occurs twice")
}

// TestAbsorbedLineWithMostBytes has connections dialled in one line and their buffers made in another of the function.
func TestAbsorbedLineWithMostBytes(t *testing.T) {
	finding := func(c record.Class, line int, amount float64) *judged {
		j := &judged{owner: OwnerUser, term: term{unit: unit{name: "file", class: c}, slope: amount / 1000, se: 1,
			amount: amount, retainedTerm: true}}
		j.Class, j.Site = c, record.Site{Function: "app/probe.dial", File: "probe/probe.go", Line: line}
		j.Slope = &record.Slope{Bytes: j.term.slope, Per: "file"}
		return j
	}
	out := absorb([]*judged{finding(record.ConnectionLeak, 10, 3000), finding(record.Leak, 15, 8000), finding(record.Leak,
		12, 100)})
	require.Len(t, out, 1)
	assert.Equal(t, 15, out[0].Site.Line)
	assert.InDelta(t, 11.1, out[0].Slope.Bytes, 1e-9)
	assert.Len(t, out[0].Evidence, 2)
}

// serviceLab plays the runner of a service whose handler reads a body whole while it arrives and drops it then.
func serviceLab(t *testing.T, uploads bool) *Series {
	t.Helper()
	arriving := func(c record.Covariates) float64 {
		if c.InFlight == 0 || c.WithBody > 0 || c.AtHeader > 0 {
			return 0
		}
		return float64(c.BytesSent) / (64 << 10)
	}
	sub := &subject{sources: append(background(), &source{stack: frames("io.ReadAll", "app/web.readBody",
		"net/http.(*conn).serve"), size: 64 << 10, held: arriving})}
	l := newLab(t, sub, 8, 5)
	l.trial.Item = record.ItemRequest
	l.run(8)
	for _, h := range [][2]int64{{8, 1 << 20}, {4, 1 << 20}, {8, 4 << 20}, {4, 4 << 20}} {
		if uploads {
			l.phase("upload", false)
			l.hold(record.StateBody, h[0], h[1], 0)
			l.floor()
		}
	}
	return l.series()
}

func TestABodyThatIsHeldWhileItArrivesIsFound(t *testing.T) {
	v := serviceLab(t, true).Diagnose(Options{})
	i := slices.IndexFunc(v.Findings, func(f record.Finding) bool { return f.Class == record.BufferFile })
	require.GreaterOrEqual(t, i, 0, "%+v", v.Findings)
	assert.Equal(t, "app/web.readBody", v.Findings[i].Site.Function)
	assert.Equal(t, record.HeadBuffer, v.Headline)
}

func TestAHeldStateOfAServiceThatNothingExplainsIsNoComfort(t *testing.T) {
	v := serviceLab(t, false).Diagnose(Options{}) // one size of body alone: the unit of its growth is unknown
	for _, h := range v.Hypotheses {
		if h.Per == "byte-in-flight" {
			assert.NotEqual(t, record.Excluded, h.State)
		}
	}
	assert.NotEqual(t, record.Healthy, v.Headline)
}

// prefixLab plays a copier that reads the first 8 MiB of a file into memory and passes them on before the upload's
// reply.
func prefixLab(t *testing.T, sizes ...int64) *record.Verdict {
	t.Helper()
	prefix := func(c record.Covariates) float64 {
		if c.InFlight == 0 || c.WithBody > 0 || c.AtHeader > 0 {
			return 0
		}
		return float64(c.InFlight) * min(float64(c.BytesInFlight/c.InFlight), 8<<20) / (64 << 10)
	}
	sub := &subject{sources: append(background(), &source{held: prefix, size: 64 << 10,
		stack: frames("app/copier.sniff", "app/copier.run")})}
	l := newLab(t, sub, 8, 5)
	l.run(8)
	for _, size := range sizes {
		l.phase("arriving", false)
		l.hold(record.StateBody, 8, size, 0)
		l.floor()
	}
	return l.series().Diagnose(Options{})
}

func TestAPrefixInMemoryIsPerTransferWhereSizesTell(t *testing.T) {
	v := prefixLab(t, 16<<20)
	i := slices.IndexFunc(v.Findings, func(f record.Finding) bool { return f.Class == record.BufferWorker })
	require.GreaterOrEqual(t, i, 0, "%+v", v.Findings)
	assert.Equal(t, "app/copier.sniff", v.Findings[i].Site.Function)
	assert.InEpsilon(t, 8<<20, v.Findings[i].Slope.Bytes, 0.1)
	assert.Contains(t, v.Findings[i].Summary, "to 16.0 MiB were held where it shows.")

	v = prefixLab(t)
	assert.NotEqual(t, record.Healthy, v.Headline, "of larger files nothing is known")
	assert.Contains(t, strings.Join(v.Warnings, "\n"), "files of other sizes held where copier.sniff has")
}

// TestALeakKeepsWhatTheNetworkPackagesMadeForIt has headers that no frame of the user's allocated, kept by each
// request.
func TestALeakKeepsWhatTheNetworkPackagesMadeForIt(t *testing.T) {
	finding := func(function string, owner Owner, per string, slope float64) *judged {
		j := &judged{owner: owner, term: term{unit: unit{name: per, class: record.Leak}, slope: slope, se: 1,
			amount: 1000 * slope, retainedTerm: true}}
		j.Class, j.Site = record.Leak, record.Site{Function: function, File: "a.go", Line: 1}
		j.Slope = &record.Slope{Bytes: slope, Per: per}
		return j
	}
	out := adopt([]*judged{finding("app.note", OwnerUser, "file", 40), finding("net/http.readRequest", OwnerConnection,
		"file", 69),
		finding("app.record", OwnerUser, "file", 2112), finding("net/textproto.read", OwnerConnection, "second", 50)})
	require.Len(t, out, 3, "another unit is another cause")
	assert.Equal(t, "app.record", out[1].Site.Function)
	assert.InDelta(t, 2181, out[1].Slope.Bytes, 1e-9)
}

// TestErrorsThatNeverCameExcludeNothing has phases that were to make transfers fail, and none that did.
func TestErrorsThatNeverCameExcludeNothing(t *testing.T) {
	l := newLab(t, newSubject(func() *subject { return &subject{} }), 4, 1).run(8)
	perError := func(v *record.Verdict) int {
		return slices.IndexFunc(v.Hypotheses, func(h record.Hypothesis) bool { return h.Per == "error" })
	}
	v := diagnoseLab(t, l)
	assert.Negative(t, perError(v), "nothing was to fail")
	l.trial.Phases = append(l.trial.Phases, record.Phase{Name: "errors", Kind: "errors", Files: 40})
	v = diagnoseLab(t, l)
	require.GreaterOrEqual(t, perError(v), 0)
	assert.Equal(t, record.Open, v.Hypotheses[perError(v)].State)
}

// openIn runs a synthetic trial of a source and returns what its verdict leaves open of a class and unit; empty: it is
// not open.
func openIn(t *testing.T, src source, class record.Class, per string, change func(*lab)) string {
	t.Helper()
	l := newLab(t, newSubject(func() *subject { return with(src) }), 4, 1).run(8)
	if change != nil {
		change(l)
	}
	v := diagnoseLab(t, l)
	for _, h := range v.Hypotheses {
		if h.Class == class && h.Per == per && h.State == record.Open {
			return h.Needs
		}
	}
	return ""
}

// TestAPieceOfWhichTheNextMayComeExcludesNothing has a slab that the first file made, and a table of the start.
func TestAPieceOfWhichTheNextMayComeExcludesNothing(t *testing.T) {
	slab := func(from int64) source {
		return source{stack: frames("app/slab.take"), size: 8 << 20,
			retained: func(c record.Covariates, _ float64) float64 {
				if c.FilesDone < from {
					return 0
				}
				return 1
			}}
	}
	assert.Contains(t, openIn(t, slab(1), record.Leak, "file", nil), "slab.take keeps a piece of 8.0 MiB")
	assert.Empty(t, openIn(t, slab(0), record.Leak, "file", nil), "made before any work")
}

// TestWhatStandsAtAFloorAndNotAtTheLastIsNotExcluded keeps large files until the next one.
func TestWhatStandsAtAFloorAndNotAtTheLastIsNotExcluded(t *testing.T) {
	of := func(share float64) source {
		last := int64(0)
		return source{stack: frames("app/lru.(*cache).put"), size: 64 << 10,
			held: func(c record.Covariates) float64 {
				was := last
				if last = c.BytesDone; c.InFlight > 0 || last-was < 64<<20 {
					return 0
				}
				return share * float64(last-was) / (64 << 10)
			}}
	}
	assert.Contains(t, openIn(t, of(1), record.BufferFile, "byte-in-flight", nil), "at rest after phase")
	assert.Empty(t, openIn(t, of(1./128), record.BufferFile, "byte-in-flight", nil), "below the target")
	unsized := func(l *lab) { // a service of whose work no size is known
		l.trial.Item = record.ItemRequest
		for i := range l.trial.Snapshots {
			c := l.trial.Snapshots[i].Covariates
			c.BytesInFlight, c.BytesSent, c.BytesDone = 0, 0, 0
		}
	}
	assert.Contains(t, openIn(t, of(1), record.BufferFile, "byte-in-flight", unsized), "at rest after phase")
}

// TestMuchGrowthThatNothingExplainsIsNotExcluded has growth in one step, below the targets for so much work.
func TestMuchGrowthThatNothingExplainsIsNotExcluded(t *testing.T) {
	src := source{stack: frames("app/agents.count"), size: 700,
		retained: func(c record.Covariates, _ float64) float64 {
			if c.FilesDone < 4000 {
				return 0
			}
			return 3000
		}}
	wide := func(l *lab) { l.trial.Targets = &record.Targets{Item: 4096, Count: 1, Byte: 1, Second: 1 << 20} }
	assert.Contains(t, openIn(t, src, record.Leak, "request", wide), "of growth between floors that no finding explains")
}

// TestGrowthWithoutALineIsWorthMoreWorkUntilOneHasSamples has an exact heap that grows by 100 B a file, which is below
// a wider target and at no sampled line: the runner adds work for it.
func TestGrowthWithoutALineIsWorthMoreWorkUntilOneHasSamples(t *testing.T) {
	l := newLab(t, &subject{sources: background()}, 4, 1).run(8)
	l.trial.Targets = &record.Targets{Item: 256, Count: 1, Byte: 1, Second: 1 << 20}
	for i := range l.trial.Snapshots {
		n := &l.trial.Snapshots[i]
		n.Exact, n.Runtime = true, &record.Runtime{HeapAlloc: 32<<20 + 100*n.Covariates.FilesDone}
	}
	var growing []string
	for _, h := range diagnoseLab(t, l).Hypotheses {
		if h.Growing {
			growing = append(growing, h.Per)
		}
	}
	assert.Contains(t, growing, "file")
}

func TestALineIsNamedOnceItHasSamples(t *testing.T) {
	const rate = 4 << 10
	r := &remainder{}
	assert.True(t, r.unsampled(rate), "no line at all")
	r.sites = []record.SiteSize{{Bytes: 10 * rate}, {Bytes: 8 * rate}}
	assert.True(t, r.unsampled(rate))
	r.sites[0].Bytes = 20 * rate
	assert.False(t, r.unsampled(rate), "more samples of it name no other line")
}

func TestAnInconclusiveRunSaysWhatGrewMost(t *testing.T) {
	at := record.SiteSize{Site: record.Site{Function: "app/slab.take", File: "slab/slab.go", Line: 136}, Bytes: 32 << 20}
	rv := &record.RunVerdict{Cells: []record.Verdict{{Headline: record.Inconclusive,
		Closure: &record.Closure{Unexplained: 33 << 20, Sites: []record.SiteSize{at}}}}}
	assert.Equal(t, []string{"The trial is inconclusive: 33.0 MiB of growth that no finding explains, " +
		"32.0 MiB of it from slab.take (slab/slab.go:136); the warnings say what decides"}, answer(rv))
	rv.Cells[0].Closure.Unexplained = 4096
	assert.Equal(t, []string{"The trial is inconclusive; the warnings say what is missing"}, answer(rv))
}

// TestARunSaysEachFaultThatMatters has a leak beside a queue, one too small for a line, and buffers, which are none.
func TestARunSaysEachFaultThatMatters(t *testing.T) {
	of := func(c record.Class, fn string, atPlan int64) record.Finding {
		return record.Finding{Class: c, Site: record.Site{Function: fn}, Summary: fn + " grows.", AtPlan: atPlan}
	}
	v := record.Verdict{Headline: record.HeadMetadata, Findings: []record.Finding{of(record.Metadata, "queue", 3000),
		of(record.Leak, "trail", 2000), of(record.Leak, "ids", 18), of(record.BufferWorker, "buffers", 9000)}}
	rv := &record.RunVerdict{Cells: []record.Verdict{v}}
	assert.Equal(t, []string{"queue grows. (metadata)", "Also: trail grows. (leak)"}, answer(rv))
}

// TestAHeldStateThatNothingExplainsLeavesACopierOpen keeps 3 MiB in one held state alone, where all bodies are sent.
func TestAHeldStateThatNothingExplainsLeavesACopierOpen(t *testing.T) {
	odd := source{stack: frames("app/odd.spool"), size: 64 << 10,
		held: func(c record.Covariates) float64 {
			if c.WithBody > 0 && c.BytesInFlight == c.InFlight*64<<10 {
				return 48
			}
			return 0
		}}
	assert.Contains(t, openIn(t, odd, record.BufferFile, "byte-in-flight", nil), "in the held state of phase")
}

// TestDoubtIsNoLimit has a hold of fewer transfers than asked for: of what leans on holds no limit is known, so that a
// trial under way doesn't go on for it.
func TestDoubtIsNoLimit(t *testing.T) {
	sub := &subject{sources: background()}
	s := newLab(t, sub, 8, 5).run(8).series()
	for _, n := range s.Snaps {
		if n.State == record.StateReply {
			n.Hold = &record.Hold{Asked: 2, Held: 1}
		}
	}
	some := false
	for _, h := range s.Diagnose(Options{}).Hypotheses {
		if strings.Contains(h.Needs, "held 1 of the 2 transfers asked for") {
			some = true
			assert.Zero(t, h.Limit, h.Per)
			assert.Equal(t, "byte-in-flight", h.Per, "others lean on other holds")
		}
	}
	assert.True(t, some)
}

// TestWhatStaysIsThereAtTheEnd has a map of connections that grew to 44 KiB, fitted as 144 KiB kept for the most bytes in
// flight.
func TestWhatStaysIsThereAtTheEnd(t *testing.T) {
	q := &quantity{values: []float64{12 << 10, 0}}
	u := unit{name: "byte-in-flight", class: record.BufferFile, running: true}
	kept := &term{unit: u, slope: 0.035, se: 0.005, amount: 144 << 10, share: 1, from: [2]int{0, 1}}
	for last, want := range map[float64]bool{56 << 10: false, 120 << 10: true} {
		q.values[1] = last
		assert.Equal(t, want, (&Series{}).believeRetained(q, kept), "%v", last)
	}
}

// TestSamplesBeyondTheExactHeapAreNoMemory has a site of a few sampled objects of 512 KiB in a state whose whole live
// heap is known to be smaller.
func TestSamplesBeyondTheExactHeapAreNoMemory(t *testing.T) {
	snap := func(st record.State, live int64) *Snapshot {
		return &Snapshot{Snapshot: record.Snapshot{State: st, Exact: true, Sample: record.Sample{
			Runtime: &record.Runtime{HeapAlloc: live}}}, Profiled: true}
	}
	s := &Series{Snaps: []*Snapshot{snap(record.StateFloor, 1<<20), snap(record.StateBody, 1300<<10),
		snap(record.StateFloor, 1<<20)}}
	believed := func(slope float64) bool {
		u := unit{name: "byte-in-flight", class: record.BufferFile, values: []float64{0, 13 << 20, 0}}
		return s.believeHeld(nil, &term{unit: u, slope: slope, se: slope / 20, amount: slope * (13 << 20), share: 1,
			from: [2]int{0, 1}})
	}
	assert.False(t, believed(0.2), "2.6 MiB of a state that has 0.3 MiB more than at rest")
	assert.True(t, believed(0.02))
	s.Snaps[1].Exact = false
	assert.True(t, believed(0.2), "a total of samples bounds nothing")
}

// TestGrowthThatIsPlainToSeeIsNotBelowALimit has growth of a known total that no line was sampled of: less than a wider
// target, more than the contract's.
func TestGrowthThatIsPlainToSeeIsNotBelowALimit(t *testing.T) {
	r := &remainder{noise: 4 << 10, grown: 840 << 10}
	assert.True(t, r.plain(nil, 5800), "148 B a file")
	assert.True(t, r.plain(nil, 14000), "61 B a file, where three quarters of 64 B are found by themselves")
	assert.False(t, r.plain(nil, 20000), "43 B a file")
	r.noise = 400 << 10
	assert.False(t, r.plain(nil, 5800), "it wanders by as much")
	r.noise = 0
	leak := &judged{Finding: record.Finding{Class: record.Leak}}
	assert.False(t, r.plain([]*judged{leak}, 5800), "a fault says why")
}
