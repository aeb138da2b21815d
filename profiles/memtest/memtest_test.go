package memtest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/memsoak/memsoak/profiles/memtest"
)

// recorder takes the place of *testing.T, so that failures can be looked at.
type recorder struct {
	errors   []string
	parallel bool
}

func (r *recorder) Helper()                   {}
func (r *recorder) Errorf(f string, a ...any) { r.errors = append(r.errors, fmt.Sprintf(f, a...)) }
func (r *recorder) Setenv(string, string) {
	if r.parallel {
		panic("testing: test using t.Setenv or t.Chdir can not use t.Parallel")
	}
}

func check(t *testing.T, op func(), opts ...memtest.CheckOption) (*recorder, *memtest.Report) {
	t.Helper()
	r := &recorder{}
	return r, memtest.Check(r, op, opts...)
}

// only is the one finding that is expected.
func only(t *testing.T, rep *memtest.Report, kind memtest.Kind) memtest.Finding {
	t.Helper()
	if len(rep.Findings) != 1 || rep.Findings[0].Kind != kind {
		t.Fatalf("want one finding of kind %s, got %v", kind, rep.Findings)
	}
	return rep.Findings[0]
}

func clean(t *testing.T, r *recorder) {
	t.Helper()
	if len(r.errors) > 0 {
		t.Errorf("want no finding, got %s", strings.Join(r.errors, "\n"))
	}
}

func contains(t *testing.T, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("want %q in:\n%s", part, text)
	}
}

type keeper struct{ kept [][]byte }

func (k *keeper) keep() { k.kept = append(k.kept, make([]byte, 100)) }

func TestLeakIsCountedExactlyAndNamed(t *testing.T) {
	k := &keeper{kept: make([][]byte, 0, 1<<20)} // the backing array itself doesn't grow
	r, rep := check(t, k.keep)
	f := only(t, rep, memtest.Heap)
	// 100 bytes live in the size class of 112.
	if f.PerOp != 112 || f.Total != int64(112*rep.Ops) || f.Objects != 1 || f.Open {
		t.Errorf("112 bytes in one object per operation, got %+v", f)
	}
	contains(t, f.Site.String(), "(*keeper).keep memtest/memtest_test.go:")
	contains(t, r.errors[0], "(*keeper).keep")
}

func TestSmallLeakInMapIsSeen(t *testing.T) {
	m, n := map[int]*int64{}, 0
	_, rep := check(t, func() { n++; m[n] = new(int64) })
	contains(t, only(t, rep, memtest.Heap).Site.Function, "TestSmallLeakInMapIsSeen")
}

// A slice of numbers and a map of numbers grow in steps that double: most floors are equal to the one before.
func TestGrowthByDoublingIsSeen(t *testing.T) {
	var numbers []int64
	_, rep := check(t, func() { numbers = append(numbers, 1) })
	if f := only(t, rep, memtest.Heap); f.PerOp < 8 || f.PerOp > 20 {
		t.Errorf("8 bytes and the array's spare room per operation, got %v", f.PerOp)
	}
	set, n := map[int]struct{}{}, 0
	_, rep = check(t, func() { n++; set[n] = struct{}{} })
	contains(t, only(t, rep, memtest.Heap).Site.Function, "TestGrowthByDoublingIsSeen")
}

func TestNothingRetainedPasses(t *testing.T) {
	pool := sync.Pool{New: func() any { b := make([]byte, 4096); return &b }}
	cache, n := map[int][]byte{}, 0
	r, rep := check(t, func() {
		b := pool.Get()
		defer pool.Put(b)
		cache[n%40] = make([]byte, 1000) // bounded: full after the warm-up
		n++
		time.AfterFunc(time.Millisecond, func() {})
		_ = strings.Repeat("x", 10_000)
	})
	clean(t, r)
	if len(rep.Floors) < memtest.DefaultWaves+1 || rep.Ops < memtest.DefaultWaves*memtest.DefaultOpsPerWave {
		t.Errorf("all waves have floors, got %d after %d operations", len(rep.Floors), rep.Ops)
	}
}

// The runtime's own table of timers grows as well, and stays: only the timers count, which are kept here.
func TestTimersThatAreNeverStoppedAreSeen(t *testing.T) {
	var timers []*time.Timer
	_, rep := check(t, func() { timers = append(timers, time.AfterFunc(time.Hour, func() {})) })
	for _, x := range timers {
		x.Stop()
	}
	contains(t, only(t, rep, memtest.Heap).Site.Function, "TestTimersThatAreNeverStoppedAreSeen")
}

func TestCacheThatFillsAsksForMoreWaves(t *testing.T) {
	for _, bound := range []int{200, 440, 900} { // of 450 operations that are planned
		cache, n := map[int][]byte{}, 0
		r, rep := check(t, func() {
			if n < bound {
				cache[n] = make([]byte, 1000)
			}
			n++
		})
		clean(t, r)
		if bound == 900 && rep.Ops < 2*bound {
			t.Errorf("a cache of %d was judged after %d operations", bound, rep.Ops)
		}
	}
}

func TestMaxBytesPerOpAllowsWhatIsMeant(t *testing.T) {
	k := &keeper{kept: make([][]byte, 0, 1<<20)}
	r, _ := check(t, k.keep, memtest.MaxBytesPerOp(112))
	clean(t, r)
	_, rep := check(t, k.keep, memtest.MaxBytesPerOp(111))
	only(t, rep, memtest.Heap)
}

// part and whole are what one leak consists of.
type part struct{ next *part }

type whole struct {
	name  string
	parts [3]*part
	index map[string]*part
	data  []byte
}

//go:noinline
func newPart() *part { return &part{next: &part{}} }

//go:noinline
func newWhole(n int) *whole {
	w := &whole{name: fmt.Sprint("number ", n), index: map[string]*part{}, data: make([]byte, 700)}
	for i := range w.parts {
		w.parts[i] = newPart()
	}
	w.index[w.name] = w.parts[0]
	return w
}

func TestOneLeakOfManyObjectsIsOneFindingAtItsHolder(t *testing.T) {
	registry, n := map[int]*whole{}, 0
	r, rep := check(t, func() { n++; registry[n] = newWhole(n) })
	f := only(t, rep, memtest.Heap)
	contains(t, f.Site.Function, "newWhole")
	contains(t, f.User.Function, "newWhole") // of this module as well
	contains(t, f.Holder.Function, "TestOneLeakOfManyObjectsIsOneFindingAtItsHolder")
	if f.Objects < 9 || f.PerOp < 1000 || len(f.With) < 3 {
		t.Errorf("all objects of a whole belong to it, got %+v", f)
	}
	contains(t, r.errors[0], "newPart")
}

func TestTwoLeaksAreTwoFindings(t *testing.T) {
	var wholes []*whole
	var parts []*part
	n := 0
	_, rep := check(t, func() {
		n++
		wholes = append(wholes, newWhole(n))
		parts = append(parts, &part{})
	})
	if len(rep.Findings) != 2 {
		t.Fatalf("want two findings, got %v", rep.Findings)
	}
	contains(t, rep.Findings[0].Site.Function, "newWhole")
	contains(t, rep.Findings[1].Site.Function, "TestTwoLeaksAreTwoFindings")
	runtime.KeepAlive(parts)
}

func TestGoroutinesComeFirstWithWhatTheyHold(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	n := 0
	r, rep := check(t, func() {
		wg.Add(1)
		n++
		w := newWhole(n)
		go func() { defer wg.Done(); <-ctx.Done(); w.name = "" }()
	}, memtest.Settle(50*time.Millisecond))
	f := only(t, rep, memtest.Goroutines)
	if f.PerOp != 1 || f.Goroutines != 1 || f.Bytes < 1000 || f.Objects < 9 || f.StackBytes < 1024 {
		t.Errorf("one goroutine per operation with a whole, got %+v", f)
	}
	contains(t, f.Site.Function, "TestGoroutinesComeFirstWithWhatTheyHold")
	contains(t, f.Waits, "chan receive")
	contains(t, r.errors[0], "goroutines left per operation")
}

func TestGoroutinesOnTheirWayOutAreWaitedFor(t *testing.T) {
	release := make(chan struct{})
	go func() { time.Sleep(300 * time.Millisecond); close(release) }()
	r, _ := check(t, func() { go func() { <-release }() }, memtest.Waves(4, 10), memtest.Settle(5*time.Second))
	clean(t, r)
}

func TestConnectionsAreOneFindingWithTheLineThatOpenedThem(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write(make([]byte,
			1<<20))
	}))
	defer srv.Close()
	defer srv.CloseClientConnections()
	tr := &http.Transport{}
	var mu sync.Mutex
	var bodies []io.Closer
	get := func() (*http.Response, error) { return (&http.Client{Transport: tr}).Get(srv.URL) }
	_, rep := check(t, func() { // the body is neither read nor closed
		if resp, err := get(); err == nil {
			mu.Lock()
			bodies = append(bodies, resp.Body)
			mu.Unlock()
		}
	}, memtest.Waves(4, 5), memtest.Settle(50*time.Millisecond))
	for _, b := range bodies {
		b.Close()
	}
	f := only(t, rep, memtest.Connections)
	if f.PerOp != 1 || f.Goroutines != 2 || f.Bytes < 8<<10 {
		t.Errorf("a connection with two goroutines and two buffers per operation, got %+v", f)
	}
	contains(t, f.User.Function, "TestConnectionsAreOneFindingWithTheLineThatOpenedThem.func2")

	shared := &http.Transport{}
	defer shared.CloseIdleConnections()
	r, _ := check(t, func() {
		resp, err := (&http.Client{Transport: shared}).Get(srv.URL)
		if err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}, memtest.Waves(4, 20), memtest.Settle(50*time.Millisecond), memtest.MaxBytesPerOp(64))
	clean(t, r)
}

var sink []byte

func TestPeak(t *testing.T) {
	spool := func() {
		sink = make([]byte, 32<<20)
		for i := 0; i < len(sink); i += 4096 {
			sink[i] = 1
		}
		sink = nil
	}
	_, rep := check(t, spool, memtest.Waves(4, 3), memtest.Peak(8<<20))
	contains(t, only(t, rep, memtest.PeakHeap).Site.Function, "TestPeak")
	if rep.PeakHeap < 32<<20 {
		t.Errorf("a peak of 32 MiB, got %d", rep.PeakHeap)
	}
	r, rep := check(t, func() { sink = make([]byte, 256<<10); sink = nil }, memtest.Waves(4, 50), memtest.Peak(24<<20))
	clean(t, r)
	if rep.PeakHeap <= 0 || rep.PeakHeap >= 24<<20 {
		t.Errorf("a small peak, got %d", rep.PeakHeap)
	}
}
