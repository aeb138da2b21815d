package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/memsoak/memsoak/fakedrive"
	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testbed is a service between a Drive and a store that run in this process.
type testbed struct {
	t     *testing.T
	url   string
	drive *fakedrive.Server
	v     *service
	stop  func() // begins the graceful stop
	root  string
}

const tree = "seed: 1\nfiles: 30\nfolders: 3\nsize: 1KiB\n"

func newTestbed(t *testing.T) *testbed {
	spec, err := corpus.ParseSpec([]byte(tree))
	require.NoError(t, err)
	b := &testbed{t: t}
	b.drive, err = fakedrive.New(fakedrive.DefaultConfig())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.drive.Close()) })
	root, err := b.drive.AddRoot(spec, 1)
	require.NoError(t, err)
	b.root = root.ID
	drive := httptest.NewServer(b.drive)
	t.Cleanup(drive.Close)
	mem := s3mem.New()
	require.NoError(t, mem.CreateBucket("archive"))
	store := httptest.NewServer(gofakes3.New(mem).Server())
	t.Cleanup(store.Close)

	s := newSettings()
	s.wire.DriveEndpoint, s.wire.S3Endpoint, s.wire.Bucket = drive.URL, store.URL, "archive"
	s.copy.Backoff, s.copy.BackoffMax, s.copy.Attempts = time.Millisecond, time.Millisecond, 2
	s.copy.Stats = &migrator.Stats{}
	s.stateDir = t.TempDir()
	e, err := wire.Open(t.Context(), s.wire)
	require.NoError(t, err)
	t.Cleanup(e.Close)
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.v = &service{s: s, engine: e, hard: context.Background(), stop: ctx.Done(), jobs: map[string]*running{}}
	srv := httptest.NewServer(b.v.handler())
	t.Cleanup(func() { stop(); b.v.wait(); srv.Close(); http.DefaultClient.CloseIdleConnections() })
	b.url = srv.URL
	return b
}

// faults steers the Drive; an empty plan ends them.
func (b *testbed) faults(plan string) {
	_, err := b.drive.Control().SetPlanText([]byte(plan))
	require.NoError(b.t, err)
}

// call makes a request and returns its status and JSON.
func (b *testbed) call(method, path, body string) (int, map[string]any) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(body))
	require.NoError(b.t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(b.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(b.t, err)
	out := map[string]any{}
	if json.Unmarshal(raw, &out) != nil {
		out["text"] = string(raw)
	}
	return resp.StatusCode, out
}

func (b *testbed) ask(prefix string) string {
	return fmt.Sprintf(`{"root":%q,"prefix":%q}`, b.root, prefix)
}

func TestServeRunsAMigration(t *testing.T) {
	b := newTestbed(t)
	code, j := b.call("POST", "/v1/migrations?wait=true", b.ask("one"))
	require.Equal(t, 200, code, "%v", j)
	assert.Equal(t, "done", j["state"])
	assert.EqualValues(t, 30, j["totals"].(map[string]any)["copied"])
	code, again := b.call("GET", "/v1/migrations/"+j["id"].(string), "")
	assert.Equal(t, 200, code)
	assert.Equal(t, j, again)

	code, j = b.call("POST", "/v1/migrations?wait=true", b.ask("one"))
	require.Equal(t, 200, code)
	assert.EqualValues(t, 30, j["totals"].(map[string]any)["skipped"], "all is there already")

	_, metrics := b.call("GET", "/metrics", "")
	assert.Contains(t, metrics["text"], "migrator_files_copied_total 30\n")
	assert.Contains(t, metrics["text"], "migrator_files_skipped_total 30\n")
	code, health := b.call("GET", "/healthz", "")
	assert.Equal(t, 200, code)
	assert.Equal(t, "ok\n", health["text"])
	code, index := b.call("GET", "/debug/pprof/", "")
	assert.Equal(t, 200, code)
	assert.Contains(t, index["text"], "goroutine")
}

func TestServeRefusesWhatMakesNoSense(t *testing.T) {
	b := newTestbed(t)
	for body, want := range map[string]string{
		"":                                   "body: EOF; want {",
		"[]":                                 "cannot unmarshal array",
		`{"root":"x","prefix":"p","more":1}`: `unknown field \"more\"`,
		`{"prefix":"p"}`:                     "no root",
		`{"root":"x","prefix":"` + strings.Repeat("p", 600) + `"}`: "prefix: at most 512 bytes, have 600",
	} {
		code, j := b.call("POST", "/v1/migrations", body)
		assert.Equal(t, 400, code, body)
		assert.Contains(t, j["error"], strings.ReplaceAll(want, `\"`, `"`), body)
	}
	code, j := b.call("GET", "/v1/migrations/none", "")
	assert.Equal(t, 404, code)
	assert.Equal(t, `no migration "none"`, j["error"])
	code, _ = b.call("DELETE", "/v1/migrations", "")
	assert.Equal(t, 405, code)
}

// TestServeTellsFailures: a root that isn't there is 502, files that fail are 500, each with the reason.
func TestServeTellsFailures(t *testing.T) {
	b := newTestbed(t)
	code, j := b.call("POST", "/v1/migrations?wait=true", `{"root":"nowhere","prefix":"p"}`)
	assert.Equal(t, 502, code)
	assert.Equal(t, "failed", j["state"])
	assert.Contains(t, j["error"], "root folder nowhere")

	b.faults("rules:\n  - {ops: [download], error: {status: 500, reason: internalError}}\n")
	code, j = b.call("POST", "/v1/migrations?wait=true", b.ask("p"))
	assert.Equal(t, 500, code)
	assert.Equal(t, "30 files weren't copied", j["error"])
	assert.EqualValues(t, 30, j["totals"].(map[string]any)["failed"])
	b.faults("")
	code, j = b.call("POST", "/v1/migrations?wait=true", b.ask("p"))
	assert.Equal(t, 200, code, "%v", j)
}

// TestServeJoinsAndStops: asking twice for the same work gets one migration, a stop lets it end and takes no other, and
// the next process continues with the rest.
func TestServeJoinsAndStops(t *testing.T) {
	b := newTestbed(t)
	b.v.s.copy.Workers = 1
	b.faults("rules:\n  - {ops: [download], latency: 20ms}\n")
	code, first := b.call("POST", "/v1/migrations", b.ask("p"))
	require.Equal(t, 202, code)
	id := first["id"].(string)
	code, second := b.call("POST", "/v1/migrations", b.ask("p"))
	assert.Equal(t, 202, code)
	assert.Equal(t, id, second["id"])
	assert.Len(t, b.v.jobs, 1)
	_, j := b.call("GET", "/v1/migrations/"+id, "")
	assert.Equal(t, "running", j["state"])

	for b.v.s.copy.Stats.Copied.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	b.stop()
	b.v.wait()
	_, j = b.call("GET", "/v1/migrations/"+id, "")
	assert.Contains(t, j["error"], migrator.ErrStopped.Error())
	copied := j["totals"].(map[string]any)["copied"].(float64)
	assert.Less(t, copied, 30.0)
	code, j = b.call("POST", "/v1/migrations", b.ask("q"))
	assert.Equal(t, 503, code)
	assert.Equal(t, errStopping.Error(), j["error"])

	b.faults("")
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	b.v.stop = ctx.Done()
	code, j = b.call("POST", "/v1/migrations?wait=true", b.ask("p"))
	require.Equal(t, 200, code, "%v", j)
	assert.EqualValues(t, 30, j["totals"].(map[string]any)["copied"], "totals count over both")
	assert.EqualValues(t, 30, b.v.s.copy.Stats.Copied.Load(), "and nothing was copied twice")
}

// TestServeKeepsEndedJobsOnDisk: a migration that ended is no memory of the process; the next process answers for it.
func TestServeKeepsEndedJobsOnDisk(t *testing.T) {
	b := newTestbed(t)
	_, failed := b.call("POST", "/v1/migrations?wait=true", `{"root":"nowhere","prefix":"p"}`)
	code, done := b.call("POST", "/v1/migrations?wait=true", b.ask("p"))
	require.Equal(t, 200, code, "%v", done)
	b.v.wait()
	assert.Empty(t, b.v.jobs)

	b.v = &service{s: b.v.s, engine: b.v.engine, hard: b.v.hard, stop: b.v.stop, jobs: map[string]*running{}}
	next := httptest.NewServer(b.v.handler())
	defer next.Close()
	b.url = next.URL
	for _, want := range []map[string]any{failed, done} {
		code, j := b.call("GET", "/v1/migrations/"+want["id"].(string), "")
		assert.Equal(t, 200, code)
		assert.Equal(t, want, j)
	}
	outside := filepath.Join(b.v.s.stateDir, "..", jobFile)
	require.NoError(t, os.WriteFile(outside, []byte(`{"id":"another's"}`), 0o600))
	for _, id := range []string{"..", "%2e%2e", "0123456789abcdef"} {
		code, _ := b.call("GET", "/v1/migrations/"+id, "")
		assert.Equal(t, 404, code, id)
	}
}

// TestServeCommand runs the command itself: it says where it listens, and ends well when it is asked to.
func TestServeCommand(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, in, err := os.Pipe()
	require.NoError(t, err)
	defer out.Close()
	cmd := newServeCmd()
	cmd.SetArgs([]string{"--listen", "127.0.0.1:0", "--bucket", "b", "--drive-endpoint", "http://127.0.0.1:1",
		"--s3-endpoint", "http://127.0.0.1:1"})
	cmd.SetOut(in)
	var errs bytes.Buffer
	cmd.SetErr(&errs)
	done := make(chan error, 1)
	go func() { done <- cmd.ExecuteContext(ctx); in.Close() }()
	var url string
	_, err = fmt.Fscanf(out, "listening on %s\n", &url)
	require.NoError(t, err, "%s", &errs)
	resp, err := http.Get(url + "/healthz")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, 200, resp.StatusCode)
	stop()
	require.NoError(t, <-done)
	http.DefaultClient.CloseIdleConnections()
}
