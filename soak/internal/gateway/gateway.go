// Package gateway puts gates around a service: proxies of memsoak's own, one before the subject and one before each
// service that it calls. A gate counts what passes, holds it at a named point, and slows, cuts or fails it by a plan;
// it speaks the control protocol of package fault, as the fakes do. A gate may also make the replies itself. All gates
// of a trial are one process outside the subject's cgroup.
//
// A gate listens on loopback, passes on to the one address that it was given, and keeps no body and no header.
package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/fault/control"
	"github.com/memsoak/memsoak/fakedrive/fault/tlsca"
)

// Config is the gates of one process.
type Config struct {
	Gates []Gate `json:"gates"`
	// Remote are the hosts outside loopback that a target may name.
	Remote []string `json:"remote,omitempty"`
	// CAFile takes the certificate of the CA of the gates that end TLS; required if there are any.
	CAFile string `json:"ca_file,omitempty"`
	// Token is asked for by every change through the control protocol; "" asks for none.
	Token string `json:"-"`
}

// Gate is one proxy.
type Gate struct {
	Name string `json:"name"`
	// Target is where requests go: http://host:port, https://host:port, grpc://host:port or grpcs://host:port, whose
	// clients are given an address without a scheme, or tcp://host:port for any other protocol. An empty one is set later
	// by PUT target, or not at all where replies are made.
	Target string `json:"target,omitempty"`
	// Make answers in place of a target.
	Make *Reply `json:"make,omitempty"`
	// TLS makes the gate's own listener one of HTTPS, as the target's scheme https does.
	TLS bool `json:"tls,omitempty"`
}

// Reply is what a gate answers by itself.
type Reply struct {
	Status  int               `json:"status,omitempty"` // default 200
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"`
	// Size is the number of bytes of the body where Body is empty.
	Size  int64          `json:"size,omitempty"`
	Delay fault.Duration `json:"delay,omitempty"`
}

// ErrConfig is returned, wrapped with the reason, for gates that can't be made.
var ErrConfig = errors.New("gates")

// errRemote refuses a target that is not on this machine.
var errRemote = errors.New("it is not on this machine; --allow-remote HOST permits it")

// CheckHost says whether a gate may talk to the host of an address: loopback, or one of the permitted.
func CheckHost(address string, remote []string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() || slices.Contains(remote, host) {
		return nil
	}
	return fmt.Errorf("%s: %w", host, errRemote)
}

// ParseTarget reads the address of a target and checks it. gRPC is HTTP/2.
func ParseTarget(text string, remote []string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%q is no URL", text)
	case !slices.Contains([]string{"http", "https", "tcp", "grpc", "grpcs"}, u.Scheme) || u.Host == "":
		return nil, fmt.Errorf("%q: write http://host:port, https://host:port, grpc://host:port, grpcs://host:port or "+
			"tcp://host:port", text)
	case u.Scheme != "http" && u.Scheme != "https" && u.Port() == "":
		return nil, fmt.Errorf("%q has no port", text)
	case u.User != nil:
		return nil, fmt.Errorf("the address of a target has no user and password")
	}
	u.Scheme = strings.Replace(u.Scheme, "grpc", "http", 1)
	return u, CheckHost(u.Host, remote)
}

// Server is a process's gates.
type Server struct {
	gates []*gate
	admin *http.Server
	ln    net.Listener
	ca    string
}

// Start opens all gates and the listener of their control protocol.
func Start(c Config) (_ *Server, err error) {
	s := &Server{ca: c.CAFile}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	var ca *tlsca.CA
	for _, g := range c.Gates {
		if g.Name == "" || strings.ContainsAny(g.Name, "/? ") {
			return nil, fmt.Errorf("%w: %q is no name of a gate", ErrConfig, g.Name)
		}
		g.TLS = g.TLS || strings.HasPrefix(g.Target, "https:") || strings.HasPrefix(g.Target, "grpcs:")
		if g.TLS && ca == nil {
			if ca, err = newCA(c.CAFile); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrConfig, err)
			}
		}
		n, err := open(g, c.Remote, ca)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrConfig, g.Name, err)
		}
		n.ctl.SetGuard(fault.Guard{Token: c.Token})
		s.gates = append(s.gates, n)
	}
	if s.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	s.admin = &http.Server{Handler: s.control(), ReadHeaderTimeout: 10 * time.Second}
	go s.admin.Serve(s.ln) //nolint:errcheck // it ends with Close
	return s, nil
}

func newCA(file string) (*tlsca.CA, error) {
	if file == "" {
		return nil, errors.New("a gate with TLS needs ca_file")
	}
	ca, err := tlsca.New("memsoak gates")
	if err == nil {
		err = ca.WriteFile(file)
	}
	return ca, err
}

// Addresses says where the gates listen.
func (s *Server) Addresses() fault.Addresses {
	a := fault.Addresses{Admin: "http://" + s.ln.Addr().String(), Gates: map[string]string{}}
	for _, g := range s.gates {
		a.Gates[g.Name] = g.address()
		if g.TLS {
			a.CAFile = s.ca
		}
	}
	return a
}

// AdminOf is the base URL of one gate's control protocol, below that of the process.
func AdminOf(admin, gate string) string { return admin + "/" + gate }

// control serves each gate's control protocol below its name, and what all gates saw at /gates.
func (s *Server) control() http.Handler {
	mux := http.NewServeMux()
	for _, g := range s.gates {
		mux.Handle("/"+g.Name+"/", http.StripPrefix("/"+g.Name, g.ctl.Handler()))
	}
	mux.HandleFunc("GET "+fault.AdminPrefix+"gates", func(w http.ResponseWriter, _ *http.Request) {
		fault.WriteJSON(w, http.StatusOK, s.Seen())
	})
	return mux
}

// Seen is what each gate saw.
func (s *Server) Seen() map[string]Seen {
	out := map[string]Seen{}
	for _, g := range s.gates {
		out[g.Name] = g.seen()
	}
	return out
}

// Close ends all gates and what passes through them.
func (s *Server) Close() {
	if s.admin != nil {
		s.admin.Close()
	}
	for _, g := range s.gates {
		g.close()
	}
}

// open opens one gate.
func open(c Gate, remote []string, ca *tlsca.CA) (*gate, error) {
	g := &gate{Gate: c, remote: remote, tally: newTally()}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	if c.Target != "" {
		u, err := ParseTarget(c.Target, remote)
		if err != nil {
			return nil, err
		}
		g.target.Store(u)
	}
	g.raw = strings.HasPrefix(c.Target, "tcp:")
	g.ctl = control.New(fault.Options{Points: g.points(), Ops: []fault.Op{Op}, Lacks: []string{"change", "empty_page",
		"duplicates"}})
	g.routes()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g.ln = g.ctl.Listen(ln)
	switch {
	case g.raw:
		go g.serveRaw()
	default:
		if c.TLS {
			cert, err := ca.Certificate("127.0.0.1", "localhost")
			if err != nil {
				ln.Close()
				return nil, err
			}
			g.ln = tls.NewListener(g.ln, g.tlsConfig(cert))
		}
		g.serveHTTP()
	}
	return g, nil
}

// Op is the operation of a gate in a plan of faults.
const Op fault.Op = "request"

func (g *gate) points() []fault.Point {
	if g.raw {
		return []fault.Point{fault.GateBytes}
	}
	return []fault.Point{fault.GateRequest, fault.GateRequestBody, fault.GateReply, fault.GateReplyBody}
}

// address is what a client is given.
func (g *gate) address() string {
	switch at := g.ln.Addr().String(); {
	case g.raw, strings.HasPrefix(g.Target, "grpc"):
		return at
	case g.TLS:
		return "https://" + at
	default:
		return "http://" + at
	}
}
