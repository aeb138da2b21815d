package control

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// connTable knows every open connection of every watched server. A connection is the admin client's own, and counts
// nowhere, from its first request to the admin prefix on.
type connTable struct {
	mu    sync.Mutex
	open  map[net.Conn]*connEntry
	total int64
}

// connEntry is one connection. Its fields belong to the table's mutex.
type connEntry struct {
	conn    net.Conn
	active  bool // as net/http sees it: from the first byte of a request until its reply is sent
	serving int  // requests that a handler is at work on
	admin   bool
}

// between says that the connection is active, and no handler is: net/http is about to call the connection idle, or to
// hand over a request.
func (e *connEntry) between() bool { return e.active && e.serving == 0 }

type connKey struct{}

func (t *connTable) init() { t.open = map[net.Conn]*connEntry{} }

// Watch makes the Control see the server's connections. It keeps hooks that are already set. Call it before serving.
func (c *Control) Watch(srv *http.Server) {
	state, withContext := srv.ConnState, srv.ConnContext
	srv.ConnState = func(conn net.Conn, s http.ConnState) {
		if state != nil {
			state(conn, s)
		}
		c.ConnState(conn, s)
	}
	srv.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		if withContext != nil {
			ctx = withContext(ctx, conn)
		}
		return c.ConnContext(ctx, conn)
	}
}

// ConnContext is the hook of that name of an http.Server; see [Control.Watch].
func (c *Control) ConnContext(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c.conns.add(conn))
}

// ConnState is the hook of that name of an http.Server; see [Control.Watch]. A connection that was accepted and has
// not sent a request yet counts as idle: to the client that opened it, it is.
func (c *Control) ConnState(conn net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		c.conns.add(conn)
	case http.StateActive:
		c.conns.setActive(conn, true)
	case http.StateIdle:
		c.conns.setActive(conn, false)
	case http.StateClosed, http.StateHijacked:
		c.conns.remove(conn)
	}
}

// How long CloseIdle waits for connections that a client may think idle: for one that no handler is at work on, and for
// one whose handler may have sent all and not have returned yet. The latter is as long as CloseIdle takes when a client
// keeps a connection busy.
const (
	betweenTimeout = 2 * time.Second
	servingTimeout = 200 * time.Millisecond
)

// CloseIdle closes the connections that are idle, the admin client's excepted, and says how many there were. A client
// knows of the end of its request before the server calls the connection idle: such a connection is waited for. The
// closed ones are gone from the counters when CloseIdle returns.
func (c *Control) CloseIdle(ctx context.Context) int {
	begun := time.Now()
	closed := 0
	for {
		idle, between, serving := c.conns.takeIdle()
		for _, conn := range idle {
			conn.Close()
		}
		closed += len(idle)
		waited := time.Since(begun)
		if (between == 0 || waited > betweenTimeout) && (serving == 0 || waited > servingTimeout) {
			return closed
		}
		select {
		case <-ctx.Done():
			return closed
		case <-time.After(time.Millisecond):
		}
	}
}

func (t *connTable) add(conn net.Conn) *connEntry {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.open[conn]
	if e == nil {
		e = &connEntry{conn: conn}
		t.open[conn] = e
		t.total++
	}
	return e
}

func (t *connTable) setActive(conn net.Conn, active bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.open[conn]; e != nil {
		e.active = active
	}
}

func (t *connTable) remove(conn net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, conn)
}

// admin marks the connection of a request's context as the admin client's.
func (t *connTable) admin(ctx context.Context) {
	e, _ := ctx.Value(connKey{}).(*connEntry)
	if e == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !e.admin {
		e.admin = true
		t.total--
	}
}

func (t *connTable) counts() (total, open, idle int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.open {
		if e.admin {
			continue
		}
		open++
		if !e.active {
			idle++
		}
	}
	return t.total, open, idle
}

// takeIdle removes the idle connections from the table and returns them, and counts the others.
func (t *connTable) takeIdle() (idle []net.Conn, between, serving int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for conn, e := range t.open {
		switch {
		case e.admin:
		case !e.active:
			idle = append(idle, conn)
			delete(t.open, conn)
		case e.between():
			between++
		default:
			serving++
		}
	}
	return idle, between, serving
}

// serve counts a request on the connection of its context until the returned function is called.
func (t *connTable) serve(ctx context.Context) (done func()) {
	e, _ := ctx.Value(connKey{}).(*connEntry)
	if e == nil {
		return func() {}
	}
	add := func(n int) {
		t.mu.Lock()
		defer t.mu.Unlock()
		e.serving += n
	}
	add(1)
	return func() { add(-1) }
}

// reset closes the connection of a request's context with a TCP reset, below TLS and HTTP/2. Without a watched
// connection it does nothing: the handler's abort then closes it.
func reset(ctx context.Context) {
	e, _ := ctx.Value(connKey{}).(*connEntry)
	if e == nil {
		return
	}
	resetConn(e.conn)
}

// resetConn closes a connection with a TCP reset.
func resetConn(conn net.Conn) {
	conn = innermost(conn)
	if l, ok := conn.(interface{ SetLinger(int) error }); ok {
		_ = l.SetLinger(0) // fails only on a connection that is closed already
	}
	conn.Close()
}

// innermost unwraps TLS and the like down to the connection of the kernel.
func innermost(conn net.Conn) net.Conn {
	for {
		w, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = w.NetConn()
	}
}
