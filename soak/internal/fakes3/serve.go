package fakes3

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/fault/listen"
)

// ServeConfig says where a sink listens.
type ServeConfig struct {
	Listen    string // host:port of plain http and of the admin protocol; port 0 takes a free one
	TLSListen string // host:port of https, with a certificate of a CA made at the start; empty: none
	CAFile    string // where the CA's certificate is written (PEM); empty: nowhere
	// where the addresses are written (JSON) once the sink listens, with a token that changes then need; empty: nowhere
	AddrFile string
	// AdminHosts are names, beside localhost, by which the admin protocol may be reached.
	AdminHosts []string
	// Ready is called with the addresses once the sink listens; may be nil.
	Ready func(fault.Addresses)
}

// Serve serves the sink until ctx ends, then closes all connections and returns nil. S3 speaks HTTP/1.1 only, and so
// does the sink.
func (s *Server) Serve(ctx context.Context, cfg ServeConfig) error {
	c := listen.Config{HTTP: cfg.Listen, TLS: cfg.TLSListen, CAFile: cfg.CAFile, Authority: "memsoak S3 sink CA",
		AddrFile: cfg.AddrFile, AdminHosts: cfg.AdminHosts, Handler: s, Control: s.Control,
		Server: func() *http.Server {
			return &http.Server{ReadHeaderTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
				BaseContext: func(net.Listener) context.Context { return ctx }}
		}}
	if host, _, err := net.SplitHostPort(cfg.TLSListen); err == nil && host != "" {
		c.Hosts = []string{host}
	}
	l, err := listen.Start(c)
	if err != nil {
		return err
	}
	return l.Until(ctx, 0, func() error {
		if err := l.WriteFile(); err != nil {
			return err
		}
		if cfg.Ready != nil {
			cfg.Ready(l.Addresses)
		}
		return nil
	})
}
