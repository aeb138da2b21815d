package attach

import (
	"bufio"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak/internal/cgroup"
)

// TestAKillForMemoryIsSeenWhenTheProcessIsGone has the real kernel kill a process, which is waited for before its group
// is asked.
func TestAKillForMemoryIsSeenWhenTheProcessIsGone(t *testing.T) {
	p, err := cgroup.Open("attach-kills", 0, func(string) {})
	if err != nil {
		t.Skipf("no memory cgroup: %v", err)
	}
	t.Cleanup(func() { _ = p.Close() })
	g, err := p.New("oom", 32<<20)
	require.NoError(t, err)
	cmd := exec.Command("sh", "-c", "echo in; read go; head -c 200000000 /dev/zero | tail -c 200000000 >/dev/null")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	entered, err := g.Enter(cmd)
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	entered()
	_, err = bufio.NewReader(out).ReadString('\n') // by then it is in the group
	require.NoError(t, err)
	killed := oomKills(cmd.Process.Pid)
	require.False(t, killed())
	_, err = in.Write([]byte("go\n"))
	require.NoError(t, err)
	require.Error(t, cmd.Wait())
	require.True(t, killed())
}
