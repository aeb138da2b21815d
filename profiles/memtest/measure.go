package memtest

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

const (
	// minWaves leaves two waves for each window.
	minWaves = 4
	// perOpLeft is how many goroutines or connections count as left behind: one in fifty operations. A pool or a
	// background worker that starts once stays below it.
	perOpLeft = 0.02
	// leastTotal is the growth in bytes, over all operations, that a few steps must reach: a table made late isn't kept
	// per operation.
	leastTotal = 200
	// scattered is what all lines together may retain per operation where each alone stays below its limit, in bytes.
	scattered = 16
	// extendFor and extendTo bound the extra waves, in time and in multiples of the operations planned. A late window that
	// lies wholly behind the planned waves is waited for in any case, within the budget.
	extendFor = 2 * time.Second
	extendTo  = 64
)

// busy keeps two checks apart: heap profile rate, collector and heap belong to the whole process.
var busy sync.Mutex

// check is one measurement.
type check struct {
	config
	origins origins
	run     *runner
	ledger  *ledger
	floors  []floor
	reads   []read // by number of the site
	started time.Time
	ended   ending
}

func newCheck(c config, o origins, op func(), failed func() bool) *check {
	now := time.Now()
	k := &check{config: c, origins: o, ledger: newLedger(), started: now}
	if k.warmup == 0 {
		k.warmup = k.ops
	}
	limit := usage{c.maxLeak, maxGoroutines, maxSockets}
	k.run = &runner{op: op, failed: failed, deadline: now.Add(c.budget), limit: limit,
		share: limit.part(int64(c.waves + 1))}
	return k
}

// measure runs the waves and returns what it found, or why there is no verdict.
func (k *check) measure() (*Report, error) {
	old := runtime.MemProfileRate
	runtime.MemProfileRate = 1
	defer func() { runtime.MemProfileRate = old }()

	runtime.GC()
	k.run.base = readUsage()
	if err := k.warmUp(); err != nil {
		return &Report{}, err
	}
	k.floor(false)
	first := k.run.done
	for range k.waves {
		if k.ended != complete {
			break
		}
		if err := k.wave(k.ops); err != nil {
			return &Report{}, err
		}
	}
	if len(k.floors) < minWaves+1 {
		return &Report{}, k.tooFew()
	}
	if err := k.extendWaves(first); err != nil {
		return &Report{}, err
	}
	r := &Report{Ops: k.run.done - first, Stopped: k.ended == enough}
	for i := range k.floors {
		r.Floors = append(r.Floors, k.total(i))
	}
	r.Findings = k.causes()
	r.Ignored = k.ignoredPerOp()
	if k.peak > 0 {
		return r, k.measurePeak(r)
	}
	return r, nil
}

// warmUp fills pools, caches and lazily built tables, and sizes the waves of a slow operation by the time it takes.
func (k *check) warmUp() error {
	n := k.warmup
	if n > 1 {
		start := time.Now()
		if err := k.repeat(1); err != nil {
			return err
		}
		each := max(time.Since(start), 1)
		fits := max(int(k.budget/2/each), 1)
		k.ops = min(k.ops, max(fits/(k.waves+1), 1))
		n = min(n, max(fits/(k.waves+1), 1)) - 1
	}
	if n < 1 || k.ended != complete {
		return nil
	}
	return k.repeat(n)
}

// repeat runs up to n operations. What a wave ended on is kept, unless only its share was reached.
func (k *check) repeat(n int) error {
	how := k.run.wave(n)
	if how == broken {
		if k.run.broke == nil {
			k.run.exited = true
			return fmt.Errorf("no verdict: operation %d ended the test (FailNow, SkipNow or runtime.Goexit)", k.run.done+1)
		}
		return k.run.broke
	}
	if how != share {
		k.ended = how
	}
	return nil
}

func (k *check) wave(n int) error {
	if err := k.repeat(n); err != nil {
		return err
	}
	k.floor(false)
	return nil
}

// floor takes the next floor, or takes the last one again once memory on its way out has had its time.
func (k *check) floor(again bool) {
	if again {
		k.waitQuiet(k.floors[0])
		k.floors = k.floors[:len(k.floors)-1]
	}
	k.floors = append(k.floors, k.ledger.floor(k.run.done))
}

// waitQuiet waits until there are no more goroutines and sockets than at the floor given, until nothing has ended for a
// quarter of the settle time, or until that time is over.
func (k *check) waitQuiet(than floor) {
	var want int64 = 1 // the goroutine of the test itself
	for _, n := range than.goroutines {
		want += n
	}
	start := time.Now()
	changed, last := start, usage{}
	for time.Since(start) < k.settle && time.Since(changed) < k.settle/4 {
		now := usage{0, int64(runtime.NumGoroutine()), openSockets()}
		if now.goroutines <= want && now.sockets <= than.sockets {
			return
		}
		if now != last {
			changed, last = time.Now(), now
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (k *check) tooFew() error {
	if k.ended == enough {
		return fmt.Errorf("no verdict: %d operations left more behind than may leak (%s, %d goroutines or %d sockets), "+
			"and %d are needed to tell a leak from a cache; raise MaxLeak or make the operation smaller",
			k.run.done, size(float64(k.maxLeak)), maxGoroutines, maxSockets, minWaves+1)
	}
	return fmt.Errorf("no verdict: %d operations took the whole budget of %s, %d are needed; raise Budget or make the "+
		"operation smaller", k.run.done, k.budget, minWaves+1)
}

// extendWaves runs more waves while something grows: only then does a cache that still fills differ from a leak.
func (k *check) extendWaves(first int) error {
	if k.suspects() {
		k.floor(true)
	}
	planned, start := k.run.done, time.Now()
	k.run.share = k.run.limit.part(4)
	for k.extend && k.ended == complete && k.suspects() {
		n := k.run.done
		if float64(n) > window*float64(planned) && (time.Since(start) > extendFor || n > extendTo*planned || k.leaked()) {
			break
		}
		if err := k.wave(max((n-first)/3, 1)); err != nil {
			return err
		}
	}
	if len(k.floors) > k.waves+1 && k.suspects() {
		k.floor(true)
	}
	return nil
}

// leaked reports whether a quarter of what may leak has leaked.
func (k *check) leaked() bool { return readUsage().minus(k.run.base).exceeds(k.run.limit.part(4)) }

// suspects reports whether anything grows, or may.
func (k *check) suspects() bool {
	for _, l := range k.lines() {
		if l.state != steady {
			return true
		}
	}
	for _, g := range k.goroutineKinds() {
		if g.state != steady {
			return true
		}
	}
	state, _, _ := k.socketSeries().judge(k.maxCount)
	return state != steady && k.connections
}

// line is one culprit: the same line reached in two ways is one.
type line struct {
	read  read
	sites []int // numbers
	bytes series
	state growth
	perOp float64
	total int64
	// room says that it is that of the most that its containers ever had.
	room bool
}

// lines judges what each line retains, the largest first.
func (k *check) lines() []*line {
	if !k.heap {
		return nil
	}
	found := map[Line]*line{}
	var out []*line
	for n := range k.ledger.keys {
		r := k.readOf(n)
		if r.mine || r.ignored {
			continue
		}
		l := found[r.site]
		if l == nil {
			l = &line{read: r, bytes: k.newSeries()}
			found[r.site] = l
			out = append(out, l)
		}
		l.sites = append(l.sites, n)
		for i := range k.floors {
			l.bytes.values[i] += k.floors[i].site(n).bytes
		}
	}
	for _, l := range out {
		l.state, l.perOp, l.total = l.bytes.judge(k.maxBytes)
		l.room = l.state != steady && l.bytes.flattens() && k.onlyRoom(l)
		if l.total < leastTotal && l.bytes.steps() < minWaves || l.room {
			l.state = steady
		}
	}
	slices.SortFunc(out, func(a, b *line) int {
		return cmp.Or(cmp.Compare(b.total, a.total), compareLines(a.read.site, b.read.site))
	})
	return out
}

// onlyRoom reports whether nothing but maps and slices became larger there: emptied and filled again and again, each of
// them keeps the room of the most that it ever had.
func (k *check) onlyRoom(l *line) bool {
	var other int64
	for _, n := range l.sites {
		if key := k.ledger.keys[n]; !ofMap(key) && !ofSlice(key) {
			other += max(0, k.grown(n).bytes)
		}
	}
	return float64(other) <= k.maxBytes*float64(k.measured())
}

func (k *check) newSeries() series {
	s := series{values: make([]int64, len(k.floors))}
	for _, f := range k.floors {
		s.ops = append(s.ops, f.ops)
	}
	return s
}

func (k *check) readOf(n int) read {
	for len(k.reads) <= n {
		key := k.ledger.keys[len(k.reads)]
		k.reads = append(k.reads, k.origins.read(framesOf(key[:]), k.ignores))
	}
	return k.reads[n]
}

// kind is all goroutines that one go statement started.
type kind struct {
	creator Line
	state   growth
	perOp   float64
	total   int64
}

func (k *check) goroutineKinds() []kind {
	if !k.goroutines {
		return nil
	}
	var out []kind
	for creator := range k.floors[len(k.floors)-1].goroutines {
		if k.ignores(creator.Function) || packageOf(creator.Function) == k.origins.own {
			continue
		}
		s := k.newSeries()
		for i, f := range k.floors {
			s.values[i] = f.goroutines[creator]
		}
		g := kind{creator: creator}
		if g.state, g.perOp, g.total = s.judge(k.maxCount); g.state != steady {
			out = append(out, g)
		}
	}
	slices.SortFunc(out, func(a, b kind) int {
		return cmp.Or(cmp.Compare(b.total, a.total), compareLines(a.creator, b.creator))
	})
	return out
}

// socketSeries counts sockets where the kernel says, else the descriptors of package net.
func (k *check) socketSeries() series {
	s := k.newSeries()
	for i, f := range k.floors {
		s.values[i] = f.sockets
	}
	if k.floors[0].sockets >= 0 {
		return s
	}
	clear(s.values)
	for n := range k.ledger.keys {
		if !k.opensConnection(n) {
			continue
		}
		for i, f := range k.floors {
			s.values[i] += f.site(n).objects
		}
	}
	return s
}

// opensConnection reports whether a site allocates the descriptors of package net, of which each connection has one.
func (k *check) opensConnection(n int) bool {
	for _, f := range framesOf(k.ledger.keys[n][:]) {
		if p := packageOf(f.Function); p != "runtime" {
			return f.Function == "net.newFD"
		}
	}
	return false
}

// total is what all lines keep at a floor, in bytes.
func (k *check) total(i int) (sum int64) {
	for n := range k.floors[i].sites {
		if r := k.readOf(n); !r.mine && !r.ignored {
			sum += k.floors[i].site(n).bytes
		}
	}
	return sum
}

// ignoredPerOp is what Ignore left out, in bytes per operation.
func (k *check) ignoredPerOp() float64 {
	s := k.newSeries()
	for n := range k.ledger.keys {
		if !k.readOf(n).ignored {
			continue
		}
		for i, f := range k.floors {
			s.values[i] += f.site(n).bytes
		}
	}
	return max(s.slope(0, len(s.ops)-1), 0)
}
