package httpx

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// server answers /status/N with that status and a body of size bytes.
func server(t *testing.T, size int) *httptest.Server {
	t.Helper()
	return httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/error") {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.Copy(w, io.LimitReader(zeros{}, int64(size)))
	}))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func start(t *testing.T, s *httptest.Server, secure bool) {
	t.Helper()
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
}

func caFile(t *testing.T, s *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	require.NoError(t, os.WriteFile(path, block, 0o600))
	return path
}

func TestBodiesOfErrorsAreCutAndOthersAreWhole(t *testing.T) {
	const size = 3 * maxErrorBody
	s := server(t, size)
	start(t, s, false)
	tr, err := New(Options{})
	require.NoError(t, err)
	client := &http.Client{Transport: CapErrors(tr)}
	for path, want := range map[string]int64{"/": size, "/error": maxErrorBody} {
		resp, err := client.Get(s.URL + path)
		require.NoError(t, err)
		n, err := io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, want, n, path)
	}
	s.Close()
	_, err = client.Get(s.URL)
	require.Error(t, err, "an error has no body to cut")
}

// TestConnectionsAreBounded starts more requests than connections may be: the server never has more than the bound.
func TestConnectionsAreBounded(t *testing.T) {
	var mu sync.Mutex
	open, most, conns := 0, 0, map[net.Conn]bool{}
	closed := make(chan struct{}, 100)
	s := server(t, 1)
	s.Config.ConnState = func(c net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		switch state {
		case http.StateNew:
			open++
			conns[c] = true
			most = max(most, open)
		case http.StateClosed:
			open--
			closed <- struct{}{}
		}
	}
	start(t, s, false)
	const bound = 3
	tr, err := New(Options{MaxConnsPerHost: bound, MaxIdleConnsPerHost: bound})
	require.NoError(t, err)
	client := &http.Client{Transport: tr}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if resp, err := client.Get(s.URL); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
	all.Wait()
	mu.Lock()
	peak, n := most, len(conns)
	mu.Unlock()
	require.LessOrEqual(t, peak, bound)
	require.Positive(t, peak)
	tr.CloseIdleConnections()
	for range n {
		<-closed
	}
	mu.Lock()
	defer mu.Unlock()
	require.Zero(t, open)
}

func TestSettingsReachTheTransport(t *testing.T) {
	tr, err := New(Options{MaxIdleConns: 1, MaxIdleConnsPerHost: 2, MaxConnsPerHost: 3, ReadBuffer: 4096,
		WriteBuffer: 8192, IdleConnTimeout: time.Minute})
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 3, 4096, 8192},
		[]int{tr.MaxIdleConns, tr.MaxIdleConnsPerHost, tr.MaxConnsPerHost, tr.ReadBufferSize, tr.WriteBufferSize})
	require.Equal(t, time.Minute, tr.IdleConnTimeout)
	require.NotZero(t, tr.TLSHandshakeTimeout)
	require.True(t, tr.DisableCompression, "packed content would come without its length")
}

// TestProtocolIsTheOneAskedFor asks a server that speaks both.
func TestProtocolIsTheOneAskedFor(t *testing.T) {
	s := server(t, 1)
	s.EnableHTTP2 = true
	start(t, s, true)
	for h2, want := range map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"} {
		tr, err := New(Options{HTTP2: h2, CAFile: caFile(t, s)})
		require.NoError(t, err)
		resp, err := (&http.Client{Transport: tr}).Get(s.URL)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, want, resp.Proto)
		tr.CloseIdleConnections()
	}
}

// TestReceiveWindowsAreSmall reads what the client allows a server to send: HTTP/2 says so in its first frames.
func TestReceiveWindowsAreSmall(t *testing.T) {
	s := server(t, 1)
	start(t, s, true) // for its certificate
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: s.TLS.Certificates, NextProtos: []string{"h2"}})
	require.NoError(t, err)
	defer l.Close()
	tr, err := New(Options{HTTP2: true, CAFile: caFile(t, s)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+l.Addr().String(), nil)
	require.NoError(t, err)
	var request sync.WaitGroup
	request.Go(func() {
		if resp, err := (&http.Client{Transport: tr}).Do(req); err == nil { // it has no answer until it is given up
			_ = resp.Body.Close()
		}
	})
	c, err := l.Accept()
	require.NoError(t, err)
	defer c.Close()
	stream, conn := windows(t, c)
	require.EqualValues(t, streamWindow, stream, "net/http's own is 4 MiB")
	require.EqualValues(t, connWindow, conn)
	cancel()
	request.Wait()
}

// windows reads frames of a client until both receive windows are known: of a stream, and what the connection has above
// the 64 KiB that it begins with.
func windows(t *testing.T, c io.Reader) (stream, conn uint32) {
	t.Helper()
	const settings, update, initialWindow = 4, 8, 4
	preface := make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	_, err := io.ReadFull(c, preface)
	require.NoError(t, err)
	for stream == 0 || conn == 0 {
		head := make([]byte, 9)
		_, err := io.ReadFull(c, head)
		require.NoError(t, err)
		body := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		_, err = io.ReadFull(c, body)
		require.NoError(t, err)
		switch head[3] {
		case settings:
			for ; len(body) >= 6; body = body[6:] {
				if binary.BigEndian.Uint16(body) == initialWindow {
					stream = binary.BigEndian.Uint32(body[2:])
				}
			}
		case update:
			if binary.BigEndian.Uint32(head[5:]) == 0 {
				conn = binary.BigEndian.Uint32(body)
			}
		}
	}
	return stream, conn
}

func TestCertificates(t *testing.T) {
	s := server(t, 1)
	start(t, s, true)
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	for name, c := range map[string]struct{ file, want string }{
		"missing":  {filepath.Join(dir, "nowhere.pem"), "no such file"},
		"no PEM":   {file("text.pem", "nonsense"), "text.pem: no certificate in PEM form"},
		"a folder": {dir, "not a regular file"},
		"huge":     {file("huge.pem", string(bytes.Repeat([]byte("x"), 2<<20))), "too large"},
	} {
		_, err := New(Options{CAFile: c.file})
		require.ErrorContains(t, err, c.want, name)
	}
	trusting, err := New(Options{CAFile: caFile(t, s)})
	require.NoError(t, err)
	resp, err := (&http.Client{Transport: trusting}).Get(s.URL)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.NoError(t, Untrusted(err))

	plain, err := New(Options{})
	require.NoError(t, err)
	_, err = (&http.Client{Transport: plain}).Get(s.URL)
	require.ErrorContains(t, Untrusted(err), "the server's certificate isn't accepted: see its dates, its names")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	require.NoError(t, err)
	_, err = (&http.Client{Transport: trusting}).Do(req)
	require.Error(t, err)
	require.NoError(t, Untrusted(err), "another cause")
}
