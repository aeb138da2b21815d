package subject

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/memsoak/memsoak/internal/bounded"
	"github.com/memsoak/memsoak/internal/version"
	"github.com/memsoak/memsoak/profiles/record"
)

// Cgroup is where the process is put before its first instruction.
type Cgroup interface {
	Enter(cmd *exec.Cmd) (done func(), err error)
}

// Options say how to start a subject.
type Options struct {
	// Values fill the placeholders; addr, dir, root and prefix are added here.
	Values map[string]string
	// Env is added to the environment after the subject's own: GOMEMLIMIT and the like.
	Env []string
	// Group may be nil: then the process runs without a cgroup.
	Group Cgroup
	// Log takes the output, at most LogLimit bytes of its beginning and as many of its end.
	Log string
	// Temp is where the subject's own temporary directory is made; "" is the system's.
	Temp string
	// CPUs is the set of processors that the process may use ("0-1,3"); empty is all. Linux only.
	CPUs string
	// ReadyTimeout is how long the subject may take to answer; default 20 seconds.
	ReadyTimeout time.Duration
}

// LogLimit is how much of the beginning and of the end of a subject's output is kept.
const LogLimit = 1 << 20

// ErrNotReady is returned, wrapped, for a subject that does not answer or dies before it does.
var ErrNotReady = errors.New("subject never got ready")

// Process is a started subject. Its methods are safe for concurrent use.
type Process struct {
	Spec   *Spec
	Addr   string
	Pprof  string // base URL, without a slash at its end
	Metric string // "" when the subject has none
	// Command is the command line as started.
	Command []string

	values map[string]string
	cmd    *exec.Cmd
	log    *boundedLog
	dir    string
	cpus   string
	client *http.Client
	exited chan struct{}
	once   sync.Once
}

// startTries is how often a start is tried when the port that was free is not any more.
const startTries = 3

// Start starts the subject and waits until it answers. For a one-shot subject, wave holds root and prefix.
func Start(ctx context.Context, s *Spec, o Options, wave map[string]string) (*Process, error) {
	var err error
	for range startTries {
		var p *Process
		p, err = start(s, o, wave)
		if err != nil {
			return nil, err
		}
		if err = p.awaitReady(ctx, o.ReadyTimeout); err == nil {
			return p, nil
		}
		taken := p.Exited() && strings.Contains(p.log.Tail(4<<10), "address already in use")
		p.Stop(0)
		if !taken {
			break
		}
	}
	return nil, err
}

func start(s *Spec, o Options, wave map[string]string) (_ *Process, err error) {
	addr := s.Addr
	if addr == "" {
		if addr, err = freeAddr(); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp(o.Temp, "memsoak-subject-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	values := map[string]string{}
	for _, m := range []map[string]string{s.Settings, o.Values, wave, {"addr": addr, "dir": dir}} {
		maps.Copy(values, m)
	}
	if s.Attach != nil {
		return attachTo(s, o, values, dir)
	}
	p := &Process{Spec: s, Addr: addr, values: values, dir: dir, cpus: o.CPUs, exited: make(chan struct{}),
		client: &http.Client{Transport: OwnTransport()}}
	if err := p.expand(o); err != nil {
		return nil, fmt.Errorf("subject %s: %w", s.Name, err)
	}
	if p.log, err = newBoundedLog(o.Log, LogLimit); err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.launch(o.Group); err != nil {
		p.log.Close()
		return nil, fmt.Errorf("start subject %s: %w", s.Name, err)
	}
	return p, nil
}

// expand fills the placeholders of command, environment, URLs and files.
func (p *Process) expand(o Options) error {
	s := p.Spec
	for _, a := range s.Command {
		v, err := Expand(a, p.values)
		if err != nil {
			return fmt.Errorf("command: %w", err)
		}
		if v != "" { // {{if ...}}--flag{{end}} may come to nothing
			p.Command = append(p.Command, v)
		}
	}
	path, err := Executable(p.Command[0])
	if err != nil {
		return err
	}
	p.cmd = exec.Command(path, p.Command[1:]...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = time.Second
	p.cmd.Env = append(keep(os.Environ(), inherited, s.PassEnv), credentials...)
	for _, k := range slices.Sorted(keys(s.Env)) {
		v, err := Expand(s.Env[k], p.values)
		if err != nil {
			return fmt.Errorf("env %s: %w", k, err)
		}
		p.cmd.Env = append(p.cmd.Env, k+"="+v)
	}
	p.cmd.Env = append(p.cmd.Env, o.Env...)
	for to, text := range map[*string]string{&p.Pprof: s.Pprof, &p.Metric: s.Metrics} {
		if *to, err = Expand(text, p.values); err != nil {
			return err
		}
	}
	p.Pprof = strings.TrimRight(p.Pprof, "/")
	for name, text := range s.Files {
		v, err := Expand(text, p.values)
		if err != nil {
			return fmt.Errorf("files %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(v), 0o600); err != nil {
			return err
		}
	}
	if s.User != "" {
		return become(p.cmd, s.User, p.dir)
	}
	return nil
}

func (p *Process) launch(g Cgroup) error {
	if g != nil {
		done, err := g.Enter(p.cmd)
		if err != nil {
			return err
		}
		defer done()
	}
	if err := StartOn(p.cpus, p.cmd); err != nil {
		return err
	}
	go func() {
		_ = p.cmd.Wait() // the state is read from cmd.ProcessState
		p.log.Close()
		close(p.exited)
	}()
	return nil
}

// Executable finds the program of a command: as it stands, next to this program (bin/x, x), or on PATH by its last
// element. One of this project's programs that is found elsewhere than the command says has to be of this program's
// version.
func Executable(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return filepath.Abs(path)
	}
	base := filepath.Base(name)
	if !filepath.IsAbs(name) {
		near, nerr := version.Beside(base)
		for _, p := range []string{near, base} {
			if found, perr := exec.LookPath(p); nerr == nil && perr == nil {
				return found, version.Read().Check(found)
			}
		}
	}
	if version.Ours(base) {
		return "", version.Read().Missing(base)
	}
	return "", err
}

// Wave gives the subject the work below root and returns when it answers. A one-shot subject's only wave ends with the
// process.
func (p *Process) Wave(ctx context.Context, root, prefix string) error {
	if p.Spec.Wave.Exit {
		return p.awaitExit(ctx)
	}
	values := map[string]string{}
	maps.Copy(values, p.values)
	values["root"], values["prefix"] = root, prefix
	w := p.Spec.Wave
	body, err := Expand(w.Body, values)
	if err != nil {
		return fmt.Errorf("wave body: %w", err)
	}
	url, err := Expand(w.URL, values)
	if err != nil {
		return fmt.Errorf("wave url: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, w.Method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	for k, v := range w.Headers {
		if v, err = Expand(v, values); err != nil {
			return fmt.Errorf("wave header %s: %w", k, err)
		}
		req.Header.Set(k, v)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(resp.Body, bounded.Reply.Bytes))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", resp.Status, lastLine(string(reply)))
	}
	if err == nil && w.Poll != nil {
		return p.await(ctx, w.Poll, values, replyValues(resp, reply))
	}
	return err
}

func (p *Process) awaitExit(ctx context.Context) error {
	select {
	case <-p.exited:
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			return fmt.Errorf("the command ended with %s: %s", p.cmd.ProcessState, lastLine(p.log.Tail(2<<10)))
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// PID is the process's id, 0 where it isn't known.
func (p *Process) PID() int {
	if p.cmd == nil {
		return p.Spec.Attach.PID
	}
	return p.cmd.Process.Pid
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.exited }

// Exited says whether the process has ended.
func (p *Process) Exited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// ExitState says how the process ended; nil while it runs, and where only its parent knows.
func (p *Process) ExitState() *record.Exit {
	if !p.Exited() || p.cmd == nil {
		return nil
	}
	e := &record.Exit{Code: p.cmd.ProcessState.ExitCode()}
	if ws, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		e.Signal = ws.Signal().String()
	}
	return e
}

// LogTail is the end of the subject's output, at most n bytes.
func (p *Process) LogTail(n int) string { return p.log.Tail(n) }

// Stop ends a process that Start started, and its process group: SIGTERM, and SIGKILL after grace. It returns when the
// process is gone.
// What it forked into other groups is the cgroup's and the reaper's work.
func (p *Process) Stop(grace time.Duration) {
	p.once.Do(func() {
		defer os.RemoveAll(p.dir)
		defer p.client.CloseIdleConnections()
		if p.cmd == nil {
			return // it was there before
		}
		pid := p.cmd.Process.Pid
		if grace > 0 && !p.Exited() {
			_ = p.cmd.Process.Signal(syscall.SIGTERM)
			select {
			case <-p.exited:
			case <-time.After(grace):
			}
		}
		_ = syscall.Kill(-pid, syscall.SIGKILL)
		<-p.exited
	})
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// lastLine is the last line with something on it, shortened.
func lastLine(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.LastIndexByte(s, '\n'); i >= 0 {
		s = s[i+1:]
	}
	if len(s) > 300 {
		s = s[:300] + "..."
	}
	if s == "" {
		return "it said nothing"
	}
	return s
}
