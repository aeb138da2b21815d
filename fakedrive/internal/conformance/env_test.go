package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/internal/checkout"
)

// rcloneVersion is the judge.
const rcloneVersion = "v1.76.0"

// wanted skips the test unless conformance was asked for.
func wanted(t *testing.T) {
	t.Helper()
	if os.Getenv("MEMSOAK_CONFORMANCE") == "" {
		t.Skip("not asked for: this takes minutes and installs other people's clients; run make conformance")
	}
}

// binDir is where the programs under test are built.
var binDir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "conformance-bin-") })

// builders build the programs under test, once each.
var builders = map[string]func() (string, error){
	"fakedrive": sync.OnceValues(func() (string, error) { return build("fakedrive", "./fakedrive/cmd/fakedrive") }),
	"soak":      sync.OnceValues(func() (string, error) { return build("soak", "./soak/cmd/soak") }),
}

func build(name, pkg string) (string, error) {
	root, err := checkout.Root(context.Background())
	if err != nil {
		return "", err
	}
	dir, err := binDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	cmd := exec.Command("go", "build", "-o", path, pkg)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return path, nil
}

// rclonePath installs rclone, unmodified, from the module proxy, once.
var rclonePath = sync.OnceValues(func() (string, error) {
	root, err := checkout.Root(context.Background())
	if err != nil {
		return "", err
	}
	tools := filepath.Join(root, ".tools")
	path := filepath.Join(tools, "rclone")
	if out, err := exec.Command(path, "version").Output(); err == nil && strings.HasPrefix(string(out), "rclone "+
		rcloneVersion) {
		return path, nil
	}
	cmd := exec.Command("go", "install", "github.com/rclone/rclone@"+rcloneVersion)
	cmd.Dir = os.TempDir()
	cmd.Env = append(os.Environ(), "GOBIN="+tools, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("install rclone: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if os.Getenv("MEMSOAK_CONFORMANCE") != "" {
		if dir, err := binDir(); err == nil {
			os.RemoveAll(dir)
		}
	}
	os.Exit(code)
}

// server is a fake that runs as a process of its own.
type server struct {
	fault.Addresses
	t     *testing.T
	dir   string
	admin *fault.Client
}

// start runs a binary with arguments that make it listen, and waits for its addresses. It is stopped with the test.
func start(t *testing.T, program string, args ...string) *server {
	t.Helper()
	path, err := builders[program]()
	require.NoError(t, err)
	s := &server{t: t, dir: t.TempDir()}
	file := filepath.Join(s.dir, "addr.json")
	var log bytes.Buffer
	cmd := exec.Command(path, append(args, "--addr-file", file)...)
	cmd.Stderr = &log
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if t.Failed() {
			t.Logf("%s said:\n%s", program, tail(log.String(), 4000))
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; {
		raw, err := os.ReadFile(file)
		if err == nil {
			require.NoError(t, json.Unmarshal(raw, &s.Addresses))
			s.admin = fault.NewClient(s.Admin)
			t.Cleanup(s.admin.Close)
			return s
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v\n%s", program, err, log.String())
		case <-time.After(20 * time.Millisecond):
		}
		require.True(t, time.Now().Before(deadline), "%s does not listen", program)
	}
}

// startDrive runs fakedrive with a proxy in front.
func startDrive(t *testing.T, corpus string, args ...string) *server {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	return start(t, "fakedrive", append([]string{"serve", "--corpus", corpus, "--proxy-listen", "127.0.0.1:0", "--ca-file",
		ca}, args...)...)
}

// understood fails the test if the server met something that it has no meaning for.
func (s *server) understood() {
	s.t.Helper()
	c, err := s.admin.Counters(context.Background())
	require.NoError(s.t, err)
	require.Zero(s.t, c.NotUnderstood, "requests that the fake does not understand")
}

// env is the environment of a client that believes to talk to Google.
func (s *server) env(more ...string) []string {
	env := []string{"HTTPS_PROXY=" + s.Proxy, "https_proxy=" + s.Proxy, "SSL_CERT_FILE=" + s.CAFile,
		"NODE_EXTRA_CA_CERTS=" + s.CAFile,
		"NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1"}
	return append(append(os.Environ(), env...), more...)
}

// run runs a program to its end and returns what it printed.
func run(t *testing.T, env []string, dir, program string, args ...string) string {
	t.Helper()
	out, err := tryRun(t, env, dir, program, args...)
	require.NoError(t, err, "%s %s\n%s", filepath.Base(program), strings.Join(args, " "), out)
	return out
}

func tryRun(t *testing.T, env []string, dir, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Dir = env, dir
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, tail(log.String(), 4000))
	}
	return out.String(), err
}

func tail(s string, n int) string {
	if len(s) > n {
		return "... " + s[len(s)-n:]
	}
	return s
}

// tree builds the tree that the server shows.
func tree(t *testing.T, file string) *corpus.Tree {
	t.Helper()
	spec, err := corpus.Load(file)
	require.NoError(t, err)
	tr, err := corpus.New(spec, 0)
	require.NoError(t, err)
	return tr
}
