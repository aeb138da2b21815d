package memtest

import (
	"cmp"
	"maps"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"sync"
	"time"
)

const (
	// minWaves leaves two waves in each half: growth has to show in the late half as well.
	minWaves = 4
	// goroutinesPerOp and connectionsPerOp are what counts as left behind: one in fifty operations. A pool or a
	// background worker that starts once stays below it.
	perOpLeft = 0.02
	// peakGOGC keeps garbage to a tenth of the live heap while a peak is measured.
	peakGOGC = 10
	// peakEvery is how often the heap in use is read while a peak is measured.
	peakEvery = 100 * time.Microsecond
)

// busy keeps two checks apart: heap profile rate, collector and heap belong to the whole process.
var busy sync.Mutex

// stackKey identifies an allocation stack as the runtime records it.
type stackKey = [32]uintptr

// floor is what is there when nothing is being done.
type floor struct {
	heap       int64
	sites      map[stackKey]int64 // live bytes
	goroutines map[creator]int64
	sockets    int64
}

func measure(c config, op func()) *Report {
	old := runtime.MemProfileRate
	runtime.MemProfileRate = 1
	defer func() { runtime.MemProfileRate = old }()

	wave := func() {
		for range c.ops {
			op()
		}
	}
	wave() // warm-up: pools, caches and lazily built tables fill here
	first := takeFloor()
	c.waitQuiet(first)
	floors := []floor{takeFloor()}
	for range c.waves {
		wave()
		floors = append(floors, takeFloor())
	}
	c.waitQuiet(floors[0])
	floors[c.waves] = takeFloor()

	r := &Report{Ops: c.waves * c.ops}
	for _, f := range floors {
		r.Floors = append(r.Floors, f.heap)
	}
	r.Findings = append(r.Findings, c.heapFindings(floors)...)
	if c.goroutines {
		r.Findings = append(r.Findings, c.goroutineFindings(floors)...)
	}
	if c.connections {
		sockets := func(f floor) int64 { return f.sockets }
		if perOp, total, ok := c.grew(floors, sockets, perOpLeft); ok {
			r.Findings = append(r.Findings, Finding{Kind: Connections, PerOp: perOp, Total: total, Limit: perOpLeft})
		}
	}
	if c.peak > 0 {
		c.measurePeak(r, wave)
	}
	return r
}

// grew judges one quantity over the floors: its growth per operation over all waves and over the late half must both
// be above limit. The second condition is what tells a leak from something that fills up and stays.
func (c config) grew(floors []floor, of func(floor) int64, limit float64) (perOp float64, total int64, ok bool) {
	n := len(floors) - 1
	total = of(floors[n]) - of(floors[0])
	late := of(floors[n]) - of(floors[n/2])
	perOp = float64(total) / float64(n*c.ops)
	perOpLate := float64(late) / float64((n-n/2)*c.ops)
	return perOp, total, min(perOp, perOpLate) > limit
}

func (c config) heapFindings(floors []floor) []Finding {
	// Stacks are merged by culprit: the same line reached in two ways is one finding.
	type culprit struct {
		site  string
		bytes []int64
		best  int64
		stack []string
	}
	found := map[string]*culprit{}
	for key := range floors[len(floors)-1].sites {
		frames := framesOf(key)
		site, mine := blame(frames)
		if mine || keptByRuntime(frames) || c.ignores(frames) {
			continue
		}
		cu := found[site]
		if cu == nil {
			cu = &culprit{site: site, bytes: make([]int64, len(floors)), best: math.MinInt64}
			found[site] = cu
		}
		for i, f := range floors {
			cu.bytes[i] += f.sites[key]
		}
		if grown := floors[len(floors)-1].sites[key] - floors[0].sites[key]; grown > cu.best {
			cu.best, cu.stack = grown, describe(frames)
		}
	}
	var out []Finding
	for _, site := range slices.Sorted(maps.Keys(found)) {
		cu := found[site]
		series := make([]floor, len(floors))
		for i := range series {
			series[i].heap = cu.bytes[i]
		}
		perOp, total, ok := c.grew(series, func(f floor) int64 { return f.heap }, c.maxBytes)
		if ok {
			out = append(out, Finding{Kind: Heap, PerOp: perOp, Total: total, Limit: c.maxBytes, Site: site, Stack: cu.stack})
		}
	}
	slices.SortStableFunc(out, func(a, b Finding) int { return cmp.Compare(b.Total, a.Total) })
	return out
}

func (c config) goroutineFindings(floors []floor) []Finding {
	var out []Finding
	for who := range floors[len(floors)-1].goroutines {
		if c.ignoresName(who.function) {
			continue
		}
		count := func(f floor) int64 { return f.goroutines[who] }
		if perOp, total, ok := c.grew(floors, count, perOpLeft); ok {
			out = append(out, Finding{Kind: Goroutines, PerOp: perOp, Total: total, Limit: perOpLeft, Site: who.String()})
		}
	}
	slices.SortFunc(out, func(a, b Finding) int { return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.Site, b.Site)) })
	return out
}

// waitQuiet waits until there are no more goroutines and sockets than at the floor given, or the settle time is over.
func (c config) waitQuiet(than floor) {
	count := func(f floor) (n int64) {
		for _, v := range f.goroutines {
			n += v
		}
		return n + f.sockets
	}
	want := count(than)
	for end := time.Now().Add(c.settle); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if count(floor{goroutines: goroutines(), sockets: openSockets()}) <= want {
			return
		}
	}
}

func takeFloor() floor {
	// Two collections empty sync.Pools and run finalizers, the third frees what those let go; GC also publishes the
	// profile of the cycle it ends.
	for range 3 {
		runtime.GC()
	}
	f := floor{sites: map[stackKey]int64{}, goroutines: goroutines(), sockets: openSockets()}
	for _, r := range memRecords() {
		f.sites[r.Stack0] += r.InUseBytes()
		f.heap += r.InUseBytes()
	}
	return f
}

func memRecords() []runtime.MemProfileRecord {
	n, _ := runtime.MemProfile(nil, true)
	for {
		records := make([]runtime.MemProfileRecord, n+64)
		var ok bool
		if n, ok = runtime.MemProfile(records, true); ok {
			return records[:n]
		}
	}
}

func (c config) measurePeak(r *Report, wave func()) {
	defer debug.SetGCPercent(debug.SetGCPercent(peakGOGC))
	runtime.GC()
	before := map[stackKey]int64{}
	for _, rec := range memRecords() {
		before[rec.Stack0] = rec.AllocBytes
	}
	start := heapInUse()
	done, peak := make(chan struct{}), make(chan int64)
	go func() {
		top := start
		for tick := time.NewTicker(peakEvery); ; {
			top = max(top, heapInUse())
			select {
			case <-done:
				tick.Stop()
				peak <- max(top, heapInUse())
				return
			case <-tick.C:
			}
		}
	}()
	wave()
	close(done)
	r.PeakHeap = <-peak - start
	if r.PeakHeap <= c.peak {
		return
	}
	runtime.GC() // publishes the wave's allocations
	f := Finding{Kind: PeakHeap, PerOp: float64(r.PeakHeap), Total: r.PeakHeap, Limit: float64(c.peak)}
	var most int64
	for _, rec := range memRecords() {
		frames := framesOf(rec.Stack0)
		site, mine := blame(frames)
		if n := rec.AllocBytes - before[rec.Stack0]; n > most && !mine && !c.ignores(frames) {
			most, f.Site, f.Stack = n, site, describe(frames)
		}
	}
	r.Findings = append(r.Findings, f)
}

func heapInUse() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64())
}
