package growth

import (
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// samples is a quantity at some times. noise is the variance that sampling gives the growth from the first to the last,
// rate the bytes per sampled object of growth that hasn't been seen yet; 0 where everything is counted.
type samples struct {
	t     []float64 // seconds
	y     []float64
	noise float64
	rate  float64
}

func (s samples) from(i int) samples { return samples{s.t[i:], s.y[i:], s.noise, s.rate} }

// limit is the growth that would have been found in 95 of 100 series with this noise: growth brings sampling noise of
// its own.
func (s samples) limit(noise float64) float64 {
	const z = sureSize + missed
	r := z * z * s.rate
	return (r + math.Sqrt(r*r+4*z*z*noise*noise)) / 2
}

func (s samples) span() float64 { return s.t[len(s.t)-1] - s.t[0] }

const (
	// minCurve is how many profiles tell growth from chance: of four the last is the highest and each above the one before
	// once in 24 times, of five once in 120.
	minCurve = 5
	// mostBlocks is into how many stretches a series is cut for its drift: more would leave each too noisy, fewer too few.
	mostBlocks = 6
	// sureRank and sureSize are the deviates from which growth is sure: one steady series in 100 by its ranks, one in 700
	// by its size against the noise. careful is added where many sites are tried instead of one total.
	sureRank = 2.33
	sureSize = 3
	careful  = 0.9
	// missed is the deviate of the detection limit: seen in 95 of 100.
	missed = 1.645
	// calm is the part of the early slope up to which the late one counts as flat, where its ranks say nothing.
	calm = 0.3
	// jumpShare is the part of all growth in one step that makes a step of it.
	jumpShare = 0.6
	// startShare is that of a start-up in the first quarter, after which growth is looked for by itself.
	startShare = 0.2
	// leastPart is the part of a sampled object up to which growth is none, whatever the noise.
	leastPart = 0.25
	// leastJump is how many sampled objects a step has at least.
	leastJump = 4
	// bend is the F statistic from which a curve that flattens fits better than a line; at 1 and some 10 degrees of
	// freedom one line in 200 has it.
	bend = 12
	// ending is the part of the growth so far that a curve which flattens may still have before it.
	ending = 0.35
)

// judge says how a quantity went. strict asks for more, where it is one of many.
func judge(s samples, strict bool) record.Curve {
	c := record.Curve{State: record.Open, Shape: record.ShapeUnknown}
	n := len(s.y)
	if n == 0 {
		return c
	}
	c.First, c.Last = s.y[0], s.y[n-1]
	for i := 1; i < n; i++ {
		switch {
		case s.y[i] > s.y[i-1]:
			c.Up++
			c.Steps++
		case s.y[i] < s.y[i-1]:
			c.Steps++
		}
	}
	if n == 1 {
		return c
	}
	more := 0.0
	if strict {
		more = careful
	}
	whole := measure(s)
	c.Noise = whole.noise
	setSlope(&c, s, whole)
	c.Confidence = math.Min(0.99, normal(whole.least()))
	if n < minCurve {
		c.Shape = record.Steady
		if whole.size >= 1 {
			c.Shape = record.Rising
		} else if whole.size <= -1 {
			c.Shape = record.Falling
		}
		return c
	}
	c.State, c.Shape = whole.verdict(more)
	if whole.size > 1 && c.Shape != record.Steady {
		shape(&c, s, more)
	}
	return c
}

// evidence are the deviates of the three questions, and the growth behind them.
type evidence struct {
	rank, drift, size float64
	grew, noise       float64
}

// least is the weakest of the three.
func (e evidence) least() float64 { return math.Min(e.rank, math.Min(e.drift, e.size)) }

// verdict is growing, rising or steady by the deviates.
func (e evidence) verdict(more float64) (record.HypothesisState, record.Shape) {
	switch {
	case e.rank >= sureRank+more && e.drift >= sureRank && e.size >= sureSize+more:
		return record.Found, record.Growing
	case e.rank <= -sureRank && e.size <= -sureSize:
		return record.Excluded, record.Falling
	case e.rank >= 1 && e.size >= 1 || e.size >= sureSize:
		return record.Open, record.Rising
	}
	return record.Excluded, record.Steady
}

// measure asks the three questions of a series of two points or more.
func measure(s samples) evidence {
	n := len(s.y)
	d := make([]float64, n-1)
	for i := range d {
		d[i] = s.y[i+1] - s.y[i]
	}
	blocks, times := blockMeans(s.y), blockMeans(s.t)
	m := len(blocks)
	e := evidence{grew: blocks[m-1] - blocks[0]}
	jitter := 0.0
	if n >= minCurve {
		mid := trend.Median(d)
		off := make([]float64, len(d))
		for i := range d {
			off[i] = math.Abs(d[i] - mid)
		}
		jitter = 1.4826 * trend.Median(off) / math.Sqrt2
	}
	perBlock := math.Max(1, float64(n)/float64(m))
	e.noise = math.Sqrt(s.noise + 2*jitter*jitter/perBlock)
	e.size = ratio(e.grew, e.noise)
	if math.Abs(e.grew) < s.rate*leastPart {
		e.size = 0
	}
	if n < 4 {
		e.rank, e.drift = e.size, e.size
		if n == 2 {
			e.rank, e.drift = math.Min(e.size, 0.5), e.size
		}
		return e
	}
	e.rank = trend.MannKendall(s.y).Z
	e.drift = math.Max(drift(times, blocks), signs(d))
	return e
}

// signs is the deviate of so many steps up against a walk, which goes up as often as down, however large its steps are:
// a load that comes and goes makes growth uneven.
func signs(steps []float64) float64 {
	up, n := 0, 0
	for _, d := range steps {
		if d != 0 {
			n++
		}
		if d > 0 {
			up++
		}
	}
	p, ways := 0.0, 1.0 // ways to have k of n steps up
	for k := n; k >= up; k-- {
		p += math.Ldexp(ways, -n)
		ways *= float64(k) / float64(n-k+1)
	}
	return -math.Sqrt2 * math.Erfinv(2*math.Min(p, 1)-1)
}

// blockMeans cuts a series into up to mostBlocks stretches and returns their means.
func blockMeans(y []float64) []float64 {
	m := min(mostBlocks, len(y))
	out := make([]float64, m)
	for k := range m {
		lo, hi := k*len(y)/m, (k+1)*len(y)/m
		for _, v := range y[lo:hi] {
			out[k] += v / float64(hi-lo)
		}
	}
	return out
}

// drift is the deviate of the growth against what a walk with steps of the same spread makes, each step over the time
// that it took (Student's t, as the normal deviate of the same probability): profiles are as far apart as collections,
// and those are rarer the larger the heap is.
func drift(t, y []float64) float64 {
	m := len(y) - 1
	span := t[m] - t[0]
	if m < 2 || span <= 0 {
		return 0
	}
	rate := (y[m] - y[0]) / span
	ss := 0.0
	for i := range m {
		if dt := t[i+1] - t[i]; dt > 0 {
			d := y[i+1] - y[i] - rate*dt
			ss += d * d / dt
		}
	}
	se := math.Sqrt(ss/float64(m-1)) / math.Sqrt(span)
	return studentToNormal(ratio(rate, se), float64(m-1))
}

// ratio is a/b within what a deviate may be.
func ratio(a, b float64) float64 {
	const most = 9
	switch {
	case a == 0:
		return 0
	case b <= math.Abs(a)/most:
		return math.Copysign(most, a)
	}
	return a / b
}

// studentToNormal is Wallace's approximation of the normal deviate with the probability of t at df degrees of freedom.
func studentToNormal(t, df float64) float64 {
	z := (8*df + 1) / (8*df + 3) * math.Sqrt(df*math.Log1p(t*t/df))
	return math.Copysign(z, t)
}

func normal(z float64) float64 { return 0.5 * math.Erfc(-z/math.Sqrt2) }

// setSlope gives the curve its slope with interval, and the growth that would have been seen.
func setSlope(c *record.Curve, s samples, e evidence) {
	span := s.span()
	if span <= 0 {
		return
	}
	line := trend.TheilSen(s.t, s.y)
	if len(s.y) < minCurve || !line.OK {
		line.Slope = (c.Last - c.First) / span
	}
	half := 1.96 * e.noise / span
	c.Slope = &record.Slope{Bytes: line.Slope, Per: "second", CI95: [2]float64{line.Slope - half, line.Slope + half}}
	c.Limit = s.limit(e.noise) / span
	if e.size < sureSize {
		c.Limit += math.Max(0, e.grew) / span
	}
}

// shape tells apart, among curves that end higher than they began, those that still rise.
func shape(c *record.Curve, s samples, more float64) {
	n := len(s.y)
	at, jump := largestStep(s.y)
	rest := n - at - 1
	grew := s.y[n-1] - s.y[0]
	unit := math.Min(s.rate, s.noise/math.Max(1, grew)) // bytes per sampled object
	big := jump >= leastJump*unit
	if rest := s.from(at + 1); big && (jump > jumpShare*grew || at < n/4 && jump > startShare*grew) && afterStart(c, rest,
		more) {
		return
	}
	if jump > jumpShare*grew && big && rest >= 2 {
		c.Shape = record.Stepped
		c.State = record.Open
		if rest >= minCurve {
			c.State = record.Excluded
			after := s.from(at + 1)
			setSlope(c, after, measure(after))
		} else if !flat(s.y[at+1:], s.y[:at+1]) {
			c.Shape = record.Rising
		}
		return
	}
	if n < 6 {
		return
	}
	half := middle(s.t)
	early, late := samples{t: s.t[:half+1], y: s.y[:half+1]}, s.from(half)
	was, is := trend.TheilSen(early.t, early.y).Slope, trend.TheilSen(late.t, late.y).Slope
	lateRank := 0.0
	if k := trend.MannKendall(late.y); k.OK {
		lateRank = k.Z
	}
	e := measure(late)
	if even := grew / 2; late.y[len(late.y)-1]-late.y[0] > even-sureRank*math.Sqrt(even*unit) {
		return // what a line makes, by so few sampled objects
	}
	switch {
	case is <= calm*was && (lateRank < sureRank || is <= 0.05*was):
		c.Shape, c.State = record.Levelled, record.Excluded
		setSlope(c, late, e)
	case n >= 8 && s.rate > 0 && saturates(c, s):
		c.Shape, c.State = record.Levelled, record.Open
		setSlope(c, late, e)
	}
}

// afterStart takes a curve for one that starts and then grows, when what comes after its largest step grows by itself.
func afterStart(c *record.Curve, after samples, more float64) bool {
	if len(after.y) < minCurve {
		return false
	}
	e := measure(after)
	if e.rank < sureRank+more || e.drift < sureRank || e.size < 2 {
		return false
	}
	c.State, c.Shape = e.verdict(more)
	setSlope(c, after, e)
	c.Noise, c.Confidence = e.noise, math.Min(0.99, normal(e.least()))
	return true
}

// middle is the index of the first time in the later half.
func middle(t []float64) int {
	mid := (t[0] + t[len(t)-1]) / 2
	i := slices.IndexFunc(t, func(x float64) bool { return x >= mid })
	return min(max(2, i), len(t)-3)
}

// largestStep is the step up with the most growth: from index at to at+1.
func largestStep(y []float64) (at int, jump float64) {
	for i := range len(y) - 1 {
		if d := y[i+1] - y[i]; d > jump {
			at, jump = i, d
		}
	}
	return at, jump
}

// flat reports whether the values after a step vary no more than a tenth of the step.
func flat(after, before []float64) bool {
	step := slices.Min(after) - slices.Max(before)
	return slices.Max(after)-slices.Min(after) <= step/10
}

// saturates reports whether the curve a + b (1 - exp(-t/tau)) fits much better than a line and has little growth before
// it; then the curve's end is known.
func saturates(c *record.Curve, s samples) bool {
	n := len(s.y)
	span := s.span()
	_, _, line := fit(s, func(t float64) float64 { return t })
	best, final := line, 0.0
	for k := 1; k <= 20; k++ {
		tau := span * float64(k) / 20
		a, b, ss := fit(s, func(t float64) float64 { return -math.Expm1(-t / tau) })
		if ss < best && b > 0 && b*math.Exp(-span/tau) < ending*(c.Last-c.First) {
			best, final = ss, a+b
		}
	}
	if final == 0 || best <= 0 && line > 0 {
		c.Final = final
		return final != 0
	}
	if (line-best)/(best/float64(n-3)) < bend {
		return false
	}
	c.Final = final
	return true
}

// fit is the least-squares line over x(t), with the sum of its squares.
func fit(s samples, x func(float64) float64) (a, b, ss float64) {
	n := float64(len(s.y))
	var sx, sy, sxx, sxy float64
	for i, y := range s.y {
		v := x(s.t[i] - s.t[0])
		sx, sy, sxx, sxy = sx+v, sy+y, sxx+v*v, sxy+v*y
	}
	det := n*sxx - sx*sx
	if det <= 0 {
		return sy / n, 0, math.Inf(1)
	}
	b = (n*sxy - sx*sy) / det
	a = (sy - b*sx) / n
	for i, y := range s.y {
		d := y - a - b*x(s.t[i]-s.t[0])
		ss += d * d
	}
	return a, b, ss
}
