package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/procfs"

	"github.com/memsoak/memsoak/fakedrive/fault"
)

// startTimeout is how long a server may take to listen before it counts as hung.
const startTimeout = 30 * time.Second

// process is a running server.
type process struct {
	cmd    *exec.Cmd
	url    string // of the plain listener
	took   time.Duration
	stderr *bytes.Buffer
	dir    string
}

// startDrive starts fakedrive on a preset and waits until it listens.
func startDrive(ctx context.Context, binary, corpus string) (*process, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	p := &process{dir: dir, stderr: &bytes.Buffer{}}
	file := filepath.Join(dir, "addr.json")
	p.cmd = exec.CommandContext(ctx, binary, "serve", "--corpus", corpus, "--listen", "127.0.0.1:0", "--addr-file", file)
	p.cmd.Stderr = p.stderr
	start := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	for {
		b, err := os.ReadFile(file)
		if err == nil {
			p.took = time.Since(start)
			var a fault.Addresses
			if err := json.Unmarshal(b, &a); err != nil {
				return nil, errors.Join(err, p.stop())
			}
			p.url = a.HTTP
			return p, nil
		}
		if !errors.Is(err, fs.ErrNotExist) || time.Since(start) > startTimeout || !p.alive() {
			return nil, errors.Join(fmt.Errorf("fakedrive with %s doesn't listen: %s", corpus, p.stderr), p.stop())
		}
		time.Sleep(time.Millisecond)
	}
}

// alive says whether the process hasn't ended: an ended one is a zombie until it is waited for.
func (p *process) alive() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	return err == nil && !bytes.Contains(stat, []byte(") Z "))
}

// startBare starts this program as a bare handler.
func startBare(ctx context.Context) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{stderr: &bytes.Buffer{}}
	p.cmd = exec.CommandContext(ctx, self, "bare")
	p.cmd.Stderr = p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("bare handler doesn't listen: %w", err), p.stop())
	}
	p.url = strings.TrimSpace(line)
	return p, nil
}

// stop ends the process and waits for it.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	done := time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer done.Stop()
	_ = p.cmd.Wait() // ended by our signal
	if p.dir == "" {
		return nil
	}
	return os.RemoveAll(p.dir)
}

// status is the kernel's account of the process.
func (p *process) status() (procfs.ProcStatus, error) {
	proc, err := procfs.NewProc(p.cmd.Process.Pid)
	if err != nil {
		return procfs.ProcStatus{}, err
	}
	return proc.NewStatus()
}
