package all_test

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/accuracy/truth"
	"github.com/memsoak/memsoak/soak/specimens/all"
	"github.com/memsoak/memsoak/soak/specimens/copier"
)

func loadTruth(t *testing.T) []*truth.Truth {
	t.Helper()
	all, err := truth.Load("..")
	require.NoError(t, err)
	return all
}

func TestEverySpecimenHasItsTruth(t *testing.T) {
	set := all.Specimens()
	nowhere := copier.Config{Drive: "http://127.0.0.1:1", S3: "http://127.0.0.1:1", Bucket: "b", Workers: 1, Discovery: 1}
	known := map[string]bool{}
	faults := 0
	for _, tr := range loadTruth(t) {
		known[tr.Name] = true
		if tr.Class != "" {
			faults++
		}
		if tr.Combination() || set[tr.Name].Name != "" {
			e, err := set.New(tr.Name, nowhere)
			if assert.NoError(t, err, tr.Name) {
				e.Close()
			}
		} else {
			assert.NotEmpty(t, tr.Needs, "no specimen %s", tr.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		assert.True(t, known[name], "no truth for %s", name)
	}
	assert.GreaterOrEqual(t, faults, 48)
}

// sampled keeps every fifth of the specimens, beginning with the first of each kind, unless MEMSOAK_LONG asks for all:
// exact profiles cost minutes of processor time over the whole set.
func sampled() func(kind string) bool {
	seen := map[string]int{}
	return func(kind string) bool {
		seen[kind]++
		return os.Getenv("MEMSOAK_LONG") != "" || seen[kind]%5 == 1
	}
}

// TestFaultsAreThere runs faults with exact heap profiles and compares what they do with what their truth says.
func TestFaultsAreThere(t *testing.T) {
	chosen := sampled()
	for _, tr := range loadTruth(t) {
		if tr.Healthy() || tr.Combination() || !chosen(string(tr.Class)) {
			continue
		}
		t.Run(tr.Name, func(t *testing.T) {
			l := newLab(t, tr.Name, tr.Set["transport"] == "h2")
			check, ok := checks[tr.Class]
			if !ok {
				t.Fatalf("no check for class %s", tr.Class)
			}
			check(l, tr)
		})
	}
}

var checks = map[record.Class]func(*lab, *truth.Truth){
	record.Leak:           checkLeak,
	record.GoroutineLeak:  checkGoroutineLeak,
	record.ConnectionLeak: checkConnectionLeak,
	record.Metadata:       checkMetadata,
	record.BufferWorker:   checkBufferWorker,
	record.BufferFile:     checkBufferFile,
	record.BufferPool:     checkBufferPool,
	record.Cache:          checkCache,
	record.GCHeadroom:     checkGarbage,
	record.GCThrash:       checkBallast,
	record.Unreturned:     checkFragments,
	record.Stacks:         checkStacks,
	record.OffHeap:        checkOutside,
	record.PageCache:      checkOutside,
	record.Static:         checkStatic,
}

// wantSoon is want once the engine has come to rest.
func wantSoon(l *lab, tr *truth.Truth, before map[place]int64, units float64) {
	l.t.Helper()
	var g map[place]int64
	for range 200 {
		g = grown(before, live())
		if math.Abs(float64(g[place{tr.Function, tr.File, tr.Line}])/units/tr.Slope.Bytes-1) < tr.Slope.Tolerance() {
			break
		}
	}
	want(l, tr, g, units)
}

// want asserts that most of the growth is at the truth's line and has its slope.
func want(l *lab, tr *truth.Truth, g map[place]int64, units float64) {
	l.t.Helper()
	got := float64(g[place{tr.Function, tr.File, tr.Line}]) / units
	describe := func() string { return fmt.Sprintf("grown: %s", top(g)) }
	require.InEpsilon(l.t, tr.Slope.Bytes, got, tr.Slope.Tolerance(), "%s: bytes per %s; %s", tr.Name, tr.Slope.Per[0],
		describe())
	best := place{}
	for p, b := range g {
		if p != (place{}) && b > g[best] || best == (place{}) {
			best = p
		}
	}
	assert.Equal(l.t, tr.Function, best.function, describe())
	assert.Equal(l.t, fmt.Sprintf("%s:%d", tr.File, tr.Line), fmt.Sprintf("%s:%d", best.file, best.line), describe())
}

func top(g map[place]int64) string {
	places := slices.SortedFunc(maps.Keys(g), func(a, b place) int { return int(g[b] - g[a]) })
	var b strings.Builder
	for _, p := range places[:min(len(places), 6)] {
		fmt.Fprintf(&b, "\n  %9d %s %s:%d", g[p], p.function, p.file, p.line)
	}
	return b.String()
}

const (
	small     = 4096
	leakFiles = 120
)

func checkLeak(l *lab, tr *truth.Truth) {
	if tr.Slope.Per[0] == "second" {
		checkLeakInTime(l, tr)
		return
	}
	l.wave(l.root(small, 64))
	l.d.refuse.Store(tr.Slope.Per[0] == "error")
	before, pages, refused := live(), l.d.pages.Load(), l.d.refused.Load()
	l.wave(l.root(small, leakFiles))
	repeated := l.root(small, leakFiles)
	l.wave(repeated)
	l.wave(repeated)
	const files = 3 * leakFiles
	units := map[string]float64{
		"file": files, "byte": files * small, "page": float64(l.d.pages.Load() - pages), "wave": 3,
		"error": float64(l.d.refused.Load() - refused),
	}
	want(l, tr, grown(before, live()), units[tr.Slope.Per[0]])
}

// checkLeakInTime waits for growth without any work.
func checkLeakInTime(l *lab, tr *truth.Truth) {
	start := time.Now()
	before := live()
	var g map[place]int64
	require.Eventually(l.t, func() bool {
		g = grown(before, live())
		return inFunction(g, tr.Function) > int64(tr.Slope.Bytes/5)
	}, 20*time.Second, time.Millisecond)
	// The pointers to kept objects grow as well, by steps.
	assert.LessOrEqual(l.t, float64(inFunction(g, tr.Function)), 1.1*tr.Slope.Bytes*time.Since(start).Seconds())
	best := slices.MaxFunc(slices.Collect(maps.Keys(g)), func(a, b place) int { return int(g[a] - g[b]) })
	assert.Equal(l.t, fmt.Sprintf("%s:%d", tr.File, tr.Line), fmt.Sprintf("%s:%d", best.file, best.line), top(g))
}

// routines counts the goroutines that have the function on their stacks, and says at which line of it they are.
func routines(function string) (n int, lines map[int]int) {
	var b strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&b, 2)
	lines = map[int]int{}
	for g := range strings.SplitSeq(b.String(), "\n\n") {
		rows := strings.Split(g, "\n")
		for i := 1; i+1 < len(rows); i += 2 {
			call, _, _ := cutLast(rows[i], "(")
			if said(call) != function {
				continue
			}
			n++
			_, at, _ := strings.Cut(rows[i+1], ".go:")
			at, _, _ = strings.Cut(at, " ")
			line, _ := strconv.Atoi(at)
			lines[line]++
			break
		}
	}
	return n, lines
}

// cutLast is strings.Cut at the last separator.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func checkGoroutineLeak(l *lab, tr *truth.Truth) {
	l.wave(l.root(small, 32))
	before, _ := routines(tr.Function)
	l.wave(l.root(small, 128))
	var after int
	var lines map[int]int
	require.Eventually(l.t, func() bool { // the last ones may not have got to their line yet
		after, lines = routines(tr.Function)
		return after == lines[tr.Line]
	}, 10*time.Second, time.Millisecond, "goroutines wait at the marked line")
	assert.InDelta(l.t, 128, after-before, 2, "a goroutine per file")
}

func checkConnectionLeak(l *lab, tr *truth.Truth) {
	l.wave(l.root(small, 32))
	l.settle(l.d.open.Load)
	before, mem := l.d.open.Load(), live()
	l.wave(l.root(small, 128))
	l.settle(l.d.open.Load)
	assert.InDelta(l.t, 128/4, l.d.open.Load()-before, 2, "a connection per four files")
	assert.Positive(l.t, inFunction(grown(mem, live()), tr.Function), "%s holds something", tr.Function)
}

func checkMetadata(l *lab, tr *truth.Truth) {
	const files = 400
	l.wave(l.root(small, 64))
	before := live()
	if tr.Slope == nil { // goroutines are the metadata
		l.held(holdDownload, labWorkers, small, 300, func() {
			l.settle(func() int64 { n, _ := routines(tr.Function); return int64(n) })
			n, lines := routines(tr.Function)
			assert.InDelta(l.t, 300-labWorkers, n, 2)
			assert.Equal(l.t, n, lines[tr.Line])
		})
		n, _ := routines(tr.Function)
		assert.Zero(l.t, n, "released at the wave's end")
		return
	}
	switch tr.Slope.Per[0] {
	case "distinct-item":
		root := l.root(small, files)
		l.wave(root)
		after := live()
		want(l, tr, grown(before, after), files)
		l.wave(root)
		assert.Less(l.t, inFunction(grown(after, live()), tr.Function), int64(files), "repeated work adds nothing")
	case "listed-file":
		l.held(holdLastReply, 1, small, files, func() { wantSoon(l, tr, before, files) })
		assert.Less(l.t, inFunction(grown(before, live()), tr.Function), int64(files), "released at the wave's end")
	case "backlog-item":
		l.held(holdDownload, labWorkers, small, files, func() { wantSoon(l, tr, before, files-labWorkers) })
		assert.Less(l.t, inFunction(grown(before, live()), tr.Function), int64(files), "released at the wave's end")
	}
}

func checkBufferWorker(l *lab, tr *truth.Truth) {
	l.wave(l.root(small, 64))
	before := live()
	if tr.Function == "" { // an HTTP/2 window has no user frame
		l.held(holdReply, labWorkers, 8<<20, 2*labWorkers, func() {
			l.settle(func() int64 { return live()[place{}] >> 16 })
			assert.GreaterOrEqual(l.t, grown(before, live())[place{}], int64(labWorkers*3<<20))
		})
		return
	}
	sizes := tr.At
	if len(sizes) == 0 {
		sizes = []int64{64 << 10, 7 << 20}
	}
	for _, size := range sizes {
		l.held(holdReply, labWorkers, int(size), 2*labWorkers, func() { wantSoon(l, tr, before, labWorkers) })
	}
	l.wave(l.root(small, 64))
	assert.Less(l.t, inFunction(grown(before, live()), tr.Function), int64(64<<10), "released with the transfer")
}

func checkBufferFile(l *lab, tr *truth.Truth) {
	l.wave(l.root(small, 64))
	before := live()
	for _, size := range []int{256 << 10, 1 << 20, 4 << 20} {
		l.held(holdReply, labWorkers, size, 2*labWorkers, func() {
			want(l, tr, grown(before, live()), float64(labWorkers*size))
		})
	}
}

func checkBufferPool(l *lab, tr *truth.Truth) {
	l.wave(l.root(small, 64))
	l.settle(l.d.open.Load)
	before, open := live(), l.d.open.Load()
	l.held(holdReply, labWorkers, small, 8*labWorkers, func() {
		var conns, got float64
		var g map[place]int64
		require.Eventually(l.t, func() bool { // both ends see a connection open and close at times of their own
			conns = float64(l.d.open.Load() - open)
			g = grown(before, live())
			got = float64(inFunction(g, tr.Function)) / conns
			return math.Abs(got/tr.Slope.Bytes-1) < 0.05
		}, 10*time.Second, 20*time.Millisecond, "%v bytes per connection, %v connections; %s", got, conns, top(g))
	})
}

func checkCache(l *lab, tr *truth.Truth) {
	before := live()
	l.wave(l.root(small, int(tr.Bound)))
	full := live()
	want(l, tr, grown(before, full), float64(tr.Bound))
	l.wave(l.root(small, 2*int(tr.Bound)))
	assert.Less(l.t, inFunction(grown(full, live()), tr.Function), tr.Bound*8, "a full cache grows no further")
}

func checkStatic(l *lab, tr *truth.Truth) {
	l.wave(l.root(small, 64))
	before := live()
	assert.GreaterOrEqual(l.t, before[place{tr.Function, tr.File, tr.Line}], int64(8<<20))
	l.wave(l.root(small, 64))
	assert.Zero(l.t, inFunction(grown(before, live()), tr.Function), "it grows no further")
}

func checkGarbage(l *lab, _ *truth.Truth) {
	read := func() float64 {
		s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
		metrics.Read(s)
		return float64(s[0].Value.Uint64())
	}
	l.wave(l.root(small, 64))
	before := read()
	l.wave(l.root(small, 64))
	assert.GreaterOrEqual(l.t, read()-before, float64(64*2<<20))
}

func checkBallast(l *lab, tr *truth.Truth) {
	mib, err := strconv.Atoi(strings.TrimSuffix(tr.Set["gomemlimit"], "MiB"))
	require.NoError(l.t, err)
	var sum int64
	for p, b := range live() {
		if p != (place{}) {
			sum += b
		}
	}
	assert.Greater(l.t, float64(sum), 0.85*float64(mib<<20))
	l.wave(l.root(small, 64))
}

func checkFragments(l *lab, _ *truth.Truth) {
	l.wave(l.root(small, 64))
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	assert.GreaterOrEqual(l.t, m.HeapInuse-m.HeapAlloc, uint64(40<<20))
}

func checkStacks(l *lab, tr *truth.Truth) {
	l.wave(l.root(small, 64))
	read := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.StackInuse
	}
	before := read()
	l.held(holdReply, labWorkers, small, 4*labWorkers, func() {
		n, _ := routines(tr.Function)
		assert.Equal(l.t, labWorkers, n)
		assert.InEpsilon(l.t, tr.Slope.Bytes, float64(read()-before)/labWorkers, 0.3)
	})
}

// outside is what the process holds outside of the Go heap: private, mapped or shared.
func outside(t *testing.T) int64 {
	b, err := os.ReadFile("/proc/self/smaps")
	require.NoError(t, err)
	var sum int64
	arena := false
	for row := range strings.Lines(string(b)) {
		f := strings.Fields(row)
		if strings.Contains(f[0], "-") && !strings.HasSuffix(f[0], ":") {
			arena = strings.HasPrefix(f[0], "c0") && len(strings.SplitN(f[0], "-", 2)[0]) == 10
		}
		if f[0] == "Rss:" && !arena {
			kib, _ := strconv.ParseInt(f[1], 10, 64)
			sum += kib << 10
		}
	}
	return sum
}

func checkOutside(l *lab, tr *truth.Truth) {
	if runtime.GOOS != "linux" {
		l.t.Skip("reads /proc")
	}
	l.wave(l.root(small, 64))
	before := outside(l.t)
	if tr.Slope.Per[0] == "file" {
		l.wave(l.root(small, 1024))
		assert.InEpsilon(l.t, tr.Slope.Bytes, float64(outside(l.t)-before)/1024, 0.25)
		return
	}
	const size = 16 << 20
	l.held(holdReply, labWorkers, size, labWorkers, func() {
		assert.InEpsilon(l.t, tr.Slope.Bytes, float64(outside(l.t)-before)/(labWorkers*size), 0.1)
	})
}

// TestHealthyOnesAreHealthy runs look-alikes with exact heap profiles: floors don't rise, and little is held.
func TestHealthyOnesAreHealthy(t *testing.T) {
	chosen := sampled()
	for _, tr := range loadTruth(t) {
		if !tr.Healthy() || !chosen("healthy") {
			continue
		}
		t.Run(tr.Name, func(t *testing.T) {
			l := newLab(t, tr.Name, tr.Set["transport"] == "h2")
			l.wave(l.root(small, 260)) // more files than any bound
			l.settle(l.d.open.Load)
			// Bounded things may still fill or double in one wave or another, and the runtime keeps some stopped timers until
			// it tidies them up; a leak grows in each.
			const files, waves, bound = 150, 10, 16.0
			gs, open := runtime.NumGoroutine(), l.d.open.Load()
			least, places := int64(math.MaxInt64), ""
			for range waves {
				if float64(least)/files < bound {
					break
				}
				before := live()
				l.wave(l.root(small, files))
				l.settle(l.d.open.Load)
				g := grown(before, live())
				delete(g, place{}) // the double's own
				var sum int64
				for _, b := range g {
					sum += b
				}
				if sum < least {
					least, places = sum, top(g)
				}
			}
			assert.Less(t, float64(least)/files, bound, "bytes per file at the floors: %s", places)
			assert.InDelta(t, gs, runtime.NumGoroutine(), 24)
			assert.LessOrEqual(t, l.d.open.Load()-open, int64(4))

			before := live()
			l.held(holdReply, labWorkers, 4<<20, 2*labWorkers, func() {
				g := grown(before, live())
				var sum int64
				for p, b := range g {
					if p != (place{}) {
						sum += b
					}
				}
				assert.Less(t, sum, int64(labWorkers*(128<<10)), "bytes in flight: %s", top(g))
			})
		})
	}
}

func TestCombinationsRun(t *testing.T) {
	for _, tr := range loadTruth(t) {
		if !tr.Combination() {
			continue
		}
		t.Run(tr.Name, func(t *testing.T) {
			l := newLab(t, tr.Name, false)
			l.wave(l.root(small, 64))
		})
	}
}

func TestTruthNamesLinesOfTheseFiles(t *testing.T) {
	for _, tr := range loadTruth(t) {
		if tr.Line == 0 {
			continue
		}
		b, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(tr.File)))
		require.NoError(t, err)
		line := strings.Split(string(b), "\n")[tr.Line-1]
		assert.Contains(t, line, "// fault:", tr.Name)
		assert.False(t, strings.HasPrefix(strings.TrimSpace(line), "//"), "%s: a marker stands behind code", tr.Name)
	}
}
