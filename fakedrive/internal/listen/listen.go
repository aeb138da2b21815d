// Package listen puts one handler on the listeners of a fake Drive: plain http, TLS, and a CONNECT proxy that leads the
// real Drive's host names to it. It knows nothing of Drive.
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/fault/control"
	"github.com/memsoak/memsoak/fakedrive/fault/tlsca"
)

// Config says where to listen. Empty addresses are not listened on, but for HTTP, which carries the admin protocol.
type Config struct {
	HTTP, TLS, Proxy string
	CAFile           string   // where to write the authority's certificate; needed for TLS and Proxy
	H2               bool     // offer HTTP/2 on TLS and through the proxy
	Hosts            []string // what the proxy leads here; the certificate covers them
	Handler          http.Handler
	Control          *control.Control
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
	servers   []*http.Server
	group     errgroup.Group
	tunnels   *handedOver
}

// Start listens and serves. The caller calls Shutdown, then Wait.
func Start(c Config) (*Listeners, error) {
	l := &Listeners{}
	plain, err := net.Listen("tcp", c.HTTP)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	l.Addresses.HTTP = "http://" + plain.Addr().String()
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
	ca, err := tlsca.New("fakedrive")
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
	srv := &http.Server{
		Handler: c.Handler, TLSConfig: conf,
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
	}
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

// Wait returns when serving has ended, with the error of the first listener that failed.
func (l *Listeners) Wait() error { return l.group.Wait() }

// Shutdown lets requests end until ctx does, then cuts them.
func (l *Listeners) Shutdown(ctx context.Context) error {
	var first error
	for _, srv := range l.servers {
		if err := srv.Shutdown(ctx); err != nil {
			srv.Close()
			if first == nil {
				first = fmt.Errorf("shut down: %w", err)
			}
		}
	}
	return first
}
