// Package listen puts one handler on the listeners of a fake: plain http, TLS, and a CONNECT proxy that leads the host
// names of the real service to it. It knows nothing of the service.
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/fault/control"
	"github.com/memsoak/memsoak/fakedrive/fault/tlsca"
)

// Config says where to listen. Empty addresses are not listened on, but for HTTP, which carries the admin protocol.
type Config struct {
	HTTP, TLS, Proxy string
	CAFile           string   // where to write the authority's certificate, for TLS and Proxy
	Authority        string   // the authority's name
	H2               bool     // offer HTTP/2 on TLS and through the proxy
	Hosts            []string // what the proxy leads here; the certificate covers them
	// AddrFile is where WriteFile writes the addresses, with a token that changes then need; empty: nowhere.
	AddrFile string
	// AdminHosts are names, beside localhost, by which the admin protocol may be reached.
	AdminHosts []string
	Handler    http.Handler
	// Server returns a server with the limits of its own; nil is a server with those of this package.
	Server  func() *http.Server
	Control *control.Control
}

// Limits that keep a client from holding a connection for nothing or from growing memory.
const (
	maxHeader     = 128 << 10
	headerTimeout = 30 * time.Second
	idleTimeout   = 10 * time.Minute
)

// Listeners serve until they are closed.
type Listeners struct {
	Addresses fault.Addresses
	addrFile  string
	token     string
	servers   []*http.Server
	group     *errgroup.Group
	failed    context.Context // ends with the first listener that fails
	tunnels   *handedOver
}

// Start listens and serves. The caller calls Until.
func Start(c Config) (*Listeners, error) {
	l := &Listeners{addrFile: c.AddrFile}
	l.group, l.failed = errgroup.WithContext(context.Background())
	if c.AddrFile != "" {
		l.token = fault.NewToken()
	}
	c.Control.SetGuard(fault.Guard{Hosts: c.AdminHosts, Token: l.token})
	plain, err := net.Listen("tcp", c.HTTP)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	l.Addresses.PID, l.Addresses.HTTP = os.Getpid(), "http://"+plain.Addr().String()
	l.Addresses.Admin = l.Addresses.HTTP
	opened := []net.Listener{plain}
	fail := func(err error) (*Listeners, error) {
		for _, o := range opened {
			o.Close()
		}
		return nil, err
	}
	if c.TLS == "" && c.Proxy == "" {
		l.serve(l.server(c, nil), c.Control.Listen(plain))
		return l, nil
	}
	conf, err := c.authority(l)
	if err != nil {
		return fail(err)
	}
	secure := l.server(c, conf)
	if c.TLS != "" {
		o, err := net.Listen("tcp", c.TLS)
		if err != nil {
			return fail(fmt.Errorf("listen for TLS: %w", err))
		}
		opened = append(opened, o)
		l.Addresses.HTTPS = "https://" + o.Addr().String()
		l.serveTLS(secure, c.Control.Listen(o))
	}
	if c.Proxy != "" {
		o, err := net.Listen("tcp", c.Proxy)
		if err != nil {
			return fail(fmt.Errorf("listen for the proxy: %w", err))
		}
		l.Addresses.Proxy = "http://" + o.Addr().String()
		l.tunnels = newHandedOver(o.Addr())
		l.serveTLS(secure, l.tunnels)
		l.serve(&http.Server{Handler: newProxy(c.Hosts, l.tunnels), ReadHeaderTimeout: headerTimeout,
			IdleTimeout:    idleTimeout,
			MaxHeaderBytes: maxHeader}, c.Control.Listen(o))
	}
	l.serve(l.server(c, nil), c.Control.Listen(plain))
	return l, nil
}

// authority makes the certificate of the TLS listeners.
func (c *Config) authority(l *Listeners) (*tls.Config, error) {
	ca, err := tlsca.New(c.Authority)
	if err != nil {
		return nil, err
	}
	if c.CAFile != "" {
		if err := ca.WriteFile(c.CAFile); err != nil {
			return nil, err
		}
		l.Addresses.CAFile = c.CAFile
	}
	cert, err := ca.Certificate(append([]string{"localhost", "127.0.0.1", "::1"}, c.Hosts...)...)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}

func (l *Listeners) server(c Config, conf *tls.Config) *http.Server {
	srv := &http.Server{ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader}
	if c.Server != nil {
		srv = c.Server()
	}
	srv.Handler, srv.TLSConfig = c.Handler, conf
	srv.Protocols = new(http.Protocols)
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetHTTP2(c.H2 && conf != nil)
	c.Control.Watch(srv)
	return srv
}

func (l *Listeners) serve(srv *http.Server, o net.Listener) {
	l.servers = append(l.servers, srv)
	l.group.Go(func() error { return ended(srv.Serve(o)) })
}

func (l *Listeners) serveTLS(srv *http.Server, o net.Listener) {
	l.servers = append(l.servers, srv)
	l.group.Go(func() error { return ended(srv.ServeTLS(o, "", "")) })
}

func ended(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// WriteFile writes the addresses to Config.AddrFile, where that is set.
func (l *Listeners) WriteFile() error {
	if l.addrFile == "" {
		return nil
	}
	return l.Addresses.WithToken(l.token).WriteFile(l.addrFile)
}

// Until calls announce and serves until ctx ends or something fails. Then it lets requests end for the grace, and cuts
// those that take longer: an interrupt means that. It returns the first failure.
func (l *Listeners) Until(ctx context.Context, grace time.Duration, announce func() error) error {
	err := announce()
	if err == nil {
		select {
		case <-ctx.Done():
		case <-l.failed.Done():
		}
	}
	stop, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	for _, srv := range l.servers {
		if srv.Shutdown(stop) != nil {
			srv.Close()
		}
	}
	return errors.Join(err, l.group.Wait())
}
