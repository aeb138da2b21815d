package gateway

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"
	"sync"
	"time"
)

// alpnTimeout bounds how long a client's handshake waits for the one with the target.
const alpnTimeout = 2 * time.Second

// tlsConfig ends TLS with cert. Of the protocols of HTTP it offers those that the target has: a client that was offered
// HTTP/2 would speak it, and what a target of HTTP/1 alone answers well would fail at the gate.
func (g *gate) tlsConfig(cert tls.Certificate) *tls.Config {
	both := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}
	old := &tls.Config{Certificates: both.Certificates, NextProtos: []string{"http/1.1"}}
	var mu sync.Mutex
	known := map[string]*tls.Config{} // by target
	out := both.Clone()
	out.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		target := g.target.Load()
		if target == nil || target.Scheme != "https" {
			return both, nil
		}
		mu.Lock()
		defer mu.Unlock()
		if c := known[target.Host]; c != nil {
			return c, nil
		}
		http2, err := g.speaksHTTP2(target)
		switch {
		case err != nil: // a request will say why
			return both, nil
		case http2:
			known[target.Host] = both
		default:
			known[target.Host] = old
		}
		return known[target.Host], nil
	}
	return out
}

// speaksHTTP2 asks a target by a handshake.
func (g *gate) speaksHTTP2(target *url.URL) (bool, error) {
	ctx, cancel := context.WithTimeout(g.ctx, alpnTimeout)
	defer cancel()
	at := target.Host
	if target.Port() == "" {
		at = net.JoinHostPort(target.Hostname(), "443")
	}
	d := tls.Dialer{NetDialer: &dialer, Config: &tls.Config{NextProtos: []string{"h2", "http/1.1"},
		InsecureSkipVerify: CheckHost(target.Host, nil) == nil}}
	c, err := d.DialContext(ctx, "tcp", at)
	if err != nil {
		return false, err
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().NegotiatedProtocol == "h2", nil // a tls.Dialer's connections are of that type
}
