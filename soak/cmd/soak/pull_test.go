package main

import (
	"bytes"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak/internal/pyroscope/pyrotest"
)

func TestProfilesOfAPyroscopeServerAreDiagnosed(t *testing.T) {
	server := &pyrotest.Server{}
	srv := httptest.NewServer(server)
	defer srv.Close()
	server.Growing("cart", map[string]string{"pod": "cart-1"}, time.Now().Add(-30*time.Minute), time.Minute, 25)
	dir := filepath.Join(t.TempDir(), "pulled")
	for _, args := range [][]string{
		{"diagnose", "--pyroscope", srv.URL, "--query", "cart"},
		{"record", "--pyroscope", srv.URL, "--query", "cart", "--out", dir},
		{"diagnose", dir},
	} {
		var stdout, stderr bytes.Buffer
		code := run(args, &stdout, &stderr)
		out := stdout.String()
		require.Zero(t, code, "%v: %s", args, stderr.String())
		assert.Contains(t, out, "GROWING: live heap 2.0 MiB -> 26 MiB", args)
		assert.Contains(t, out, "example.com/cart.(*Cart).Add", args)
		assert.Contains(t, out, "+240  example.com/cart.watch", args)
		assert.Contains(t, out, "restarts of the process are not seen", args)
	}
}

func TestWrongQueriesOfAPyroscopeServerAreUsage(t *testing.T) {
	srv := httptest.NewServer(&pyrotest.Server{})
	defer srv.Close()
	for _, c := range []struct {
		want string
		args []string
	}{
		{"has no profile of memory", []string{"diagnose", "--pyroscope", srv.URL, "--query", "cart"}},
		{"needs --query", []string{"diagnose", "--pyroscope", srv.URL}},
		{"goes with --pyroscope", []string{"diagnose", "--query", "cart", "."}},
		{"or --pyroscope URL and --query", []string{"diagnose"}},
		{"want http://host:port", []string{"diagnose", "--pyroscope", "cart", "--query", "cart"}},
		{"is neither a time", []string{"diagnose", "--pyroscope", srv.URL, "--query", "cart", "--from", "yesterday"}},
		{"isn't before", []string{"record", "--pyroscope", srv.URL, "--query", "cart", "--from", "1h", "--until", "2h"}},
		{"says how a process is recorded", []string{"record", "--pyroscope", srv.URL, "--query", "cart", "--gc"}},
		{"give one of", []string{"record", "--pyroscope", srv.URL, "--query", "cart", "--pid", "1"}},
	} {
		var stdout, stderr bytes.Buffer
		code := run(c.args, &stdout, &stderr)
		assert.Equal(t, 2, code, "%v: %s", c.args, stderr.String())
		assert.Contains(t, stderr.String(), c.want)
	}
}
