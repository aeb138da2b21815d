package tlsca

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClientsThatKnowTheCATrustItsServers(t *testing.T) {
	ca, err := New("test CA")
	require.NoError(t, err)
	cert, err := ca.Certificate("127.0.0.1", "www.example.org", "*.example.net")
	require.NoError(t, err)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	get := func(name string, pool bool) error {
		cfg := &tls.Config{ServerName: name}
		if pool {
			cfg.RootCAs = x509.NewCertPool()
			cfg.RootCAs.AddCert(ca.cert)
		}
		tr := &http.Transport{TLSClientConfig: cfg}
		defer tr.CloseIdleConnections()
		resp, err := (&http.Client{Transport: tr}).Get(srv.URL)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	for _, name := range []string{"", "www.example.org", "any.example.net"} {
		require.NoError(t, get(name, true), name)
	}
	require.Error(t, get("other.org", true), "a name that the certificate doesn't have")
	require.Error(t, get("", false), "a client that doesn't know the CA")
	_, err = ca.Certificate()
	require.Error(t, err)
}

func TestWriteFileReplacesTheWholeFile(t *testing.T) {
	ca, err := New("test CA")
	require.NoError(t, err)
	name := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(name, make([]byte, 100_000), 0o600))
	require.NoError(t, ca.WriteFile(name))
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, ca.pem, b)
	require.Error(t, ca.WriteFile(filepath.Join(t.TempDir(), "none", "ca.pem")))
}
