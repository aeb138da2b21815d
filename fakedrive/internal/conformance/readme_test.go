package conformance

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// TestTheReadme runs the README's commands as they stand, but for the ports.
func TestTheReadme(t *testing.T) {
	wanted(t)
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	blocks := shellBlock.FindAllSubmatch(readme, -1)
	require.GreaterOrEqual(t, len(blocks), 5)
	script := "set -eu\ntrap 'kill $(jobs -p)' EXIT\n" // or the server would keep the output open
	for _, b := range blocks {
		script += string(b[1])
	}
	for _, port := range []string{"8080", "8081"} {
		script = strings.ReplaceAll(script, "127.0.0.1:"+port, freeAddr(t))
	}
	fake, err := builders["fakedrive"]()
	require.NoError(t, err)
	rclone, err := rclonePath()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "NO_PROXY=127.0.0.1", "PATH="+filepath.Dir(fake)+":"+filepath.Dir(rclone)+":"+
		os.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), `"md5Checksum"`)
	require.Contains(t, string(out), `"list_pages"`)
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}
