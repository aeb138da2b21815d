package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/fault/control"
)

// serveRaw passes the bytes of any protocol on. What a request is can't be known: a turn stands for it, from the
// client's first byte until the target's next. To hold bytes stops a whole connection, not one item of many on it.
func (g *gate) serveRaw() {
	for {
		c, err := g.ln.Accept()
		if err != nil {
			return
		}
		g.ctl.ConnState(g.known(c), http.StateNew)
		g.conns.Go(func() {
			defer g.ctl.ConnState(c, http.StateClosed)
			defer c.Close()
			g.rawConn(c)
		})
	}
}

// known lets the control count the connection, which it does by its context for HTTP.
func (g *gate) known(c net.Conn) net.Conn {
	g.ctl.ConnContext(context.Background(), c)
	return c
}

func (g *gate) rawConn(client net.Conn) {
	ctx, cancel := context.WithCancel(g.ctx)
	defer cancel()
	target, err := dialer.DialContext(ctx, "tcp", g.target.Load().Host)
	if err != nil {
		g.tally.unreached.Add(1)
		g.tally.fail(Failure{Why: reason(err)})
		return
	}
	defer target.Close()
	stop := context.AfterFunc(ctx, func() { client.Close(); target.Close() })
	defer stop()
	turn := &turn{g: g, client: client, r: (&http.Request{}).WithContext(ctx)}
	defer turn.end()
	var both sync.WaitGroup
	both.Go(func() {
		defer closeWrite(target)
		g.pass(client, target, turn.up)
	})
	both.Go(func() {
		defer closeWrite(client)
		g.pass(target, client, turn.down)
	})
	both.Wait()
}

// pass copies bytes, each piece after a look.
func (g *gate) pass(from, to net.Conn, look func(n int) error) {
	buf := buffers.Get()
	defer buffers.Put(buf)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if look(n) != nil {
				return
			}
			if _, werr := to.Write(buf[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				to.Close()
			}
			return
		}
	}
}

func closeWrite(c net.Conn) {
	if t, ok := c.(interface{ CloseWrite() error }); ok {
		_ = t.CloseWrite() // fails only on a connection that is closed already
		return
	}
	c.Close()
}

// turn is the exchange under way on a connection.
type turn struct {
	g      *gate
	client net.Conn
	r      *http.Request
	mu     sync.Mutex
	open   *control.Transfer
}

// up is called with bytes of the client, which may be held.
func (t *turn) up(n int) error {
	t.mu.Lock()
	if t.open == nil {
		t.g.ctl.CountRequest()
		t.g.ctl.ConnState(t.client, http.StateActive)
		t.open = t.g.ctl.Begin(t.r, fault.Request{Op: Op}, fault.Action{})
	}
	open := t.open
	t.mu.Unlock()
	t.g.tally.bytesIn.Add(int64(n))
	return open.At(fault.GateBytes)
}

// down is called with bytes of the target: the turn is over.
func (t *turn) down(n int) error {
	t.g.ctl.AddBytes(int64(n))
	t.end()
	return nil
}

func (t *turn) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open != nil {
		t.open.End(nil)
		t.open = nil
		t.g.ctl.ConnState(t.client, http.StateIdle)
	}
}
