package fakes3

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
	"github.com/memsoak/memsoak/fakedrive/fault/tlsca"
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

// Serve serves the sink until ctx ends, then closes all connections and returns nil.
func (s *Server) Serve(ctx context.Context, cfg ServeConfig) error {
	plain, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return err
	}
	defer plain.Close()
	addrs := fault.Addresses{PID: os.Getpid(), HTTP: "http://" + plain.Addr().String(), CAFile: cfg.CAFile}
	addrs.Admin = addrs.HTTP
	listeners := []net.Listener{s.Control.Listen(plain)}
	if cfg.TLSListen != "" {
		l, err := s.listenTLS(cfg)
		if err != nil {
			return err
		}
		defer l.Close()
		addrs.HTTPS = "https://" + l.Addr().String()
		listeners = append(listeners, l)
	}
	guard := fault.Guard{Hosts: cfg.AdminHosts}
	if cfg.AddrFile != "" {
		guard.Token = fault.NewToken()
	}
	s.Control.SetGuard(guard)
	if cfg.AddrFile != "" {
		if err := addrs.WithToken(guard.Token).WriteFile(cfg.AddrFile); err != nil {
			return err
		}
	}
	if cfg.Ready != nil {
		cfg.Ready(addrs)
	}
	srv := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	s.Control.Watch(srv)
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range listeners {
		g.Go(func() error {
			if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
	g.Go(func() error {
		<-ctx.Done()
		return srv.Close()
	})
	return g.Wait()
}

// listenTLS listens for https. S3 speaks HTTP/1.1 only, and so does the sink.
func (s *Server) listenTLS(cfg ServeConfig) (net.Listener, error) {
	ca, err := tlsca.New("memsoak S3 sink CA")
	if err != nil {
		return nil, err
	}
	hosts := []string{"127.0.0.1", "::1", "localhost"}
	if host, _, err := net.SplitHostPort(cfg.TLSListen); err == nil && host != "" {
		hosts = append(hosts, host)
	}
	cert, err := ca.Certificate(hosts...)
	if err != nil {
		return nil, err
	}
	if cfg.CAFile != "" {
		if err := ca.WriteFile(cfg.CAFile); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("tcp", cfg.TLSListen)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return tls.NewListener(s.Control.Listen(l), &tls.Config{
		Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12,
	}), nil
}
