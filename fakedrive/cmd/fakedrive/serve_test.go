package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/internal/command"
	"github.com/memsoak/memsoak/internal/exitcode"
)

// serving runs the command until the test ends and returns its addresses.
func serving(t *testing.T, args ...string) fault.Addresses {
	t.Helper()
	file := filepath.Join(t.TempDir(), "addr.json")
	ctx, cancel := context.WithCancel(context.Background())
	var stdout, stderr bytes.Buffer
	done := make(chan int, 1)
	go func() {
		done <- command.RunContext(ctx, newRoot(), append([]string{"serve", "--addr-file", file}, args...), &stdout, &stderr)
	}()
	t.Cleanup(func() {
		cancel()
		require.Equal(t, exitcode.OK, <-done, stderr.String())
		require.Contains(t, stdout.String(), "http")
	})
	var a fault.Addresses
	require.Eventually(t, func() bool {
		raw, err := os.ReadFile(file)
		return err == nil && json.Unmarshal(raw, &a) == nil
	}, 30*time.Second, 5*time.Millisecond)
	return a
}

func TestServe(t *testing.T) {
	dir := t.TempDir()
	key, ca := filepath.Join(dir, "key.json"), filepath.Join(dir, "ca.pem")
	faults := filepath.Join(dir, "faults.yaml")
	require.NoError(t, os.WriteFile(faults, []byte("rules: [{ops: [about], error: {status: 503}}]"), 0o600))
	a := serving(t, "--corpus", "tiny", "--proxy-listen", "127.0.0.1:0", "--ca-file", ca, "--service-account", key,
		"--faults", faults,
		"--state", filepath.Join(dir, "state"))
	require.Equal(t, os.Getpid(), a.PID)
	require.NotEmpty(t, a.Proxy)
	require.Empty(t, a.HTTPS)
	for path, want := range map[string]int{"/drive/v3/files": 200, "/metrics": 200, "/_fake/v1/counters": 200,
		"/drive/v3/about?fields=user": 503} {
		resp, err := http.Get(a.HTTP + path)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, want, resp.StatusCode, path)
	}
	raw, err := os.ReadFile(key)
	require.NoError(t, err)
	require.Contains(t, string(raw), `"token_uri": "https://oauth2.googleapis.com/token"`)
	http.DefaultClient.CloseIdleConnections()
}

func TestServeRefusesWrongUsage(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "faults.yaml")
	require.NoError(t, os.WriteFile(bad, []byte("rules: [{potato: 1}]"), 0o600))
	merge := filepath.Join(t.TempDir(), "merge.yaml")
	require.NoError(t, os.WriteFile(merge, []byte("rules:\n- <<: {ops: [get]}\n  reset: {}\n"), 0o600))
	for want, args := range map[string][]string{
		"line 2, column 3: anchors, aliases, merge keys and tags are not read: write the values out\n": {"--faults", merge},
		"no corpus":                {"--corpus", "potato"},
		"--ca-file":                {"--tls-listen", "127.0.0.1:0"},
		"--max-disk: want 1 bytes": {"--max-disk", "0"},
		"is not a size":            {"--max-disk", "much"},
		"--token-ttl: want 1ns":    {"--token-ttl", "0s"},
		"--max-files: want 1":      {"--max-files", "-5"},
		"--abusive-every: want 1":  {"--abusive-every", "-1"},
		"line 1":                   {"--faults", bad},
		"leave --dir out":          {"--state", "a", "--dir", "b"},
		"unknown flag":             {"--potato"},
		"unknown command":          {"extra"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(append([]string{"serve"}, args...), &stdout, &stderr)
		require.Equal(t, exitcode.UsageError, code, "%v: %s", args, stderr.String())
		require.Contains(t, stderr.String(), want)
		require.Equal(t, 1, bytes.Count(stderr.Bytes(), []byte("\n")), "one line: %s", stderr.String())
	}
}
