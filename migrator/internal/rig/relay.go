package rig

import (
	"io"
	"net"
	"sync"
)

// Relay is the network between processes and a server: it forwards connections, and can cut them.
type Relay struct {
	Addr string

	ln net.Listener

	mu    sync.Mutex
	to    string
	conns map[net.Conn]struct{}
}

// NewRelay forwards connections to an address, until Close.
func NewRelay(to string) (*Relay, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Relay{Addr: ln.Addr().String(), to: to, ln: ln, conns: map[net.Conn]struct{}{}}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go r.forward(c)
		}
	}()
	return r, nil
}

func (r *Relay) forward(c net.Conn) {
	defer c.Close()
	r.mu.Lock()
	to := r.to
	r.mu.Unlock()
	up, err := net.Dial("tcp", to)
	if err != nil {
		return // as the server would refuse it
	}
	defer up.Close()
	r.mu.Lock()
	r.conns[c] = struct{}{}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.conns, c)
		r.mu.Unlock()
	}()
	go func() {
		defer up.Close()
		_, _ = io.Copy(up, c) // whatever ends it ends the connection
	}()
	_, _ = io.Copy(c, up)
}

// Cut ends all connections of now. New ones are forwarded.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		c.Close()
	}
}

// Turn forwards new connections to another address, as a name does that moves to a replica, and cuts those of now.
func (r *Relay) Turn(to string) {
	r.mu.Lock()
	r.to = to
	r.mu.Unlock()
	r.Cut()
}

// Close ends the forwarding.
func (r *Relay) Close() {
	r.ln.Close()
	r.Cut()
}
