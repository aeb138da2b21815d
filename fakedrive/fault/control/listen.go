package control

import (
	"context"
	"net"
	"sync"

	"github.com/memsoak/memsoak/fakedrive/fault"
)

// Listen makes the plan's rules for OpAccept strike the connections of l. Wrap the listener below TLS. A delay holds
// up one connection before its first byte is read, not the ones behind it.
func (c *Control) Listen(l net.Listener) net.Listener { return &listener{l, c} }

type listener struct {
	net.Listener
	c *Control
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		p := l.c.plan.Load()
		if p == nil {
			return conn, nil
		}
		act := p.Decide(&fault.Request{Op: fault.OpAccept})
		if act.Strike != nil {
			l.c.harmed()
			resetConn(conn)
			continue
		}
		if act.Delay > 0 {
			l.c.fired.Add(1)
			ctx, cancel := context.WithCancel(context.Background())
			conn = &slowConn{Conn: conn, act: act, ctx: ctx, close: cancel}
		}
		return conn, nil
	}
}

// slowConn reads nothing before its time has come.
type slowConn struct {
	net.Conn
	act   fault.Action
	once  sync.Once
	ctx   context.Context // ends when the connection is closed
	close context.CancelFunc
}

func (s *slowConn) Read(p []byte) (int, error) {
	s.once.Do(func() { _ = s.act.Wait(s.ctx, s.act.Delay) })
	if s.ctx.Err() != nil {
		return 0, net.ErrClosed
	}
	return s.Conn.Read(p)
}

func (s *slowConn) Close() error {
	s.close()
	return s.Conn.Close()
}

// NetConn lets a reset reach the connection of the kernel.
func (s *slowConn) NetConn() net.Conn { return s.Conn }
