package attach_test

import (
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak/internal/attach"
)

func TestThePortOfAListenerTellsItsProcess(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	assert.Equal(t, os.Getpid(), attach.Owner(port))
	assert.Equal(t, os.Args, attach.CommandOf(os.Getpid()))
	require.NoError(t, l.Close())
	assert.Zero(t, attach.Owner(port))
	assert.Nil(t, attach.CommandOf(0))
}
