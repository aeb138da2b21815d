package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/specimens/web"
)

// webService returns a program that serves the HTTP specimens: the test's own binary, so that nothing is built.
func webService(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("runs a service")
	}
	self := selfAsSoak(t)
	t.Setenv("MEMSOAK_STATE_DIR", filepath.Join(t.TempDir(), "state"))
	t.Chdir(t.TempDir())
	return self
}

// serveWeb serves an HTTP specimen until it is killed.
func serveWeb(args []string) error {
	var cfg web.Config
	f := flag.NewFlagSet("web", flag.ContinueOnError)
	name := f.String("specimen", "ok-web-plain", "")
	listen := f.String("listen", "127.0.0.1:0", "")
	f.StringVar(&cfg.Upstream, "upstream", "", "")
	f.IntVar(&cfg.Workers, "workers", 8, "")
	if err := f.Parse(args); err != nil {
		return err
	}
	s, err := web.Find(*name)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	return s.Serve(context.Background(), l, cfg)
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func TestFromAServiceToItsLeakInThreeCommands(t *testing.T) {
	service := webService(t)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "item")
	}))
	defer upstream.Close()
	at := freePort(t)
	code, stdout, stderr := soakCmd("init", "--out", "s.yaml", "--url", "http://"+at+"/items/{{.key}}", "--upstream",
		"items="+upstream.URL, "--",
		service, "web", "--specimen", "web-leak-request", "--listen", at, "--upstream", upstream.URL)
	require.Equal(t, 0, code, stderr)
	assert.Contains(t, stdout, "soak subject check s.yaml")

	code, stdout, stderr = soakCmd("subject", "check", "s.yaml")
	require.Equal(t, 0, code, stdout+stderr)
	assert.Contains(t, stdout, "calls upstream items")

	require.NoError(t, os.WriteFile("p.yaml", []byte(`
name: short
trials: [attribution]
memprofilerate: 4096
looks: 1
phases:
  - {name: idle, kind: idle, for: 20ms}
  - {name: warm-up, kind: warm-up, files: [{count: 50, size: 1KiB}]}
  - {name: wave, kind: wave, times: 8, files: [{count: 100, size: 1KiB}]}
  - {name: held, kind: hold, gate: each, point: reply, transfers: M, then: [M/2], size: 1KiB}
`), 0o644))
	code, stdout, stderr = soakCmd("run", "--subject", "s.yaml", "--protocol", "p.yaml", "--set", "concurrency=4", "--out",
		"run", "--limit", "off")
	require.Equal(t, 0, code, stdout+stderr)
	files, err := filepath.Glob("run/cells/*/trial-1/verdict.json")
	require.NoError(t, err)
	require.Len(t, files, 1)
	v, err := record.ReadVerdict(filepath.Dir(files[0]))
	require.NoError(t, err)
	require.NotEmpty(t, v.Findings)
	assert.Equal(t, record.Leak, v.Findings[0].Class)
	assert.Contains(t, v.Findings[0].Site.Function, "web.(*trail).note")
	assert.Contains(t, v.Findings[0].Summary, "with every request")
}

func TestASubjectThatFailsItsCheckIsRefusedWithEvidence(t *testing.T) {
	service := webService(t)
	down := freePort(t)
	subject := fmt.Sprintf(`
name: broken
command: [%q, web, --specimen, ok-web-plain, "--listen={{.addr}}", "--upstream={{.upstream.items}}"]
pprof: "http://{{.addr}}/debug/pprof"
load: {targets: [{url: "http://{{.addr}}/items/{{.key}}"}]}
upstreams: {items: "http://%s"}
`, service, down)
	require.NoError(t, os.WriteFile("s.yaml", []byte(subject), 0o644))
	code, _, stderr := soakCmd("run", "--subject", "s.yaml", "--out", "run")
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "MISSING requests are answered")
	assert.Contains(t, stderr, "| gate items: GET /", "what the gates saw")
	assert.Contains(t, stderr, "connection refused")
	assert.Contains(t, stderr, "--force")
	assert.NoDirExists(t, "run", "a refused run leaves nothing")
}

func TestTargetsElsewhereNeedPermission(t *testing.T) {
	service := webService(t)
	require.NoError(t, os.WriteFile("s.yaml", fmt.Appendf(nil, `
name: remote
command: [%q, web, "--listen={{.addr}}", "--upstream={{.upstream.items}}"]
pprof: "http://{{.addr}}/debug/pprof"
load: {targets: [{url: "http://{{.addr}}/items/{{.key}}"}]}
upstreams: {items: "http://192.0.2.1:80"}
`, service), 0o644))
	code, stdout, stderr := soakCmd("subject", "check", "s.yaml")
	assert.NotEqual(t, 0, code)
	assert.Contains(t, stdout+stderr, "--allow-remote HOST")
}
