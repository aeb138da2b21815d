package rig

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/memsoak/memsoak/internal/needs"
)

// ErrSlowRabbit means that the server didn't start within firstStart: the machine is too slow for tests of it.
var ErrSlowRabbit = fmt.Errorf("rabbitmq-server %w: it isn't up after %v", needs.ErrMissing, firstStart)

const firstStart = time.Minute

// tail is the end of a log.
func tail(log []byte) []byte { return log[max(0, len(log)-2000):] }

// RabbitServer is a real RabbitMQ on private ports, with a port mapper of its own.
type RabbitServer struct {
	Addr string

	path string
	env  []string
	cmd  *exec.Cmd
	epmd *exec.Cmd
	log  bytes.Buffer

	ended chan struct{}
}

// ServerDir makes a temporary directory for a broker under test: in memory where there is room for it, since a queue
// takes several syncs to make. Files there outlive kill -9 as they do on a disk.
func ServerDir() (string, error) {
	const shm, room = "/dev/shm", 1 << 30
	base := ""
	var fs syscall.Statfs_t
	if syscall.Statfs(shm, &fs) == nil && fs.Bavail*uint64(fs.Bsize) >= room {
		base = shm
	}
	return os.MkdirTemp(base, "migrator-broker-")
}

// Rabbit starts a RabbitMQ in dir. Settings are lines of rabbitmq.conf. Where there is none, none can be installed or
// it is too slow to start, the error wraps needs.ErrMissing.
func Rabbit(ctx context.Context, dir string, settings ...string) (*RabbitServer, error) {
	path, err := needs.Find(ctx, "rabbitmq-server")
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	conf := fmt.Sprintf("listeners.tcp.1 = 127.0.0.1:%d\nloopback_users = none\nraft.wal_max_size_bytes = 16777216\n",
		ports[0])
	for _, line := range settings {
		conf += line + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "rabbitmq.conf"), []byte(conf), 0o600); err != nil {
		return nil, err
	}
	r := &RabbitServer{Addr: fmt.Sprint("127.0.0.1:", ports[0]), path: path}
	r.env = append(os.Environ(), "HOME="+dir, "RUNNING_UNDER_SYSTEMD=1", // so that the script becomes the server
		"ERL_EPMD_ADDRESS=127.0.0.1", "ERL_EPMD_PORT="+strconv.Itoa(ports[1]), "RABBITMQ_NODENAME=memsoak@localhost",
		"RABBITMQ_DIST_PORT="+strconv.Itoa(ports[2]), "RABBITMQ_CONFIG_FILE="+filepath.Join(dir, "rabbitmq"),
		"RABBITMQ_MNESIA_BASE="+dir, "RABBITMQ_LOG_BASE="+dir, "RABBITMQ_LOGS=-", "RABBITMQ_ENABLED_PLUGINS_FILE="+
			filepath.Join(dir, "plugins"),
		"RABBITMQ_CONF_ENV_FILE="+filepath.Join(dir, "none"))
	if err := r.boot(ports[1]); err != nil {
		return nil, err
	}
	return r, nil
}

// boot starts the port mapper, which else would start by itself and outlive the server, and the server.
func (r *RabbitServer) boot(epmdPort int) error {
	r.epmd = exec.Command("epmd", "-port", strconv.Itoa(epmdPort))
	r.epmd.Env = r.env
	r.epmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.epmd.Start(); err != nil {
		return fmt.Errorf("epmd: %w", err)
	}
	if err := r.start(firstStart); err != nil {
		r.Stop()
		return err
	}
	return nil
}

// URL is what --queue takes.
func (r *RabbitServer) URL() string { return "amqp://guest:guest@" + r.Addr }

// PID is the server's process id.
func (r *RabbitServer) PID() int { return r.cmd.Process.Pid }

// Start starts the server again after Kill, and waits until it can be used.
func (r *RabbitServer) Start() error { return r.start(5 * firstStart) }

func (r *RabbitServer) start(limit time.Duration) error {
	cmd := exec.Command(r.path)
	cmd.Env = r.env
	cmd.Stdout, cmd.Stderr = &r.log, &r.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	r.cmd = cmd
	ended := make(chan struct{})
	r.ended = ended
	go func(c *exec.Cmd) {
		_ = c.Wait() // killed on purpose, or the log says why
		close(ended)
	}(r.cmd)
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if c, err := amqp.Dial(r.URL()); err == nil {
			return c.Close()
		}
		select {
		case <-ended:
			return fmt.Errorf("rabbitmq-server ended: %s", tail(r.log.Bytes()))
		default:
		}
	}
	r.Kill()
	return fmt.Errorf("%w: its log ends with: %s", ErrSlowRabbit, tail(r.log.Bytes()))
}

// Kill kills the server and its helpers with kill -9 and waits for its end.
func (r *RabbitServer) Kill() {
	_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL) // it may have ended
	<-r.ended
}

// Stop kills the server and its port mapper for good.
func (r *RabbitServer) Stop() {
	if r.cmd != nil {
		r.Kill()
	}
	_ = r.epmd.Process.Kill()
	_ = r.epmd.Wait() // killed on purpose
}

// Control runs rabbitmqctl.
func (r *RabbitServer) Control(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(r.path), "rabbitmqctl"), args...)
	cmd.Env = r.env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("rabbitmqctl %v: %w: %s", args, err, out)
	}
	return nil
}
