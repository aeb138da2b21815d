package attach

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"

	"github.com/memsoak/memsoak/profiles/record"
)

// DefaultPodPort is the port of pprof in a pod when none is given.
const DefaultPodPort = 6060

var forwarding = regexp.MustCompile(`Forwarding from (127\.0\.0\.1:\d+) ->`)

// lastState is what kubectl prints of each container: its name, restarts, and the reason and code of its last end.
const lastState = `jsonpath={range .status.containerStatuses[*]}{.name}{" "}{.restartCount}{" "}` +
	`{.lastState.terminated.reason}{.state.terminated.reason}{" "}` +
	`{.lastState.terminated.exitCode}{.state.terminated.exitCode}{"\n"}{end}`

// Pod forwards a free port of loopback to a pod's, by kubectl as a child. name is "namespace/pod", or a pod of the
// current namespace.
func Pod(ctx context.Context, kubectl, name string, port int) (*Target, error) {
	namespace, pod, ok := strings.Cut(name, "/")
	args := []string{}
	if !ok {
		pod = name
	} else {
		args = append(args, "--namespace", namespace)
	}
	if pod == "" || strings.HasPrefix(pod, "-") || strings.HasPrefix(namespace, "-") {
		return nil, fmt.Errorf("--pod %q is not namespace/name", name)
	}
	cmd := exec.Command(kubectl, append(args, "port-forward", "--address", "127.0.0.1", "pod/"+pod, fmt.Sprintf(":%d",
		port))...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("kubectl: %w", err)
	}
	done := make(chan struct{})
	address := make(chan string, 1)
	go func() {
		sc := bufio.NewScanner(stdout)
		for sc.Scan() {
			if m := forwarding.FindStringSubmatch(sc.Text()); m != nil {
				select {
				case address <- m[1]:
				default:
				}
			}
		}
		_, _ = io.Copy(io.Discard, stdout)
		_ = cmd.Wait() // what it said on its standard error is the reason
		close(done)
	}()
	t := &Target{Name: pod, Done: done, close: func() { stop(cmd.Process, done) }}
	t.end = func(ctx context.Context) End { return podEnd(ctx, kubectl, args, pod) }
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case a := <-address:
		t.Pprof = "http://" + a + "/debug/pprof"
		return t, waitFor(ctx, t, func() error { return Answers(ctx, t.Pprof) })
	case <-done:
		line, _, _ := strings.Cut(strings.TrimSpace(said.String()), "\n")
		return nil, fmt.Errorf("kubectl port-forward to %s ended: %s", name, line)
	case <-limited.Done():
		t.Close()
		return nil, fmt.Errorf("kubectl port-forward to %s: no port within %s: %w", name, patience, limited.Err())
	}
}

// podEnd asks the cluster how a pod's containers ended.
func podEnd(ctx context.Context, kubectl string, args []string, pod string) End {
	out, err := exec.CommandContext(ctx, kubectl, append(args, "get", "pod", pod, "-o", lastState)...).Output()
	if err != nil {
		return End{Reason: "the port's forwarding ended, and kubectl can't say how the pod did: unknown"}
	}
	for line := range strings.Lines(string(out)) {
		col := strings.Fields(line)
		if len(col) < 3 {
			continue
		}
		switch col[2] {
		case "OOMKilled":
			return End{Outcome: record.OOMKilled, Reason: fmt.Sprintf("container %s was OOMKilled (%s restarts)", col[0],
				col[1])}
		case "Error":
			return End{Outcome: record.Crashed, Reason: fmt.Sprintf("container %s ended with an error, exit code %s", col[0],
				strings.Join(col[3:], ""))}
		}
	}
	return End{Reason: "the port's forwarding ended while the pod has no container that ended: unknown"}
}
