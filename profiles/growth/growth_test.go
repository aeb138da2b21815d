package growth

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

const mib = 1 << 20

// source is an allocation site of a simulated process: live bytes by the fraction of the time that has passed, made of
// objects of one size, of which churn times the live ones are replaced over the whole time.
type source struct {
	name  string
	live  func(x float64) float64
	churn float64
}

// sampled simulates the profiler at its default rate: objects are small, so that each sampled one stands for a rate of
// bytes, and is found in each profile until it is freed.
func sampled(rng *rand.Rand, n int, sources ...source) Series {
	const rate = 512 << 10
	s := Series{Timed: true, Allocs: true, Rate: rate}
	start := time.Unix(1e9, 0)
	live, made := make([]int, len(sources)), make([]float64, len(sources))
	for id, src := range sources {
		site := record.Site{Function: "app." + src.name, Line: id}
		s.Places = append(s.Places, Place{Site: site, Key: src.name, Frames: []string{site.Function}})
		live[id] = poisson(rng, src.live(0)/rate)
		made[id] = float64(live[id]) * rate
	}
	for i := range n {
		p := Point{Time: start.Add(time.Duration(i) * 2 * time.Second), Heap: map[int]Amount{}}
		for id, src := range sources {
			if i > 0 {
				was, is := src.live(float64(i-1)/float64(n-1)), src.live(float64(i)/float64(n-1))
				turned := was * math.Min(1, src.churn/float64(n-1))
				freed := binomial(rng, live[id], math.Min(1, (turned+math.Max(0, was-is))/math.Max(1, was)))
				more := poisson(rng, (turned+math.Max(0, is-was))/rate)
				live[id] += more - freed
				made[id] += float64(more) * rate
			}
			b := float64(live[id]) * rate
			p.Heap[id] = Amount{Bytes: b, Variance: b * rate, Alloc: made[id]}
		}
		s.Points = append(s.Points, p)
	}
	return s
}

func poisson(rng *rand.Rand, mean float64) int {
	n := 0
	for sum := rng.ExpFloat64(); sum < mean; sum += rng.ExpFloat64() {
		n++
	}
	return n
}

func binomial(rng *rand.Rand, n int, p float64) int {
	k := 0
	for range n {
		if rng.Float64() < p {
			k++
		}
	}
	return k
}

func constant(b float64) func(float64) float64 { return func(float64) float64 { return b } }

func line(from, to float64) func(float64) float64 {
	return func(x float64) float64 { return from + (to-from)*x }
}

// base is what a service holds: code's tables, which stay, and requests, which come and go.
var base = []source{{"tables", constant(12 * mib), 0}, {"requests", constant(6 * mib), 40}}

const seeds = 200

// share is in which part of the seeds a series was judged so.
func share(n int, s source, is func(g *record.Growth) bool) float64 {
	k := 0
	for seed := range uint64(seeds) {
		if is(Judge(sampled(rand.New(rand.NewPCG(seed, 7)), n, append(slices.Clone(base), s)...), "")) {
			k++
		}
	}
	return float64(k) / seeds
}

func found(g *record.Growth) bool { return g.Total.State == record.Found }

// named reports whether a site is among the suspects, whatever their state.
func named(fn string) func(*record.Growth) bool {
	return func(g *record.Growth) bool {
		return slices.ContainsFunc(g.Causes, func(c record.Cause) bool { return c.Site.Function == "app."+fn })
	}
}

func TestALeakIsFoundAndNamed(t *testing.T) {
	for _, c := range []struct {
		mib          float64
		found, named float64
	}{{3, 0, 0.9}, {12, 0.2, 0.97}, {30, 0.9, 0.97}} {
		leak := source{"leak", line(mib, (1+c.mib)*mib), 0}
		assert.GreaterOrEqual(t, share(30, leak, found), c.found, "%v MiB found", c.mib)
		assert.GreaterOrEqual(t, share(30, leak, named("leak")), c.named, "%v MiB named", c.mib)
	}
}

// TestLookAlikesRaiseNoAlarm counts, for each, how often growth is called found.
func TestLookAlikesRaiseNoAlarm(t *testing.T) {
	for name, s := range map[string]source{
		"nothing":                  {"x", constant(mib), 0},
		"a cache that fills soon":  {"cache", func(x float64) float64 { return 30 * mib * -math.Expm1(-x*12) }, 0},
		"a full cache that evicts": {"cache", constant(40 * mib), 3},
		"a slow cache that evicts": {"cache", constant(60 * mib), 0.7},
		"a step": {"table", func(x float64) float64 { return mib + 20*mib*math.Floor(math.Min(1, x*2)) },
			0},
		"a warm-up":                 {"pool", func(x float64) float64 { return 25 * mib * math.Min(1, x*8) }, 0},
		"batches":                   {"batch", func(x float64) float64 { return mib + 15*mib*math.Mod(x*4.5, 1) }, 8},
		"a day's load up and down":  {"load", func(x float64) float64 { return mib + 10*mib*(1-math.Cos(4*math.Pi*x)) }, 30},
		"short objects, many":       {"garbage", constant(20 * mib), 200},
		"something that is cleared": {"log", func(x float64) float64 { return 20 * mib * (1 - x) }, 1},
	} {
		assert.LessOrEqual(t, share(30, s, found), 0.01, name)
	}
}

func TestAFullCacheIsToldFromALeak(t *testing.T) {
	levelled := func(g *record.Growth) bool {
		return g.Total.Shape == record.Levelled || g.Total.Shape == record.Stepped || g.Total.Shape == record.Steady
	}
	fills := source{"cache", func(x float64) float64 { return 40 * mib * -math.Expm1(-x*10) }, 0}
	assert.GreaterOrEqual(t, share(30, fills, levelled), 0.9)
	startThenLeak := source{"leak", func(x float64) float64 { return 20*mib*math.Min(1, x*20) + 40*mib*x }, 0}
	assert.GreaterOrEqual(t, share(30, startThenLeak, found), 0.8)
}

func TestTheLimitIsWhatWouldHaveBeenSeen(t *testing.T) {
	g := Judge(sampled(rand.New(rand.NewPCG(1, 2)), 30, base...), "")
	require.Equal(t, record.Excluded, g.Total.State)
	limit := g.Total.Limit * 58
	assert.Greater(t, limit, 5.0*mib)
	leak := source{"leak", line(0, limit), 0}
	assert.GreaterOrEqual(t, share(30, leak, func(g *record.Growth) bool {
		return found(g) ||
			g.Total.Shape == record.Rising
	}), 0.95)
}

// TestProfilesBetweenTwoCollectionsTellNothing repeats each profile, as a process does that rarely collects.
func TestProfilesBetweenTwoCollectionsTellNothing(t *testing.T) {
	repeat := func(n, times int, src ...source) Series {
		s := sampled(rand.New(rand.NewPCG(3, 4)), n, src...)
		var points []Point
		for i, p := range s.Points {
			for k := range times {
				p.Time = s.Points[0].Time.Add(time.Duration(i*times+k) * 2 * time.Second)
				points = append(points, p)
			}
		}
		s.Points = points
		return s
	}
	g := Judge(repeat(3, 10, base...), "http://x/debug/pprof")
	assert.Equal(t, 30, g.Profiles)
	assert.Equal(t, 3, g.Collections)
	assert.Equal(t, record.Open, g.Total.State, "three collections exclude nothing")
	assert.Equal(t, "soak record --pprof http://x/debug/pprof --for 10m --gc", g.Command)

	leak := append(slices.Clone(base), source{"leak", line(0, 40*mib), 0})
	g = Judge(repeat(10, 3, leak...), "")
	assert.Equal(t, record.Found, g.Total.State)
	assert.Equal(t, 9, g.Total.Steps, "a profile like the one before is no step")
}

// TestADriftCountsTheTimeOfEachStep has the same rate over steps of different length.
func TestADriftCountsTheTimeOfEachStep(t *testing.T) {
	at := []float64{0, 1, 2, 4, 8, 16}
	y := make([]float64, len(at))
	for i, x := range at {
		y[i] = 10*x + float64(i%2)
	}
	assert.Greater(t, drift(at, y), 3.0)
	assert.Less(t, drift([]float64{0, 1, 2, 3, 4, 5}, y), sureRank, "as equal steps it would be a walk")
	assert.Zero(t, drift([]float64{0, 0, 0}, []float64{1, 2, 3}), "no time, no rate")
}

// TestGrowthThatComesInFitsIsTold has steps up of very different sizes, as a load that comes and goes makes them, and
// ups and downs of the same sizes.
func TestGrowthThatComesInFitsIsTold(t *testing.T) {
	sizes := []float64{1, 1, 1, 1, 20, 1, 1, 1, 1, 1}
	for name, down := range map[string]float64{"up": 1, "up and down": -1} {
		q := samples{rate: mib / 100, t: []float64{0}, y: []float64{100 * mib}}
		for i, size := range sizes {
			if i%2 > 0 {
				size *= down
			}
			q.t, q.y = append(q.t, float64(i+1)), append(q.y, q.y[i]+size*mib)
		}
		assert.Equal(t, down > 0, measure(q).drift >= sureRank, name)
	}
}

func TestTwoProfilesAreADifferenceNotAVerdict(t *testing.T) {
	s := sampled(rand.New(rand.NewPCG(1, 2)), 2, append(slices.Clone(base), source{"leak", line(0, 40*mib), 0})...)
	s.Points[1].Time = s.Points[0].Time.AddDate(0, 0, 48)
	g := Judge(s, "")
	assert.Equal(t, record.Open, g.Total.State)
	assert.Equal(t, record.Rising, g.Total.Shape)
	require.NotEmpty(t, g.Causes)
	assert.Equal(t, "app.leak", g.Causes[0].Site.Function)
}

func TestOneProfileIsAComposition(t *testing.T) {
	s := sampled(rand.New(rand.NewPCG(1, 2)), 1, base...)
	g := Judge(s, "http://x/debug/pprof")
	assert.Equal(t, record.ShapeUnknown, g.Total.Shape)
	assert.Equal(t, "app.tables", g.Causes[0].Site.Function)
	assert.Equal(t, "soak record --pprof http://x/debug/pprof --for 10m", g.Command)
}

// TestARestartCutsTheSeries joins the profiles of two lives of a leaking process, and mixes those of two pods.
func TestARestartCutsTheSeries(t *testing.T) {
	leak := append(slices.Clone(base), source{"leak", line(0, 40*mib), 0})
	a, b := sampled(rand.New(rand.NewPCG(1, 2)), 20, leak...), sampled(rand.New(rand.NewPCG(3, 4)), 12, leak...)
	for i := range b.Points {
		b.Points[i].Time = b.Points[i].Time.Add(41 * time.Second)
	}
	joined := a
	joined.Points = slices.Concat(a.Points, b.Points)
	g := Judge(joined, "")
	assert.Equal(t, 2, g.Lives)
	assert.Equal(t, record.Found, g.Total.State)
	assert.Equal(t, "app.leak", g.Causes[0].Site.Function)
	assert.Equal(t, a.Points[19].Time.Sub(a.Points[0].Time), g.To.Sub(g.From), "sizes, rate and time are of one life")
	for i := range b.Points {
		b.Points[i].Time = a.Points[i].Time.Add(time.Second)
	}
	joined.Points = slices.Concat(a.Points, b.Points)
	assert.Equal(t, 2, Judge(joined, "").Lives, "side by side")
}

func TestPlacesThatGrowTogetherAreOneCause(t *testing.T) {
	s := sampled(rand.New(rand.NewPCG(5, 6)), 30, append(slices.Clone(base), source{"entry", line(0, 60*mib), 0},
		source{"key", line(0, 40*mib), 0}, source{"other", line(0, 50*mib), 0})...)
	for _, id := range []int{2, 3} {
		s.Places[id].Frames = append(s.Places[id].Frames, "app.Register")
	}
	g := Judge(s, "")
	require.Len(t, g.Causes, 2)
	assert.Len(t, g.Causes[0].Sites, 2, "entry and key share a caller")
	assert.Equal(t, "app.other", g.Causes[1].Site.Function)
}

// TestFloorsInARowAreOneLook has a leak under load and many floors after it: they say that it stays, not that nothing
// grows.
func TestFloorsInARowAreOneLook(t *testing.T) {
	s := sampled(rand.New(rand.NewPCG(1, 2)), 20, append(slices.Clone(base), source{"leak", line(0, 40*mib), 0})...)
	last := s.Points[len(s.Points)-1]
	for i := range 12 {
		p := last
		p.Rest, p.Time = true, last.Time.Add(time.Duration(i+1)*2*time.Second)
		s.Points = append(s.Points, p)
	}
	g := Judge(s, "")
	assert.Equal(t, record.Found, g.Total.State, "%+v", g.Total)
	require.NotEmpty(t, g.Causes)
	require.NotNil(t, g.Causes[0].Rest)
	assert.Greater(t, *g.Causes[0].Rest, int64(20*mib), "without load it is still there")
}

// TestALargeStepThatMayGoOnIsASuspect is a table that doubles shortly before the end.
func TestALargeStepThatMayGoOnIsASuspect(t *testing.T) {
	step := source{"pages", func(x float64) float64 { return 4*mib + 30*mib*math.Floor(x+0.25) }, 0}
	g := Judge(sampled(rand.New(rand.NewPCG(1, 2)), 9, append(slices.Clone(base), step)...), "")
	assert.NotEqual(t, record.Found, g.Total.State)
	require.NotEmpty(t, g.Causes, "%+v", g.Total)
	assert.Equal(t, "app.pages", g.Causes[0].Site.Function)
}

// counts makes a series of one group of goroutines.
func counts(rests map[int]bool, n ...int) Series {
	s := Series{Timed: true, Groups: []Group{{Root: "app.work", Wait: "chan send"}}}
	for i, k := range n {
		s.Points = append(s.Points, Point{Time: time.Unix(int64(1e9+i*2), 0), Rest: rests[i], Routines: map[int]int{0: k}})
	}
	return s
}

func TestGoroutinesThatStayAreFound(t *testing.T) {
	idle := map[int]bool{0: true, 6: true}
	for name, c := range map[string]struct {
		s     Series
		found bool
	}{
		"rise in every window":        {counts(nil, 10, 23, 35, 49, 60), true},
		"rise in each of three":       {counts(nil, 10, 23, 35, 60), true},
		"rise with the load's ripple": {counts(nil, 10, 30, 28, 45, 61, 58, 77, 90, 104, 101, 120), true},
		"remain after the load":       {counts(idle, 2, 8, 19, 30, 39, 50, 52), true},
		"remain, looked at often": {counts(map[int]bool{5: true, 6: true, 7: true, 8: true}, 2, 12, 25, 39, 50, 52, 52,
			52, 52), true},
		"remain after a burst":                   {counts(map[int]bool{0: true, 2: true}, 2, 60, 52), true},
		"a queue whose load has stopped":         {counts(nil, 4, 4, 90, 180, 270, 360, 450, 420, 390, 360, 330), true},
		"a queue that is nearly done":            {counts(nil, 4, 90, 180, 270, 360, 450, 300, 200, 90, 40), false},
		"a pool that is filled little by little": {counts(nil, 4, 20, 40, 60, 80, 100, 100, 100, 100, 100), false},
		"work that goes with its day":            {counts(nil, 40, 90, 140, 130, 180, 230, 250, 240, 190, 140), false},
		"a pool that stays":                      {counts(idle, 2, 66, 66, 66, 66, 66, 66), false},
		"at work, gone without load":             {counts(idle, 2, 60, 80, 99, 121, 140, 3), false},
		"come and go":                            {counts(nil, 40, 55, 38, 61, 44, 52, 39, 47, 58, 41), false},
		"a few":                                  {counts(nil, 1, 2, 3, 4, 5), false},
		"one profile of very many":               {counts(nil, 4000), false},
		"two profiles, which don't tell":         {counts(nil, 4, 54), false},
	} {
		g := Judge(c.s, "")
		got := len(g.Routines) > 0 && g.Routines[0].State == record.Found
		assert.Equal(t, c.found, got, "%s: %+v", name, g.Routines)
	}
	g := Judge(counts(nil, 4, 90, 180, 270, 360, 450, 420, 390, 360, 330), "")
	require.Len(t, g.Routines, 1)
	assert.Equal(t, record.Metadata, g.Routines[0].Class, "they end, one by one")
	assert.InDelta(t, 450, g.Routines[0].Peak, 0)
	g = Judge(counts(nil, 4, 54), "")
	require.Len(t, g.Routines, 1, "but are shown")
	assert.Equal(t, record.Open, g.Routines[0].State)
}

func TestTheSameSeriesGivesTheSameDigits(t *testing.T) {
	var sources []source
	for i := range 40 { // sizes whose sum hangs on its order, in the last digits
		sources = append(sources, source{name: fmt.Sprint(i), live: line(mib, mib*(1+1/float64(3+i))), churn: 1})
	}
	s := sampled(rand.New(rand.NewPCG(1, 1)), 12, sources...)
	for i := range s.Points {
		for id, a := range s.Points[i].Heap {
			a.Variance /= float64(3 + id)
			s.Points[i].Heap[id] = a
		}
	}
	want := Judge(s, "")
	for range 20 {
		require.Equal(t, want.Total, Judge(s, "").Total)
	}
}

func TestJudgeChangesNothingOfItsInput(t *testing.T) {
	s := sampled(rand.New(rand.NewPCG(1, 2)), 8, base...)
	slices.Reverse(s.Points)
	before := fmt.Sprint(s)
	Judge(s, "")
	assert.Equal(t, before, fmt.Sprint(s))
}

// TestLargeObjectsAreCountedAndComparedWithGoroutines has a buffer of 4 MiB for each of 8 workers.
func TestLargeObjectsAreCountedAndComparedWithGoroutines(t *testing.T) {
	series := func(objects float64, groups ...Group) *record.Growth {
		s := sampled(rand.New(rand.NewPCG(1, 2)), 8, base...)
		id := len(s.Places)
		s.Places = append(s.Places, Place{Site: record.Site{Function: "app.newWorker"}, Key: "newWorker"})
		s.Groups = groups
		for i := range s.Points {
			s.Points[i].Heap[id] = Amount{Bytes: objects * 4 * mib, Objects: objects, Alloc: objects * 4 * mib}
			s.Points[i].Routines = map[int]int{}
			for k := range groups {
				s.Points[i].Routines[k] = 8
			}
		}
		return Judge(s, "")
	}
	run := Group{Root: "app.(*worker).run", Wait: "select"}
	for name, c := range map[string]struct {
		g    *record.Growth
		want string
	}{
		"one for each":         {series(8, run), "app.(*worker).run"},
		"more than goroutines": {series(9, run), ""},
		"of two kinds":         {series(8, run, Group{Root: "app.serve"}), ""},
		"connections don't count": {series(8, run, Group{Root: "net/http.(*persistConn).readLoop", Conn: true}),
			"app.(*worker).run"},
	} {
		require.NotEmpty(t, c.g.Stayed, name)
		assert.Equal(t, "app.newWorker", c.g.Stayed[0].Site.Function, name)
		assert.Equal(t, c.want, c.g.Stayed[0].PerGoroutine, name)
		assert.InDelta(t, 4*mib, c.g.Stayed[0].ObjectBytes, 1, name)
	}
}

// Ups and downs of the whole hide a place that grows surely but by less: the total says nothing against it.
func TestAPlaceThatSurelyGrowsLeavesTheTotalOpenWhereItCouldNotShowIt(t *testing.T) {
	s := sampled(rand.New(rand.NewPCG(1, 2)), 40,
		source{name: "kept", live: func(x float64) float64 { return 30 * mib * x }},
		source{name: "work", live: func(x float64) float64 { return 200 * mib * (0.5 + 0.5*math.Sin(23*x)) }, churn: 40})
	g := Judge(s, "")
	require.NotEmpty(t, g.Causes)
	require.Equal(t, record.Found, g.Causes[0].State)
	require.Equal(t, "app.kept", g.Causes[0].Site.Function)
	require.Greater(t, g.Total.Limit*g.To.Sub(g.From).Seconds(), g.Causes[0].Grew(), "the total could not show it")
	assert.Equal(t, record.Open, g.Total.State)
	assert.Contains(t, g.Reason, "up and down")
}

// TestWhatStayedWithoutWorkIsNotExcluded has a leak whose load ends halfway, beside a cache that is full by then while
// the load does not end: the live heap of both is the same.
func TestWhatStayedWithoutWorkIsNotExcluded(t *testing.T) {
	const n, churned = 40, 3 * mib
	rng := rand.New(rand.NewPCG(1, 7))
	judged := func(work func(s *Series, i int)) *record.Growth {
		s := Series{Timed: true, Allocs: true, Rate: 4 << 10, Places: []Place{{Key: "a"}}}
		for i := range n {
			kept := 8*mib + 1*mib*float64(min(i, n/2))
			b := kept + 0.05*mib*rng.Float64()
			s.Points = append(s.Points, Point{Time: time.Unix(int64(2*i), 0), Heap: map[int]Amount{
				0: {Bytes: b, Variance: b * s.Rate, Alloc: kept + churned*float64(i)}}})
			work(&s, i)
		}
		return Judge(s, "")
	}
	g := judged(func(*Series, int) {})
	require.Equal(t, record.Levelled, g.Total.Shape)
	assert.Equal(t, record.Excluded, g.Total.State, "it goes on allocating as before")
	assert.False(t, g.Total.Slack)

	ended := func(s *Series, i int) {
		if i > n/2 {
			a := s.Points[i].Heap[0]
			a.Alloc = s.Points[n/2].Heap[0].Alloc + 0.1*mib*float64(i-n/2)
			s.Points[i].Heap[0] = a
		}
	}
	g = judged(ended)
	require.Equal(t, record.Levelled, g.Total.Shape)
	assert.Equal(t, record.Open, g.Total.State)
	assert.Contains(t, g.Reason, "so does what leaks, without work")
	assert.Contains(t, g.Next, "a load that does not end")
	require.NotEmpty(t, g.Causes, "the place is a suspect as long as the load may have ended")
	assert.True(t, g.Causes[0].Slack)

	g = judged(func(s *Series, i int) { ended(s, i); s.Points[i].Work = float64(1000 * (i + 1)) })
	assert.Equal(t, record.Excluded, g.Total.State, "requests are counted, and went on")

	g = judged(func(s *Series, _ int) { s.Allocs = false })
	assert.Equal(t, record.Open, g.Total.State)
	assert.Contains(t, g.Reason, "nothing tells whether the process went on working")
}
