// Package launch starts programs that write their addresses to a file once they listen, as the fakes and the gates do
// with --addr-file, and says how they ended. It knows nothing of what they do.
package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// saidBytes is how much of a log an error has.
const saidBytes = 1 << 10

// Process is a program that was started.
type Process struct {
	name, addr, log string
	cmd             *exec.Cmd
	done            chan struct{}
}

// Start has start, which may be (*exec.Cmd).Start, start a command in a process group of its own, with --addr-file
// behind its arguments. Its addresses and its log are files in dir, by its name.
func Start(name, dir string, cmd *exec.Cmd, start func(*exec.Cmd) error) (*Process, error) {
	p := &Process{name: name, addr: filepath.Join(dir, name+".addr"), log: filepath.Join(dir, name+".log"), cmd: cmd,
		done: make(chan struct{})}
	if err := os.Remove(p.addr); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Args = append(cmd.Args, "--addr-file", p.addr)
	cmd.Stdout, cmd.Stderr = log, log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	if err := start(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = cmd.Wait() // Ended says how
		close(p.done)
	}()
	return p, nil
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Await decodes the address file once it is there.
func (p *Process) Await(ctx context.Context, addresses any) error {
	for {
		b, err := os.ReadFile(p.addr)
		if err == nil {
			if err := json.Unmarshal(b, addresses); err != nil {
				return fmt.Errorf("addresses of %s: %w", p.name, err)
			}
			return nil
		}
		select {
		case <-p.done:
			return p.Ended(0)
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen: %w", p.name, ctx.Err())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// Ended is the error of a process that ends within some time, before it is stopped: how, and the end of what it said.
func (p *Process) Ended(within time.Duration) error {
	select {
	case <-p.done: // first of all: of two that are ready, the select below takes either
	default:
		select {
		case <-p.done:
		case <-time.After(within):
			return nil
		}
	}
	said, _ := os.ReadFile(p.log)
	said = said[max(0, len(said)-saidBytes):]
	return fmt.Errorf("%s ended with %s: %s", p.name, p.cmd.ProcessState, strings.Join(strings.Fields(string(said)), " "))
}

// Stop kills the process and waits for it. One that has ended is left alone: its number may be another's by now.
func (p *Process) Stop() {
	if p.Ended(0) == nil {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
	<-p.done
}
