package capacity

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/linear"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// An answer reaches as far as firmReach times the most workers that a sound trial had; the estimate beside it, from
// which nothing follows, as far as reach times, and leastReach where the matrix had few.
const (
	firmReach  = 2
	reach      = 8
	leastReach = 16
)

// littleGrowth is the part of a limit up to which what gathers with the planned files leaves a range of workers to be
// decided by trials of workers alone.
const littleGrowth = 0.1

// forecast is what the model says of n workers on the planned work, in bytes.
type forecast struct {
	Live, arenas, outside float64
	spread                float64 // 95 % of all three together, either way
	unseen                float64 // of it for growth too small to be seen in the run's files
	unwritten             float64 // live heap without pages, which no limit counts and the collector does
	free                  float64 // live heap that may be without pages as well
	sampling              float64 // what fine sampling cost the trials, taken off
	// copies is the memory beside buffers that grow by copying: at one of the worst moments, and at one in forty.
	copies, mostCopies float64
	measured           float64 // what fewer workers or as many were seen to need, whatever the model says
}

// Needs is the least that n workers can live in, in the middle and at the upper end of the interval.
func (f forecast) Needs() (mid, high float64) {
	sum := f.Live + f.arenas + f.outside
	return math.Max(sum+f.copies, f.measured),
		math.Max(sum+f.spread+f.mostCopies+threshold.CollectorFloats*f.Live, f.measured)
}

// Forecast adds up the parts of the model.
func (m *peakModel) Forecast(p costs.Plan, n int) forecast {
	var f forecast
	variance := 0.0
	part := func(l *linear.Model, absent, error float64) float64 {
		if l == nil {
			return absent
		}
		v, se := l.At(planned(p, n))
		variance += trend.Square(se) + trend.Square(math.Min(l.Sigma, threshold.ModelError*v+error))
		return v
	}
	f.Live = part(m.live, 0, threshold.ModelFloor)
	liveVariance := variance
	f.arenas = part(m.arenas, 0, arenasFloor)
	f.outside = part(m.outside, threshold.DefaultOutside, outsideFloor)
	rest, _ := m.live.At(planned(p, 0))
	// What the table has for each worker can't be dropped by the fit.
	f.Live = math.Max(f.Live, rest+m.inFlight(p, n))
	if t, ok := m.measured(float64(p.LargestFile)); ok && rest+float64(n)*t.each < (1-threshold.ModelError)*f.Live {
		f.Live, f.unwritten, f.free = rest+float64(n)*t.each, float64(n)*t.unwritten, float64(n)*(t.each-t.least)
		variance += math.Max(trend.Square(float64(n)*t.se)+trend.Square(t.sigma),
			trend.Square(threshold.ClearedShare*f.unwritten/1.96)) - liveVariance
	}
	g := costs.GrowthOf(m.costs,
		func(c record.Cost) (float64, bool) { return m.Rates.Planned(c.Per, c.Bound, p, float64(n)) })
	f.sampling = math.Min(math.Min(m.finer(p.Files), f.outside), g.Live+g.Arenas+g.Outside)
	f.outside -= f.sampling
	f.Live, f.arenas, f.outside = f.Live+g.Live, f.arenas+g.Arenas, f.outside+g.Outside
	variance += g.Variance - g.OfLive + math.Min(g.OfLive, m.ofGrowth(g.Live))
	f.spread = 1.96 * math.Sqrt(variance+m.unseenBeyond(p))
	f.unseen = f.spread - 1.96*math.Sqrt(variance)
	rest += g.Live
	beside := m.copies.Share * m.copies.Beside * math.Max(0, f.Live-rest) / float64(max(n, 1))
	f.copies, f.mostCopies = beside*m.copies.Copying(n, 1), beside*m.copies.Copying(n, 1.96)
	for _, c := range m.costs {
		if units, ok := m.Rates.Planned(c.Per, c.Bound, p, float64(n)); ok {
			f.mostCopies += units * costs.Copies(c)
		}
	}
	f.measured = m.floor(p, n, f)
	return f
}

// finer is what fine sampling has a process keep outside its heap beyond its own rate, with so many files, by the least
// of the trials. It is room for growth alone: where nothing gathers it stays a margin for the moment at which all
// workers hold the most. Taken off there as well it made one of the 96 answers of make capacity a worker too many.
func (m *peakModel) finer(files int64) float64 {
	if len(m.sampling) == 0 {
		return 0
	}
	least := math.Inf(1)
	for _, s := range m.sampling {
		least = math.Min(least, s.Beyond(files))
	}
	return least
}

// ofGrowth is the variance of so much growth on the live heap by what the states of a single trial had of it. The total
// is read exactly, and the fit has what the rows, of sampled sites, leave of it: together they are as far off as a
// state is, in proportion to the growth. How far trials differ only their rows say.
func (m *peakModel) ofGrowth(bytes float64) float64 {
	if m.grown <= 0 {
		return math.Inf(1)
	}
	return trend.Square(bytes / m.grown * math.Max(m.live.Sigma, threshold.ModelFloor))
}

// unseenBeyond is the variance of what may grow with files beyond those seen and was too little to be seen in these.
func (m *peakModel) unseenBeyond(p costs.Plan) (variance float64) {
	for _, l := range []*linear.Model{m.live, m.arenas, m.outside} {
		if l != nil {
			variance += trend.Square(l.UnseenBeyond(p.Files) / 1.96)
		}
	}
	return variance
}

// inFlight is what the cost table has on the live heap for n workers.
func (m *peakModel) inFlight(p costs.Plan, n int) float64 { return sum(m.tableParts(p, n)) }

// ofWorkers is a row's share of the live heap for n workers, each with the largest file and two connections.
func ofWorkers(c record.Cost, p costs.Plan, n int) float64 {
	switch each := float64(n) * costs.Share(c, record.PartLive); c.Per {
	case "worker":
		return each
	case "connection":
		return 2 * each
	case "byte-in-flight":
		return each * float64(p.LargestFile)
	}
	return 0
}

// planned is all files listed and done, all workers with the largest file whole, each with a connection on either side.
func planned(p costs.Plan, n int) linear.Observation {
	w := int64(n)
	return linear.Observation{Workers: n, Held: true, Most: w * p.LargestFile, MostInFlight: w, Cov: record.Covariates{
		InFlight: w, WithBody: w, BytesInFlight: w * p.LargestFile, Largest: p.LargestFile, ConnsOpen: 2 * w,
		Backlog: p.Files, FilesListed: p.Files, FilesDone: p.Files, Distinct: p.Files,
	}}
}

// capacity searches the largest worker count whose predicted need, at the upper end of its interval, is below the
// limit, and says so as far as the run's trials are grounds for it. The model may be nil.
func (e *Evidence) capacity(m *peakModel, p costs.Plan) *record.Capacity {
	g := e.grounds(p)
	c := &record.Capacity{Limit: p.Limit, At: []record.CapacityStep{}, Assumes: []string{}, KilledAt: g.killedAt,
		Unknown: g.why, Words: e.Words, Again: e.Again}
	p = g.planned(p)
	c.Files, c.LargestFile = p.Files, p.LargestFile
	if m == nil && len(c.Unknown) == 0 {
		c.Unknown = append(c.Unknown, fmt.Sprintf("the memory model needs >= %d snapshots of steered states, there are %d",
			threshold.MinModelRows, len(e.Rows)))
	}
	if m != nil {
		e.search(c, m, p, g)
	}
	conclude(c, p, g)
	return c
}

// search asks the model.
func (e *Evidence) search(c *record.Capacity, m *peakModel, p costs.Plan, g grounds) {
	c.BytesInFlight = m.bySize(p)
	most := max(leastReach, reach*g.seen)
	lo := m.largest(p, most)
	c.Estimate, c.Binds = lo, m.binding(p, lo+1)
	if firm := firmReach * g.seen; lo > firm && firm > 0 {
		lo, c.AtLeast, c.Binds = firm, true, ""
	}
	answer := m.Forecast(p, max(lo, 1))
	c.GOMEMLIMIT = goMemoryLimit(p.Limit, answer)
	c.Assumes = slices.Concat(assumptions(c, p, answer), m.pace(), m.warmUps())
	if e.noKernel {
		c.Assumes = append(c.Assumes, "nothing of the kernel's own memory (page tables, sockets): no cgroup was read")
	}
	if why := m.missed(min(c.Estimate, firmReach*g.seen), g.seen); why != "" {
		c.Unknown = append(c.Unknown, why)
	}
	e.doubts(c, p, g)
	if lo > g.seen && g.seen > 0 {
		at := m.Step(p, lo, c.GOMEMLIMIT).PI95
		c.Extrapolated = append(c.Extrapolated,
			fmt.Sprintf("%s from %d, the most of a sound trial: peak %s to %s (95 %%)",
				words.Count(lo, "worker"), g.seen, words.Bytes(float64(at[0])), words.Bytes(float64(at[1]))))
	}
	c.MaxWorkers = lo
	if lo == 0 {
		c.MaxWorkers = -1
	}
	// No trial of workers decides what hangs on the planned files.
	little := costs.Growth(m.costs, m.Rates)*float64(p.Files) <= littleGrowth*float64(p.Limit)
	if c.Fits = m.fits(p, g); little && !c.AtLeast {
		middle, most := m.perhaps(p, firmReach*g.seen+1, g)
		switch {
		case middle <= lo+max(1, lo/10):
		case most > firmReach*g.seen && lo > 0:
			c.AtLeast = true
		default:
			c.Perhaps = min(most, firmReach*g.seen)
		}
	}
	if c.Fits != nil {
		without := p // of as many workers as the limit has room for: that files are said beside fewer takes no kill back
		without.Files = 0
		n := max(c.Fits.Workers, m.largest(without, g.seen))
		if c.FitsUnknown = cmp.Or(e.refuted(c.Fits, n, p), m.missed(n, g.seen)); c.FitsUnknown != "" {
			c.Fits = nil
		}
	}
	c.Mended = m.mended(p, min(most, firmReach*g.seen))
	c.Without = m.without(p, lo, c.GOMEMLIMIT)
	c.At = m.steps(p, lo, c.GOMEMLIMIT)
	// The collector counts what has no pages as well.
	if f := m.Forecast(p, max(lo, 1)); lo > 0 && !c.AtLeast &&
		(f.Live+f.unwritten)*threshold.CollectorNeeds > float64(c.GOMEMLIMIT) {
		c.Warnings = append(c.Warnings,
			fmt.Sprintf("at %s %s are live below a GOMEMLIMIT of %s: if they are many small objects, the collector will eat "+
				"the CPU",
				words.Count(lo, "worker"), words.Bytes(f.Live+f.unwritten), words.Bytes(float64(c.GOMEMLIMIT))))
	}
}

// largest is the most workers, up to a number of them, whose need at the upper end of its interval is below the limit.
func (m *peakModel) largest(p costs.Plan, most int) int {
	return sort.Search(most, func(i int) bool {
		_, high := m.Forecast(p, i+1).Needs()
		return high > float64(p.Limit)
	})
}

// perhaps is how many workers, up to a number of them, fit without garbage and while no buffer is copied to a larger
// one, in the middle of the interval and at its lower end, and that no limit was seen to kill.
func (m *peakModel) perhaps(p costs.Plan, upTo int, g grounds) (middle, most int) {
	fit := func(spreads float64) int {
		n := sort.Search(upTo, func(i int) bool {
			f := m.Forecast(p, i+1)
			return math.Max(f.Live-f.free+f.arenas+f.outside-spreads*f.spread, m.limited(p, i+1, f)) > float64(p.Limit)
		})
		if g.killedAt > 0 {
			n = min(n, g.killedAt-1)
		}
		return n
	}
	return fit(0), fit(1)
}

// doubts adds to c what keeps the model's word from being an answer.
func (e *Evidence) doubts(c *record.Capacity, p costs.Plan, g grounds) {
	firm := min(c.Estimate, firmReach*g.seen)
	switch {
	case g.killedAt > 1 && c.Estimate >= g.killedAt:
		c.Unknown = append(c.Unknown,
			fmt.Sprintf("by the memory model %d fit, but %d were killed by a limit as large: the model misses something",
				c.Estimate, g.killedAt))
	case g.doubtAt > 0 && firm >= g.doubtAt:
		c.Unknown = append(c.Unknown, g.doubt)
	}
	if p.LargestFile > g.held && g.held > 0 {
		what := fmt.Sprintf("files of %s, and %s were the largest held", words.Bytes(float64(p.LargestFile)),
			words.Bytes(float64(g.held)))
		if c.BytesInFlight {
			c.Extrapolated = append(c.Extrapolated, what+": in proportion to their size")
		} else {
			c.UntriedSize = len(c.Unknown) == 0
			c.Unknown = append(c.Unknown, "it hangs on "+what)
		}
	}
}

// assumptions are what the answer takes for granted.
func assumptions(c *record.Capacity, p costs.Plan, answer forecast) []string {
	out := []string{
		"largest file " + words.Bytes(float64(p.LargestFile)), fmt.Sprintf("%d files", p.Files),
		fmt.Sprintf("%s outside the Go heap that cannot be reclaimed", words.Bytes(answer.outside)),
		fmt.Sprintf("%s of stacks and spans partly used beside live objects", words.Bytes(answer.arenas)),
	}
	if c.GOMEMLIMIT > 0 {
		out = append(out, fmt.Sprintf("GOMEMLIMIT=%dMiB", c.GOMEMLIMIT>>20))
	}
	if answer.unwritten >= threshold.ModelFloor {
		out = append(out, fmt.Sprintf("%s of live heap stay without pages, as with files of %s in this run: never written",
			words.Bytes(answer.unwritten), words.Bytes(float64(p.LargestFile))))
	}
	if answer.sampling >= threshold.ModelFloor {
		out = append(out, fmt.Sprintf("%s of the trials' fine sampling are not needed at the program's own rate",
			words.Bytes(answer.sampling)))
	}
	if answer.copies > 0 {
		out = append(out, fmt.Sprintf("%s beside buffers that grow by copying", words.Bytes(answer.mostCopies)))
	}
	return out
}

// pace is what the plan takes for the time and the bytes of its files, where something grows with these.
func (m *peakModel) pace() (out []string) {
	grows := func(per string) bool {
		return slices.ContainsFunc(m.costs, func(c record.Cost) bool { return c.Per == per && costs.Gathers(c) })
	}
	if m.Rates.Seconds > 0 && grows("second") {
		out = append(out, fmt.Sprintf("%.3g files a second, as in this run: what grows with time grows longer with slower "+
			"work", 1/m.Rates.Seconds))
	}
	if grows("byte") {
		out = append(out, fmt.Sprintf("%s a file on average, as in this run: what grows with bytes grows faster with larger "+
			"files", words.Bytes(m.Rates.Bytes)))
	}
	return out
}

// warmUps are what grew beside the live heap with the work and is not multiplied by a plan.
func (m *peakModel) warmUps() []string {
	var out []string
	for _, l := range []*linear.Model{m.arenas, m.outside} {
		if l == nil {
			continue
		}
		if each := l.Late(); each > 0 {
			out = append(out, fmt.Sprintf("%.0f B a file beside the live heap, as the second half of the work added: before, "+
				"a warm-up was among it", each))
			continue
		}
		for _, why := range l.Bounded {
			out = append(out, "a warm-up beside the live heap that ends: "+why)
		}
	}
	return out
}

// goMemoryLimit is the GOMEMLIMIT to set below a limit, in whole MiB: the collector cannot reduce memory outside of
// the Go heap.
func goMemoryLimit(limit int64, f forecast) int64 {
	return max(0, int64((float64(limit)-f.outside)*threshold.LimitHeadroom)) &^ (1<<20 - 1)
}
