package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

// attachProtocol has waves, a hold at the upstreams, of which an attached process has none, and one in front.
const attachProtocol = `
name: short
trials: [attribution]
memprofilerate: 4096
looks: 3
phases:
  - {name: idle, kind: idle, for: 20ms}
  - {name: warm-up, kind: warm-up, files: [{count: 50, size: 1KiB}]}
  - {name: wave, kind: wave, times: 8, files: [{count: 200, size: 1KiB}]}
  - {name: held, kind: hold, gate: each, point: reply, transfers: M, then: [M/2], size: 1KiB}
  - {name: connections, kind: connections, files: [{count: 8, size: 1KiB}]}
more:
  - phases: [{name: more-wave, kind: wave, times: 3, files: [{count: 1000, size: 1KiB}]}]
`

// running starts a service of the specimens, as an operator would have, and returns its process and its address.
func running(t *testing.T, web, specimen string) (*exec.Cmd, string) {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "item")
	}))
	t.Cleanup(upstream.Close)
	at := freePort(t)
	cmd := exec.Command(web, "web", "--specimen", specimen, "--listen", at, "--upstream", upstream.URL)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", at)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	require.NoError(t, os.WriteFile("p.yaml", []byte(attachProtocol), 0o644))
	return cmd, at
}

func attachedVerdict(t *testing.T, args ...string) *record.Verdict {
	t.Helper()
	out := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := soakCmd(append([]string{"run", "--protocol", "p.yaml", "--set", "concurrency=4", "--out", out},
		args...)...)
	require.Equal(t, 0, code, stdout+stderr)
	files, err := filepath.Glob(out + "/cells/*/trial-1/verdict.json")
	require.NoError(t, err)
	require.Len(t, files, 1)
	v, err := record.ReadVerdict(filepath.Dir(files[0]))
	require.NoError(t, err)
	return v
}

func TestAProcessThatRunsIsGivenALoad(t *testing.T) {
	cmd, at := running(t, webService(t), "web-leak-request")
	pid := strconv.Itoa(cmd.Process.Pid)
	v := attachedVerdict(t, "--attach", pid, "--url", "http://"+at+"/items/{{.key}}")
	require.Equal(t, record.OK, v.Outcome)
	require.NotEmpty(t, v.Findings)
	assert.Equal(t, record.HeadLeak, v.Headline)
	assert.Contains(t, v.Findings[0].Site.Function, "web.(*trail).note")
	assert.Equal(t, "file", v.Findings[0].Slope.Per)
	assert.Positive(t, v.Peak.RSS, "its process is read")
	assert.Contains(t, fmt.Sprint(v.Warnings), "memsoak did not start")
	require.NoError(t, cmd.Process.Signal(syscall.Signal(0)), "it lives on")

	code, stdout, stderr := soakCmd("run", "--attach", "http://"+at, "--url", "http://"+at+"/items/{{.key}}", "--dry-run")
	assert.Zero(t, code, stderr)
	assert.Contains(t, stdout, filepath.Base(cmd.Path)+": 1 cell, 1 trial",
		"who listens at the port of a loopback URL is its process")
}

func TestAHealthyProcessThatRunsIsNotComfortedBeyondTheEvidence(t *testing.T) {
	cmd, _ := running(t, webService(t), "ok-web-plain")
	file := `
name: theirs
command: [unknown, "--workers={{.workers}}", "--upstream={{.upstream.items}}"]
pprof: "http://{{.addr}}/debug/pprof"
load: {targets: [{url: "http://{{.addr}}/items/{{.key}}"}]}
upstreams: {items: "http://127.0.0.1:1"}
settings: {workers: "3"}
`
	require.NoError(t, os.WriteFile("s.yaml", []byte(file), 0o644))
	v := attachedVerdict(t, "--attach", strconv.Itoa(cmd.Process.Pid), "--subject", "s.yaml")
	assert.Equal(t, record.OK, v.Outcome)
	assert.Empty(t, v.Findings)
	assert.Equal(t, record.Inconclusive, v.Headline, "nothing was held where it waits")
	assert.Contains(t, fmt.Sprint(v.Warnings), "no request was held at what it calls")
	code, _, stderr := soakCmd("run", "--attach", strconv.Itoa(cmd.Process.Pid), "--subject", "s.yaml", "--axis",
		"workers=1,2")
	assert.Equal(t, 2, code, "its settings are what they are")
	assert.Contains(t, stderr, "neither set nor restarted")
}

func TestAttachRefusesWhatItCannotDo(t *testing.T) {
	for _, c := range []struct{ args, says string }{
		{"--attach 999999999 --url http://127.0.0.1:1/", "there is no process 999999999"},
		{"--attach http://192.0.2.1:6060/debug/pprof --url http://192.0.2.1:8080/", "--allow-remote HOST"},
		{"--attach nonsense --url http://127.0.0.1:1/", "give a process id, or a URL"},
		{"--attach http://127.0.0.1:1 --url http://127.0.0.1:1/", "no profiles there"},
		{"--attach " + strconv.Itoa(os.Getpid()) + " --url http://127.0.0.1:1/",
			"serves no profiles on a port of this machine"},
		{"--attach 1 --limit 1Gi", "excludes --limit"},
		{"--attach 1 --set gomemlimit=1GiB --url http://127.0.0.1:1/", "gomemlimit: a process that memsoak did not start"},
	} {
		code, _, stderr := soakCmd(append([]string{"run"}, strings.Fields(c.args)...)...)
		assert.NotZero(t, code, c.args)
		assert.Contains(t, stderr, c.says, c.args)
	}
}
