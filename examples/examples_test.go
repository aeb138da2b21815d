package examples_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var bin string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if bin, err = os.MkdirTemp("", "examples-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(bin)
	build := exec.Command("go", "build", "-o", bin+"/", "./copier", "./http-service", "../soak/cmd/soak",
		"../fakedrive/cmd/fakedrive")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// soak runs a command of soak in a directory and returns what it prints.
func soak(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "soak"), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "MEMSOAK_STATE_DIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "soak %v\n%s", args, out)
	return string(out)
}

// place is a directory with the copier and the files of an example.
func place(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Symlink(filepath.Join(bin, "copier"), filepath.Join(dir, "copier")))
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(f)), text, 0o644))
	}
	return dir
}

func TestTheCopierIsMeasured(t *testing.T) {
	dir := place(t, "copier/copier.yaml")
	assert.NotContains(t, soak(t, dir, "subject", "check", "copier.yaml"), "MISSING")
	if testing.Short() {
		t.Skip("records a trial")
	}
	out := soak(t, dir, "run", "--subject", "copier.yaml", "--axis", "workers=2", "--limit", "off", "--protocol", "quick",
		"--corpus", "tiny", "--out", "out")
	assert.Contains(t, out, "copier: 1 cell,")
	run, err := os.ReadFile(filepath.Join(dir, "out", "run.json"))
	require.NoError(t, err)
	assert.Contains(t, string(run), `"outcome": "ok"`)
	assert.FileExists(t, filepath.Join(dir, "out", "report.html"))
	soak(t, dir, "verify", "out")
}

// TestTheHTTPServiceIsRecorded while it answers requests.
func TestTheHTTPServiceIsRecorded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	ctx, cancel := context.WithCancel(t.Context())
	service := exec.CommandContext(ctx, filepath.Join(bin, "http-service"), "-listen", addr)
	require.NoError(t, service.Start())
	var wg sync.WaitGroup
	defer func() {
		cancel()
		wg.Wait()
		_ = service.Wait() // that it was killed is its error
	}()
	visit := func(name string) (string, error) {
		resp, err := http.Get("http://" + addr + "/visit/" + name)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return strings.TrimSpace(string(b)), err
	}
	require.Eventually(t, func() bool { _, err := visit("first"); return err == nil }, 30*time.Second, 10*time.Millisecond)
	again, err := visit("first")
	require.NoError(t, err)
	assert.Equal(t, "2", again)
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			_, _ = visit(fmt.Sprint(i)) // the last is cut off
		}
	})
	dir := t.TempDir()
	soak(t, dir, "record", "--pprof", "http://"+addr+"/debug/pprof", "--for", "2s", "--every", "500ms", "--out", "pod")
	assert.NotEmpty(t, soak(t, dir, "diagnose", "pod"))
}

func TestTheWorkflowFitsTheAction(t *testing.T) {
	var workflow struct {
		Jobs map[string]struct {
			Steps []struct {
				Uses string
				With map[string]any
			}
		}
	}
	var action struct{ Inputs map[string]any }
	for path, to := range map[string]any{"workflow/memsoak.yml": &workflow,
		"../.github/actions/memsoak-gate/action.yml": &action} {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, yaml.Unmarshal(text, to), path)
	}
	found := false
	for _, job := range workflow.Jobs {
		for _, s := range job.Steps {
			if !strings.Contains(s.Uses, "/.github/actions/memsoak-gate@") {
				continue
			}
			found = true
			for name := range s.With {
				assert.Contains(t, action.Inputs, name)
			}
		}
	}
	assert.True(t, found)
	dir := place(t, "copier/copier.yaml", "workflow/soak.yaml")
	assert.Contains(t, soak(t, dir, "run", "-f", "soak.yaml", "--dry-run"), "copier: 2 cells")
}

// TestTheREADMEShowsTheCopiersFile as it is.
func TestTheREADMEShowsTheCopiersFile(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	shown := regexp.MustCompile("(?s)```yaml\n(name: copier.*?)```").FindSubmatch(readme)
	require.NotNil(t, shown)
	file, err := os.ReadFile("copier/copier.yaml")
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(file), "\n") // after the comment
	assert.Equal(t, rest, string(shown[1]))
}
