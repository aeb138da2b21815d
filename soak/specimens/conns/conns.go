// Package conns has faults that leave connections or bodies open, and memory held per pooled connection; beside each
// is a look-alike that closes them. The line that a verdict should name ends in a comment "fault:NAME".
package conns

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"

	"github.com/memsoak/memsoak/soak/specimens/copier"
	"github.com/memsoak/memsoak/soak/specimens/specimen"
)

// All returns the package's specimens.
func All() []specimen.Specimen {
	return []specimen.Specimen{
		{Name: "conn-notclosed", Hooks: newStatter(false, drainNothing)},
		{Name: "ok-closed", Hooks: newStatter(true, drainAll)},
		{Name: "conn-notdrained", Hooks: newStatter(false, drainSome)},
		{Name: "ok-notdrained", Hooks: newStatter(true, drainSome)},
		{Name: "conn-transport", Hooks: newTransports(false)},
		{Name: "ok-transport", Hooks: newTransports(true)},
		{Name: "conn-dial", Hooks: newProbes(false)},
		{Name: "ok-dial", Hooks: newProbes(true)},
		{Name: "pool-transport", Hooks: newWideTransport(256 << 10)},
		{Name: "ok-widetransport", Hooks: newWideTransport(8 << 10)},
		{Name: "pool-sessions", Hooks: newSessionPool(512 << 10)},
		{Name: "ok-sessions", Hooks: newSessionPool(4 << 10)},
	}
}

// each is how many files there are to one faulty request: descriptors are limited.
const each = 4

// everyFourth calls f for one file in four.
func everyFourth(e *copier.Engine, f func(copier.File)) copier.Hooks {
	return copier.Hooks{Done: func(_ context.Context, _ *copier.Worker, file copier.File) {
		if e.Sequence()%each == 0 {
			f(file)
		}
	}}
}

type drain int

const (
	drainNothing drain = iota
	drainSome
	drainAll
)

// newStatter asks for a file's metadata after its copy and forgets to close the body.
func newStatter(fixed bool, d drain) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		s := &statter{client: e.Client(), fixed: fixed, drain: d}
		if d == drainSome {
			return everyFourth(e, s.peek)
		}
		return everyFourth(e, s.stat)
	}
}

type statter struct {
	client *copier.Client
	fixed  bool
	drain  drain
}

// stat looks at the status alone.
func (s *statter) stat(f copier.File) {
	resp, err := s.client.HTTP.Get(s.client.MetadataURL(f)) // fault:conn-notclosed
	if err != nil {
		return
	}
	if s.fixed {
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

// peek reads a few bytes of the answer. Fixed, it closes the body without reading the rest: the connection may be lost
// to the pool, but its memory isn't.
func (s *statter) peek(f copier.File) {
	resp, err := s.client.HTTP.Get(s.client.MetadataURL(f)) // fault:conn-notdrained
	if err != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 16)
	if s.fixed {
		resp.Body.Close()
	}
}

// newTransports makes a transport per request, with a connection that stays idle in it for ever.
func newTransports(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		shared := http.DefaultTransport.(*http.Transport).Clone()
		return everyFourth(e, func(f copier.File) {
			t := shared
			if !fixed {
				t = shared.Clone()
				t.IdleConnTimeout = 0
			}
			check(t, e.Client().MetadataURL(f))
		})
	}
}

func check(t *http.Transport, u string) {
	client := &http.Client{Transport: t}
	resp, err := client.Get(u) // fault:conn-transport
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

// newProbes dials the sink after a transfer, to see that it's there, and keeps the connection.
func newProbes(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) copier.Hooks {
		p := &probes{fixed: fixed}
		if u, err := url.Parse(e.Config().S3); err == nil {
			p.addr = u.Host
		}
		return everyFourth(e, func(copier.File) { p.probe() })
	}
}

type probes struct {
	addr  string
	fixed bool

	mu   sync.Mutex
	open []*bufio.ReadWriter
}

func (p *probes) probe() {
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		return
	}
	if p.fixed {
		conn.Close()
		return
	}
	rw := bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn)) // fault:conn-dial
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = append(p.open, rw)
}

// newWideTransport gives each of the engine's connections read and write buffers of n bytes.
func newWideTransport(n int) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		return copier.Hooks{Transport: func(t *http.Transport) {
			t.ReadBufferSize = n
			t.WriteBufferSize = n
		}}
	}
}

// newSessionPool gives each new connection a scratch buffer of n bytes that lives as long as the connection does.
func newSessionPool(n int) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		return copier.Hooks{Transport: func(t *http.Transport) {
			d := &net.Dialer{}
			t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := d.DialContext(ctx, network, addr)
				if err != nil {
					return nil, err
				}
				return newSession(c, n), nil
			}
		}}
	}
}

// session is a connection with a scratch buffer.
type session struct {
	net.Conn
	scratch []byte
}

func newSession(c net.Conn, n int) *session {
	return &session{Conn: c, scratch: make([]byte, n)} // fault:pool-sessions
}
