package listen

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/fault/control"
)

func start(t *testing.T, h2 bool) (*Listeners, *control.Control) {
	t.Helper()
	ctl := control.New(fault.Options{})
	l, err := Start(Config{
		HTTP: "127.0.0.1:0", TLS: "127.0.0.1:0", Proxy: "127.0.0.1:0", CAFile: filepath.Join(t.TempDir(), "ca.pem"), H2: h2,
		Hosts: []string{"www.googleapis.com"}, Control: ctl,
		Handler: ctl.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %s", r.Host, r.Proto)
		})),
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		ended, end := context.WithCancel(context.Background())
		end()
		require.NoError(t, l.Until(ended, 5*time.Second, func() error { return nil }))
	})
	return l, ctl
}

// client trusts the authority, and goes through the proxy if asked to.
func client(t *testing.T, l *Listeners, proxy bool) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(l.Addresses.CAFile)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(pem))
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	if proxy {
		u, err := url.Parse(l.Addresses.Proxy)
		require.NoError(t, err)
		tr.Proxy = http.ProxyURL(u)
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func get(t *testing.T, c *http.Client, u string) string {
	t.Helper()
	resp, err := c.Get(u)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body)
}

func TestEveryListenerServes(t *testing.T) {
	for h2, proto := range map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"} {
		l, ctl := start(t, h2)
		require.Contains(t, get(t, http.DefaultClient, l.Addresses.HTTP), "HTTP/1.1")
		require.Contains(t, get(t, client(t, l, false), l.Addresses.HTTPS), proto)
		require.Equal(t, "www.googleapis.com "+proto, get(t, client(t, l, true), "https://www.googleapis.com/"))
		require.EqualValues(t, 3, ctl.Counters().Requests)
		require.EqualValues(t, 3, ctl.Counters().ConnsTotal, "a tunnel is one connection")
		http.DefaultClient.CloseIdleConnections()
	}
}

func TestTheProxyLeadsNowhereElse(t *testing.T) {
	l, _ := start(t, false)
	c := client(t, l, true)
	for _, u := range []string{"https://example.com/", "https://storage.googleapis.com/",
		"https://www.googleapis.com:8443/", "https://169.254.169.254/"} {
		_, err := c.Get(u)
		require.ErrorContains(t, err, "Forbidden", u)
	}
	resp, err := c.Get("http://example.com/")
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
}

func TestStartReportsABadAddress(t *testing.T) {
	ctl := control.New(fault.Options{})
	for _, c := range []Config{{HTTP: "nowhere:x"}, {HTTP: "127.0.0.1:0", TLS: "nowhere:x"}, {HTTP: "127.0.0.1:0",
		Proxy: "nowhere:x"},
		{HTTP: "127.0.0.1:0", TLS: "127.0.0.1:0", CAFile: "/no/such/dir/ca.pem"}} {
		c.Control, c.Handler = ctl, http.NotFoundHandler()
		_, err := Start(c)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "\n")
	}
}
