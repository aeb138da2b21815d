package rig

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/memsoak/memsoak/internal/needs"
)

// RedisServer is a real Redis on a private port, with an append-only file that each write is synced to.
type RedisServer struct {
	Addr string

	path string
	args []string
	cmd  *exec.Cmd
	log  bytes.Buffer
}

// Redis starts a Redis in dir. Where there is none and none can be installed the error wraps needs.ErrMissing.
func Redis(ctx context.Context, dir string, args ...string) (*RedisServer, error) {
	path, err := needs.Find(ctx, "redis-server")
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	r := &RedisServer{Addr: fmt.Sprint("127.0.0.1:", ports[0]), path: path, args: append([]string{"--bind", "127.0.0.1",
		"--port", strconv.Itoa(ports[0]), "--dir", dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "always"}, args...)}
	if err := r.Start(); err != nil {
		return nil, err
	}
	return r, nil
}

// URL is what --queue takes.
func (r *RedisServer) URL() string { return "redis://" + r.Addr }

// PID is the server's process id.
func (r *RedisServer) PID() int { return r.cmd.Process.Pid }

// Start starts the server, again after Kill, and waits until it listens.
func (r *RedisServer) Start() error {
	r.cmd = exec.Command(r.path, r.args...)
	r.cmd.Stdout, r.cmd.Stderr = &r.log, &r.log
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.cmd.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("tcp", r.Addr); err == nil {
			return c.Close()
		}
	}
	r.Kill()
	return fmt.Errorf("redis-server didn't start: %s", &r.log)
}

// Kill kills the server with kill -9 and waits for its end.
func (r *RedisServer) Kill() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait() // killed on purpose
}
