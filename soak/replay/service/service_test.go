package service

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive"
	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/internal/needs"
	"github.com/memsoak/memsoak/soak/internal/fakes3"
	"github.com/memsoak/memsoak/soak/replay/history"
)

// world is a Drive with a tree and a sink, and the requests to the Drive.
type world struct {
	drive, sink *httptest.Server
	root        fault.Root
	broker      string

	mu    sync.Mutex
	asked []string // "list", "download" or "range", in their order
	// meddle may answer a download in the Drive's place.
	meddle func(w http.ResponseWriter, r *http.Request, n int) bool
	n      int // downloads so far
}

const spec = "seed: 7\nfiles: 40\nfolders: 12\ndepth: 3\nsize: {classes: [{share: 30, fixed: 700}, {share: 8, fixed: " +
	"9000}, {share: 2, fixed: 0}]}\n"

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	drive, err := fakedrive.New(fakedrive.DefaultConfig())
	require.NoError(t, err)
	parsed, err := corpus.ParseSpec([]byte(spec))
	require.NoError(t, err)
	w.root, err = drive.AddRoot(parsed, 1)
	require.NoError(t, err)
	w.drive = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !w.note(rw, r) {
			drive.ServeHTTP(rw, r)
		}
	}))
	sink, err := fakes3.New(fakes3.Config{Buckets: []string{"bucket"}, MinPart: 1})
	require.NoError(t, err)
	w.sink = httptest.NewServer(sink)
	t.Cleanup(func() {
		w.drive.Close()
		w.sink.Close()
		require.NoError(t, drive.Close())
	})
	return w
}

// note writes down a request, and says whether it was answered already.
func (w *world) note(rw http.ResponseWriter, r *http.Request) bool {
	w.mu.Lock()
	what := "list"
	if r.URL.Query().Get("alt") == "media" {
		what = "download"
		if r.Header.Get("Range") != "" {
			what = "range"
		}
		w.n++
	}
	if !strings.HasPrefix(r.URL.Path, fault.AdminPrefix) {
		w.asked = append(w.asked, what)
	}
	n, meddle := w.n, w.meddle
	w.mu.Unlock()
	return what != "list" && meddle != nil && meddle(rw, r, n)
}

func (w *world) count(what string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, a := range w.asked {
		if a == what {
			n++
		}
	}
	return n
}

// stored lists the sink's objects: key to size.
func (w *world) stored(t *testing.T) map[string]int64 {
	t.Helper()
	resp, err := http.Get(w.sink.URL + fault.AdminPrefix + "objects?bucket=bucket")
	require.NoError(t, err)
	defer resp.Body.Close()
	out := map[string]int64{}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		var o struct {
			Key  string
			Size int64
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &o))
		out[o.Key] = o.Size
	}
	return out
}

// traits are those of a version, at the size of the test's files.
func traits(t *testing.T, preset string) history.Traits {
	t.Helper()
	p, err := history.Find(preset)
	require.NoError(t, err)
	tr := p.Traits
	tr.PartSize, tr.BufferBelow, tr.ForceGCAbove = 2000, min(tr.BufferBelow, 1000), 0
	return tr
}

func (w *world) service(t *testing.T, tr history.Traits) *Service {
	t.Helper()
	s, err := New(Config{Drive: w.drive.URL, S3: w.sink.URL, Bucket: "bucket", Traits: tr, Broker: w.broker,
		TempDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// redisURL starts a Redis for one test alone.
func redisURL(t *testing.T) string {
	t.Helper()
	path := needs.Get(t, "redis-server")
	dir, err := os.MkdirTemp("", "redis-") // the path of a socket is short
	require.NoError(t, err)
	socket := filepath.Join(dir, "redis.sock")
	cmd := exec.Command(path, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", dir)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		assert.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait() // that it was killed is its error
		assert.NoError(t, os.RemoveAll(dir))
	})
	require.Eventually(t, func() bool {
		c, err := net.Dial("unix", socket)
		if err != nil {
			return false
		}
		return c.Close() == nil
	}, time.Minute, 5*time.Millisecond)
	return "unix://" + socket
}

func TestEachVersionAndRemedyCopiesTheTree(t *testing.T) {
	change := map[string]func(*history.Traits){
		"spool":  func(tr *history.Traits) { tr.Discovery = history.DiscoverySpool },
		"chunks": func(tr *history.Traits) { tr.Upload = history.UploadChunks },
		"put":    func(tr *history.Traits) { tr.Upload, tr.Attempts = history.UploadPut, 1 },
		"broker": func(tr *history.Traits) { tr.Discovery = history.DiscoveryBroker },
	}
	for _, name := range append(history.Names(), "spool", "chunks", "put", "broker") {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if name == "broker" {
				w.broker = redisURL(t)
			}
			preset := name
			if change[name] != nil {
				preset = "v2.4.1-single-worker"
			}
			tr := traits(t, preset)
			if c := change[name]; c != nil {
				c(&tr)
			}
			service := w.service(t, tr)
			if name == "broker" { // what an earlier wave left there is not in the way
				_, err := service.Run(t.Context(), w.root.ID, "wave/1")
				require.NoError(t, err)
			}
			stats, err := service.Run(t.Context(), w.root.ID, "wave/1")
			require.NoError(t, err)
			assert.EqualValues(t, w.root.Files, stats.Files)
			assert.Equal(t, w.root.Bytes, stats.Bytes)
			var bytes int64
			got := w.stored(t)
			for key, size := range got {
				assert.True(t, strings.HasPrefix(key, "wave/1/"), key)
				bytes += size
			}
			assert.Len(t, got, int(w.root.Files), "no two files of this tree have the same path")
			assert.Equal(t, w.root.Bytes, bytes)
		})
	}
}

// TestNoUploadBeginsBeforeTheLastListing: the history lists everything first, and so does its remedy.
func TestNoUploadBeginsBeforeTheLastListing(t *testing.T) {
	for _, discovery := range []string{history.DiscoveryMemory, history.DiscoverySpool} {
		w := newWorld(t)
		tr := traits(t, "v2.3.6")
		tr.Discovery = discovery
		_, err := w.service(t, tr).Run(t.Context(), w.root.ID, "")
		require.NoError(t, err)
		lists := w.count("list")
		require.Greater(t, lists, 12, "a page a folder at least")
		for i, a := range w.asked {
			assert.Equal(t, i < lists, a == "list", "%s: request %d of %d is a %s", discovery, i, len(w.asked), a)
		}
	}
}

// waiting counts the goroutines that are in a function.
func waiting(t *testing.T, function string) int {
	t.Helper()
	var b strings.Builder
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&b, 2))
	n := 0
	for g := range strings.SplitSeq(b.String(), "\n\n") {
		if strings.Contains(g, function) {
			n++
		}
	}
	return n
}

// TestEachFileHasAGoroutineUnlessSpooled: this is what the history's memory turns out to be.
func TestEachFileHasAGoroutineUnlessSpooled(t *testing.T) {
	for discovery, function := range map[string]string{history.DiscoveryMemory: "(*run).worker(",
		history.DiscoverySpool: "(*run).take("} {
		w := newWorld(t)
		release := make(chan struct{})
		w.meddle = func(_ http.ResponseWriter, r *http.Request, _ int) bool {
			select {
			case <-release:
			case <-r.Context().Done():
			}
			return false
		}
		tr := traits(t, "v2.4.0")
		tr.Discovery = discovery
		s := w.service(t, tr)
		done := make(chan error, 1)
		go func() { _, err := s.Run(t.Context(), w.root.ID, ""); done <- err }()
		want := tr.Workers
		if discovery == history.DiscoveryMemory {
			want = int(w.root.Files)
		}
		require.Eventually(t, func() bool { return w.count("download") == tr.Workers && waiting(t, function) == want },
			time.Minute, 5*time.Millisecond, discovery)
		close(release)
		require.NoError(t, <-done)
		require.Eventually(t, func() bool { return waiting(t, function) == 0 }, time.Minute, 5*time.Millisecond)
	}
}

// cutOnce breaks the first so many downloads off in the middle.
func cutOnce(times int) func(http.ResponseWriter, *http.Request, int) bool {
	return func(w http.ResponseWriter, _ *http.Request, n int) bool {
		if n > times {
			return false
		}
		w.Header().Set("Content-Length", "700")
		_, _ = io.WriteString(w, "not all")
		return true
	}
}

func TestAFailedAttemptBeginsAgainFromTheFirstByte(t *testing.T) {
	w := newWorld(t)
	w.meddle = cutOnce(1)
	tr := traits(t, "v2.4.1-single-worker")
	_, err := w.service(t, tr).Run(t.Context(), w.root.ID, "")
	require.NoError(t, err)
	assert.Equal(t, int(w.root.Files)+1, w.count("download"))
	assert.Zero(t, w.count("range"))
	assert.Len(t, w.stored(t), int(w.root.Files))
}

func TestFilesThatKeepFailingAreTheWavesError(t *testing.T) {
	w := newWorld(t)
	w.meddle = cutOnce(3)
	tr := traits(t, "v2.4.1-single-worker")
	stats, err := w.service(t, tr).Run(t.Context(), w.root.ID, "")
	require.ErrorContains(t, err, "1 of 40 files failed")
	assert.EqualValues(t, 39, stats.Files, "the others are copied")
	assert.Len(t, w.stored(t), 39, "half a file is not stored")
}

func TestTheTimeoutIsOfAWholeRequest(t *testing.T) {
	w := newWorld(t)
	ended := make(chan struct{})
	w.meddle = func(rw http.ResponseWriter, r *http.Request, n int) bool {
		if n > 1 {
			return false
		}
		rw.Header().Set("Content-Length", "700")
		_, _ = io.WriteString(rw, "the header is in time, the body never ends")
		rw.(http.Flusher).Flush()
		<-r.Context().Done() // the client has given up
		close(ended)
		return true
	}
	tr := traits(t, "v2.4.1-single-worker")
	tr.Timeout = 500 * time.Millisecond
	tr.Attempts = 20 // of which a slow machine may need more than two
	_, err := w.service(t, tr).Run(t.Context(), w.root.ID, "")
	require.NoError(t, err)
	<-ended
	assert.Len(t, w.stored(t), int(w.root.Files))
}

func TestChunksAreTakenUpWhereTheyBrokeOff(t *testing.T) {
	w := newWorld(t)
	large := 0
	w.meddle = func(rw http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Header.Get("Range") != "bytes=4000-" {
			return false
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		large++
		if large > 1 {
			return false
		}
		rw.Header().Set("Content-Length", "5000")
		rw.Header().Set("Content-Range", "bytes 4000-8999/9000")
		rw.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(rw, "not all of the third part")
		return true
	}
	tr := traits(t, "v2.4.1-single-worker")
	tr.Upload = history.UploadChunks
	_, err := w.service(t, tr).Run(t.Context(), w.root.ID, "")
	require.NoError(t, err)
	assert.Len(t, w.stored(t), int(w.root.Files))
	assert.Equal(t, int(w.root.Files), w.count("download"), "no file is begun anew")
	assert.Equal(t, 8*4+1, w.count("range"), "eight files of five parts, and one part once more")
}

func TestACollectionIsForcedAboveAHeap(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	assert.True(t, collectAbove(1))
	runtime.ReadMemStats(&after)
	assert.Greater(t, after.NumForcedGC, before.NumForcedGC)
	assert.False(t, collectAbove(1<<50))
	stop := forceGC(1 << 50)
	stop()
	require.Eventually(t, func() bool { return waiting(t, "service.forceGC") == 0 }, time.Minute, time.Millisecond)
}

func TestBadSettingsAreRefused(t *testing.T) {
	good := Config{Drive: "http://127.0.0.1:1", S3: "http://127.0.0.1:2", Bucket: "b", Traits: traits(t, "v2.3.6")}
	for want, change := range map[string]func(*Config){
		"no bucket":         func(c *Config) { c.Bucket = "" },
		`drive endpoint ""`: func(c *Config) { c.Drive = "" },
		`s3 endpoint "x"`:   func(c *Config) { c.S3 = "x" },
		"workers 0":         func(c *Config) { c.Traits.Workers = 0 },
		`discovery "tape"`:  func(c *Config) { c.Traits.Discovery = "tape" },
		`upload "tape"`:     func(c *Config) { c.Traits.Upload = "tape" },
	} {
		c := good
		change(&c)
		_, err := New(c)
		assert.ErrorContains(t, err, want)
	}
}
