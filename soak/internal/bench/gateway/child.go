package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"

	"github.com/memsoak/memsoak/soak/internal/gateway"
)

// roleVariable tells a child what it is: gate or proxy.
const roleVariable = "MEMSOAK_BENCH_ROLE"

// child is a process that passes requests on. It ends with its standard input.
type child struct {
	cmd         *exec.Cmd
	stdin       io.Closer
	addr, admin string
}

func start(role, target string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.Command(self, target)}
	c.cmd.Env = append(os.Environ(), roleVariable+"="+role)
	c.cmd.Stderr = os.Stderr
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	said, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(said).ReadString('\n')
	words := strings.Fields(line)
	if err != nil || len(words) == 0 {
		c.stop()
		return nil, fmt.Errorf("the %s did not say where it listens: %w", role, err)
	}
	c.addr, c.admin = words[0], words[len(words)-1]
	return c, nil
}

func (c *child) stop() {
	c.stdin.Close()
	_ = c.cmd.Wait() // its end was asked for
}

// serve is the child.
func serve(role, target string) int {
	if err := serving(role, target); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent ends or closes it
	return 0
}

func serving(role, target string) error {
	switch role {
	case "gate":
		s, err := gateway.Start(gateway.Config{Gates: []gateway.Gate{{Name: "api", Target: target}}})
		if err != nil {
			return err
		}
		a := s.Addresses()
		fmt.Println(a.Gates["api"], a.Admin)
		return nil
	case "proxy":
		u, err := url.Parse(target)
		if err != nil {
			return err
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		p := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) }, BufferPool: &pool{},
			Transport: &http.Transport{MaxIdleConnsPerHost: clients, DisableCompression: true}, ErrorLog: log.New(io.Discard, "",
				0)}
		fmt.Println("http://" + l.Addr().String())
		go http.Serve(l, p) //nolint:errcheck // it ends with the process
		return nil
	}
	return errors.New("no such role: " + role)
}

// pool is what a gate has as well.
type pool struct{ p sync.Pool }

// Get implements httputil.BufferPool.
func (b *pool) Get() []byte {
	if v, ok := b.p.Get().(*[]byte); ok {
		return *v
	}
	return make([]byte, 32<<10)
}

// Put implements httputil.BufferPool.
func (b *pool) Put(v []byte) { b.p.Put(&v) }

// startTarget answers with replies of both sizes.
func startTarget() *httptest.Server {
	small, piece := bytes.Repeat([]byte{'s'}, smallReply), bytes.Repeat([]byte{'l'}, 1<<20)
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/small" {
			_, _ = w.Write(small) // a client that has gone says so itself
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(largeReply))
		for range largeReply / len(piece) {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}))
}
