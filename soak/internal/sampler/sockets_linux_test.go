package sampler

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// connect returns both ends of a connection.
func connect(t *testing.T, l net.Listener) (client, server *net.TCPConn) {
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	s, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

// inode is the number of a socket.
func inode(t *testing.T, s syscall.Conn) uint32 {
	raw, err := s.SyscallConn()
	require.NoError(t, err)
	var st syscall.Stat_t
	require.NoError(t, raw.Control(func(fd uintptr) { err = syscall.Fstat(int(fd), &st) }))
	require.NoError(t, err)
	return uint32(st.Ino)
}

func TestTheKernelsDiagnosisCountsSocketsAsProcDoes(t *testing.T) {
	inodes, want := found{}, map[string]int{}
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Logf("SKIPPED %s: %v", address, err)
			continue
		}
		t.Cleanup(func() { l.Close() })
		inodes[inode(t, l.(*net.TCPListener))] = false
		want["listen"]++
		for range 40 {
			client, server := connect(t, l)
			inodes[inode(t, client)], inodes[inode(t, server)] = false, false
			want["established"] += 2
		}
		left, gone := connect(t, l)
		inodes[inode(t, left)] = false
		want["close-wait"]++
		require.NoError(t, gone.Close())
		connect(t, l) // of a process outside the question
	}
	assert.Eventually(t, func() bool {
		return assert.ObjectsAreEqual(want, procSockets(os.Getpid(), inodes))
	}, 2*time.Minute, 50*time.Millisecond, "the end of the other side is seen")
	counts, err := diagSockets(inodes)
	if err != nil {
		t.Skip("SKIPPED, this kernel has no socket diagnosis: ", err)
	}
	assert.Equal(t, want, counts)
	var targets []string
	for n := range inodes {
		targets = append(targets, fmt.Sprintf("socket:[%d]", n))
	}
	assert.Equal(t, want, sockets(os.Getpid(), append(targets, "/dev/null", "pipe:[12]")))
}

// TestAResetConnectionCountsUntilItIsClosed: the kernel's tables no longer have it, its descriptor stays.
func TestAResetConnectionCountsUntilItIsClosed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	client, server := connect(t, l)
	require.NoError(t, server.SetLinger(0))
	require.NoError(t, server.Close())
	_, err = client.Read(make([]byte, 1))
	require.Error(t, err)

	target := fmt.Sprintf("socket:[%d]", inode(t, client))
	assert.Equal(t, map[string]int{"close": 1}, sockets(os.Getpid(), []string{target}))
	datagram, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer datagram.Close()
	other := fmt.Sprintf("socket:[%d]", inode(t, datagram.(*net.UDPConn)))
	assert.Empty(t, sockets(os.Getpid(), []string{other}), "no connection of TCP")
	require.NoError(t, client.Close())
	assert.Empty(t, sockets(os.Getpid(), []string{target}))
}

func TestAnotherNetworkNamespaceIsNotTakenForThisOne(t *testing.T) {
	assert.True(t, sameNetwork(os.Getpid()))
	other := exec.Command("cat")
	other.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	in, err := other.StdinPipe()
	require.NoError(t, err)
	if err := other.Start(); err != nil {
		t.Skip("SKIPPED, this user can make no network namespace: ", err)
	}
	assert.False(t, sameNetwork(other.Process.Pid))
	require.NoError(t, in.Close())
	require.NoError(t, other.Wait())
	assert.False(t, sameNetwork(other.Process.Pid), "a process that is gone")
}
