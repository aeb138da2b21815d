package load_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak/internal/load"
)

func engine(t *testing.T, targets ...load.Target) *load.Engine {
	t.Helper()
	s := &load.Spec{Targets: targets}
	require.NoError(t, s.Check())
	e, err := load.NewEngine(s)
	require.NoError(t, err)
	t.Cleanup(e.CloseIdle)
	return e
}

func TestAWaveMakesExactlyItsRequestsWithFreshKeys(t *testing.T) {
	var mu sync.Mutex
	var paths []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		paths = append(paths, r.URL.Path)
	}))
	defer srv.Close()
	e := engine(t, load.Target{URL: "{{.base}}/q/{{.key}}"})
	values := map[string]string{"base": srv.URL}
	for _, keys := range []string{"a", "b", "a"} {
		res, err := e.Run(t.Context(), load.Wave{Requests: 50, Concurrency: 4, Keys: keys}, values)
		require.NoError(t, err)
		require.NoError(t, res.Err())
		assert.EqualValues(t, 50, res.Sent)
		assert.EqualValues(t, 50, res.Distinct)
	}
	assert.Len(t, paths, 150)
	slices.Sort(paths)
	assert.Len(t, slices.Compact(paths), 100, "the third wave repeated the first one's keys")
}

func TestAllOfTheConcurrencyIsInFlight(t *testing.T) {
	var now atomic.Int64
	all := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if now.Add(1) == 32 {
			close(all)
		}
		<-all
	}))
	defer srv.Close()
	res, err := engine(t, load.Target{URL: srv.URL}).Run(t.Context(), load.Wave{Requests: 32, Concurrency: 32}, nil)
	require.NoError(t, err)
	assert.EqualValues(t, 32, res.Sent)
	assert.EqualValues(t, 1, res.Distinct)
}

func TestBodiesOfASizeAreStreamedWithTheirLength(t *testing.T) {
	var got, length atomic.Int64
	var start atomic.Value
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got.Store(int64(len(b)))
		length.Store(r.ContentLength)
		start.Store(string(b[:20]))
	}))
	defer srv.Close()
	e := engine(t, load.Target{Method: "POST", URL: srv.URL, Body: `{"n":{{.n}},"data":"{{.blob}}"}`})
	_, err := e.Run(t.Context(), load.Wave{Requests: 1, Concurrency: 1, Size: 1 << 20}, nil)
	require.NoError(t, err)
	assert.EqualValues(t, 1<<20+len(`{"n":1,"data":""}`), got.Load())
	assert.Equal(t, got.Load(), length.Load())
	assert.Equal(t, `{"n":1,"data":"memso`, start.Load())
}

func TestAChunkedBodyIsSentWithoutItsLength(t *testing.T) {
	var length int64
	var sent []byte
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		length = r.ContentLength
		sent, _ = io.ReadAll(r.Body)
	}))
	defer srv.Close()
	e := engine(t, load.Target{Method: "PUT", URL: srv.URL, Body: "{{.blob}}", Headers: map[string]string{
		"Transfer-Encoding": "chunked"}})
	_, err := e.Run(t.Context(), load.Wave{Requests: 1, Concurrency: 1, Size: 1000}, nil)
	require.NoError(t, err)
	assert.EqualValues(t, -1, length)
	assert.Len(t, sent, 1000)
}

func TestFailuresAreCountedAndTheFirstIsNamed(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", 500) }))
	e := engine(t, load.Target{URL: srv.URL + "/a?secret=1"})
	res, err := e.Run(t.Context(), load.Wave{Requests: 5, Concurrency: 1}, nil)
	require.NoError(t, err)
	assert.EqualError(t, res.Err(),
		"5 of 5 requests failed; the first: GET /a: it was answered with 500 Internal Server Error")
	srv.Close()
	res, err = e.Run(t.Context(), load.Wave{Requests: 1, Concurrency: 1}, nil)
	require.NoError(t, err)
	assert.ErrorContains(t, res.Err(), "connection refused")
}

func TestExpectedStatusesAreNoFailure(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	s := &load.Spec{Targets: []load.Target{{URL: srv.URL}}, Expect: []int{404}}
	require.NoError(t, s.Check())
	e, err := load.NewEngine(s)
	require.NoError(t, err)
	defer e.CloseIdle()
	res, err := e.Run(t.Context(), load.Wave{Requests: 3, Concurrency: 1}, nil)
	require.NoError(t, err)
	assert.NoError(t, res.Err())
}

func TestAWaveEndsWithItsContext(t *testing.T) {
	stop := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-stop }))
	defer srv.Close()
	defer close(stop)
	why := errors.New("the wave took too long")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
	_, err := engine(t, load.Target{URL: srv.URL}).Run(ctx, load.Wave{Requests: 3, Concurrency: 3}, nil)
	assert.ErrorIs(t, err, why)
}

func TestACommandIsAWaveAndItsFailureIsQuoted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out")
	require.NoError(t, load.Command(t.Context(), load.Run{Args: []string{"sh", "-c", `echo "$MEMSOAK_REQUESTS" > ` + file},
		Env: []string{"MEMSOAK_REQUESTS=7"}}))
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "7\n", string(b))
	err = load.Command(t.Context(), load.Run{Args: []string{"sh", "-c", "echo starting; echo no such host >&2; exit 3"}})
	assert.ErrorContains(t, err, "exit status 3): no such host")
}

func TestACommandThatNeverEndsIsEndedWithAllThatItStarted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the wave took too long")
	done := make(chan error, 1)
	go func() {
		done <- load.Command(ctx, load.Run{Args: []string{"sh", "-c", "sleep 300 & echo $! > " + file + "; wait"}})
	}()
	require.Eventually(t, func() bool { b, err := os.ReadFile(file); return err == nil && len(b) > 1 }, 10*time.Second,
		time.Millisecond)
	cancel(why)
	require.ErrorIs(t, <-done, why)
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(b)) + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z")
	}, 10*time.Second, time.Millisecond, "the command's child has ended")
}

func TestWrongLoadsAreRefusedWithTheReason(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                                  "one of targets, command and consume",
		`{targets: [{method: GET}]}`:          "targets[0] has no url",
		`{targets: [{url: "http://a/{{.x"}]}`: "targets[0].url",
		`{targets: [{url: "http://a/{{.blob}}"}]}`:          "belongs into a body",
		`{consume: {for: 1s}}`:                              "a counter of the subject's metrics or an upstream",
		`{targets: [{url: "http://a"}], command: ["true"]}`: "one of targets, command and consume",
	} {
		var s load.Spec
		require.NoError(t, yaml.Unmarshal([]byte(text), &s), text)
		err := s.Check()
		require.ErrorIs(t, err, load.ErrInvalid, text)
		assert.ErrorContains(t, err, want, text)
	}
}
