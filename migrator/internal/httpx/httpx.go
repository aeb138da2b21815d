// Package httpx makes the transports of both sides: few, shared, with every pool and buffer a setting.
package httpx

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/memsoak/memsoak/internal/bounded"
)

// Options are the settings of one side's transport.
type Options struct {
	MaxIdleConns        int // of all hosts; 0 is no bound
	MaxIdleConnsPerHost int
	MaxConnsPerHost     int // 0 is no bound
	ReadBuffer          int // bytes per connection
	WriteBuffer         int // bytes per connection
	IdleConnTimeout     time.Duration
	// HTTP2 allows HTTP/2, with receive windows of 256 KiB per stream and 1 MiB per connection: with net/http's
	// defaults each download that waits for a slow upload may hold 4 MiB.
	HTTP2  bool
	CAFile string // PEM of CAs to trust besides the system's
}

// The receive windows of HTTP/2.
const (
	streamWindow = 256 << 10
	connWindow   = 1 << 20
)

// New returns a transport.
func New(o Options) (*http.Transport, error) {
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 20 * time.Second,
		MaxIdleConns:        o.MaxIdleConns,
		MaxIdleConnsPerHost: o.MaxIdleConnsPerHost,
		MaxConnsPerHost:     o.MaxConnsPerHost,
		ReadBufferSize:      o.ReadBuffer,
		WriteBufferSize:     o.WriteBuffer,
		IdleConnTimeout:     o.IdleConnTimeout,
		Protocols:           &http.Protocols{},
		DisableCompression:  true, // packed content would come without its length
	}
	t.Protocols.SetHTTP1(true)
	if o.HTTP2 {
		t.Protocols.SetHTTP2(true)
		t.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: streamWindow, MaxReceiveBufferPerConnection: connWindow}
	}
	if o.CAFile == "" {
		return t, nil
	}
	pem, err := bounded.ReadFile(o.CAFile, bounded.Secret)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate in PEM form", o.CAFile)
	}
	t.TLSClientConfig = &tls.Config{RootCAs: pool}
	return t, nil
}

// maxErrorBody is as much of an error reply as anybody reads, in bytes. SDKs read them whole.
const maxErrorBody = 64 << 10

// CapErrors returns a RoundTripper that cuts the bodies of error replies.
func CapErrors(next http.RoundTripper) http.RoundTripper { return capErrors{next} }

type capErrors struct{ next http.RoundTripper }

func (c capErrors) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(req)
	if err == nil && resp.StatusCode >= 400 {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxErrorBody), resp.Body}
	}
	return resp, err
}

// Untrusted says in a few words why a server's certificate is refused; nil where err has no such cause. Another try
// would be refused as well.
func Untrusted(err error) error {
	var refused *tls.CertificateVerificationError
	if !errors.As(err, &refused) {
		return nil
	}
	return fmt.Errorf("the server's certificate isn't accepted: see its dates, its names and --ca-file: %w", refused.Err)
}
