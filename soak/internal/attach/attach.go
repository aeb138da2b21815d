// Package attach finds a process that is to be recorded, wherever it runs: by its id, as a child that it starts, or in
// a pod behind kubectl port-forward. A Target says where its pprof is, whether it has ended, and how it ended where
// that can be known. It never ends a process that it did not start.
package attach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
)

// ErrNoPprof is returned, wrapped, for a process that serves no net/http/pprof.
var ErrNoPprof = errors.New("it serves no net/http/pprof on a port of this machine: import that, or give --pprof URL")

// End is how a process ended; the zero Outcome is not known.
type End struct {
	Outcome record.Outcome
	Reason  string
	Exit    *record.Exit
}

// Unknown is the end of a process that nothing here can ask about.
var Unknown = End{Reason: "it stopped answering; how it ended is unknown"}

// Target is a process to record.
type Target struct {
	PID   int    // 0: not on this machine
	Pprof string // URL of net/http/pprof
	Name  string
	// Done is closed when the process has ended; nil: only its silence says so.
	Done <-chan struct{}

	end   func(ctx context.Context) End
	close func()
}

// End says how the process ended, once it has.
func (t *Target) End(ctx context.Context) End {
	if t.end == nil {
		return Unknown
	}
	return t.end(ctx)
}

// Close ends everything started for the recording.
func (t *Target) Close() {
	if t.close != nil {
		t.close()
	}
}

// patience is how long a process that was started may take until it serves pprof.
const patience = 30 * time.Second

// pollEvery is the time between two looks at a process that is waited for.
const pollEvery = 200 * time.Millisecond

// Process attaches to a process of this machine. pprof may be empty: then the ports that it listens on are tried.
func Process(ctx context.Context, pid int, pprof string) (*Target, error) {
	if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
		return nil, fmt.Errorf("there is no process %d", pid)
	}
	if pprof == "" {
		var err error
		if pprof, err = discover(ctx, pid); err != nil {
			return nil, fmt.Errorf("process %d: %w", pid, err)
		}
	}
	kills := oomKills(pid)
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer close(done)
		tick := time.NewTicker(pollEvery)
		defer tick.Stop()
		for alive(pid) {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return &Target{PID: pid, Pprof: pprof, Name: nameOf(pid), Done: done, close: func() { cancel(); <-done },
		end: func(context.Context) End {
			if kills() {
				return End{Outcome: record.OOMKilled, Reason: "a process of its cgroup was killed for memory as it ended"}
			}
			return End{Reason: fmt.Sprintf("process %d ended; only its parent knows how", pid)}
		}}, nil
}

// alive reports whether a process exists and is no zombie.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) == nil
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

func nameOf(pid int) string {
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return fmt.Sprintf("process-%d", pid)
	}
	return filepath.Base(exe)
}

// Command starts a program, whose output goes to out, and ends it with the recording.
func Command(ctx context.Context, args []string, pprof string, out io.Writer) (*Target, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = os.Environ()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	pid := cmd.Process.Pid
	kills := oomKills(pid)
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // its state says how it ended
		close(done)
	}()
	t := &Target{PID: pid, Pprof: pprof, Name: filepath.Base(args[0]), Done: done}
	t.close = func() { stop(cmd.Process, done) }
	t.end = func(context.Context) End {
		<-done
		return endOf(cmd.ProcessState, kills())
	}
	if pprof != "" {
		return t, waitFor(ctx, t, func() error { return Answers(ctx, pprof) })
	}
	return t, waitFor(ctx, t, func() (err error) {
		t.Pprof, err = discover(ctx, pid)
		return err
	})
}

// waitFor asks until the process serves pprof, has ended, or patience is at its end.
func waitFor(ctx context.Context, t *Target, ready func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-t.Done:
			end := t.End(ctx)
			t.Close()
			return fmt.Errorf("%s ended before it served pprof: %s", t.Name, end.Reason)
		case <-ctx.Done():
			t.Close()
			return fmt.Errorf("%s: %w", t.Name, err)
		case <-tick.C:
		}
	}
}

// grace is how long a process that was started may take to end by itself.
const grace = 10 * time.Second

func stop(p *os.Process, done <-chan struct{}) {
	_ = p.Signal(syscall.SIGTERM)
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
		_ = p.Kill()
		<-done
	}
}

// endOf reads the end of a child.
func endOf(s *os.ProcessState, oom bool) End {
	ws, ok := s.Sys().(syscall.WaitStatus)
	switch {
	case ok && ws.Signaled() && ws.Signal() == syscall.SIGKILL && oom:
		return End{record.OOMKilled, "killed for memory (SIGKILL, and its cgroup counts a kill)", &record.Exit{Code: -1,
			Signal: "killed"}}
	case ok && ws.Signaled():
		return End{record.Crashed, "ended by the signal " + ws.Signal().String(), &record.Exit{Code: -1,
			Signal: ws.Signal().String()}}
	case s.ExitCode() != 0:
		return End{record.Crashed, fmt.Sprintf("ended with exit code %d", s.ExitCode()), &record.Exit{Code: s.ExitCode()}}
	}
	return End{record.OK, "ended with exit code 0", &record.Exit{}}
}

// Answers asks a pprof URL for its index, and says why the answer is not one.
func Answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(page), "goroutine") {
		return fmt.Errorf("%s answers %s and is no index of pprof", url, resp.Status)
	}
	return nil
}
