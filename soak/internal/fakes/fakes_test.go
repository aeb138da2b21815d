package fakes_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak/internal/fakes"
	"github.com/memsoak/memsoak/soak/internal/gateway"
	"github.com/memsoak/memsoak/soak/internal/testsubject"
)

var programs fakes.Options

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "memsoak-test-")
	if err == nil {
		programs.Fakedrive, programs.Soak, err = testsubject.Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// options are of the real programs, each through a script that notes its process.
func options(t *testing.T) fakes.Options {
	t.Helper()
	o := programs
	o.Dir, o.Bucket = t.TempDir(), "bucket"
	for _, p := range []*string{&o.Fakedrive, &o.Soak} {
		*p = script(t, fmt.Sprintf("echo $$ >> %q\nexec %q \"$@\"", filepath.Join(o.Dir, "pids"), *p))
	}
	return o
}

func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700))
	return path
}

// pids are the processes that were started.
func pids(t *testing.T, o fakes.Options) (list []int) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(o.Dir, "pids"))
	require.NoError(t, err)
	for _, line := range strings.Fields(string(b)) {
		pid, err := strconv.Atoi(line)
		require.NoError(t, err)
		list = append(list, pid)
	}
	return list
}

// noneLeft checks that the processes are gone, and with them what listened.
func noneLeft(t *testing.T, o fakes.Options) {
	t.Helper()
	for _, pid := range pids(t, o) {
		assert.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "process %d is there", pid)
	}
}

func status(c *http.Client, url string) (int, string, error) {
	resp, err := c.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	return resp.StatusCode, resp.Proto, nil
}

func TestFakesServeUntilTheyAreStopped(t *testing.T) {
	for transport, want := range map[string]struct{ drive, s3 string }{
		"":         {"HTTP/1.1", "HTTP/1.1"},
		fakes.HTTP: {"HTTP/1.1", "HTTP/1.1"},
		fakes.TLS:  {"HTTP/1.1", "HTTP/1.1"},
		fakes.H2:   {"HTTP/2.0", "HTTP/1.1"},
	} {
		t.Run("over "+transport, func(t *testing.T) {
			o := options(t)
			o.Transport = transport
			f, err := fakes.Start(t.Context(), o)
			require.NoError(t, err)
			defer f.Stop()
			secure := transport == fakes.TLS || transport == fakes.H2
			tr := &http.Transport{ForceAttemptHTTP2: true}
			defer tr.CloseIdleConnections()
			if secure {
				pem, err := os.ReadFile(f.CAFile)
				require.NoError(t, err)
				roots := x509.NewCertPool()
				require.True(t, roots.AppendCertsFromPEM(pem))
				tr.TLSClientConfig = &tls.Config{RootCAs: roots}
			}
			require.Equal(t, secure, f.CAFile != "", "one file trusts both")
			code, proto, err := status(&http.Client{Transport: tr}, f.DriveURL()+"/drive/v3/files")
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, code)
			require.Equal(t, want.drive, proto)
			code, proto, err = status(&http.Client{Transport: tr}, f.S3URL()+"/bucket")
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, code, "its bucket is there")
			require.Equal(t, want.s3, proto)
			counted, err := f.Drive.Counters(t.Context())
			require.NoError(t, err)
			require.Positive(t, counted.Requests)
			_, err = f.S3.Counters(t.Context())
			require.NoError(t, err)
			require.NoError(t, f.Ended(0))
			require.Len(t, pids(t, o), 2)
			for _, pid := range pids(t, o) {
				group, err := syscall.Getpgid(pid)
				require.NoError(t, err)
				require.Equal(t, pid, group, "an interrupt at the keyboard is not for it")
			}
			f.Stop()
			noneLeft(t, o)
			f.Stop()
		})
	}
	var none *fakes.Fakes
	none.Stop()
}

func TestPortsAreTheKernels(t *testing.T) {
	seen := map[string]bool{}
	for range 2 { // beside each other
		f, err := fakes.Start(t.Context(), options(t))
		require.NoError(t, err)
		defer f.Stop()
		for _, a := range []string{f.DriveURL(), f.S3URL(), f.DriveAddr.Admin, f.S3Addr.Admin} {
			u, err := url.Parse(a)
			require.NoError(t, err)
			require.True(t, net.ParseIP(u.Hostname()).IsLoopback(), a)
			seen[u.Host] = true
		}
	}
	require.GreaterOrEqual(t, len(seen), 4, "none is taken twice")
}

func TestOptionsReachTheFakes(t *testing.T) {
	o := options(t)
	plan := filepath.Join(o.Dir, "plan.yaml")
	require.NoError(t, os.WriteFile(plan, []byte("rules:\n  - {error: {status: 503}}\n"), 0o600))
	o.DriveFaults, o.Proxy, o.S3MinPart = plan, true, "1KiB"
	f, err := fakes.Start(t.Context(), o)
	require.NoError(t, err)
	defer f.Stop()
	code, _, err := status(http.DefaultClient, f.DriveURL()+"/drive/v3/files")
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, code)
	code, _, err = status(http.DefaultClient, f.S3URL()+"/bucket")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, code, "its plan is another")
	proxy, err := url.Parse(f.DriveAddr.Proxy)
	require.NoError(t, err)
	c, err := net.Dial("tcp", proxy.Host)
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.NotEmpty(t, f.CAFile, "the proxy ends TLS")
}

func TestAFakeThatEndsAtItsStartIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		change func(o *fakes.Options)
		want   []string
	}{
		"a wrong plan": {func(o *fakes.Options) { o.S3Faults = filepath.Join(o.Dir, "nowhere.yaml") },
			[]string{"fakes3 ended with exit status 2: ", "nowhere.yaml"}},
		"no program": {func(o *fakes.Options) { o.Soak = filepath.Join(o.Dir, "nowhere") },
			[]string{"start fakes3: ", "no such file"}},
		"a crash": {func(o *fakes.Options) { o.Fakedrive = script(t, "echo oh; echo no >&2; kill -9 $$") },
			[]string{"fakedrive ended with signal: killed: oh no"}},
		"nonsense for an address": {func(o *fakes.Options) {
			o.Fakedrive = script(t, `while [ "$1" != --addr-file ]; do shift; done; echo x > "$2"; exec sleep 60`)
		}, []string{"addresses of fakedrive: "}},
		"no folder": {func(o *fakes.Options) { o.Dir = filepath.Join(o.Dir, "nowhere") }, []string{"no such file"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			kept := o
			c.change(&o)
			f, err := fakes.Start(t.Context(), o)
			require.Nil(t, f)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			require.NotContains(t, err.Error(), "\n")
			if _, err := os.Stat(filepath.Join(kept.Dir, "pids")); err == nil {
				noneLeft(t, kept)
			}
		})
	}
}

func TestAFakeThatDoesNotListenIsGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		processes int
		start     func(ctx context.Context, o fakes.Options) error
	}{
		"fakes": {2, func(ctx context.Context, o fakes.Options) error { _, err := fakes.Start(ctx, o); return err }},
		"gates": {1, func(ctx context.Context, o fakes.Options) error {
			_, err := fakes.StartGates(ctx, o, gateway.Config{})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			note := filepath.Join(o.Dir, "pids")
			o.Fakedrive = script(t, fmt.Sprintf("echo $$ >> %q; exec sleep 600", note))
			o.Soak = o.Fakedrive
			ctx, cancel := context.WithCancel(t.Context())
			started := make(chan error, 1)
			go func() { started <- c.start(ctx, o) }()
			require.Eventually(t, func() bool {
				b, err := os.ReadFile(note)
				return err == nil && strings.Count(string(b), "\n") == c.processes
			}, time.Minute, 5*time.Millisecond)
			cancel()
			err := <-started
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorContains(t, err, "does not listen")
			noneLeft(t, o)
		})
	}
}

func TestAFakeThatDiesIsSaid(t *testing.T) {
	o := options(t)
	f, err := fakes.Start(t.Context(), o)
	require.NoError(t, err)
	defer f.Stop()
	require.NoError(t, f.Ended(0))
	require.NoError(t, syscall.Kill(f.DriveAddr.PID, syscall.SIGKILL))
	require.ErrorContains(t, f.Ended(time.Minute), "fakedrive ended with signal: killed: ")
	require.NotContains(t, f.Ended(0).Error(), "fakes3", "the other one is well")
	_, err = f.S3.Counters(t.Context())
	require.NoError(t, err)
	f.Stop()
	noneLeft(t, o)
	require.NoError(t, f.Ended(0), "what was stopped did not end by itself")
}

func TestGatesServeUntilTheyAreStopped(t *testing.T) {
	o := options(t)
	c := gateway.Config{Gates: []gateway.Gate{{Name: "api", Make: &gateway.Reply{Status: http.StatusTeapot}}}}
	g, err := fakes.StartGates(t.Context(), o, c)
	require.NoError(t, err)
	code, _, err := status(http.DefaultClient, g.Addr.Gates["api"])
	require.NoError(t, err)
	require.Equal(t, http.StatusTeapot, code)
	require.NoError(t, g.Ended(0))
	require.NoError(t, syscall.Kill(g.Addr.PID, syscall.SIGKILL))
	require.ErrorContains(t, g.Ended(time.Minute), "gateway ended with signal: killed: ")
	g.Stop()
	noneLeft(t, o)
	g.Stop()
	c.Gates[0].Name = ""
	_, err = fakes.StartGates(t.Context(), o, c)
	require.ErrorContains(t, err, "gateway ended with exit status ")
	noneLeft(t, o)
}

func TestProgramsAreFound(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("PATH", dir)
	var o fakes.Options
	require.ErrorContains(t, o.Find(false), "the program ")
	require.NoError(t, os.Mkdir("bin", 0o700))
	require.NoError(t, os.Symlink(programs.Soak, "bin/soak"))
	o = fakes.Options{}
	require.NoError(t, o.Find(true), "a service needs gates alone")
	require.Equal(t, filepath.Join(dir, "bin", "soak"), o.Soak)
	require.Empty(t, o.Fakedrive)
	require.ErrorContains(t, (&fakes.Options{}).Find(false), "the program fakedrive is neither beside this one nor")
	require.NoError(t, os.Symlink(programs.Fakedrive, "fakedrive"))
	o = fakes.Options{}
	require.NoError(t, o.Find(false))
	require.Equal(t, filepath.Join(dir, "fakedrive"), o.Fakedrive, "on PATH")
	o = fakes.Options{Soak: "nowhere/soak"}
	require.ErrorContains(t, o.Find(true), "nowhere/soak", "a path that is set is not replaced by another")
}
