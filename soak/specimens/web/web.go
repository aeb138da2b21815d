// Package web has HTTP services with one known memory fault each, and their healthy look-alikes: what the diagnosis of
// services is tested on. Each answers GET /items/{key} and POST /items/{key}, calls one upstream for each request that
// says so, and is otherwise the smallest service that has its fault.
package web

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	_ "net/http/pprof" // served on the default mux
	"slices"
	"strconv"
	"time"
)

// Config is what a service needs.
type Config struct {
	Upstream string // base URL
	Workers  int
}

// Service is a specimen.
type Service struct {
	Name    string
	Summary string
	// new makes the handler of /items/{key}.
	new func(c *client) http.HandlerFunc
	// context is the hook of that name of the http.Server; nil for none.
	context func(ctx context.Context, c net.Conn) context.Context
}

// All lists the services.
func All() []Service { return slices.Concat(leaks(), flights(), stores(), computes()) }

// Find returns a service by name.
func Find(name string) (Service, error) {
	for _, s := range All() {
		if s.Name == name {
			return s, nil
		}
	}
	return Service{}, fmt.Errorf("no service %q", name)
}

// client calls the upstream.
type client struct {
	http    *http.Client
	base    string
	workers int
}

// get asks the upstream for a key and returns its reply, whose body the caller closes.
func (c *client) get(ctx context.Context, key string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/"+key, nil)
	if err != nil {
		return nil, err
	}
	return c.http.Do(req)
}

// touch asks the upstream for a key and reads its reply to the end.
func (c *client) touch(ctx context.Context, key string) error {
	resp, err := c.get(ctx, key)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// reply calls the upstream and answers.
func (c *client) reply(w http.ResponseWriter, r *http.Request) {
	if err := c.touch(r.Context(), r.PathValue("key")); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	fmt.Fprintln(w, "ok")
}

// Serve serves the service, its profiles and its health until ctx ends.
func (s Service) Serve(ctx context.Context, l net.Listener, cfg Config) error {
	tr := &http.Transport{MaxIdleConnsPerHost: max(cfg.Workers, 16)}
	defer tr.CloseIdleConnections()
	h := s.new(&client{http: &http.Client{Transport: tr}, base: cfg.Upstream, workers: max(1, cfg.Workers)})
	mux := http.NewServeMux()
	mux.Handle("/debug/", http.DefaultServeMux)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/items/{key}", h)
	srv := &http.Server{Handler: mux, ConnContext: s.context, ReadHeaderTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.Serve(l); ctx.Err() == nil {
		return err
	}
	return nil
}

// size is the number of bytes that a request asks for.
func size(r *http.Request) int {
	n, err := strconv.Atoi(r.URL.Query().Get("bytes"))
	if err != nil {
		return 1 << 10
	}
	return n
}

// drop reads a body to its end.
func drop(r io.Reader) { _, _ = io.Copy(io.Discard, r) }
