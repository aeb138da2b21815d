package subject

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/memsoak/memsoak/soak/internal/attach"
)

// Probed holds the findings about a command from starting it.
type Probed struct {
	Listens []string // host:port
	Pprof   string   // base URL of net/http/pprof; "" if it is nowhere
	Log     string   // the end of its output
	Answer  string   // what the request was answered with, where one was asked for: "401 Unauthorized"
}

// Ask makes a request of a command that was started, and says what it was answered with.
type Ask func(context.Context, *http.Client) string

// Bounds of a probe.
const (
	probeTimeout = 10 * time.Second
	probeStep    = 50 * time.Millisecond
	probeSettle  = 5 // looks in a row with the same listeners
)

// Probe starts a command as it is, waits until it listens, looks for profiles on all addresses, and ends it.
// It makes the request ask, where that is not nil.
func Probe(ctx context.Context, argv, env []string, ask Ask) (Probed, error) {
	path, err := Executable(argv[0])
	if err != nil {
		return Probed{}, err
	}
	log, err := newBoundedLog(os.DevNull, 64<<10)
	if err != nil {
		return Probed{}, err
	}
	defer log.Close()
	cmd := exec.Command(path, argv[1:]...)
	cmd.Env = append(keep(os.Environ(), inherited), env...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = log, log, time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return Probed{}, err
	}
	exited := make(chan struct{})
	go func() { defer close(exited); _ = cmd.Wait() }()
	defer func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-exited
	}()
	p, err := probe(ctx, cmd.Process.Pid, exited, ask)
	p.Log = log.Tail(2 << 10)
	return p, err
}

// OwnTransport reaches a process that memsoak started: that is on this machine, whatever its certificate says.
func OwnTransport() *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: 4, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
}

func probe(ctx context.Context, pid int, exited <-chan struct{}, ask Ask) (Probed, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var p Probed
	for same := 0; same < probeSettle; {
		select {
		case <-exited:
			return p, errors.New("it ended by itself")
		case <-ctx.Done():
			return p, errors.New("it listens nowhere")
		case <-time.After(probeStep):
		}
		now, err := listeners(pid)
		if err != nil {
			return p, err
		}
		if same++; len(now) == 0 || !slices.Equal(now, p.Listens) {
			p.Listens, same = now, 0
		}
	}
	client := &http.Client{Timeout: time.Second, Transport: OwnTransport()}
	defer client.CloseIdleConnections()
	for _, scheme := range []string{"http://", "https://"} {
		for _, at := range p.Listens {
			base := scheme + at + "/debug/pprof"
			if p.Pprof == "" && status(ctx, client, base+"/") == http.StatusOK {
				p.Pprof = base
			}
		}
	}
	if ask != nil {
		p.Answer = ask(ctx, client)
	}
	return p, nil
}

// listeners are the addresses at which a process listens, as a client on this machine reaches them.
func listeners(pid int) ([]string, error) {
	own, err := attach.Listeners(pid)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, at := range own {
		if at.Addr().IsUnspecified() {
			at = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
		}
		out = append(out, at.String())
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
