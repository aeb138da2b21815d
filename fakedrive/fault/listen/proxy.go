package listen

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// proxy is a CONNECT proxy for a few host names. It opens no connection of its own: a tunnel's end is handed over to
// the server that plays the host.
type proxy struct {
	hosts   []string
	tunnels *handedOver
}

func newProxy(hosts []string, tunnels *handedOver) http.Handler { return &proxy{hosts, tunnels} }

// allowed says whether the target of a CONNECT is one of the hosts, on the port of https.
func (p *proxy) allowed(target string) bool {
	host, port, err := net.SplitHostPort(target)
	return err == nil && port == "443" && slices.Contains(p.hosts, strings.ToLower(host))
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "fakedrive: this proxy takes CONNECT only", http.StatusMethodNotAllowed)
		return
	}
	if !p.allowed(r.Host) {
		http.Error(w, fmt.Sprintf("fakedrive: no tunnel to %s; this proxy leads to %s", r.Host, strings.Join(p.hosts, ", ")),
			http.StatusForbidden)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "fakedrive: the connection cannot become a tunnel", http.StatusInternalServerError)
		return
	}
	if _, err := conn.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
		conn.Close()
		return
	}
	if rw.Reader.Buffered() > 0 {
		conn = &buffered{conn, rw.Reader}
	}
	p.tunnels.hand(conn)
}

// buffered is a connection of which some bytes were read ahead.
type buffered struct {
	net.Conn
	r *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

// NetConn lets a reset reach the connection of the kernel.
func (b *buffered) NetConn() net.Conn { return b.Conn }

// handedOver is a listener whose connections come from elsewhere.
type handedOver struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newHandedOver(addr net.Addr) *handedOver {
	return &handedOver{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

// hand gives a connection to Accept, or closes it after the listener has closed.
func (h *handedOver) hand(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.done:
		c.Close()
	}
}

func (h *handedOver) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

func (h *handedOver) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

func (h *handedOver) Addr() net.Addr { return h.addr }
