package control_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/fault/control"
)

// TestPagesCannotSteer sends what a browser sends for a page, and what other users of the machine could send.
func TestPagesCannotSteer(t *testing.T) {
	ctl := control.New(fault.Options{Points: []fault.Point{fault.ListPage}})
	ctl.SetGuard(fault.Guard{Hosts: []string{"fakedrive"}, Token: "sesame"})
	h := ctl.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	const plan, yes, auth = `{"rules": []}`, "application/json", "Bearer sesame"
	for name, c := range map[string]struct {
		method, host, path, kind, origin, site, auth string
		want                                         int
	}{
		"a program":                  {"PUT", "127.0.0.1:80", "faults", yes, "", "", auth, 200},
		"a name of the compose file": {"PUT", "fakedrive:9001", "faults", yes, "", "", auth, 200},
		"localhost":                  {"PUT", "LOCALHOST:80", "faults", "application/yaml", "", "", auth, 200},
		"IPv6":                       {"PUT", "[::1]:80", "faults", yes, "", "", auth, 200},
		"a name led here":            {"PUT", "evil.example", "faults", yes, "", "", auth, 403},
		"reading by a name led here": {"GET", "evil.example:80", "counters", "", "", "", "", 403},
		"metrics by a name led here": {"GET", "evil.example:80", "", "", "", "", "", 403},
		"a form of another page":     {"PUT", "127.0.0.1", "faults", "text/plain", "https://evil.example", "", auth, 403},
		"an origin of none":          {"POST", "127.0.0.1", "holds", yes, "null", "", auth, 403},
		"a picture on another page":  {"GET", "127.0.0.1", "counters", "", "", "cross-site", "", 403},
		"text":                       {"PUT", "127.0.0.1", "faults", "text/plain", "", "", auth, 415},
		"a form":                     {"PUT", "127.0.0.1", "faults", "application/x-www-form-urlencoded", "", "", auth, 415},
		"no type":                    {"PUT", "127.0.0.1", "faults", "", "", "", auth, 415},
		"no token":                   {"DELETE", "127.0.0.1", "holds", yes, "", "", "", 401},
		"another token":              {"PUT", "127.0.0.1", "faults", yes, "", "", "Bearer open", 401},
		"reading needs no token":     {"GET", "127.0.0.1", "counters", "", "", "", "", 200},
		"clients of the fake go free": {"POST", "www.googleapis.com", "/drive", "text/plain", "https://x.example",
			"cross-site", "", 200},
	} {
		path := fault.AdminPrefix + c.path
		if c.path == "" {
			path = "/metrics"
		} else if c.path[0] == '/' {
			path = c.path
		}
		var r *http.Request
		if c.method == "GET" {
			r = httptest.NewRequest(c.method, path, nil)
		} else {
			r = httptest.NewRequest(c.method, path, strings.NewReader(plan))
		}
		r.Host = c.host
		for k, v := range map[string]string{"Content-Type": c.kind, "Origin": c.origin, "Sec-Fetch-Site": c.site,
			"Authorization": c.auth} {
			if v != "" {
				r.Header.Set(k, v)
			}
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		assert.Equal(t, c.want, w.Code, "%s: %s", name, w.Body)
	}
}

func TestAddressFileCarriesTheToken(t *testing.T) {
	ctl := control.New(fault.Options{})
	token := fault.NewToken()
	ctl.SetGuard(fault.Guard{Token: token})
	srv := httptest.NewServer(ctl.Handler())
	defer srv.Close()
	a := fault.Addresses{HTTP: srv.URL, Admin: srv.URL}.WithToken(token)
	file := filepath.Join(t.TempDir(), "addr.json")
	require.NoError(t, a.WriteFile(file))
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	c := fault.NewClient(a.Admin)
	defer c.Close()
	require.NoError(t, c.ClearFaults(t.Context()))
	without := fault.NewClient(srv.URL)
	defer without.Close()
	require.ErrorContains(t, without.ClearFaults(t.Context()), "address file")
	_, err = without.Counters(t.Context())
	require.NoError(t, err)
}
