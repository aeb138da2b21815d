package memtest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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

func check(t *testing.T, op func(), opts ...memtest.Option) (*recorder, *memtest.Report) {
	t.Helper()
	r := &recorder{}
	return r, memtest.Check(r, op, opts...)
}

type keeper struct{ kept [][]byte }

func (k *keeper) keep() { k.kept = append(k.kept, make([]byte, 100)) }

func TestALeakIsCountedExactlyAndNamed(t *testing.T) {
	k := &keeper{kept: make([][]byte, 0, 10_000)} // the backing array itself doesn't grow
	r, rep := check(t, k.keep)
	require.Len(t, rep.Findings, 1)
	f := rep.Findings[0]
	assert.Equal(t, memtest.Heap, f.Kind)
	assert.Equal(t, 112.0, f.PerOp, "100 bytes live in the size class of 112")
	assert.Equal(t, int64(112*rep.Ops), f.Total)
	assert.Contains(t, f.Site, "(*keeper).keep memtest_test.go:")
	require.Len(t, r.errors, 1)
	assert.Contains(t, r.errors[0], "(*keeper).keep")
}

func TestASmallLeakInAMapIsSeen(t *testing.T) {
	m, n := map[int]*int64{}, 0
	_, rep := check(t, func() { n++; m[n] = new(int64) })
	require.NotEmpty(t, rep.Findings)
	assert.Contains(t, rep.Findings[0].Site, "TestASmallLeakInAMapIsSeen")
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
	assert.Empty(t, r.errors)
	assert.Len(t, rep.Floors, memtest.DefaultWaves+1)
}

// The runtime's own table of timers grows as well, and stays: only the timers count, which are kept here.
func TestTimersThatAreNeverStoppedAreSeen(t *testing.T) {
	var timers []*time.Timer
	_, rep := check(t, func() { timers = append(timers, time.AfterFunc(time.Hour, func() {})) })
	for _, x := range timers {
		x.Stop()
	}
	require.NotEmpty(t, rep.Findings)
	assert.Contains(t, rep.Findings[0].Site, "TestTimersThatAreNeverStoppedAreSeen")
	for _, f := range rep.Findings {
		assert.NotContains(t, strings.Join(f.Stack, " "), "addHeap")
	}
}

func TestACacheThatFillsInTheEarlyWavesPasses(t *testing.T) {
	cache, n := map[int][]byte{}, 0
	r, _ := check(t, func() {
		if n < 200 { // full after 3 of 8 waves
			cache[n] = make([]byte, 1000)
		}
		n++
	})
	assert.Empty(t, r.errors)
}

func TestMaxBytesPerOpAllowsWhatIsMeant(t *testing.T) {
	k := &keeper{kept: make([][]byte, 0, 10_000)}
	r, _ := check(t, k.keep, memtest.MaxBytesPerOp(112))
	assert.Empty(t, r.errors)
	r, _ = check(t, k.keep, memtest.MaxBytesPerOp(111))
	assert.Len(t, r.errors, 1)
}

func TestIgnore(t *testing.T) {
	k := &keeper{kept: make([][]byte, 0, 10_000)}
	r, _ := check(t, k.keep, memtest.Ignore("github.com/memsoak/memsoak/profiles/memtest_test.(*keeper)"))
	assert.Empty(t, r.errors)
}

func TestGoroutinesLeftAreNamedByWhoStartedThem(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	_, rep := check(t, func() {
		wg.Add(1)
		go func() { defer wg.Done(); <-ctx.Done() }()
	}, memtest.Waves(4, 20), memtest.Settle(50*time.Millisecond), memtest.MaxBytesPerOp(1e6))
	require.Len(t, rep.Findings, 1)
	assert.Equal(t, memtest.Goroutines, rep.Findings[0].Kind)
	assert.Equal(t, 1.0, rep.Findings[0].PerOp)
	assert.Contains(t, rep.Findings[0].Site, "TestGoroutinesLeftAreNamedByWhoStartedThem")
}

func TestGoroutinesOnTheirWayOutAreWaitedFor(t *testing.T) {
	r, _ := check(t, func() { go time.Sleep(20 * time.Millisecond) }, memtest.Waves(4, 10), memtest.MaxBytesPerOp(1e6))
	assert.Empty(t, r.errors)
}

func TestConnectionsLeftOpen(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
	defer srv.Close()
	var mu sync.Mutex
	var transports []*http.Transport
	get := func(tr *http.Transport) {
		resp, err := (&http.Client{Transport: tr}).Get(srv.URL)
		if assert.NoError(t, err) {
			_, err = io.Copy(io.Discard, resp.Body)
			assert.NoError(t, err)
			resp.Body.Close()
		}
	}
	defer func() {
		for _, tr := range transports {
			tr.CloseIdleConnections()
		}
	}()
	_, rep := check(t, func() { // a transport per request keeps a connection per request
		tr := &http.Transport{}
		mu.Lock()
		transports = append(transports, tr)
		mu.Unlock()
		get(tr)
	}, memtest.Waves(4, 5), memtest.Settle(50*time.Millisecond))
	kinds := map[memtest.Kind]int{}
	for _, f := range rep.Findings {
		kinds[f.Kind]++
	}
	assert.Positive(t, kinds[memtest.Connections])
	assert.Positive(t, kinds[memtest.Goroutines])

	shared := &http.Transport{}
	defer shared.CloseIdleConnections()
	r, _ := check(t, func() { get(shared) }, memtest.Waves(4, 20), memtest.Settle(50*time.Millisecond), memtest.MaxBytesPerOp(64))
	assert.Empty(t, r.errors)
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
	r, rep := check(t, spool, memtest.Waves(4, 3), memtest.Peak(8<<20))
	require.Len(t, r.errors, 1)
	assert.GreaterOrEqual(t, rep.PeakHeap, int64(32<<20))
	assert.Contains(t, rep.Findings[0].Site, "TestPeak")

	r, rep = check(t, func() { sink = make([]byte, 1<<10); sink = nil }, memtest.Waves(4, 50), memtest.Peak(24<<20))
	assert.Empty(t, r.errors)
	assert.Less(t, rep.PeakHeap, int64(24<<20))
}

func TestAParallelTestIsRefused(t *testing.T) {
	ran := false
	r := &recorder{parallel: true}
	memtest.Check(r, func() { ran = true })
	require.Len(t, r.errors, 1)
	assert.Contains(t, r.errors[0], "t.Parallel")
	assert.False(t, ran)
}

func TestARealParallelTestIsRefused(t *testing.T) {
	t.Run("parallel", func(t *testing.T) {
		t.Parallel()
		errs := 0
		memtest.Check(counting{t, &errs}, func() {})
		assert.Equal(t, 1, errs)
	})
}

type counting struct {
	*testing.T
	n *int
}

func (c counting) Errorf(string, ...any) { *c.n++ }

func TestASecondCheckAtTheSameTimeIsRefused(t *testing.T) {
	inner := &recorder{}
	check(t, func() { memtest.Check(inner, func() {}) }, memtest.Waves(4, 1), memtest.MaxBytesPerOp(1e6))
	require.NotEmpty(t, inner.errors)
	assert.Contains(t, inner.errors[0], "another Check")
}
