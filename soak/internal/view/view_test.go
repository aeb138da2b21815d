package view_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/drawn"
	"github.com/memsoak/memsoak/soak/internal/view"
)

// results is a folder of runs with one whole run.
func results(t *testing.T, o drawn.Options) (folder string, run *record.Run) {
	t.Helper()
	if o.Axes == nil {
		o.Axes = drawn.Small()
	}
	folder = t.TempDir()
	run, err := drawn.Write(filepath.Join(folder, "first"), o)
	require.NoError(t, err)
	return folder, run
}

func serve(t *testing.T, dirs ...string) *httptest.Server {
	t.Helper()
	s, err := view.New(dirs)
	require.NoError(t, err)
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return srv
}

func get(t *testing.T, srv *httptest.Server, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, nil)
	require.NoError(t, err)
	req.URL.Opaque = "//" + req.URL.Host + path // as it is: no cleaning by the client
	resp, err := srv.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

func has(t *testing.T, page, want string) {
	t.Helper()
	assert.True(t, strings.Contains(page, want), "not there: %s", want)
}

func TestIndexAndReport(t *testing.T) {
	folder, _ := results(t, drawn.Options{})
	srv := serve(t, folder)
	code, page := get(t, srv, "/")
	assert.Equal(t, http.StatusOK, code)
	has(t, page, `href="/runs/first/"`)
	has(t, page, "1.0 byte per byte in flight")
	has(t, page, ">uploader on the mixed corpus</a>")
	has(t, page, "killed for memory</strong>")
	code, page = get(t, srv, "/runs/first/")
	assert.Equal(t, http.StatusOK, code)
	has(t, page, `href="/pprof/first/1.1.5.heap/flamegraph"`)
	has(t, page, `href="/diff/first/1.1.6.heap/first/1.1.4.heap/flamegraph"`)
	asRecorded(t, filepath.Join(folder, "first"))
	_, page = get(t, srv, "/")
	has(t, page, ">uploader, recorded</a>")
}

// Every link that a page of the view shows leads somewhere.
func TestEveryLinkLeadsSomewhere(t *testing.T) {
	folder, _ := results(t, drawn.Options{Axes: drawn.Small()[1:]})
	srv := serve(t, folder)
	seen := map[string]bool{}
	for _, start := range []string{"/", "/runs/first/", "/compare"} {
		_, page := get(t, srv, start)
		for _, m := range regexp.MustCompile(`href="(/[^"#]*)"`).FindAllStringSubmatch(page, -1) {
			if u := strings.ReplaceAll(m[1], "&amp;", "&"); !seen[u] {
				seen[u] = true
				code, body := get(t, srv, u)
				assert.Equal(t, http.StatusOK, code, "%s: %.200s", u, body)
			}
		}
	}
	assert.Greater(t, len(seen), 50)
}

// pprof's pages show what the profile holds: the numbers of the story, and for a difference the growth alone.
func TestPprofShowsTheSnapshotAndTheDifference(t *testing.T) {
	folder, run := results(t, drawn.Options{})
	srv := serve(t, folder)
	tr, err := record.ReadTrial(filepath.Join(folder, "first", filepath.FromSlash(run.Status[1].Dir), "trial-1"))
	require.NoError(t, err)
	var floors []record.Snapshot
	for _, s := range tr.Snapshots {
		if s.State == record.StateFloor {
			floors = append(floors, s)
		}
	}
	last := floors[len(floors)-1]
	key := func(s record.Snapshot) string { return "2.1." + json.Number(itoa(s.Seq)).String() + ".heap" }
	code, top := get(t, srv, "/pprof/first/"+key(last)+"/top")
	assert.Equal(t, http.StatusOK, code)
	has(t, top, "regexp.MustCompile")
	code, diff := get(t, srv, "/diff/first/"+key(last)+"/first/"+key(floors[0])+"/top")
	assert.Equal(t, http.StatusOK, code)
	grown := regexp.MustCompile(`"Name":"example\.com/uploader\.\(\*ledger\)\.add[^}]*?"Flat":(\d+)`).
		FindStringSubmatch(diff)
	if assert.NotNil(t, grown, "no growth in the ledger") {
		assert.Equal(t, itoa(int(96*(last.Covariates.FilesDone-floors[0].Covariates.FilesDone))), grown[1])
	}
	code, routines := get(t, srv, "/pprof/first/2.1.5.goroutine/top")
	assert.Equal(t, http.StatusOK, code)
	has(t, routines, "runtime.gopark")
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

func TestNothingOutsideTheRunIsServed(t *testing.T) {
	folder, run := results(t, drawn.Options{})
	secret := filepath.Join(t.TempDir(), "secret.go")
	require.NoError(t, os.WriteFile(secret, []byte("package top // the secret\n"), 0o644))
	require.NoError(t, os.Symlink(secret, filepath.Join(folder, "first", "link.txt")))
	trialDir := filepath.Join(folder, "first", filepath.FromSlash(run.Status[0].Dir), "trial-1")
	hostileProfile(t, filepath.Join(trialDir, record.HeapDir), secret)
	tr, err := record.ReadTrial(trialDir)
	require.NoError(t, err)
	tr.Snapshots[1].Heap = "../../../../../" + filepath.Base(filepath.Dir(secret)) + "/secret.go"
	tr.Snapshots[2].Heap = secret
	require.NoError(t, record.Write(filepath.Join(trialDir, record.TrialFile), tr))
	srv := serve(t, folder)
	for _, path := range []string{
		"/runs/first/files/link.txt", "/runs/first/files/../../../etc/passwd",
		"/runs/first/files/..%2f..%2f..%2fetc%2fpasswd", "/runs/first/files//etc/passwd",
		"/pprof/first/1.1.2.heap/top", "/pprof/first/1.1.3.heap/download", "/pprof/first/1.1.1.heap/source?f=evil",
		"/pprof/..%2f..%2fetc/1.1.1.heap/top",
		"/pprof/first/1.1.1.heap/disasm?f=.", "/pprof/first/1.1.1.heap/saveconfig?config=x", "/runs/..%2f..%2fetc/",
		"/pprof/first/-1.1.1.heap/top", "/pprof/first/1.1.1.etc/top",
	} {
		code, body := get(t, srv, path)
		assert.False(t, strings.Contains(body, "the secret") || strings.Contains(body, "root:x:"), "%s gives a file away",
			path)
		if !strings.Contains(path, "source") {
			assert.NotEqual(t, http.StatusOK, code, path)
		}
	}
	_, source := get(t, srv, "/pprof/first/1.1.1.heap/source?f=evil")
	has(t, source, "evil") // the function is listed, its file is not read
}

// hostileProfile makes the first snapshot of a trial name a file outside the run as its source, absolute and relative.
func hostileProfile(t *testing.T, dir, secret string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "0001-*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	b, err := os.ReadFile(files[0])
	require.NoError(t, err)
	p, err := profile.ParseData(b)
	require.NoError(t, err)
	for i, f := range p.Function {
		f.Name, f.SystemName = "evil."+f.Name, "evil."+f.Name
		f.Filename = []string{secret, "../../../../../../../../../../" + secret, "/etc/passwd"}[i%3]
	}
	for _, l := range p.Location {
		l.Line[0].Line = 1
	}
	var out bytes.Buffer
	require.NoError(t, p.Write(&out))
	require.NoError(t, os.WriteFile(files[0], out.Bytes(), 0o644))
}

func TestOnlyLoopbackNamesAreAnswered(t *testing.T) {
	folder, _ := results(t, drawn.Options{})
	srv := serve(t, folder)
	for host, want := range map[string]int{"evil.example": 403, "evil.example:80": 403, "10.0.0.1": 403,
		"localhost:99": 200, "[::1]:5": 200, "127.0.0.1": 200} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/", nil)
		require.NoError(t, err)
		req.Host = host
		resp, err := srv.Client().Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, want, resp.StatusCode, host)
	}
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:80", "nonsense"} {
		_, err := view.Listen(t.Context(), addr, false)
		assert.Error(t, err, addr)
	}
	l, err := view.Listen(t.Context(), "0.0.0.0:0", true)
	require.NoError(t, err, "in a container")
	l.Close()
}

func TestDamagedRunsAreShownInPart(t *testing.T) {
	folder, run := results(t, drawn.Options{})
	bad := filepath.Join(folder, "bad")
	require.NoError(t, os.Mkdir(bad, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(bad, record.RunFile), []byte("{"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "first", filepath.FromSlash(run.Status[0].Dir), "trial-1",
		record.TrialFile), []byte("["), 0o644))
	srv := serve(t, folder)
	code, page := get(t, srv, "/")
	assert.Equal(t, http.StatusOK, code)
	has(t, page, "read run.json: unexpected end of JSON input")
	has(t, page, `href="/runs/first/"`)
	code, page = get(t, srv, "/runs/first/")
	assert.Equal(t, http.StatusOK, code)
	has(t, page, "trial.json: unexpected end of JSON input")
	has(t, page, `href="/pprof/first/2.1.5.heap/flamegraph"`)
	code, page = get(t, srv, "/compare")
	assert.Equal(t, http.StatusOK, code)
	assert.Regexp(t, `selected>first, [^<]+: peak<`, page, "the peak less a floor, and of which run")
}

// A served report follows its run: the state changes with the recording, and the page with the state.
func TestReportFollowsTheRun(t *testing.T) {
	folder, run := results(t, drawn.Options{Running: true})
	srv := serve(t, folder)
	state := func() (mark string, running bool) {
		_, body := get(t, srv, "/runs/first/state")
		var s struct {
			State   string
			Running bool
		}
		require.NoError(t, json.Unmarshal([]byte(body), &s))
		return s.State, s.Running
	}
	before, running := state()
	assert.True(t, running)
	_, page := get(t, srv, "/runs/first/")
	has(t, page, "1 of 3 trials done")
	has(t, page, before) // the page knows which state it shows
	run.Status[1].Trials[0].Outcome = record.Crashed
	run.Ended = time.Now()
	require.NoError(t, record.Write(filepath.Join(folder, "first", record.RunFile), run))
	after, running := state()
	assert.NotEqual(t, before, after)
	assert.False(t, running)
	_, page = get(t, srv, "/runs/first/")
	has(t, page, "crashed")
}

func TestRunsOfTheSameNameAreToldApart(t *testing.T) {
	a, _ := results(t, drawn.Options{})
	b, _ := results(t, drawn.Options{})
	srv := serve(t, a, b, filepath.Join(a, "first"))
	_, page := get(t, srv, "/")
	assert.Equal(t, 1, strings.Count(page, `<h2><a href="/runs/first/"`))
	assert.Equal(t, 1, strings.Count(page, `<h2><a href="/runs/first~2/"`))
	code, _ := get(t, srv, "/diff/first/1.1.5.heap/first~2/2.1.5.heap/top")
	assert.Equal(t, http.StatusOK, code, "run against run")
}

func TestNoRunIsAnError(t *testing.T) {
	_, err := view.New([]string{t.TempDir()})
	assert.ErrorContains(t, err, "no run in")
	_, err = view.New([]string{filepath.Join(t.TempDir(), "absent")})
	assert.Error(t, err)
}

// TestOnlyDamagedRunsAreNoneToView: a page that could show nothing is not served.
func TestOnlyDamagedRunsAreNoneToView(t *testing.T) {
	bad := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bad, record.RunFile), []byte("{"), 0o644))
	_, err := view.New([]string{bad})
	require.ErrorContains(t, err, "no run that can be read")
}
