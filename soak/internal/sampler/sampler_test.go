package sampler

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/profiles/record"
)

// smaps has one mapping of each sort, as Linux 6 writes them.
const smaps = `00400000-00a00000 r-xp 00000000 fe:00 1234                               /bin/subject
Size:               6144 kB
Rss:                4000 kB
Anonymous:             0 kB
Swap:                  0 kB
c000000000-c004000000 rw-p 00000000 00:00 0                              [anon: Go: heap]
Size:              65536 kB
Rss:               30000 kB
Anonymous:         30000 kB
Swap:                 12 kB
7f1200000000-7f1200100000 rw-p 00000000 00:00 0
Size:               1024 kB
Rss:                 500 kB
Anonymous:           500 kB
7f1300000000-7f1300100000 rw-s 00000000 00:01 77                         /memfd:ring (deleted)
Size:               1024 kB
Rss:                 256 kB
Anonymous:             0 kB
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
Size:                132 kB
Rss:                  20 kB
Anonymous:            20 kB
VmFlags: rd wr mr
`

func TestSmapsIsSplitByMapping(t *testing.T) {
	var p record.Process
	require.NoError(t, parseSmaps(strings.NewReader(smaps), &p))
	assert.Equal(t, record.Process{
		RSS: 34776 << 10, Anon: 30520 << 10, File: 4000 << 10, Shmem: 256 << 10,
		HeapArena: 30000 << 10, ArenaSize: 65536 << 10, OtherAnon: 520 << 10, Swap: 12 << 10,
	}, p)
}

// TestHeapIsFoundAtAnyBase has a base as Go 1.26 draws it below the fixed one of earlier releases, and the brk heap of
// a program with cgo beside it.
func TestHeapIsFoundAtAnyBase(t *testing.T) {
	for _, base := range []string{"0c34000000-0c38000000", "c000000000-c004000000", "30c214000000-30c218000000",
		"3ffffc000000-400000000000"} {
		var p record.Process
		require.NoError(t, parseSmaps(strings.NewReader(base+` rw-p 00000000 00:00 0
Rss:               3000 kB
Anonymous:         3000 kB
0e15e000-0e17f000 rw-p 00000000 00:00 0                                  [heap]
Rss:                100 kB
Anonymous:          100 kB
7f1200000000-7f1200100000 rw-p 00000000 00:00 0
Rss:                 20 kB
Anonymous:           20 kB
`), &p))
		assert.Equal(t, int64(3000<<10), p.HeapArena, base)
		assert.Equal(t, int64(120<<10), p.OtherAnon, base)
	}
}

func TestThisProcessIsRead(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED, no /proc")
	}
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	resp, err := http.Get(srv.URL)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, resp.Body) // so that the connection is kept
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	heap := bytes.Repeat([]byte("heap"), 1<<20)
	p, err := readProcess(os.Getpid())
	runtime.KeepAlive(heap)
	require.NoError(t, err)
	assert.Equal(t, p.RSS, p.Anon+p.File+p.Shmem)
	assert.Equal(t, p.Anon, p.HeapArena+p.OtherAnon)
	assert.GreaterOrEqual(t, p.HeapArena, int64(len(heap)))
	assert.GreaterOrEqual(t, p.ArenaSize, p.HeapArena)
	assert.Positive(t, p.FDs)
	assert.Positive(t, p.Threads)
	assert.Positive(t, p.Sockets["listen"])
	assert.Positive(t, p.Sockets["established"])
}

func subjectServer(t *testing.T) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.Handle("/metrics", promhttp.Handler())
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

func TestTheRuntimesAccountIsTheSameFromPprofAndFromMetrics(t *testing.T) {
	srv := subjectServer(t)
	s := &Sampler{Pprof: srv.URL + "/debug/pprof", Metrics: srv.URL + "/metrics"}
	defer s.Close()
	for range 3 { // the readings take memory in this very process until they find it free
		s.Read(t.Context(), true)
	}
	byPprof := s.Read(t.Context(), true).Runtime
	require.NotNil(t, byPprof)
	s.Fine = true
	byMetrics := s.Read(t.Context(), false).Runtime
	require.NotNil(t, byMetrics)
	for _, v := range []*record.Runtime{byPprof, byMetrics} {
		assert.Positive(t, v.HeapAlloc)
		assert.Positive(t, v.StackInuse)
		assert.Positive(t, v.Profiling)
		assert.Positive(t, v.Goroutines)
		assert.Positive(t, v.Mallocs)
	}
	// The readings themselves take memory in this very process, so that two are compared once it has found its size.
	require.Eventually(t, func() bool {
		s.Fine = false
		byPprof = s.Read(t.Context(), true).Runtime
		s.Fine = true
		byMetrics = s.Read(t.Context(), false).Runtime
		return math.Abs(float64(byMetrics.Sys-byPprof.Sys)) <= 0.1*float64(byPprof.Sys) &&
			math.Abs(float64(byMetrics.Metadata-byPprof.Metadata)) <= 0.2*float64(byPprof.Metadata)
	}, time.Minute, time.Millisecond)
	assert.Zero(t, s.Lost())
}

func TestAFineSampledSubjectWithoutMetricsIsAskedOnlyWhenItMatters(t *testing.T) {
	srv := subjectServer(t)
	s := &Sampler{Pprof: srv.URL + "/debug/pprof", Fine: true}
	defer s.Close()
	assert.Nil(t, s.Read(t.Context(), false).Runtime)
	assert.NotNil(t, s.Read(t.Context(), true).Runtime)
}

// The Go collector as it comes says nothing of the collector's CPU time, which a thrashing heap is known by.
func TestTheCollectorsCPUTimeIsReadWhereMetricsLackIt(t *testing.T) {
	srv := subjectServer(t)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector())
	metrics := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	defer metrics.Close()
	runtime.GC()
	s := &Sampler{Pprof: srv.URL + "/debug/pprof", Metrics: metrics.URL, Fine: true}
	defer s.Close()
	assert.Zero(t, s.Read(t.Context(), false).Runtime.GCCPU)
	assert.Positive(t, s.Read(t.Context(), true).Runtime.GCCPU)
}

// TestCollectedReadingHasNoGarbage leaves megabytes of garbage before each reading.
func TestCollectedReadingHasNoGarbage(t *testing.T) {
	srv := subjectServer(t)
	s := &Sampler{Pprof: srv.URL + "/debug/pprof", Fine: true}
	defer s.Close()
	var live []int64
	for range 4 {
		for range 64 {
			garbage = make([]byte, 1<<20)
		}
		garbage = nil
		v, exact := s.ReadCollected(t.Context())
		require.True(t, exact)
		live = append(live, v.Runtime.HeapAlloc)
	}
	assert.Less(t, slices.Max(live[1:])-slices.Min(live[1:]), int64(1<<20))
}

var garbage []byte

func TestGarbageIsCountedAsLostAndNeverKept(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) }))
	defer srv.Close()
	s := &Sampler{Pprof: srv.URL, Metrics: srv.URL}
	defer s.Close()
	v := s.Read(t.Context(), true)
	assert.Nil(t, v.Runtime)
	assert.Nil(t, v.Metrics)
	assert.Positive(t, s.Lost())
	_, err := s.Profile(t.Context(), "heap")
	assert.ErrorContains(t, err, "no gzipped profile")
}

type fixed fault.Counters

func (f fixed) Counters(context.Context) (fault.Counters, error) { return fault.Counters(f), nil }

func TestCovariatesOfFrozenStates(t *testing.T) {
	drive := fixed{FilesListed: 70, ListPages: 3, Backlog: 34, InFlight: 4, BytesInFlight: 4096, ConnsOpen: 5,
		ConnsIdle: 1, Largest: 2048}
	sink := fixed{FilesFinished: 36, Finished: 50, Distinct: 30, Bytes: 9999, InFlight: 3, FilesInFlight: 1,
		BytesInFlight: 1024, ConnsOpen: 2}
	s := &Sampler{Drive: drive, S3: sink}
	c := s.Covariates(t.Context())
	assert.EqualValues(t, 30, c.Backlog, "those in flight are no backlog")
	assert.EqualValues(t, 4, c.InFlight)
	assert.EqualValues(t, 7, c.ConnsOpen)
	assert.EqualValues(t, 36, c.FilesDone)
	s.Held.Store(&fault.HoldStatus{Hold: fault.Hold{Point: fault.DownloadHeader}, Waiting: 4, BytesWaiting: 4096})
	c = s.Covariates(t.Context())
	assert.EqualValues(t, 4, c.AtHeader)
	assert.EqualValues(t, 1024, c.BytesInFlight, "only bodies that have begun")
	s.Held.Store(&fault.HoldStatus{Hold: fault.Hold{Point: fault.UploadReply}, Waiting: 3, BytesWaiting: 3000})
	c = s.Covariates(t.Context())
	assert.EqualValues(t, 3, c.WithBody)
	assert.EqualValues(t, 3000, c.BytesSent)
}

// TestWaitingIsNoError has fakes that are slow by plan: a leak per error would be held to as many errors as requests.
func TestWaitingIsNoError(t *testing.T) {
	s := &Sampler{Drive: fixed{FaultsFired: 900, FaultsHarmful: 2, Failed: 1}, S3: fixed{FaultsFired: 700,
		FaultsHarmful: 3}}
	assert.EqualValues(t, 6, s.Covariates(t.Context()).Failed)
}

// TestMetricsOfWorkAreAddedUpAmongVeryMany has ten times as many series as a sample keeps.
func TestMetricsOfWorkAreAddedUpAmongVeryMany(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := range 10 * maxMetrics {
			fmt.Fprintf(w, "other_total{n=\"%d\"} 1\n", i)
		}
		fmt.Fprint(w, "requests_total{code=\"200\"} 30\nrequests_total{code=\"500\"} 12\n")
	}))
	defer server.Close()
	s := Sampler{Metrics: server.URL, Work: []string{"requests_total"}}
	defer s.Close()
	done, ok := s.Done(t.Context())
	assert.True(t, ok)
	assert.InDelta(t, 42, done, 0)
	read := s.Read(t.Context(), false)
	assert.LessOrEqual(t, len(read.Metrics), maxMetrics+2)
	s.Work = []string{"requests"}
	_, ok = s.Done(t.Context())
	assert.False(t, ok, "there is no such metric")
}

func TestTheSubjectIsNotAskedToCompress(t *testing.T) {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector())
	var encodings []string
	h := promhttp.HandlerFor(r, promhttp.HandlerOpts{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		encodings = append(encodings, w.Header().Get("Content-Encoding"))
	}))
	s := Sampler{Metrics: server.URL}
	_, exposed := s.metrics(t.Context())
	s.Close()
	server.Close() // waits for the handler
	require.NotNil(t, exposed)
	assert.Equal(t, []string{""}, encodings, "compression costs the subject")
}

// TestSilenceIsThreeReadingsOfOnePageInARow: an answer between them, or one of another page, doesn't count.
func TestSilenceIsThreeReadingsOfOnePageInARow(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if asked.Add(1); r.URL.Query().Get("gc") == "" {
			<-r.Context().Done()
		}
	}))
	defer server.Close()
	var told []error
	s := Sampler{Pprof: server.URL, Patience: 20 * time.Millisecond, OnSilent: func(err error) {
		told = append(told, err)
	}}
	defer s.Close()
	for _, kind := range []string{"heap", "heap", "heap?gc=1", "heap", "goroutine", "heap", "goroutine"} {
		s.Patience = time.Minute // what answers has the time for it
		if !strings.Contains(kind, "gc") {
			s.Patience = 20 * time.Millisecond
		}
		_, err := s.Profile(t.Context(), kind)
		require.Error(t, err)
		require.NotErrorIs(t, err, ErrSilent)
	}
	require.Empty(t, told)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Profile(gone, "heap")
	require.Error(t, err)
	require.Empty(t, told, "that the caller has no time says nothing about the subject")
	_, err = s.Profile(t.Context(), "heap")
	require.ErrorContains(t, err, "no whole answer within 20ms")
	require.Len(t, told, 1)
	require.ErrorIs(t, told[0], ErrSilent)
	before := asked.Load()
	_, err = s.Profile(t.Context(), "goroutine")
	require.ErrorIs(t, err, ErrSilent)
	assert.Equal(t, before, asked.Load(), "it is asked no more")
}
