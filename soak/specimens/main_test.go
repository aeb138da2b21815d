package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/soak/specimens/all"
	"github.com/memsoak/memsoak/soak/specimens/contract"
	"github.com/memsoak/memsoak/soak/specimens/copier"
)

func TestListNamesSpecimens(t *testing.T) {
	var out, errs bytes.Buffer
	require.Equal(t, exitcode.OK, run([]string{"list"}, &out, &errs), errs.String())
	assert.Contains(t, strings.Split(out.String(), "\n"), "leak-map")
	out.Reset()
	require.Equal(t, exitcode.OK, run([]string{"list", "--json"}, &out, &errs))
	var names []string
	require.NoError(t, json.Unmarshal(out.Bytes(), &names))
	assert.Len(t, names, len(all.Specimens()))
}

func TestWrongUsageIsOneLineAndCode2(t *testing.T) {
	endpoints := []string{"--drive-endpoint=http://127.0.0.1:1", "--s3-endpoint=http://127.0.0.1:1", "--bucket=b"}
	for want, args := range map[string][]string{
		`no specimen "nothing"`:                       append([]string{"serve", "--specimen=nothing"}, endpoints...),
		`no specimen ""`:                              append([]string{"serve", "--specimen=leak-map+"}, endpoints...),
		`endpoint "" is not a URL`:                    {"serve"},
		"a bucket is needed":                          append([]string{"serve"}, endpoints[:2]...),
		"workers: want 1 to 10000":                    append([]string{"serve", "--workers=0"}, endpoints...),
		"unknown flag: --nope":                        {"serve", "--nope"},
		`unknown command "leak-map" for "specimens"`:  {"leak-map"},
		"no such file or directory":                   append([]string{"serve", "--ca-file=/nowhere/ca.pem"}, endpoints...),
		`invalid argument "x" for "--workers" flag`:   append([]string{"serve", "--workers=x"}, endpoints...),
		`unknown command "extra" for "specimens list`: {"list", "extra"},
	} {
		var out, errs bytes.Buffer
		assert.Equal(t, exitcode.UsageError, run(args, &out, &errs), "%v: %s", args, errs.String())
		assert.Contains(t, errs.String(), want)
		assert.Equal(t, 1, strings.Count(errs.String(), "\n"), "one line: %s", errs.String())
	}
}

// tiny is a Drive with one folder of three files, and a sink.
type tiny struct {
	mu     sync.Mutex
	stored map[string]string
}

func (d *tiny) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPut:
		b, _ := io.ReadAll(r.Body)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.stored[r.URL.Path] = string(b)
	case r.URL.Path == "/drive/v3/files" && strings.Contains(r.URL.Query().Get("q"), "'top'"):
		_, _ = io.WriteString(w, `{"nextPageToken":"","files":[
			{"id":"sub","mimeType":"application/vnd.google-apps.folder"},
			{"id":"doc","mimeType":"application/vnd.google-apps.document"},
			{"id":"a","name":"a","mimeType":"text/plain","size":"5"}]}`)
	case r.URL.Path == "/drive/v3/files" && strings.Contains(r.URL.Query().Get("q"), "'sub'"):
		_, _ = io.WriteString(w,
			`{"files":[{"id":"b","mimeType":"text/plain","size":"5"},{"id":"empty","mimeType":"text/plain","size":"0"}]}`)
	case strings.HasSuffix(r.URL.Path, "/empty"):
	case r.URL.Query().Get("alt") == "media":
		_, _ = io.WriteString(w, "body"+r.URL.Path[len(r.URL.Path)-1:])
	default:
		http.NotFound(w, r)
	}
}

func TestServesTheSubjectContract(t *testing.T) {
	drive := &tiny{stored: map[string]string{}}
	services := httptest.NewServer(drive)
	defer services.Close()
	cfg := copier.DefaultConfig()
	cfg.Drive, cfg.S3, cfg.Bucket = services.URL, services.URL, "bucket"
	e, err := copier.New(cfg, nil)
	require.NoError(t, err)
	defer e.Close()
	subject := httptest.NewServer(contract.Handler(e))
	defer subject.Close()

	for _, path := range []string{"/healthz", "/metrics", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/goroutine"} {
		resp, err := http.Get(subject.URL + path)
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, http.StatusOK, resp.StatusCode, path)
	}
	resp, err := http.Get(subject.URL + "/metrics")
	require.NoError(t, err)
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	require.NoError(t, err)
	assert.Contains(t, string(text), "go_cpu_classes_gc_total_cpu_seconds_total",
		"without it nobody sees a collector that thrashes")

	wave := func(body string) (int, string) {
		resp, err := http.Post(subject.URL+"/v1/waves", "application/json", strings.NewReader(body))
		require.NoError(t, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(b)
	}
	status, body := wave(`{"root":"top","prefix":"run/1/"}`)
	require.Equal(t, http.StatusOK, status, body)
	assert.JSONEq(t, `{"files":3,"bytes":10}`, body)
	assert.Equal(t, map[string]string{"/bucket/run/1/a": "bodya", "/bucket/run/1/b": "bodyb", "/bucket/run/1/empty": ""},
		drive.stored)

	for _, bad := range []string{"", "{}", `{"root":"top","nope":1}`} {
		status, _ = wave(bad)
		assert.Equal(t, http.StatusBadRequest, status, bad)
	}
	status, body = wave(`{"root":"absent","prefix":""}`)
	assert.Equal(t, http.StatusInternalServerError, status)
	assert.Contains(t, body, "list absent")
}
