package main

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/memsoak/memsoak/internal/foreign"
	"github.com/memsoak/memsoak/migrator"
)

// terminal is a pseudo-terminal: text written to its screen is read from its other end.
func terminal(t *testing.T) (screen, other *os.File) {
	t.Helper()
	other, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here: ", err)
	}
	t.Cleanup(func() { other.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(other.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(other.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { screen.Close() })
	require.NoError(t, unix.IoctlSetWinsize(int(screen.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100}))
	return screen, other
}

func TestATerminalShowsABarThroughTheCommandsWriter(t *testing.T) {
	t.Setenv("TERM", "xterm")
	screen, other := terminal(t)
	p := newProgress(foreign.NewWriter(screen), false, time.Hour, &migrator.Stats{}, func() string { return "" })
	p.Close()
	text := make([]byte, 4096)
	n, err := other.Read(text)
	require.NoError(t, err)
	assert.Contains(t, string(text[:n]), "\x1b[K0/0 files, 0 failed [---", "drawn, and not written as text")
}
